"""Errors, warnings and verdicts for the user, by code, with their sentences in one package.

The library raises and returns codes with parameters; the sentences stand in one file a package of the library
(`io`, `modelfile`, …). Programs read the code, which is stable; the English sentence may be improved. Slicer
translates sentences: each is marked by ``_("…")``, so that Slicer's tools find it, and `set_translator` gives the
function that looks its translation up.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import cache, partial
from importlib import import_module
from typing import Any, NamedTuple

# One file for each package of the library that raises errors or shows texts.
CATALOGUES = (
    *("benchmark", "browser", "cli", "dataset", "detection", "evaluation", "io", "methods", "modelfile"),
    *("preprocessing", "results", "runtime", "scoring", "slicer", "training", "worker"),
)
Translator = Callable[[str, str], str]
# Control characters but tabs and line breaks, marks and overrides of the writing direction, characters without width,
# line separators, and halves of surrogate pairs, as in file names that are not UTF-8.
HIDDEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202e"
    "\u2060-\u206f\u3164\ufeff\uffa0\ufff0-\ufffb\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
    "\ud800-\udfff]"
)


class Sentence(NamedTuple):
    """The sentences of one code, as templates of `str.format`.

    Attributes:
        problem: The error, warning or text, without the final full stop.
        remedy: What the reader can do; may be empty.
    """

    problem: str
    remedy: str = ""


class Message(str):
    """An English sentence with its code and parameters, so that it can be translated later.

    Args:
        code: A code of a catalogue.
        parameters: Values of its templates: texts and numbers, so that the message can be written as JSON.

    Raises:
        KeyError: If no catalogue has the code, or a parameter is missing.
    """

    code: str
    parameters: dict[str, Any]

    def __new__(cls, code: str, **parameters: Any) -> Message:
        """Format the English sentence."""
        self = super().__new__(cls, _joined(sentence(code, parameters)))
        self.code, self.parameters = code, parameters
        return self

    def __reduce__(self) -> tuple:
        """Copy and pickle by code and parameters, because the constructor does not take the sentence."""
        return partial(type(self), self.code, **self.parameters), ()

    def translated(self) -> str:
        """Return the sentence in the language of the application."""
        return say(self.code, **self.parameters)


def sentence(code: str, parameters: Mapping[str, Any]) -> Sentence:
    """Fill the parameters into the English sentences of a code.

    Raises:
        KeyError: If no catalogue has the code, or a parameter is missing.
    """
    problem, remedy = _catalogue()[code][1]
    parameters = _spelled_out(parameters)
    return Sentence(_line(problem.format(**parameters)).rstrip(". "), _line(remedy.format(**parameters)))


def say(code: str, **parameters: Any) -> str:
    """Return a sentence in the language of the application."""
    context, texts = _catalogue()[code]
    parameters = _spelled_out({name: translated(value) for name, value in parameters.items()})
    try:
        problem, remedy = ((_translate(context, text) if text else "").format(**parameters) for text in texts)
    except (KeyError, IndexError, ValueError):
        # The translation names a placeholder that does not exist.
        return _joined(sentence(code, parameters))
    return _joined(Sentence(_line(problem).rstrip(". "), _line(remedy)))


def visible(text: str) -> str:
    r"""Spell out the `HIDDEN` characters of a text of unknown origin, such as ``\x1b`` and ``\u202e``.

    They could hide or reorder what a reader sees, and a terminal obeys some of them. Parameters of messages are
    treated so already; names, model cards and results must be where they are shown.
    """
    if not HIDDEN.search(text):
        return text
    return HIDDEN.sub(lambda found: ascii(found.group())[1:-1], text.replace("\r\n", "\n"))


def translated(message: Any) -> Any:
    """Translate a message to the language of the application; anything else, as of an older result, stays as it is."""
    return message.translated() if isinstance(message, Message) else message


def as_json(message: str) -> dict[str, Any] | None:
    """Return code and parameters of a message for a JSON document; None for a plain text."""
    return {"code": message.code, "parameters": message.parameters} if isinstance(message, Message) else None


def from_json(text: str, document: Any) -> str:
    """Rebuild a message from the result of `as_json`.

    Args:
        text: The English sentence, which stays where the code is not known, as of a newer MedAD.
        document: The result of `as_json`; anything else is ignored.
    """
    try:
        return Message(document["code"], **document["parameters"])
    except (KeyError, TypeError, ValueError, IndexError):
        return text


def mark(text: str) -> str:
    """Mark a sentence for Slicer's translation tools, which search for ``_("…")``; return it unchanged."""
    return text


def set_translator(translate: Translator | None) -> None:
    """Translate sentences from now on.

    Args:
        translate: Called with context and English text, as ``slicer.i18n.translate``; None for English.
    """
    global _translate
    _translate = translate or _unchanged


def _unchanged(context: str, text: str) -> str:
    return text


_translate: Translator = _unchanged


def _spelled_out(parameters: Mapping[str, Any]) -> dict[str, Any]:
    return {name: visible(value) if isinstance(value, str) else value for name, value in parameters.items()}


def _line(text: str) -> str:
    return " ".join(text.split())


def _joined(found: Sentence) -> str:
    return f"{found.problem}. {found.remedy}" if found.remedy else found.problem


@cache
def _catalogue() -> dict[str, tuple[str, Sentence]]:
    """Collect all sentences by code, each with the context of its translation."""
    found: dict[str, tuple[str, Sentence]] = {}
    for name in CATALOGUES:
        for code, entry in import_module(f"{__name__}.{name}").SENTENCES.items():
            if code in found:
                raise ValueError(f"the code {code} is in two catalogues")
            # As Slicer's tools name it: folder and file.
            found[code] = (f"messages.{name}", Sentence(entry) if isinstance(entry, str) else entry)
    return found
