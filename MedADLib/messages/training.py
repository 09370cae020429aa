"""Sentences of the package `training`, by code."""

from . import Sentence as S
from . import mark as _

# Remedies of several sentences.
OTHER_CHECKPOINT = _("Give another --work folder, or remove the checkpoint.")
FULL_PRECISION = _("Train with --full-precision or with another --seed, or check that the scans are intact.")
SAME_KIND = _("Use scans and a model of the same kind.")
ONE_KIND = _("Use single slices or volumes, not both.")
OTHER_WORK = _("Give another --work folder, or empty this one.")
SETTING = _("Correct the setting. In a model file: download or copy the file again.")

SENTENCES = {
    # Options.
    "steps_not_positive": S(
        _("training steps and latent size must be at least 1"),
        _("Correct --steps, --prior-steps, --latent or --sweep-steps."),
    ),
    "extra_not_a_table": S(_("{file}: extra is not a table"), _("Write [extra], and the method's settings below it.")),
    "options_of_other_method": S(
        _("{file} is for the method {found!a:.80}, not for {method}"),
        _("Name the same method in both, or leave it out of the file."),
    ),
    "missing_option": S(_("the training needs the option {option}"), _("Give {example}, or put it into --config.")),
    "unknown_option": S(_("{file} contains the unknown option {option!a:.80}"), _("Known options: {known}.")),
    "misspelled_option": S(_("{file} contains the unknown option {option!a:.80}"), _("Did you mean {nearest!r}?")),
    "toml_unavailable": S(_("TOML needs Python 3.11 or newer"), _("Write the same options as JSON.")),
    "bad_options_file": S(_("{file} is not valid TOML or JSON ({reason})"), _("Its name must end in .toml or .json.")),
    "no_options_in_file": S(_("{file} contains no table of options"), _("Write names and values.")),
    "option_of_wrong_type": S(_("{file}: {option} is {value:.80}"), _("It must be of the type {type}.")),
    "option_not_allowed": S(_("{file}: {option} is {value!a:.80}"), _("It must be one of {allowed}.")),
    "not_name_value": S(_("--set {text!a:.80} is not NAME=VALUE"), _("For example --set loss=ssim.")),
    "bad_model_file_name": S(
        _("{path} is not a name for a model file"),
        _("Use letters, digits, dots and dashes, and end in .medad, for example -o brain-t1.medad."),
    ),
    "bad_pooling_size": S(_("pooling sizes must be 0 to 50 mm"), _("Correct --minimum-mm, --average-mm or --fine-mm.")),
    "folds_negative": S(_("the number of folds is {folds}"), _("Give --folds 5, for example, or 0 for none.")),
    "folds_of_network": S(
        _("{method} trains a network, and folds would repeat that training"),
        _("Leave out --folds, or use a method that trains fast: {suited}."),
    ),
    "folds_too_many": S(
        _("{subjects} training subjects are too few for {folds} folds"),
        _("Give fewer folds; each needs a subject, and {least} scans must be left to train."),
    ),
    "bad_latent_sizes": S(
        _("{sizes:.80} is not a list of at least 3 increasing latent sizes"), _("For example 1,2,4,8,16,32,64,128.")
    ),
    "unknown_schedule": S(_("{schedule!a:.80} is not a schedule of morphaeus"), _("Known schedules: {known}.")),
    # The loop and its checkpoints.
    "bad_training_plan": S(_("the plan needs positive steps, learning rate and gradient norm"), _("Correct --steps.")),
    "cancelled_at_step": S(_("cancelled after step {step} of {steps}"), _("The same command continues from there.")),
    "checkpoint_of_other_plan": S(
        _("{path} was made with another training plan: {kept}; this command has {asked}"),
        _("Give the same options to continue, or another --work folder, or remove the checkpoint to train again."),
    ),
    "checkpoint_of_other_network": S(_("{path} belongs to another network"), OTHER_CHECKPOINT),
    "checkpoint_not_shared": S(
        _("not all processes read the same checkpoint {path}"), _("Give a --work folder that all computers share.")
    ),
    "loss_not_finite": S(_("the loss of {network} became {value} at step {step}"), FULL_PRECISION),
    "gradient_not_finite": S(_("the gradient of {network} became {value} at step {step}"), FULL_PRECISION),
    "batch_below_processes": S(
        _("a batch of {samples} samples cannot be divided among {processes} processes"), _("Start fewer processes.")
    ),
    "too_few_gpus": S(
        _("torchrun started more processes than there are GPUs ({gpus})"),
        _("Start torchrun with --nproc-per-node no larger than the number of GPUs."),
    ),
    # A reference model.
    "reference_scans_missing": S(
        _("{model} was trained with {count} scans, and {missing} of them are not in the folder, such as {example}"),
        _("Give the folder that {model} was trained from, or a --split of your scans."),
    ),
    "model_without_split": S(_("{model} contains no valid split of its scans"), _("Give a --split.")),
    "model_for_slices": S(_("{model} is for single slices, and these scans are volumes"), SAME_KIND),
    "model_for_volumes": S(_("{model} is for volumes, and these scans are single slices"), SAME_KIND),
    "model_of_other_size": S(
        _("{model} has {own} pixels along the longer side, and --size is {asked}"), _("Leave out --size or --like.")
    ),
    "model_of_other_preparation": S(
        _("{model} prepares scans as {own}, and --prepare is {asked}"), _("Leave out --prepare or --like.")
    ),
    # Scans and the work folder.
    "folder_of_running_training": S(
        _("another training uses {folder}"), _("Wait for its end, or give another --work folder.")
    ),
    "torn_file": _("{path} is cut short, as after a crash: it is made again, with what depends on it"),
    "work_of_other_split": S(_("{work} was made with another split"), OTHER_WORK),
    "work_of_other_reading": S(
        _("{work} holds scans that were read with other --orientation, --spacing, --unit or --use"), OTHER_WORK
    ),
    "work_of_other_size": S(_("{work} was made with another size"), OTHER_WORK),
    "work_of_other_template": S(_("{work} was made with another template than that of {model}"), OTHER_WORK),
    "work_of_changed_scans": S(_("{count} scans have changed since {work} was made, such as {example}"), OTHER_WORK),
    "work_of_unknown_scans": S(
        _(
            "{count} scans, such as {example}, have another time of change than when {work} was made, and it holds no "
            "hashes that tell whether their content is the same"
        ),
        _("If the scans are the same, delete {record}; if not, give another --work folder."),
    ),
    "training_outliers": S(
        _("{count} training scans differ from the others: {scans}; see {figure}"),
        _("If one has a lesion or is damaged, train again with --exclude NAME and another --work folder."),
    ),
    "excluded_scan_missing": S(
        _("--exclude names {name}, which is not in the folder"), _("Names of scans are those of their files.")
    ),
    "size_for_slices": S(_("--size is for single slices, and these scans are volumes"), _("Leave --size out.")),
    "volume_among_slices": S(_("{path} has several slices, and the other scans of its folder have one"), ONE_KIND),
    "slice_among_volumes": S(_("{path} is a single slice, and the other scans of its folder are volumes"), ONE_KIND),
    "any_contrast_without_brains": S(
        _("only brains have synthetic contrasts, and the scans are prepared as something else"),
        _("Choose another method, or --prepare brain."),
    ),
    "only_one_scan": S(_("the training combines slices of several scans, but there is one"), _("Give more scans.")),
    "method_needs_volumes": S(_("{method} is for volumes, and these scans are single slices"), _("Train {other}.")),
    "too_few_intensities": S(
        _("the healthy scans have too few different intensities for {classes} classes"),
        _("Check that they are images and not label maps."),
    ),
    "scans_without_brain": S(_("the healthy scans contain no brain voxels"), _("Check the scans.")),
    # Settings out of range, as a user or a model file gives them.
    "sweep_sizes": S(_("the choice of a latent size needs at least 3 increasing sizes and their errors"), SETTING),
    "tv_choice": S(_("the choice of a TV weight needs at least 3 increasing weights and a change for each"), SETTING),
}
