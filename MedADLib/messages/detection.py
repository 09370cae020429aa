"""Sentences of `detection`, by code."""

from . import Sentence as S
from . import mark as _

SENTENCES = {
    "unknown_setting": S(_("there is no setting {name}"), _("Use {known}.")),
    "bad_seed": S(_("the seed {value} is not an integer of 0 or more"), _("For example seed=0.")),
    "smallest_region_out_of_range": S(
        _("the smallest region of {ml} mL is out of range"), _("Give a number of 0 or more, and less than 10000.")
    ),
    "smallest_region_pixels": S(
        _("the smallest region of {px} pixels is out of range"), _("Give an integer of 0 or more, for example 20.")
    ),
    "bad_smallest_region": S(
        _("the smallest region {value} has no unit"), _("Give a volume such as 0.05ml, or for an image 20px.")
    ),
    "pixels_for_images": S(
        _("{name} is a volume, and its smallest region is given in pixels"), _("Give it in mL, such as 0.05ml.")
    ),
    "volume_for_an_image": S(
        _("{name} is an image without voxel spacing or orientation, and its smallest region is given in mL"),
        _("Give it in pixels, such as 20px."),
    ),
    "bad_fast": S(_("the fast mode cannot be {value}"), _("Give fast=True or fast=False.")),
    "bad_force": S(_("force cannot be {value}"), _("Give force=True or force=False.")),
    "scan_in_train": S(
        _("this scan trained the model {model}"), _("Its result is better than that of a new scan: do not rely on it.")
    ),
    "scan_in_validation": S(
        _("this scan was used to choose settings of the model {model}"),
        _("Its result is better than that of a new scan: do not rely on it."),
    ),
    "scan_in_calibration": S(
        _("this scan calibrated the model {model}"),
        _("Its p-values compare the scan with itself: do not rely on them."),
    ),
    "not_calibrated": S(
        _("the model {model} is not calibrated"), _("Train it with calibration scans, or choose another model.")
    ),
    "no_fast_mode": _("the model {model} has no faster mode; it ran as usual"),
    "fast_mode_not_calibrated": _(
        "examined in fast mode, but compared with healthy scans that were examined in the usual mode: expect more "
        "false positives"
    ),
    "fast_mode": _("examined in fast mode, as were the healthy scans that it is compared with: slightly less exact"),
    "scores_higher_everywhere": S(
        _(
            "the scan scores higher everywhere than the healthy scans of the calibration, as scans of another scanner, "
            "resolution or contrast do: its map was brought down by {sd:.1f} healthy SD, and changes of the whole "
            "brain cannot be seen"
        ),
        _("For exact thresholds and p-values, calibrate the model on healthy scans of the same scanner."),
    ),
    # Progress.
    "progress_examined_part": _("finding the part to examine"),
    "progress_preparation": _("registering the scan to the template of the model"),
    "progress_restoration": _("restoring the pseudo-healthy image"),
    "progress_comparison": _("comparing with healthy scans"),
    "progress_regions": _("delineating regions"),
}
