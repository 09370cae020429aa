"""Sentences of the package `runtime`, by code."""

from __future__ import annotations

from . import Sentence
from . import mark as _

SENTENCES: dict[str, Sentence] = {
    "cancelled": Sentence(_("cancelled")),
}
