"""Sentences of the package `training`, by code."""

from __future__ import annotations

from . import Sentence
from . import mark as _

# Remedies of several sentences.
OTHER_WORK = _("Give another --work folder, or empty this one.")

SENTENCES: dict[str, Sentence] = {
    # Options.
    "steps_not_positive": Sentence(
        _("training steps and latent size must be at least 1"),
        _("Correct --steps, --prior-steps, --latent or --sweep-steps."),
    ),
    "extra_not_a_table": Sentence(
        _("{file}: extra is not a table"), _("Write [extra], and the settings of the method below it.")
    ),
    "options_of_other_method": Sentence(
        _("{file} is for the method {found!a:.80}, not for {method}"),
        _("Name the same method in both, or leave it out of the file."),
    ),
    "missing_option": Sentence(
        _("the training needs the option {option}"), _("Give {example}, or write it into the --config file.")
    ),
    "unknown_option": Sentence(_("{file} contains the unknown option {option!a:.80}"), _("Known options: {known}.")),
    "misspelled_option": Sentence(
        _("{file} contains the unknown option {option!a:.80}"), _("Did you mean {nearest!r}?")
    ),
    "toml_unavailable": Sentence(_("TOML needs Python 3.11 or newer"), _("Write the same options as JSON.")),
    "bad_options_file": Sentence(
        _("{file} is not valid TOML or JSON ({reason})"), _("Correct it; its name must end in .toml or .json.")
    ),
    "no_options_in_file": Sentence(_("{file} contains no table of options"), _("Write names and values.")),
    "option_of_wrong_type": Sentence(_("{file}: {option} is {value:.80}"), _("It must be of the type {type}.")),
    "option_not_allowed": Sentence(_("{file}: {option} is {value!a:.80}"), _("It must be one of {allowed}.")),
    "not_name_value": Sentence(_("--set {text!a:.80} is not NAME=VALUE"), _("For example --set loss=ssim.")),
    "bad_model_file_name": Sentence(
        _("{path} is not a name for a model file"),
        _("Use letters, digits, dots and dashes, and end in .medad, for example -o brain-t1.medad."),
    ),
    "bad_pooling_size": Sentence(_("pooling sizes must be 0 to 50 mm"), _("Correct --minimum-mm or --average-mm.")),
    "bad_latent_sizes": Sentence(
        _("{sizes:.80} is not a list of at least 3 increasing latent sizes"), _("For example 1,2,4,8,16,32,64,128.")
    ),
    "unknown_schedule": Sentence(_("{schedule!a:.80} is not a schedule of morphaeus"), _("Known schedules: {known}.")),
    # The loop and its checkpoints.
    "bad_training_plan": Sentence(
        _("a training plan needs positive steps, learning rate and gradient norm"), _("Correct --steps.")
    ),
    "checkpoint_of_other_plan": Sentence(
        _("{path} was made with another training plan, such as other steps or another seed"),
        _("Give another --work folder, or remove the checkpoint."),
    ),
    "checkpoint_of_other_network": Sentence(
        _("{path} belongs to another network"), _("Give another --work folder, or remove the checkpoint.")
    ),
    "checkpoint_not_shared": Sentence(
        _("not all processes read the same checkpoint {path}"), _("Give a --work folder that all computers share.")
    ),
    "loss_not_finite": Sentence(
        _("the loss of {network} became {value} at step {step}"),
        _("Train with --full-precision or with another --seed, or check that the scans are intact."),
    ),
    "gradient_not_finite": Sentence(
        _("the gradient of {network} became {value} at step {step}"),
        _("Train with --full-precision or with another --seed, or check that the scans are intact."),
    ),
    "batch_below_processes": Sentence(
        _("a batch of {samples} samples cannot be divided among {processes} processes"), _("Start fewer processes.")
    ),
    "too_few_gpus": Sentence(
        _("torchrun started more processes than there are GPUs ({gpus})"),
        _("Start torchrun with --nproc-per-node no larger than the number of GPUs."),
    ),
    # A reference model.
    "reference_scans_missing": Sentence(
        _("{model} was trained with {count} scans, and {missing} of them are not in the folder, such as {example}"),
        _("Give the folder that {model} was trained from, or a --split of your scans."),
    ),
    "model_without_split": Sentence(_("{model} contains no valid split of its scans"), _("Give a --split.")),
    "model_for_slices": Sentence(
        _("{model} is for single slices, and these scans are volumes"), _("Use scans and a model of the same kind.")
    ),
    "model_for_volumes": Sentence(
        _("{model} is for volumes, and these scans are single slices"), _("Use scans and a model of the same kind.")
    ),
    "model_of_other_size": Sentence(
        _("{model} has {own} pixels along the longer side, and --size is {asked}"), _("Leave out --size or --like.")
    ),
    "model_of_other_preparation": Sentence(
        _("{model} prepares scans as {own}, and --prepare is {asked}"), _("Leave out --prepare or --like.")
    ),
    # Scans and the work folder.
    "work_of_other_split": Sentence(_("{work} was made with another split"), OTHER_WORK),
    "work_of_other_size": Sentence(_("{work} was made with another size"), OTHER_WORK),
    "work_of_other_template": Sentence(_("{work} was made with another template than that of {model}"), OTHER_WORK),
    "work_of_changed_scans": Sentence(
        _("{count} scans have changed since {work} was made, such as {example}"), OTHER_WORK
    ),
    "size_for_slices": Sentence(_("--size is for single slices, and these scans are volumes"), _("Leave --size out.")),
    "volume_among_slices": Sentence(
        _("{path} has several slices, and the other scans of its folder have one"),
        _("Use single slices or volumes, not both."),
    ),
    "slice_among_volumes": Sentence(
        _("{path} is a single slice, and the other scans of its folder are volumes"),
        _("Use single slices or volumes, not both."),
    ),
    "only_one_scan": Sentence(
        _("the training combines slices of several scans, and there is only one scan"), _("Give more healthy scans.")
    ),
    "method_needs_volumes": Sentence(
        _("{method} is for volumes, and these scans are single slices"), _("Train {other} instead.")
    ),
    "too_few_intensities": Sentence(
        _("the healthy scans have too few different intensities for {classes} classes"),
        _("Check that they are images and not label maps."),
    ),
    "scans_without_brain": Sentence(_("the healthy scans contain no brain voxels"), _("Check the scans.")),
}
