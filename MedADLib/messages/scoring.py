"""Sentences of the package `scoring`, by code."""

from __future__ import annotations

from . import Sentence

SENTENCES: dict[str, Sentence] = {
}
