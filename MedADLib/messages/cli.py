"""Sentences of the package `cli`, by code."""

from __future__ import annotations

from . import Sentence
from . import mark as _

SENTENCES: dict[str, Sentence] = {
    # calibrate
    "bad_model_version": Sentence(
        _("{version!a:.80} is not a version of a model"), _("Give three numbers, for example --model-version 1.2.0.")
    ),
    "setting_not_adjustable": Sentence(
        _("{setting!a:.80} of the {method} model cannot be changed without another training"),
        _("Adjustable settings: {adjustable}. To change others, train a model with medad train."),
    ),
    "no_adjustable_settings": Sentence(
        _("{setting!a:.80} of the {method} model cannot be changed without another training"),
        _("The method has no adjustable settings: train a model with medad train."),
    ),
    "few_healthy_scans": Sentence(
        _("with {count} healthy scans no p-value can be below {least:.2g}"), _("Add more healthy scans.")
    ),
    "training_scans_left_out": Sentence(
        _("{count} scans are left out: scans of these names are in the training or the benchmark of {model}")
    ),
    # train
    "unused_option": Sentence(_("{method} does not use {option}: the option is ignored")),
    "unreadable_licence": Sentence(
        _("{path} is not a readable text file"), _("Give a text file that contains the licence.")
    ),
    # sweep
    "latent_size_given": Sentence(
        _("a sweep tries several latent sizes, and one latent size is given"),
        _("Leave it out, and give the sizes to try with --sizes."),
    ),
    "abnormal_of_volumes": Sentence(
        _("--abnormal is for 2-D images"), _("Leave it out: lesions are simulated in brains.")
    ),
    "sweep_too_short": Sentence(
        _("the error rises from latent size {smaller} to {larger}: the trainings are too short to compare sizes"),
        _("Give more --sweep-steps."),
    ),
    # compare, benchmark
    "models_differ": Sentence(
        _("{model} has another template or split than {first}"),
        _("Train it with --like {first}, or train both from one --work folder."),
    ),
    "brain_model_needed": Sentence(
        _("{model} is not a model of the brain"),
        _("This command simulates lesions in brains: name a model such as brain-t1."),
    ),
    "image_options_for_volumes": Sentence(
        _("--abnormal, --healthy-label and --part calibration are for 2-D images"), _("Leave them out.")
    ),
    "part_without_scans": Sentence(_("{model} has no {part} scans"), _("Train it with a --split that names some.")),
    "slice_restoration_needed": Sentence(
        _("{model} does not use latent restoration of slices"), _("Name another --model, such as brain-t1.")
    ),
    # evaluate, models, view
    "bad_table_name": Sentence(_("{path} does not end in .tsv or .json"), _("For example -o evaluation.tsv.")),
    "no_models_installed": Sentence(_("no models are installed"), _("Name a .medad file.")),
    "view_packages_missing": Sentence(
        _("the browser view needs Python packages that are not installed"), _("Run: pip install 'medad[view]'")
    ),
    "export_usage": Sentence(
        _("one model and the folder of its bundle are needed"), _("Run: medad models export NAME --monai DIR")
    ),
    "monai_without_export": Sentence(_("--monai is only for export"), _("Run: medad models export NAME --monai DIR")),
}
