"""Sentences of the package `scoring`, by code."""

from . import Sentence as S
from . import mark as _

# Remedies of several sentences.
DOWNLOAD_AGAIN = _("Download or copy the file again.")
SETTING = _("Correct the setting. In a model file: download or copy the file again.")

SENTENCES = {
    "bad_threshold": S(_("the threshold {threshold!r:.80} is not valid"), _("Write for example 3.5, 1ml or 0.1%.")),
    "region_limits_not_finite": S(
        _("the threshold is {threshold} and the smallest region {min_ml} mL"), _("Give finite numbers.")
    ),
    "map_not_on_mask": S(_("a map of shape {shape} does not fit a mask of shape {mask}"), _("Give both on one grid.")),
    "score_not_a_number": S(_("a score is not a number"), _("Repair the map.")),
    "unknown_scan_score": S(_("there is no scan score {name!a:.80}"), _("Choose one of: {known}.")),
    "pooling_spacing": S(_("the voxel spacing {spacing} cannot be used"), _("Give three positive numbers in mm.")),
    "pooling_sizes": S(_("pooling sizes of {sizes} mm cannot be used"), _("Give sizes of 0 or more.")),
    # Calibration, as it is made and as model files and results hold it.
    "calibration_few_scans": S(_("{count} scans are too few to calibrate"), _("Give {fewest} or more, better 20.")),
    "calibration_incomplete": S(
        _("the calibration is incomplete or has parts that this version does not support"), _("Update MedAD.")
    ),
    "calibration_malformed": S(_("the calibration is malformed ({detail})"), DOWNLOAD_AGAIN),
    "calibration_places": S(_("the voxelwise mean and SD of the calibration are malformed"), DOWNLOAD_AGAIN),
    "calibration_fast": S(_("the calibration of the fast mode is malformed"), DOWNLOAD_AGAIN),
    "calibration_tail": S(_("the healthy tail of the calibration is malformed"), DOWNLOAD_AGAIN),
    "calibration_scales": S(_("the scales of the calibration are malformed"), DOWNLOAD_AGAIN),
    "calibration_members": S(_("the members of the calibration are malformed"), DOWNLOAD_AGAIN),
    "calibration_unit": S(
        _("the unit or the scan score of the calibration is not known to this version"), _("Update MedAD.")
    ),
    "calibration_numbers": S(_("the numbers of the calibration are beyond any that a scan can have"), DOWNLOAD_AGAIN),
    "calibration_counts": S(_("the scores of the calibration differ in their number of scans"), DOWNLOAD_AGAIN),
    "calibration_thresholds": S(_("the thresholds of the calibration do not increase"), DOWNLOAD_AGAIN),
    "calibration_no_volume": S(
        _("the examined volume of the calibration is none that a scan can have"), DOWNLOAD_AGAIN
    ),
    "calibration_volume": S(
        _("the examined volume of the calibration, {ml:.3g} mL, is less than a brain has, {least:.3g} mL"),
        DOWNLOAD_AGAIN,
    ),
    "reference_incomplete": S(_("the record of the healthy scans is incomplete"), DOWNLOAD_AGAIN),
    "reference_malformed": S(_("the record of the healthy scans is malformed ({detail})"), DOWNLOAD_AGAIN),
    # Settings out of range, as a user or a model file gives them.
    "pooling_out_of_range": S(_("pooling sizes must be 0 to 50 mm"), SETTING),
    "tail_without_values": S(_("there are no healthy values to estimate a tail from"), SETTING),
    "calibration_level": S(_("the level of healthy scans is malformed"), SETTING),
}
