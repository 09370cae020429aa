"""Sentences of the package `dataset`, by code."""

from . import Sentence as S
from . import mark as _

# Remedies of several sentences.
MORE_SCANS = _("Give at least {fewest} scans of healthy subjects; 30 are better.")

SENTENCES = {
    # Finding scans.
    "scan_folder_missing": S(_("{path} is not a folder"), _("Give the folder of the scans, or one NPZ file.")),
    "no_scans": S(_("{folder} contains no images"), _("MedAD reads files that end in {endings}.")),
    "no_scans_named": S(
        _("{folder} contains no images with names like {pattern}"),
        _("Correct --only. MedAD reads files that end in {endings}."),
    ),
    "folder_left_out": _("{path} cannot be read and is left out: {reason}"),
    "link_left_out": _("the link {path} leads to nothing or to scans that are found without it, and is left out"),
    "special_left_out": _("{path} is a pipe, a device or a socket and is left out"),
    "scan_name_twice": S(_("{folder} contains two images named {name}"), _("Rename or remove one of them.")),
    "images_beside_volumes": S(
        _("{folder} contains 2-D images ({images}, such as {image}) beside volumes ({volumes}, such as {volume})"),
        _("Select one kind with --only, such as '*.nii.gz' or '*.png', or leave the 2-D images out with --skip-bad."),
    ),
    "derivatives_left_out": _("{folder} is left out, because it holds what was computed from scans"),
    "images_left_out": _("{folder} contains volumes: its {images} 2-D images are left out"),
    "same_patient_id": _("all DICOM files have the same PatientID: MedAD identifies subjects by sub-XX in the path"),
    "no_patient_id": _("all DICOM files have no PatientID: MedAD identifies subjects by sub-XX in the path"),
    "images_as_subjects": S(
        _("{files} NPZ files, such as {name}, contain several images each, and each image counts as another subject"),
        _("If all images of a file show one subject, give --subjects file."),
    ),
    # Splits.
    "too_few_scans": S(_("{count} scans are too few to train and calibrate"), MORE_SCANS),
    "too_few_usable_scans": S(_("{count} usable scans are too few to train and calibrate"), MORE_SCANS),
    "too_few_subjects": S(
        _("{scans} scans of {subjects} subjects are too few to train and calibrate"),
        _(
            "Give scans of at least {fewest} healthy subjects; 30 are better. If each file shows another subject, give "
            "--subjects file; otherwise see --subjects."
        ),
    ),
    "scan_in_two_parts": S(_("{name} is in two parts of the split"), _("Keep each scan in one part.")),
    "split_too_small": S(
        _("the split needs at least {train} scans to train, {validation} to validate and {calibration} to calibrate"),
        _("Add scans of healthy subjects."),
    ),
    "not_a_split": S(
        _("{path} is not a split"), _("It must be JSON with the lists train, validation, calibration and benchmark.")
    ),
    "split_scan_missing": S(
        _("the split names {name}, which is not in the folder"),
        _("Correct the split, or give the folder that it is for."),
    ),
    "subject_in_two_parts": S(
        _("{subject} has scans in two parts of the split: {first} ({first_part}), {second} ({second_part})"),
        _(
            "Keep all scans of a subject in one part. If they are of different subjects, choose with --subjects how "
            "subjects are identified."
        ),
    ),
    # Checks before a training.
    "unusable_scans": S(
        _("{count} of {total} scans cannot be used: {scans}"),
        _("Repair or remove them, or leave them out with --skip-bad."),
    ),
    "unusable_scans_left_out": _("{count} of {total} scans cannot be used and are left out: {scans}"),
    "copies_left_out": _(
        "{count} of {total} scans cannot be used and are left out: {scans}. Of equal scans, MedAD keeps {kept}"
    ),
    "copy_of_scan": _("a copy of {name}"),
    "disk_too_small": S(
        _("{folder} needs about {needed:.1f} GB, and its disk has {free:.1f} GB left"),
        _("Free some disk space, or give a --work folder on another disk."),
    ),
    "slices_and_volumes": S(
        _("the folder mixes single slices ({slices}, such as {slice}) and volumes (such as {volume})"),
        _("Train on single slices or on volumes, not on both."),
    ),
    "mixed_modalities": S(
        _("the DICOM headers name several modalities: {modalities}"),
        _("Train on one of them, or give --mixed if the scans belong together."),
    ),
    "mixed_contrasts": S(
        _("the file names name several contrasts: {contrasts}"),
        _("Train on one of them, for example with --only '*_T1w.nii.gz'."),
    ),
    "two_kinds_by_intensity": S(
        _(
            "the folder seems to mix two kinds of scans: {fewer} differ in intensity from {typical} and the other "
            "scans (distance {distance:.2f})"
        ),
        _("Train on one kind (--only), or give --mixed if the scans belong together."),
    ),
    "two_kinds_by_outline": S(
        _(
            "the folder seems to mix two kinds of images: {fewer} differ in outline from {typical} and the other "
            "images (distance {distance:.2f})"
        ),
        _("Train on one kind (--only), or give --mixed if the images belong together."),
    ),
    "perhaps_two_kinds_by_intensity": S(
        _("{fewer} differ in intensity from {typical} and the other scans (distance {distance:.2f})"),
        _("Check that all scans are of one kind and contrast."),
    ),
    "perhaps_two_kinds_by_outline": S(
        _("{fewer} differ in outline from {typical} and the other images (distance {distance:.2f})"),
        _("Check that all images are of one kind."),
    ),
    "atypical_scans": _("{count} of {total} scans look atypical: {scans}"),
    "atypical_geometry": _(
        "{count} of {total} scans have an atypical voxel size or field of view (typical voxels: {usual} mm): {scans}"
    ),
    "atypical_intensities": _(
        "{count} of {total} scans have atypical intensities (distance from the median histogram, typically "
        "{usual:.2f}): {scans}"
    ),
    # Kinds of space.
    "prepare_for_volumes": S(_("--prepare {prepare} is for volumes, not for single slices"), _("Leave --prepare out.")),
    "work_of_other_preparation": S(
        _("{work} contains scans that were prepared with --prepare {found}, not with --prepare {asked}"),
        _("Give another --work folder, or empty this one."),
    ),
    "brain_undecided": S(_("{name}: {reason}"), _("{advice} If the scans do not show brains, give --prepare field.")),
    "brains_and_others": _("of {examined} examined scans, {brains} contain a brain and {others} do not"),
    "space_of_slices": _("they are single slices"),
    "space_of_work": _("as in {work}"),
    "space_as_given": _("as given by --prepare {prepare}"),
    "space_of_brains": _("{count} of {examined} examined scans contain a brain"),
    "space_without_brains": _("{count} of {examined} examined scans contain no whole brain"),
}
