"""Sentences of the package `modelfile`, by code."""

from . import Sentence as S
from . import mark as _

# Remedies of several sentences.
ADVICE = _("{advice}")
UPDATE = _("Update MedAD.")
UPDATE_OR_COPY = _("Update MedAD. If it is up to date: Download or copy the file again.")
RENAME = _("To have both, rename the file, such as to {name}-2.medad, and add it again.")
ONLY_OWN = _("Only models in {own_folder} can be removed.")
DOWNLOAD_AGAIN = _("Download or copy the file again.")
UNTRUSTED = _("Do not use it; get the file from a source that you trust.")

SENTENCES = {
    # The file and its archive.
    "model_not_a_file": S(_("{path} is not a file"), _("Give the path of a single file.")),
    "model_too_large": S(_("{path} has {size} bytes, more than the {most} allowed"), UNTRUSTED),
    "model_unpacks_too_large": S(_("{path} unpacks to {size} bytes, more than the {most} allowed"), UNTRUSTED),
    "model_empty": S(_("{path} is empty"), DOWNLOAD_AGAIN),
    "model_not_zip": S(_("{path} is not a MedAD model file (no zip archive)"), DOWNLOAD_AGAIN),
    "model_cut_short": S(_("{path} is cut short"), DOWNLOAD_AGAIN),
    "model_damaged": S(_("{path} is cut short or damaged ({detail})"), DOWNLOAD_AGAIN),
    "model_not_packed_by_medad": S(_("{path} is damaged, or not packed by MedAD"), DOWNLOAD_AGAIN),
    "model_entry_count": S(_("{path} holds {count} entries but declares {declared}"), DOWNLOAD_AGAIN),
    "model_many_entries": S(_("{path} holds more than the {most} entries allowed"), UNTRUSTED),
    "model_entries_overlap": S(_("{path} holds entries that overlap"), UNTRUSTED),
    "entry_unsafe_name": S(_("{path} holds an entry with the unsafe name {entry!a}"), UNTRUSTED),
    "entry_twice": S(_("{path} holds two entries named {entry}"), UNTRUSTED),
    "entry_not_a_file": S(_("{path} holds {entry}, which is a link or a device"), UNTRUSTED),
    "entry_encrypted": S(_("{path} holds {entry}, which is encrypted"), UNTRUSTED),
    "entry_compression": S(_("{path} holds {entry}, which is packed in a way that MedAD does not use"), UNTRUSTED),
    "entry_too_large": S(_("{path} unpacks to more bytes than allowed ({entry})"), UNTRUSTED),
    "entry_ratio": S(_("{path} unpacks to over {ratio} times its size ({entry})"), UNTRUSTED),
    "entry_size": S(_("{path} holds {entry}, which does not have the size it declares"), DOWNLOAD_AGAIN),
    "model_not_written": S(
        _("{path} could not be written ({detail})"), _("Is the disk full, the folder missing or write-protected?")
    ),
    # A problem inside the file: `reason` is the code of the problem, which programs may read.
    "model_problem": S(_("{path}: {problem}"), ADVICE),
    "model_problem_damaged": S(_("{path}: {problem}"), DOWNLOAD_AGAIN),
    "model_would_be_refused": S(_("{path} would be refused: {problem}"), _("Correct the values to be saved.")),
    "template_unusable": S(_("its template cannot be used: {problem}"), ADVICE),
    "method_unusable": S(_("its method cannot be used: {problem}"), ADVICE),
    "calibration_unusable": S(_("its calibration cannot be used: {problem}"), ADVICE),
    # Manifest, metadata and arrays.
    "not_a_model": S(_("this is not a MedAD model (it holds no configs/medad.json)"), _("Give a .medad file.")),
    "metadata_malformed": S(_("{entry} does not hold the metadata of a bundle"), DOWNLOAD_AGAIN),
    "format_too_new": S(_("its format {version} is newer than this program's {supported}"), UPDATE),
    "format_unknown": S(_("its format {version} does not exist"), DOWNLOAD_AGAIN),
    "archive_lacks": S(_("its archive lacks {entry}"), DOWNLOAD_AGAIN),
    "manifest_lacks": S(_("its manifest lacks {entry}"), DOWNLOAD_AGAIN),
    "archive_extra": S(_("its archive has {entry!a}, which does not belong there"), UPDATE_OR_COPY),
    "manifest_extra": S(_("its manifest has {entry!a}, which does not belong there"), UPDATE_OR_COPY),
    "entry_changed": S(_("{entry} was changed after the model was made (its sha256 differs)"), DOWNLOAD_AGAIN),
    "method_unknown": S(_("this version does not have its method {method!a}"), UPDATE),
    "method_not_on_grid": S(_("its method is not on the grid of its template"), DOWNLOAD_AGAIN),
    "calibration_of_other_members": S(_("its calibration is not that of its members"), DOWNLOAD_AGAIN),
    "calibration_not_on_grid": S(_("its calibration is not on the grid of its template"), DOWNLOAD_AGAIN),
    # Models that are joined to an ensemble.
    "ensemble_too_large": S(_("{count} models are too many for an ensemble"), _("Give {most} or fewer.")),
    "ensemble_in_ensemble": S(_("{model} is an ensemble itself"), _("Give the models of its members.")),
    "ensemble_not_calibrated": S(_("{model} is not calibrated"), _("Calibrate it with medad calibrate.")),
    "ensemble_same_name": S(_("two models have the name {model}"), _("Give each model once, with a name of its own.")),
    "ensemble_other_template": S(
        _("{model} and {first} have different templates"),
        _("Train models with medad train --like {first}, so that they have one template."),
    ),
    "tensors_not_safetensors": S(_("{entry} is not a safetensors file"), UNTRUSTED),
    "tensors_unsound": S(_("{entry} is not a sound safetensors file ({detail})"), DOWNLOAD_AGAIN),
    "tensors_booleans": S(_("{entry} holds {key!a}, with truth values neither true nor false"), DOWNLOAD_AGAIN),
    "tensors_type": S(_("{entry} holds {key!a}, of a number type that MedAD does not use"), DOWNLOAD_AGAIN),
    "tensors_too_large": S(_("{entry} holds {key!a}, with values beyond the {most:g} allowed"), UNTRUSTED),
    "tensors_dimensions": S(_("{entry} holds {key!a}, of more dimensions than the {most} allowed"), UNTRUSTED),
    "tensors_not_finite": S(_("{entry} holds {key!a}, with values that are not finite"), DOWNLOAD_AGAIN),
    # The models that can be named.
    "model_unknown": S(_("there is no model named {name!a}"), _("Available: {available}. Or give a .medad file.")),
    "models_none": S(_("there is no model named {name!a}, and no other one"), _("Give the path of a .medad file.")),
    "name_taken_by_own": S(
        _(
            "{path} is named {name} (version {version} of {created}), as is another model "
            "(version {other_version} of {other_created})"
        ),
        _("Remove that one first, have it replaced, or rename the file, such as to {name}-2.medad, and add it again."),
    ),
    "name_taken_by_shipped": S(
        _(
            "{path} is named {name} (version {version} of {created}), as is a model that ships with MedAD "
            "(version {other_version} of {other_created})"
        ),
        RENAME,
    ),
    "name_taken_elsewhere": S(
        _(
            "{path} is named {name} (version {version} of {created}), as is a model in {folder} "
            "(version {other_version} of {other_created})"
        ),
        RENAME,
    ),
    "name_taken_by_damaged": S(
        _("{path} is named {name} (version {version} of {created}), as is the damaged model {other}"),
        _("Remove or replace that one, or rename the file, such as to {name}-2.medad, and add it again."),
    ),
    "model_ships": S(_("the model {name} ships with MedAD"), ONLY_OWN),
    "model_elsewhere": S(_("the model {name} lies in {folder}"), ONLY_OWN),
    "model_not_removed": S(_("{path} could not be removed ({detail})"), _("Is it in use, or its folder protected?")),
    "model_not_copied": S(
        _("the model could not be copied to {path} ({detail})"),
        _("It takes {megabytes:.0f} MB. Is the disk full, or the folder write-protected?"),
    ),
    "card_missing": S(_("it has no {entry}"), _("Get the model file again.")),
    "not_for_monai": S(
        _("the model {model} cannot become a MONAI bundle: MONAI cannot build a network for its method {method}"),
        _("Choose an autoencoder, a VAE, a context encoder or a slice-wise latent restoration."),
    ),
    "bundle_folder_taken": S(_("{folder} already exists and is not an empty folder"), _("Name a new folder.")),
    "bundle_not_written": S(_("the bundle could not be written to {folder}: {reason}"), _("Choose another folder.")),
}
