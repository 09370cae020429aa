"""Codes and sentences: each code that the library raises has its sentences, with exactly the parameters it is given."""

from __future__ import annotations

import ast
import copy
import pickle
import string
from collections.abc import Iterator

import pytest
from support.source_code import library_files, syntax

from MedADLib import messages
from MedADLib.errors import InputError
from MedADLib.messages import Message, Sentence, as_json, from_json, say, set_translator, translated

ERRORS = {"MedADError", "InputError", "ModelError", "OutputError", "InstallError", "NoBrainError", "NameTakenError"}
ERRORS |= {"RequestError"}
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
