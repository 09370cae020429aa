"""Sentences of the package `cli`, by code."""

from . import Sentence as S
from . import mark as _

# Remedies of several sentences.
EXPORT = _("Run: medad models export NAME --monai DIR")

SENTENCES = {
    "wrong_usage": _("{problem}"),
    # calibrate
    "bad_model_version": S(_("{version!a:.80} is not a version of a model"), _("For example --model-version 1.2.0.")),
    "setting_not_adjustable": S(
        _("{setting!a:.80} of the {method} model cannot be changed without another training"),
        _("Adjustable settings: {adjustable}. To change others, train a model with medad train."),
    ),
    "no_adjustable_settings": S(
        _("{setting!a:.80} of the {method} model cannot be changed without another training"),
        _("The method has no adjustable settings: train a model with medad train."),
    ),
    "few_healthy_scans": S(
        _("with {count} healthy scans no p-value can be below {least:.2g}; a p-value of {p:.2g} needs {needed}"),
        _("Add more scans."),
    ),
    "training_scans_left_out": _(
        "{count} scans are left out: scans of these names are in the training or the benchmark of {model}"
    ),
    # train
    "unused_option": _("{method} does not use {option}: the option is ignored"),
    "unreadable_licence": S(_("{path} is not a readable text file"), _("Give a text file that contains the licence.")),
    # sweep
    "latent_size_given": S(
        _("a sweep tries several latent sizes, and one latent size is given"),
        _("Leave it out, and give the sizes to try with --sizes."),
    ),
    "abnormal_of_volumes": S(_("--abnormal is for 2-D images"), _("Leave it out: lesions are simulated in brains.")),
    "sweep_too_short": S(
        _("the error rises from latent size {smaller} to {larger}: the trainings are too short to compare sizes"),
        _("Give more --sweep-steps."),
    ),
    # compare, benchmark
    "models_differ": S(
        _("{model} has another template or split than {first}"),
        _("Train it with --like {first}, or train both from one --work folder."),
    ),
    "brain_model_needed": S(
        _("{model} is not a model of the brain"),
        _("This command simulates lesions in brains: name a model such as brain-t1."),
    ),
    "image_options_for_volumes": S(
        _("--abnormal, --healthy-label and --part calibration are for 2-D images"), _("Leave them out.")
    ),
    "part_without_scans": S(_("{model} has no {part} scans"), _("Train it with a --split that names some.")),
    "slice_restoration_needed": S(
        _("{model} does not use latent restoration of slices"), _("Name another --model, such as brain-t1-vqvae.")
    ),
    # evaluate, models, view
    "bad_table_name": S(_("{path} does not end in .tsv or .json"), _("For example -o evaluation.tsv.")),
    "no_models_installed": S(_("no models are installed"), _("Name a .medad file.")),
    "view_packages_missing": S(
        _("the browser view needs Python packages that are not installed"), _("Run: pip install 'medad[view]'")
    ),
    "export_usage": S(_("one model and the folder of its bundle are needed"), EXPORT),
    "monai_without_export": S(_("--monai is only for export"), EXPORT),
}
