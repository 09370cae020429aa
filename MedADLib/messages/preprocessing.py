"""Sentences of the package `preprocessing`, by code."""

from . import Sentence as S
from . import mark as _

# Remedies of several sentences.
RESAMPLE_MASK = _("Resample the mask to the scan.")
NOT_EMPTY = _("Check that the image is not empty.")
UPDATE = _("Update MedAD.")
INSTALL_OR_MASK = _(
    "Run pip install --no-deps {package} (in Slicer, MedAD offers that on the next run), or give a brain mask with "
    "--mask (in Slicer, a segmentation)."
)
DOWNLOAD_AGAIN = _("Download or copy the file again.")

SENTENCES = {
    # The part to examine, and brain extraction.
    "no_brain": S(_("no brain was found in {name}"), _("Is it a scan of the head? If so, give a brain mask.")),
    "mask_not_on_grid": S(
        _("the mask {mask} is not on the grid of {name} ({mask_shape} and {shape} voxels)"), RESAMPLE_MASK
    ),
    "mask_elsewhere": S(_("the mask {mask} lies elsewhere in space than {name}"), RESAMPLE_MASK),
    "mask_empty": S(_("the mask {mask} is empty"), _("Give a mask that is non-zero in the part to examine.")),
    "mask_ambiguous": S(
        _("the mask {mask} has {count} different values from {low:g} to {high:g}: it is not clear what is inside"),
        _("Give a mask of 0 outside and 1 inside, of whole labels, or of probabilities from 0 to 1."),
    ),
    "mask_probabilities": _("the mask {mask} holds probabilities: voxels of at least 0.5 are examined"),
    "deepbet_missing": S(_("the scan has a skull, and brain extraction needs deepbet"), INSTALL_OR_MASK),
    "deepbet_not_vetted": S(_("the installed deepbet is not the vetted version ({file} differs)"), INSTALL_OR_MASK),
    "whole_foreground_examined": _(
        "no brain was found in {name}: the whole foreground is examined, and the result means little"
    ),
    "extraction_doubtful": S(
        _("the brain extraction of {name} is uncertain (agreement of its two networks {agreement:.2f})"),
        _("Look at the examined part, and give a brain mask if it is wrong."),
    ),
    "brain_in_pieces": S(
        _("the brain of {name} is in {count} pieces, the smaller ones with {share:.0%} of it: all are examined"),
        _("Look at the examined part, and give a brain mask if it is wrong."),
    ),
    "empty_slices": S(
        _(
            "slices without an image inside {name}: {count} of {length} along the axis {axis} (number {numbers}, "
            "{mm:.3g} mm, up to {row} in a row); MedAD bridges up to {most} in a row and {share:.0%} in all"
        ),
        _("Export or convert the scan again, or repeat it."),
    ),
    "empty_slices_bridged": S(
        _(
            "slices without an image inside {name}, not examined: {count} of {length} along the axis {axis} "
            "(number {numbers} from 0, {mm:.3g} mm)"
        ),
        _("Lesions there cannot be seen: export or convert the scan again."),
    ),
    "axis_left_right": _("left-right"),
    "axis_front_back": _("posterior-anterior"),
    "axis_up_down": _("inferior-superior"),
    "part_given_mask": _("given mask"),
    "part_outline": _("outline of the skull-stripped scan"),
    "part_extraction": _("brain extraction by {package}"),
    "part_extraction_inverted": _("brain extraction by {package} from inverted intensities, for this contrast"),
    "part_extraction_folded": _(
        "brain extraction by {package} from intensities folded at their median, for this contrast"
    ),
    "part_foreground": _("whole foreground, because no brain was found"),
    "part_field_of_view": _("whole field of view"),
    # From the scan to the space of a model.
    "scan_single_slice_for_volumes": S(
        _("{name} is a single slice, but this model needs whole volumes"),
        _("Choose a 2-D model, or give the folder of the whole series."),
    ),
    "scan_several_slices": S(
        _("{name} has more than one slice ({shape} voxels), but this model needs single slices"),
        _("Choose a model for volumes, or give one slice."),
    ),
    "scan_not_single_slice": S(_("{name} ({shape} voxels) is not a single slice"), _("Give an image of one slice.")),
    "brain_too_small": S(
        _("the brain in {name} has only {ml:.0f} mL"),
        _("Check the mask, and that the voxel spacing is in millimetres."),
    ),
    "brain_not_aligned": S(_("the brain in {name} could not be aligned to the template"), _("Give a brain mask.")),
    "brain_few_intensities": S(_("the brain has too few different intensities"), _("Is it a label map?")),
    "brain_one_intensity": S(_("the brain has one intensity only"), NOT_EMPTY),
    "scan_one_intensity": S(_("{name} has one intensity only"), NOT_EMPTY),
    "scan_little_examined": S(
        _("too little of {name} is examined on the model's grid"),
        _("Give a larger mask, or none. Is the voxel spacing in millimetres?"),
    ),
    "slice_little_examined": S(_("too little of {name} is examined"), _("Give a larger mask, or none.")),
    # How a scan differs from the training data.
    "out_of_distribution": S(
        _(
            "this scan differs from the training data of the model: intensity histogram distance {histogram:.3f} "
            "(training scans up to {histogram_limit:.3f}), correlation with the healthy mean {correlation:.2f} "
            "(at least {correlation_limit:.2f})"
        ),
        _("Is it another contrast or modality? Do not rely on the result."),
    ),
    "brain_overlap_low": _(
        "the brain overlaps the model's template by {overlap:.3f} only (training scans at least {limit:.3f}): "
        "part of it may be missing, or the alignment may have failed"
    ),
    "volume_other_shape": _(
        "the examined part has another shape than the field of view of the model's training images: they overlap "
        "by {overlap:.3f} (training images at least {limit:.3f})"
    ),
    "volume_beyond_training": _(
        "{share:.0%} of the part to examine lies beyond the field of view of most training images and was not examined"
    ),
    # The fit of a scan to a model, measured after the registration.
    "alignment_failed": S(
        _(
            "{name} could not be aligned to the template of {model} (mutual information {information:.2f} of the "
            "template's, at least {limit:.2f} in brains)"
        ),
        _(
            "Is it a whole head, with the right orientation and spacing in its header? A brain mask may help. "
            "Without an alignment there is no map."
        ),
    ),
    "scan_does_not_fit": S(
        _("{name} does not fit {model}: {reason}"),
        _("{models}. {force}."),
    ),
    "scan_does_not_fit_seems": S(
        _("{name} does not fit {model}: {reason}; it seems to be {kind}"),
        _("{models}. {force}."),
    ),
    "force_helps": _("--force, or Examine Anyway in the panel, gives a result that is marked as NOT INTERPRETABLE"),
    "force_helps_not": _("--force does not help: the scan cannot be aligned to the template"),
    "fitting_models": _("Models that would fit: {models}"),
    "no_fitting_model": _("No installed model is for such scans"),
    "scan_wanted": _("Give the scan itself"),
    "another_model": _("Choose a model of such scans"),
    "fit_header": _("the header of the scan says that it is {kind}, and the model is for {modality}"),
    "fit_ct": _("the values of the scan are those of a CT (Hounsfield units), and the model is for {modality}"),
    "fit_no_brain": _("no brain was found in the scan"),
    "fit_not_aligned": _("the scan could not be aligned to the template of the model"),
    "fit_part_missing": _(
        "part of the brain is missing, or its outline is wrong: the brain overlaps the model's template by "
        "{overlap:.3f} only (training scans at least {limit:.3f}), and the similarity says little about its contrast"
    ),
    "fit_other_contrast": _(
        "the scan has another contrast or shows something else than the training scans (local correlation with the "
        "healthy mean {structure:.2f}, contrast {contrast:.2f} of it)"
    ),
    "fit_uncorrelated": _(
        "the scan has nothing in common with the training images (correlation with the healthy mean {correlation:.2f})"
    ),
    "fit_far": _(
        "the scan shows something else than the training images (correlation with the healthy mean {correlation:.2f}, "
        "intensity histogram distance {histogram:.3f})"
    ),
    "fit_label_map": _("the file looks like a label map, with {labels} different values, not like a scan"),
    "fit_synthetic_contrast": S(
        _(
            "the scan is not T1-weighted; the model has learned such contrasts from synthetic ones only, and its "
            "thresholds and p-values hold if it was calibrated on scans of this contrast"
        ),
        _("Calibrate the model on healthy scans of this contrast."),
    ),
    "fit_little_contrast": S(
        _("the contrast of this scan is weaker than in the training scans (similarity {likeness:.2f} of 1)"),
        _("Expect more false positives."),
    ),
    "wrong_voxel": _("1 voxel is far brighter or darker than all around it; the run used the values around it instead"),
    "wrong_voxels": _(
        "{count} voxels are far brighter or darker than all around them; the run used the values around them instead"
    ),
    "head_turned": S(
        _("the head is turned by {angle:.0f}° against the axes of its header; it was aligned in this position"),
        _("Check the orientation: if the header is wrong, so are left and right, and no sides are given."),
    ),
    "kind_t1": _("a T1-weighted MR"),
    "kind_t1_agent": _("a T1-weighted MR with contrast agent, or with little contrast of grey and white matter"),
    "kind_t2": _("a T2-weighted MR"),
    "kind_pd": _("a proton-density-weighted MR"),
    "kind_t2_or_pd": _("a T2- or proton-density-weighted MR"),
    "kind_flair": _("a FLAIR MR"),
    "kind_flair_or_t1_agent": _("a FLAIR MR, or a T1-weighted MR with contrast agent"),
    "kind_label_map": _("a label map"),
    "kind_ct": _("a CT"),
    "kind_other_part": _("a scan of another part of the body, or of a part of the head"),
    # Templates, as they are built and as model files hold them.
    "template_few_scans": S(_("{count} scans are too few for a template"), _("Give at least {fewest} healthy scans.")),
    "template_size": S(_("a size of {size} pixels is impossible"), _("Use a multiple of {multiple} up to {largest}.")),
    "template_incomplete": S(_("the template is incomplete or has parts that this version does not support"), UPDATE),
    "template_malformed": S(_("the template is malformed ({detail})"), DOWNLOAD_AGAIN),
    "template_spacing": S(
        _("the grid of the template, of {spacing} mm and up to {extent:.3g} mm across, is none of a body"),
        DOWNLOAD_AGAIN,
    ),
    "template_position": S(_("the template lies far from the origin of its coordinates"), DOWNLOAD_AGAIN),
    "template_mask": S(_("the mask of the template does not fit its image"), DOWNLOAD_AGAIN),
    "template_landmarks": S(_("the intensity landmarks of the template do not increase"), DOWNLOAD_AGAIN),
    "template_histogram": S(_("the histogram of the template is malformed"), DOWNLOAD_AGAIN),
    "template_limits": S(_("the limits of the template are incomplete"), DOWNLOAD_AGAIN),
    "template_single_slice": S(_("the template of a model of volumes is a single slice"), DOWNLOAD_AGAIN),
    "template_not_single_slice": S(_("the template of a 2-D model is not a single slice"), DOWNLOAD_AGAIN),
    "template_oblique": S(_("the axes of the template are not those of RAS coordinates"), DOWNLOAD_AGAIN),
    "space_unknown": S(_("this version does not support its kind of preparation, {kind!a:.80}"), UPDATE),
    # The input check: what it finds.
    "scan_size": _("{voxels} voxels of {spacing} mm, {extent} mm"),
    "scan_size_pixels": _("{pixels} pixels"),
    "scan_without_spacing": _("its file describes no pixel spacing, so sizes of results are in pixels"),
    "scan_size_memory": _("{voxels} voxels of {spacing} mm, {extent} mm; needs about {gb:.0f} GB of memory"),
    "scan_nan_background": _(
        "{share:.0%} of the voxels are not a number; they lie around the rest and count as background"
    ),
    "scan_single_slice": _("a single slice, examined in its whole field of view"),
    "scan_masked": _("examined inside the given mask"),
    "scan_whole": _("examined in its whole field of view"),
    "scan_stripped": _("skull-stripped"),
    "scan_not_stripped": _("not skull-stripped"),
    "scan_skull": _("with skull: the brain will be extracted first (about 10 s without a GPU)"),
    "scan_skull_no_deepbet": _(
        "with skull: the brain will be extracted first (about 10 s without a GPU, which needs deepbet)"
    ),
    "scan_fits": _("fits {model}"),
    "scan_fits_if": _("fits {model}, if it is {modality}"),
    "scan_unfit": _("unfit: {reasons}"),
    "scan_doubtful": _("doubtful: {reasons}"),
    # The input check: reasons to refuse a scan or to doubt the result.
    "scan_no_voxels": _("it has no voxels"),
    "scan_not_finite": _("some values are NaN or infinite; replace them first"),
    "scan_one_value": _("all its values are {value:g}"),
    "scan_needs_slice": _("{model} needs single slices; choose a 3-D model, or give one slice"),
    "scan_needs_volume": _("a single slice, but {model} needs volumes; choose a 2-D model"),
    "scan_too_large": _("it is {mm:.4g} mm across, more than {limit:.0f} mm. Is its spacing in millimetres?"),
    "scan_too_small": _("its whole field of view has {ml:.0f} mL, less than a brain. Is its spacing in millimetres?"),
    "scan_little_tissue": _("it shows only {ml:.0f} mL, too little for a brain"),
    "scan_label_map": _("it looks like a label map, with {labels} different values, not like a scan"),
    "scan_ct": _("its values are those of a CT (Hounsfield units)"),
    "scan_ct_not_modality": _("its values are those of a CT (Hounsfield units), but {model} is for {modality}"),
    "scan_part_missing": _("it covers only {mm:.0f} mm along one axis, so part of the brain is missing"),
    "scan_small_brain": _("it shows only {ml:.0f} mL, and a whole brain has 900 to 1700 mL"),
    "scan_larger_than_head": _("it shows {litres:.0f} litres, more than a head"),
    "scan_thick_slices": _("its slices are {mm:.1f} mm thick, so smaller lesions may be missed"),
    "scan_much_memory": _("it needs about {gb:.0f} GB of memory, and this computer has {installed:.0f} GB"),
    # Progress.
    "progress_skull": _("checking for a skull"),
    "progress_extraction": _("extracting the brain"),
    "progress_brain": _("finding the brain"),
    "progress_outline": _("outlining the brain"),
    "progress_other_contrast": _("extracting the brain again, for another contrast than T1"),
    "progress_alignment": _("aligning at {spacing:g} mm"),
    "progress_resampling": _("resampling to the grid of the model"),
    "progress_bias_field": _("correcting the bias field"),
    "progress_scaling": _("scaling to the grid of the model"),
}
