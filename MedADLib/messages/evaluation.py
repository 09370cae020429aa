"""Sentences of the package `evaluation`, by code."""

from __future__ import annotations

from . import Sentence
from . import mark as _

SENTENCES: dict[str, Sentence] = {
    # Maps against reference masks.
    "no_maps": Sentence(_("no maps to evaluate"), _("Name at least one.")),
    "reference_mask_count": Sentence(
        _("the number of reference masks ({masks}) is not that of the maps ({maps})"),
        _("Give one for each map, in the same order."),
    ),
    "examined_mask_count": Sentence(
        _("the number of masks ({masks}) is not that of the maps ({maps})"),
        _("Give one for each map, in the same order."),
    ),
    "evaluation_threshold": Sentence(_("the threshold {threshold} is not a finite number"), _("Give a finite number.")),
    "evaluation_mask_not_on_grid": Sentence(
        _("{mask} is not on the grid of {image}"), _("Resample the mask to the grid of the image first.")
    ),
    "table_unwritable": Sentence(
        _("{path} could not be written: {reason}"),
        _("Check that the disk is not full and the folder is not write-protected."),
    ),
    # 2-D images.
    "split_part_empty": Sentence(_("the split has no {part} images"), _("Train with a --split that names some.")),
    "healthy_and_abnormal": Sentence(_("{name} is among the healthy and the abnormal images"), _("Check --abnormal.")),
    "options_for_brains": Sentence(
        _("--real and --every are for brains"), _("Leave them out, and give --abnormal images.")
    ),
    "no_abnormal_images": Sentence(
        _("there are no abnormal images"), _("Give --abnormal, or --healthy-label for NPZ files.")
    ),
    "healthy_images_missing": Sentence(
        _("healthy images of the split are not in {folder}: {count} in all, such as {example}"),
        _("Give the images that the models were trained on, and the same --healthy-label."),
    ),
    # Simulated lesions.
    "lesions_not_simulated": Sentence(_("no lesions are simulated: {reason}")),
    "lesion_kind_unknown": Sentence(_("there is no lesion kind {kind!r}"), _("Choose one of {choices}.")),
    "lesion_contrast_unknown": Sentence(_("there is no contrast {contrast!r}"), _("Choose one of {choices}.")),
    "lesion_radius": Sentence(
        _("a lesion radius of {radius} mm is not possible"), _("Give a radius between 0.5 and 60 mm.")
    ),
    "brain_mask_shape": Sentence(
        _("the brain mask has the shape {shape}, but {scan} has the shape {expected}"),
        _("Give a mask on the grid of the scan."),
    ),
    "lesion_brain_mask_empty": Sentence(_("the brain mask of {scan} is empty"), _("Give one that covers the brain.")),
    "tissue_contrast": Sentence(
        _("fluid, grey and white matter of {scan} do not get brighter in this order"),
        _("Lesions can be simulated in T1 scans of brains only."),
    ),
    "lesion_no_place": Sentence(
        _("there is no place in {scan} for the lesion kind {kind} with a radius of {radius:g} mm"),
        _("Choose a smaller radius, another kind, or a place."),
    ),
    "lesion_does_not_fit": Sentence(
        _(
            "the lesion kind {kind} with a radius of {radius:.1f} mm does not fit at ({position}), "
            "{depth:.1f} mm inside the brain"
        ),
        _("Choose a smaller radius or a deeper place."),
    ),
}
