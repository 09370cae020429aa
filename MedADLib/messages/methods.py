"""Sentences of the package `methods`, by code."""

from . import Sentence as S
from . import mark as _

# Remedies of several sentences.
DOWNLOAD_AGAIN = _("Download or copy the model file again.")

INSTALL_FEATURES = _(
    "Run pip install --no-deps {package}; in Slicer, run slicer.util.pip_install('--no-deps {package}') in the Python "
    "console."
)

SENTENCES = {
    "tensor_missing": S(_("the {method} model lacks the tensor {tensor}"), DOWNLOAD_AGAIN),
    "tensor_unknown": S(
        _("the {method} model has an unknown tensor {tensor}"),
        _("Update MedAD. If it is up to date, download or copy the model file again."),
    ),
    "tensor_shape": S(_("the tensor {tensor} of the {method} model has shape {shape}, not {expected}"), DOWNLOAD_AGAIN),
    "tensor_type": S(_("the tensor {tensor} of the {method} model has type {dtype}, not {expected}"), DOWNLOAD_AGAIN),
    "restoration_not_finite": S(
        _("the {method} model computes values that are not finite"),
        _("Do not use it; get the file from a source that you trust."),
    ),
    "atlas_too_few_scans": S(_("an atlas of {count} scans has no standard deviation"), _("Give {minimum} or more.")),
    "atlas_sd_not_positive": S(_("the standard deviation of the atlas model is not positive"), DOWNLOAD_AGAIN),
    "mahalanobis_too_few_scans": S(_("{count} scans give no covariance of the features"), _("Give {minimum} or more.")),
    "imagenet_features_missing": S(
        _("a feature autoencoder needs ImageNet features, which come with the package {package}"), INSTALL_FEATURES
    ),
    "imagenet_features_not_vetted": S(
        _("the installed ImageNet features are not the vetted version ({file} differs)"), INSTALL_FEATURES
    ),
    "method_without_settings": S(_("the method has no setting {setting}"), _("It has no settings. Leave it out.")),
    "method_setting_unknown": S(_("the configuration has the unknown setting {setting}"), _("Known: {known}.")),
    "method_setting_invalid": S(_("{problem}"), _("Correct it after --set or in the configuration file.")),
    # Progress.
    "progress_slice": _("slice {number} of {count}"),
    "progress_slice_step": _("slice {number} of {count}, step {step}"),
    "progress_restored_slice": _("restoring slice {number} of {count}"),
    "progress_restored_volume": _("restoring volume {number} of {count}"),
    "progress_latent": _("searching the latent of the scan, step {step} of {count}"),
    "progress_features": _("features of scan {number} of {count}"),
    "progress_field": _("comparing the scan with the field"),
}
