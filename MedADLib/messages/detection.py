"""Sentences of `detection`, by code."""

from __future__ import annotations

from . import Sentence
from . import mark as _

SENTENCES: dict[str, Sentence] = {
    "unknown_setting": Sentence(_("there is no setting {name}"), _("Use {known}.")),
    "bad_seed": Sentence(_("the seed {value} is not an integer of 0 or more"), _("For example seed=0.")),
    "smallest_region_out_of_range": Sentence(
        _("the smallest region of {ml} mL is out of range"), _("Give a number of 0 or more, and less than 10000.")
    ),
    "bad_fast": Sentence(_("the fast mode cannot be {value}"), _("Give fast=True or fast=False.")),
    "not_calibrated": Sentence(
        _("the model {model} is not calibrated"), _("Train it with calibration scans, or choose another model.")
    ),
    "no_fast_mode": Sentence(_("the model {model} has no faster mode; it ran as usual")),
    "fast_mode_not_calibrated": Sentence(
        _(
            "examined in fast mode, but compared with healthy scans that were examined in the usual mode: expect more "
            "false positives"
        )
    ),
    "fast_mode": Sentence(
        _("examined in fast mode, as were the healthy scans that it is compared with: slightly less exact")
    ),
    # Progress.
    "progress_examined_part": Sentence(_("finding the part to examine")),
    "progress_preparation": Sentence(_("registering the scan to the template of the model")),
    "progress_restoration": Sentence(_("restoring the pseudo-healthy image")),
    "progress_comparison": Sentence(_("comparing with healthy scans")),
    "progress_regions": Sentence(_("delineating regions")),
}
