"""Sentences of the package `preprocessing`, by code."""

from __future__ import annotations

from . import Sentence
from . import mark as _

# Remedies of several sentences.
DOWNLOAD_AGAIN = _("Download or copy the file again.")

SENTENCES: dict[str, Sentence] = {
    # The part to examine, and brain extraction.
    "no_brain": Sentence(_("no brain was found in {name}"), _("Is it a scan of the head? If so, give a brain mask.")),
    "mask_not_on_grid": Sentence(
        _("the mask {mask} is not on the grid of {name} ({mask_shape} and {shape} voxels)"),
        _("Resample the mask to the scan."),
    ),
    "mask_elsewhere": Sentence(
        _("the mask {mask} lies elsewhere in space than {name}"), _("Resample the mask to the scan.")
    ),
    "mask_empty": Sentence(_("the mask {mask} is empty"), _("Give a mask that is non-zero in the part to examine.")),
    "deepbet_missing": Sentence(
        _("the scan has a skull, and brain extraction needs deepbet"),
        _(
            "Run pip install --no-deps {package} (in Slicer, MedAD offers that on the next run), "
            "or give a brain mask with --mask (in Slicer, a segmentation)."
        ),
    ),
    "deepbet_not_vetted": Sentence(
        _("the installed deepbet is not the vetted version ({file} differs)"),
        _(
            "Run pip install --no-deps {package} (in Slicer, MedAD offers that on the next run), "
            "or give a brain mask with --mask (in Slicer, a segmentation)."
        ),
    ),
    "whole_foreground_examined": Sentence(
        _("no brain was found in {name}: the whole foreground is examined, and the result means little")
    ),
    "part_given_mask": Sentence(_("given mask")),
    "part_outline": Sentence(_("outline of the skull-stripped scan")),
    "part_extraction": Sentence(_("brain extraction by {package}")),
    "part_foreground": Sentence(_("whole foreground, because no brain was found")),
    "part_field_of_view": Sentence(_("whole field of view")),
    # From the scan to the space of a model.
    "scan_single_slice_for_volumes": Sentence(
        _("{name} is a single slice, but this model needs whole volumes"),
        _("Choose a 2-D model, or give the folder of the whole series."),
    ),
    "scan_several_slices": Sentence(
        _("{name} has more than one slice ({shape} voxels), but this model needs single slices"),
        _("Choose a model for volumes, or give one slice."),
    ),
    "scan_not_single_slice": Sentence(
        _("{name} ({shape} voxels) is not a single slice"), _("Give an image of one slice.")
    ),
    "brain_too_small": Sentence(
        _("the brain in {name} has only {ml:.0f} mL"),
        _("Check the mask, and that the voxel spacing is in millimetres."),
    ),
    "brain_not_aligned": Sentence(
        _("the brain in {name} could not be aligned to the template"), _("Give a brain mask.")
    ),
    "brain_few_intensities": Sentence(
        _("the brain has too few different intensities"), _("Check that it is an image and not a label map.")
    ),
    "brain_one_intensity": Sentence(_("the brain has one intensity only"), _("Check that the image is not empty.")),
    "scan_one_intensity": Sentence(_("{name} has one intensity only"), _("Check that the image is not empty.")),
    "scan_little_examined": Sentence(
        _("too little of {name} is examined on the model's grid"),
        _("Give a larger mask, or none. Is the voxel spacing in millimetres?"),
    ),
    "slice_little_examined": Sentence(_("too little of {name} is examined"), _("Give a larger mask, or none.")),
    # How a scan differs from the training data.
    "unlike_training": Sentence(
        _(
            "this scan is unlike the model's training data: intensity histogram distance {histogram:.3f} "
            "(training scans up to {histogram_limit:.3f}), correlation with the healthy mean {correlation:.2f} "
            "(at least {correlation_limit:.2f})"
        ),
        _("Is it another contrast or modality? Do not rely on the result."),
    ),
    "brain_overlap_low": Sentence(
        _(
            "the brain overlaps the model's template by {overlap:.3f} only (training scans at least {limit:.3f}): "
            "part of it may be missing, or the alignment may have failed"
        )
    ),
    "field_other_shape": Sentence(
        _(
            "the examined part has another shape than the field of view of the model's training images: they overlap "
            "by {overlap:.3f} (training images at least {limit:.3f})"
        )
    ),
    "field_beyond_training": Sentence(
        _(
            "{share:.0%} of the part to examine lies beyond the field of view of most training images and was not "
            "examined"
        )
    ),
    # Templates, as they are built and as model files hold them.
    "template_few_scans": Sentence(
        _("{count} scans are too few for a template"), _("Give at least {fewest} healthy scans.")
    ),
    "template_size": Sentence(
        _("a size of {size} pixels is not possible"), _("Give a multiple of {multiple} up to {largest}.")
    ),
    "template_incomplete": Sentence(
        _("the template is incomplete or has parts that this version does not support"), _("Update MedAD.")
    ),
    "template_malformed": Sentence(_("the template is malformed ({detail})"), DOWNLOAD_AGAIN),
    "template_mask": Sentence(_("the mask of the template does not fit its image"), DOWNLOAD_AGAIN),
    "template_landmarks": Sentence(_("the intensity landmarks of the template do not increase"), DOWNLOAD_AGAIN),
    "template_histogram": Sentence(_("the histogram of the template is malformed"), DOWNLOAD_AGAIN),
    "template_limits": Sentence(_("the limits of the template are incomplete"), DOWNLOAD_AGAIN),
    "template_single_slice": Sentence(_("the template of a model of volumes is a single slice"), DOWNLOAD_AGAIN),
    "template_not_single_slice": Sentence(_("the template of a 2-D model is not a single slice"), DOWNLOAD_AGAIN),
    "template_oblique": Sentence(_("the axes of the template are not those of RAS coordinates"), DOWNLOAD_AGAIN),
    "space_unknown": Sentence(
        _("this version does not support its kind of preparation, {kind!a:.80}"), _("Update MedAD.")
    ),
    # The input check: what it finds.
    "scan_size": Sentence(_("{voxels} voxels of {spacing} mm, {extent} mm")),
    "scan_size_memory": Sentence(_("{voxels} voxels of {spacing} mm, {extent} mm; needs about {gb:.0f} GB of memory")),
    "scan_single_slice": Sentence(_("a single slice, examined in its whole field of view")),
    "scan_masked": Sentence(_("examined inside the given mask")),
    "scan_whole": Sentence(_("examined in its whole field of view")),
    "scan_stripped": Sentence(_("skull-stripped")),
    "scan_not_stripped": Sentence(_("not skull-stripped")),
    "scan_skull": Sentence(_("with skull: the brain will be extracted first (about 10 s without a GPU)")),
    "scan_skull_no_deepbet": Sentence(
        _("with skull: the brain will be extracted first (about 10 s without a GPU, which needs deepbet)")
    ),
    "scan_fits": Sentence(_("fits {model}")),
    "scan_fits_if": Sentence(_("fits {model}, if it is {modality}")),
    "scan_unfit": Sentence(_("unfit: {reasons}")),
    "scan_doubtful": Sentence(_("doubtful: {reasons}")),
    # The input check: reasons to refuse a scan or to doubt the result.
    "scan_no_voxels": Sentence(_("it has no voxels")),
    "scan_not_finite": Sentence(_("some values are NaN or infinite; replace them first")),
    "scan_one_value": Sentence(_("all its values are {value:g}")),
    "scan_needs_slice": Sentence(_("{model} needs single slices; choose a 3-D model, or give one slice")),
    "scan_needs_volume": Sentence(_("a single slice, but {model} needs volumes; choose a 2-D model")),
    "scan_too_small": Sentence(
        _("its whole field of view has {ml:.0f} mL, less than a brain. Is the voxel spacing in millimetres?")
    ),
    "scan_little_tissue": Sentence(_("it shows only {ml:.0f} mL, too little for a brain")),
    "scan_label_map": Sentence(_("it looks like a label map, with {labels} different values, not like a scan")),
    "scan_ct": Sentence(_("its values are those of a CT (Hounsfield units)")),
    "scan_ct_not_modality": Sentence(
        _("its values are those of a CT (Hounsfield units), but {model} is for {modality}")
    ),
    "scan_part_missing": Sentence(_("it covers only {mm:.0f} mm along one axis, so part of the brain is missing")),
    "scan_small_brain": Sentence(_("it shows only {ml:.0f} mL, and a whole brain has 900 to 1700 mL")),
    "scan_larger_than_head": Sentence(_("it shows {litres:.0f} litres, more than a head")),
    "scan_thick_slices": Sentence(_("its slices are {mm:.1f} mm thick, so smaller lesions may be missed")),
    "scan_much_memory": Sentence(_("it needs about {gb:.0f} GB of memory, and this computer has {installed:.0f} GB")),
    # Progress.
    "progress_skull": Sentence(_("checking for a skull")),
    "progress_extraction": Sentence(_("extracting the brain")),
    "progress_brain": Sentence(_("finding the brain")),
    "progress_outline": Sentence(_("outlining the brain")),
    "progress_alignment": Sentence(_("aligning at {spacing:g} mm")),
    "progress_resampling": Sentence(_("resampling to the grid of the model")),
    "progress_bias_field": Sentence(_("correcting the bias field")),
    "progress_scaling": Sentence(_("scaling to the grid of the model")),
}
