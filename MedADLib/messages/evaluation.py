"""Sentences of the package `evaluation`, by code."""

from . import Sentence as S
from . import mark as _

# Remedies of several sentences.
ONE_EACH = _("Give one for each map, in the same order.")
CHOICES = _("Choose one of {choices}.")

SENTENCES = {
    # Maps against reference masks.
    "no_maps": S(_("no maps to evaluate"), _("Name at least one.")),
    "reference_mask_count": S(_("the number of reference masks ({masks}) is not that of the maps ({maps})"), ONE_EACH),
    "examined_mask_count": S(_("the number of masks ({masks}) is not that of the maps ({maps})"), ONE_EACH),
    "evaluation_threshold": S(_("the threshold {threshold} is not a finite number"), _("Give a finite number.")),
    "evaluation_mask_not_on_grid": S(_("{mask} is not on the grid of {image}"), _("Resample the mask to the image.")),
    "table_unwritable": S(
        _("{path} could not be written: {reason}"),
        _("Check that the disk is not full and the folder is not write-protected."),
    ),
    # 2-D images.
    "split_part_empty": S(_("the split has no {part} images"), _("Train with a --split that names some.")),
    "healthy_and_abnormal": S(_("{name} is among the healthy and the abnormal images"), _("Check --abnormal.")),
    "options_for_brains": S(
        _("--real, --into, --every, --places and --unseen are for brains"),
        _("Leave them out, and give --abnormal images."),
    ),
    "no_abnormal_images": S(_("there are no abnormal images"), _("Give --abnormal, or --healthy-label for NPZ files.")),
    "healthy_images_missing": S(
        _("healthy images of the split are not in {folder}: {count} in all, such as {example}"),
        _("Give the images that the models were trained on, and the same --healthy-label."),
    ),
    # Simulated lesions.
    "places_of_lesions": S(_("{places} places of a lesion are not possible"), _("Give 1 or more.")),
    "into_and_part": S(_("--into replaces a part of the split"), _("Leave out --part or --into.")),
    "options_for_t1_lesions": S(
        _("--unseen and --brighten are for lesions in T1 scans"), _("Leave them out, or leave out --contrast.")
    ),
    "only_real_scans": S(
        _("--only-real compares brain models on scans with a lesion mask"),
        _("Give --real IMAGE TRUTH, and leave out --contrast."),
    ),
    "healthy_scans_needed": S(
        _("the healthy scans that the models were trained from are not given"), _("Give --healthy, or --only-real.")
    ),
    "no_other_scans": S(
        _("{folder} has no scan that the split of the models does not name"), _("Give a folder with other scans.")
    ),
    "lesions_not_simulated": _("no lesions are simulated: {reason}"),
    "lesion_kind_unknown": S(_("there is no lesion kind {kind!r}"), CHOICES),
    "lesion_contrast_unknown": S(_("there is no contrast {contrast!r}"), CHOICES),
    "lesion_radius": S(_("a lesion radius of {radius} mm is not possible"), _("Give a radius between 0.5 and 60 mm.")),
    "brain_mask_shape": S(
        _("the brain mask has the shape {shape}, but {scan} has the shape {expected}"),
        _("Give a mask on the grid of the scan."),
    ),
    "lesion_brain_mask_empty": S(_("the brain mask of {scan} is empty"), _("Give one that covers the brain.")),
    "tissue_contrast": S(
        _("fluid, grey and white matter of {scan} do not get brighter in this order"),
        _("Lesions can be simulated in T1 scans of brains only."),
    ),
    "lesion_no_place": S(
        _("there is no place in {scan} for the lesion kind {kind} with a radius of {radius:g} mm"),
        _("Choose a smaller radius, another kind, or a place."),
    ),
    "lesion_does_not_fit": S(
        _(
            "the lesion kind {kind} with a radius of {radius:.1f} mm does not fit at ({position}), "
            "{depth:.1f} mm inside the brain"
        ),
        _("Choose a smaller radius or a deeper place."),
    ),
}
