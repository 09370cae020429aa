"""Texts as the panel shows them: errors in words, sentences, line breaks and tooltips."""

from __future__ import annotations

import re
from html import escape

from ...errors import MedADError
from ...messages import translated

LONGEST_LINE = 80
LONG_WORD = re.compile(r"\S{24,}")
PLACES = re.compile(r"[/\\_.-]+|\w{12}(?=\w)")
BREAK = "\u200b"


def reason(error: BaseException) -> str:
    """Describe an error in the language of the application."""
    return translated(error.message) if isinstance(error, MedADError) else str(error)


def sentence(text: str) -> str:
    """Capitalise the first letter of a text."""
    return f"{text[:1].upper()}{text[1:]}"


def breakable(text: str) -> str:
    """Add invisible line-break opportunities to words too long for a narrow panel, such as paths."""
    return LONG_WORD.sub(lambda word: PLACES.sub(rf"\g<0>{BREAK}", word.group()), text)


def tooltip(text: str) -> str:
    """Make the text of a tooltip; Qt wraps rich text only, and treats any text with a tag as such."""
    if len(text) <= LONGEST_LINE and "<" not in text:
        return text
    return f"<p>{escape(text, quote=False)}</p>".replace("\n", "<br>")
