"""Sentences of the package `cli`, by code."""

from __future__ import annotations

from . import Sentence
from . import mark as _

SENTENCES: dict[str, Sentence] = {
    "export_usage": Sentence(
        _("one model and the folder of its bundle are needed"), _("Run: medad models export NAME --monai DIR")
    ),
    "monai_without_export": Sentence(_("--monai is only for export"), _("Run: medad models export NAME --monai DIR")),
}
