"""Texts as the panel shows them: errors in words, sentences, line breaks and tooltips."""

from __future__ import annotations

import re
from html import escape

from ...errors import MedADError
from ...messages import translated, visible

LONGEST_LINE = 80
LONG_WORD = re.compile(r"\S{24,}")
PLACES = re.compile(r"[/\\_.-]+|\w{12}(?=\w)")
BREAK = "\u200b"


def reason(error: BaseException) -> str:
    """Describe an error in the language of the application."""
    return translated(error.message) if isinstance(error, MedADError) else str(error)


def inert(markdown: str) -> str:
    """Make Markdown of unknown origin show its images and HTML as text, because Qt would load what they name.

    An entity is text in Markdown, also behind a backslash.
    """
    return re.sub(r"<(?=[A-Za-z/!?])", "&lt;", visible(markdown).replace("![", "&#33;["))


def sentence(text: str) -> str:
    """Capitalise the first letter of a text."""
    return f"{text[:1].upper()}{text[1:]}"


def breakable(text: str) -> str:
    """Make the text of a label: hidden characters are spelled out, and long words, such as paths, can be broken."""
    return LONG_WORD.sub(lambda word: PLACES.sub(rf"\g<0>{BREAK}", word.group()), visible(text))


def tooltip(text: str) -> str:
    """Make the text of a tooltip or a message box; Qt wraps rich text only, and treats any text with a tag as such."""
    text = visible(text)
    if len(text) <= LONGEST_LINE and "<" not in text:
        return text
    return f"<p>{escape(text, quote=False)}</p>".replace("\n", "<br>")
