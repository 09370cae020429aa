"""Sentences of the package `modelfile`, by code."""

from __future__ import annotations

from . import Sentence
from . import mark as _

SENTENCES: dict[str, Sentence] = {
    "not_for_monai": Sentence(
        _("the model {model} cannot become a MONAI bundle: MONAI cannot build a network for its method {method}"),
        _("Choose an autoencoder, a VAE, a context encoder or a slice-wise latent restoration."),
    ),
    "bundle_folder_taken": Sentence(_("{folder} already exists and is not an empty folder"), _("Name a new folder.")),
    "bundle_not_written": Sentence(
        _("the bundle could not be written to {folder}: {reason}"), _("Choose a folder that you may write to.")
    ),
}
