"""Codes and sentences: each code that the library raises has its sentences, with exactly the parameters it is given."""

from __future__ import annotations

import ast
import copy
import pickle
import re
import string
from collections.abc import Iterator

import pytest
from support.source_code import library_files, syntax

from MedADLib import messages
from MedADLib.errors import InputError
from MedADLib.messages import Message, Sentence, as_json, from_json, say, set_translator, translated

ERRORS = {"MedADError", "InputError", "ModelError", "OutputError", "InstallError", "NoBrainError", "NameTakenError"}
ERRORS |= {"RequestError", "SettingError"}
# Parameters of the errors themselves.
OWN = {"remedy", "replaceable", "lines"}


@pytest.fixture(autouse=True)
def english():
    yield
    set_translator(None)


def fields(sentence: Sentence) -> set[str]:
    """The placeholders of a code's templates."""
    return {name for text in sentence for _, name, _, _ in string.Formatter().parse(text) if name is not None}


def calls() -> Iterator[tuple[str, str, set[str] | None]]:
    """Place, code and parameter names of each message in the library; None for parameters that are not spelled out."""
    for path in library_files():
        for node in ast.walk(syntax(path)):
            if not isinstance(node, ast.Call) or not node.args or not isinstance(node.args[0], ast.Constant):
                continue
            name = getattr(node.func, "id", "")
            if name in ERRORS | {"Message", "say", "Cancelled"} and isinstance(node.args[0].value, str):
                names = {keyword.arg for keyword in node.keywords}
                yield f"{path.name}:{node.lineno}", node.args[0].value, None if None in names else names - OWN


def test_each_code_is_given_the_parameters_of_its_sentences():
    catalogue = {code: fields(sentence) for code, (_, sentence) in messages._catalogue().items()}
    wrong = [
        (place, code)
        for place, code, names in calls()
        if code not in catalogue or (names is not None and names != catalogue[code])
    ]
    assert not wrong


def test_each_sentence_is_used():
    written = {
        node.value
        for path in library_files()
        if path.parent.name != "messages"
        for node in ast.walk(syntax(path))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    # `errors.explain` puts these codes together.
    written |= {"disk_full_at", "system_error_at"}
    assert not [code for code in messages._catalogue() if code not in written]


# Names of options, variables, addresses and tools that a reader needs to find in the remedy of a code.
NAMED = {
    "bad_threshold": ("3.5", "1ml", "0.1%"),
    "disk_too_small": ("--work",),
    "image_not_named": ("{file}#{first}", "{file}#{last}"),
    "install_certificate": ("PIP_CERT", "HTTPS_PROXY"),
    "install_changed_slicer": ("PythonSlicer -m pip install --no-deps {repair}",),
    "install_disk_full": ("Free some space",),
    "install_files_in_use": ("Restart Slicer",),
    "install_folder_protected": ("administrator",),
    "install_light_the_torch": ("Python console",),
    "install_no_connection": ("Connect to the internet", "--no-index --no-deps --find-links"),
    "install_no_extension": ("Extension Manager", "restart Slicer"),
    "install_no_torch_for_mac": ("PyTorch Utils",),
    "install_path_too_long": ("short path",),
    "install_proxy": ("HTTPS_PROXY",),
    "install_remains": ("Delete the folders",),
    "install_torch_not_loadable": ("Restart Slicer",),
    "model_without_split": ("--split",),
    "no_space_for_model": ("-o",),
    "reference_scans_missing": ("--split",),
    "several_labels": ("--healthy-label",),
    "unusable_scans": ("--skip-bad",),
    "work_of_other_template": ("--work",),
}
# What the files of models and the worker's requests are refused for is the reason that another message gives.
NO_REMEDY = {
    *("bad_json", "empty_text", "malformed", "missing_key", "not_an_object", "not_utf8", "wrong_type", "wrong_value"),
    *("bad_request", "request_not_an_object", "request_not_json", "unknown_request", "run_failed", "array_not_on_grid"),
    "record_counts",
}
ODD = re.compile(r"\b(anew|heed(ed)?|whose|oops|sorry|please)\b|!(?![ra][:}])|  |\s$|^\s", re.IGNORECASE)


class Anything(str):
    """A parameter for any placeholder, whatever its format."""

    def __format__(self, _: str) -> str:
        return str(self)

    def __getattr__(self, name: str) -> Anything:
        return self


def errors() -> dict[str, bool]:
    """Codes of the errors that the library raises, and whether one of them comes without a remedy of its own."""
    found: dict[str, bool] = {}
    for path in library_files():
        for node in ast.walk(syntax(path)):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") in ERRORS and node.args:
                code = node.args[0]
                if isinstance(code, ast.Constant) and isinstance(code.value, str):
                    own = any(keyword.arg in ("remedy", None) for keyword in node.keywords)
                    found[code.value] = found.get(code.value, False) or not own
    return found


def test_every_sentence_can_be_filled_and_follows_the_rules():
    odd = {}
    for code, (_, texts) in messages._catalogue().items():
        filled = messages.sentence(code, {name: Anything("x") for name in fields(texts)})
        wrong = [text for text in texts if ODD.search(text) or not text.isprintable()]
        if not filled.problem or texts.problem.endswith("."):
            wrong.append("a problem is one sentence without full stop")
        if texts.remedy and not (texts.remedy[0].isupper() or texts.remedy[0] in "{-"):
            wrong.append("a remedy is a sentence")
        if wrong:
            odd[code] = wrong
    assert odd == {}


def test_every_error_states_what_to_do():
    catalogue = {code: texts for code, (_, texts) in messages._catalogue().items()}
    silent = {code for code, bare in errors().items() if bare and not catalogue[code].remedy}
    assert silent - NO_REMEDY == set() and len(errors()) > 200


def test_remedies_name_what_to_use():
    catalogue = {code: texts for code, (_, texts) in messages._catalogue().items()}
    lacking = [(code, word) for code, words in NAMED.items() for word in words if word not in catalogue[code].remedy]
    assert lacking == []


def test_a_message_is_its_english_sentence_and_comes_back_from_json():
    message = Message("cancelled")
    assert message == "cancelled" and from_json(str(message), as_json(message)).code == "cancelled"
    assert from_json("of a newer MedAD", {"code": "unheard_of", "parameters": {}}) == "of a newer MedAD"
    assert from_json("old", None) == "old" and as_json("plain") is None and translated("plain") == "plain"


def test_a_message_can_be_copied_and_pickled():
    message = Message("bad_threshold", threshold="x")
    for again in (copy.copy, copy.deepcopy, lambda value: pickle.loads(pickle.dumps(value))):
        assert again(message) == message and again(message).parameters == {"threshold": "x"}
        assert again(InputError("bad_threshold", threshold="x")).message.code == "bad_threshold"


def test_errors_carry_code_and_sentence():
    error = InputError("cancelled")
    assert error.code == "cancelled" and str(error) == "cancelled" and error.as_json()["code"] == "cancelled"


def test_sentences_are_translated_when_they_are_shown():
    message = Message("cancelled")
    set_translator(lambda context, text: f"{context}: {text.upper()}")
    assert message == "cancelled", "files and logs stay in English"
    assert translated(message) == say("cancelled") == "messages.runtime: CANCELLED"


def test_a_translation_with_a_wrong_placeholder_is_passed_over():
    set_translator(lambda context, text: "{nonsense}")
    assert say("cancelled") == "cancelled"
