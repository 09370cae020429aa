"""slicer.panel_words"""

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
    """What went wrong, in the language of the application."""
    return translated(error.message) if isinstance(error, MedADError) else str(error)


def sentence(text: str) -> str:
    """The text with its first letter as a sentence has it."""
    return f"{text[:1].upper()}{text[1:]}"


def breakable(text: str) -> str:
    """The text with invisible places to break at in words that no narrow panel can hold, such as paths."""
    return LONG_WORD.sub(lambda word: PLACES.sub(rf"\g<0>{BREAK}", word.group()), text)


def tooltip(text: str) -> str:
    """A text for a tooltip; Qt breaks the lines of rich text only, and takes whatever has a tag in it for that."""
    if len(text) <= LONGEST_LINE and "<" not in text:
        return text
    return f"<p>{escape(text, quote=False)}</p>".replace("\n", "<br>")
