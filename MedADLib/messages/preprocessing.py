"""Sentences of the package `preprocessing`, by code."""

from __future__ import annotations

from . import Sentence

SENTENCES: dict[str, Sentence] = {
}
