"""Sentences of the package `methods`, by code."""

from __future__ import annotations

from . import Sentence

SENTENCES: dict[str, Sentence] = {
}
