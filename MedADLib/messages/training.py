"""Sentences of the package `training`, by code."""

from __future__ import annotations

from . import Sentence

SENTENCES: dict[str, Sentence] = {
}
