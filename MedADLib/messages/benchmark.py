"""Sentences of the package `benchmark`, by code."""

from . import Sentence as S
from . import mark as _

# Remedies of several sentences.
DETECT_ALONE = _("Try medad detect alone.")

SENTENCES = {
    "nilearn_missing": S(_("the MNI152 brain needs the Python package nilearn"), _("Run: pip install nilearn")),
    "not_skull_stripped": S(_("{name} has its skull, or no empty background"), _("Give a scan of the brain alone.")),
    "maps_of_gpu_differ": S(
        _("the GPU gives other anomaly maps than the CPU, of: {models}; see {table}"),
        _("Use --device cpu, and report it with the table."),
    ),
    "benchmark_command_failed": S(_('medad detect failed; its output ends with "{output}"'), DETECT_ALONE),
    "benchmark_worker_ended": S(_('the worker ended too early; its output ends with "{output}"'), DETECT_ALONE),
    "benchmark_worker_failed": S(_("the worker failed: {reason}"), DETECT_ALONE),
}
