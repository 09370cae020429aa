"""Sentences of the package `benchmark`, by code."""

from __future__ import annotations

from . import Sentence
from . import mark as _

SENTENCES: dict[str, Sentence] = {
    "nilearn_missing": Sentence(
        _("the MNI152 brain comes with the Python package nilearn, which is missing"), _("Run: pip install nilearn")
    ),
    "not_skull_stripped": Sentence(
        _("{name} has its skull, or no empty background"), _("Give a scan of the brain alone.")
    ),
    "benchmark_command_failed": Sentence(
        _('medad detect failed; its output ends with "{output}"'), _("Try medad detect alone.")
    ),
    "benchmark_worker_ended": Sentence(
        _('the worker ended before it was done; its output ends with "{output}"'), _("Try medad detect alone.")
    ),
    "benchmark_worker_failed": Sentence(_("the worker failed: {reason}"), _("Try medad detect alone.")),
}
