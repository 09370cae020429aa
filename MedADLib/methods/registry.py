"""The registry of detection methods: one entry for each, made of names, so that reading it imports no method.

A method or family of methods has three parts of one name and one entry here: ``methods/x.py`` computes the score,
``networks/x.py`` holds the networks, ``training/recipes/x.py`` trains them. A network that several methods share has
the name of its architecture, such as ``vqvae`` or ``unet``. Everything else reads the entry or calls the method.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..scoring.calibration import Pooling

# Chosen on validation scans with simulated lesions for the autoencoder and latent restoration; others are not tuned.
POOLING_MM = (6.0, 14.0)
# Options of `medad train` that only some methods use, and that others pass over with a warning.
PRIOR, SWEEP, STEPS, LATENT = OPTIONS = ("prior_steps", "sweep_steps", "steps", "latent")


@dataclass(frozen=True)
class Entry:
    """What MedAD needs to find, train and describe a method.

    Attributes:
        method: Class that computes the score, as ``module:class`` in `MedADLib.methods`.
        recipe: Function that trains it, as ``module:function`` in `MedADLib.training.recipes`. A recipe module may
            have ``check_settings(options)`` where it takes other settings than the method's parameters. Empty for an
            ensemble, which `medad calibrate` makes of trained models.
        title: Short title; its first words differ from those of all other methods.
        purpose: What the method does with a scan, as a verb phrase.
        papers: Its sources: numbers of `bibliography.PAPERS`, or citations as text.
        setting_papers: Sources that a setting adds, by (name, value); the value True stands for any that is not 0.
        options: Which of `OPTIONS` it uses.
        pooling_mm: Minimum and average pooling that suit its raw score, in mm. Where this is
            coarse, `Pooling.with_fine` adds a second scale.
        fine_mm: Average pooling of that scale in mm; None for the usual one.
        note: What lists of models add to its title; empty for nothing.
        fast: Whether it has a fast mode, see `Method.faster`. An ensemble has one if a member has.
        any_contrast: Whether it examines brains of every MR contrast, trained on synthetic contrasts.
        fast_to_train: Whether it trains in seconds to minutes, so that ``medad train --folds`` can repeat the training.
    """

    method: str
    recipe: str
    title: str
    purpose: str
    papers: tuple[int | str, ...] = ()
    setting_papers: Mapping[tuple[str, object], int] = field(default_factory=dict)
    options: tuple[str, ...] = (STEPS, LATENT)
    pooling_mm: tuple[float, float] = POOLING_MM
    fine_mm: float | None = None
    note: str = ""
    fast: bool = False
    any_contrast: bool = False
    fast_to_train: bool = False


ENTRIES: dict[str, Entry] = {
    "atlas": Entry("atlas:Atlas", "atlas:train", "Atlas", "compares each voxel with the mean and SD of healthy scans",
                   options=(), pooling_mm=(0.0, 6.0), note="fastest", fast_to_train=True),
    "mahalanobis": Entry("mahalanobis:Mahalanobis", "mahalanobis:train", "Mahalanobis distance",
                         "compares intensity, texture and edges at each voxel with their distribution in healthy scans",
                         (26,), options=(), pooling_mm=(0.0, 6.0), fast_to_train=True),
    "autoencoder": Entry("autoencoder:Autoencoder", "autoencoder:train", "Autoencoder",
                         "reconstructs the scan from a compressed code", (1,),
                         {("loss", "ssim"): 2, ("loss", "perceptual"): 2, ("variant", "uncertain"): 3,
                          ("variant", "memory"): 4, ("variant", "spatial"): 5, ("variant", "constrained"): 6,
                          ("score", "gradient"): 7},
                         options=(STEPS, LATENT, SWEEP)),
    "latent_restoration": Entry("latent_restoration:LatentRestoration", "latent_restoration:train", "Restoration",
                                "resamples what is improbable in healthy scans, slice by slice", (15,),
                                {("error", "categorical"): 17}, options=(STEPS, LATENT, PRIOR), fast=True),
    "vae": Entry("vae:VariationalAutoencoder", "vae:train_vae", "Variational autoencoder",
                 "reconstructs the scan from a probabilistic code", (7,), {("error", "categorical"): 17}),
    "context_encoder": Entry("vae:ContextEncoder", "vae:train_context_encoder", "Context encoder",
                             "reconstructs each part from its surroundings", (9,), {("error", "categorical"): 17}),
    "cevae": Entry("vae:ContextVAE", "vae:train_cevae", "Context-encoding VAE",
                   "reconstructs the scan, trained to fill masked parts", (10,), {("error", "categorical"): 17}),
    "vae_tv": Entry("tv_restoration:VAETV", "tv_restoration:train_vae_tv", "VAE restoration",
                    "changes the scan until it is probable, with total variation as a penalty", (8,)),
    "gmvae_tv": Entry("tv_restoration:GMVAETV", "tv_restoration:train_gmvae_tv", "Mixture VAE restoration",
                      "changes the scan until it is probable in one of several classes", (8,)),
    "vae_gan": Entry("adversarial:VAEGANReconstruction", "adversarial:train_vae_gan", "VAE-GAN",
                     "reconstructs the scan, trained against a discriminator", (5, 11)),
    "adversarial_autoencoder": Entry("adversarial:AdversarialAutoencoder",
                                     "adversarial:train_adversarial_autoencoder", "Adversarial autoencoder",
                                     "reconstructs the scan from a code as of healthy scans", (6, 12)),
    "f_anogan": Entry("adversarial:FAnoGAN", "adversarial:train", "f-AnoGAN",
                      "generates the healthy scan most similar to it", (13,), {("search_steps", True): 14},
                      options=(STEPS, LATENT, PRIOR)),
    "fpi": Entry("synthetic_anomalies:FPI", "synthetic_anomalies:train_fpi", "Foreign patch interpolation",
                 "segments what looks pasted in", (20,), {("blending", "poisson"): 21}),
    "denoising": Entry("synthetic_anomalies:Denoising", "synthetic_anomalies:train_denoising", "Denoising",
                       "removes what looks like noise", (22,)),
    "synthetic_restoration": Entry("synthetic_restoration:SyntheticRestoration", "synthetic_restoration:train",
                                   "Synthetic-anomaly restoration",
                                   "removes what resembles a synthetic anomaly of any size", (20, 23, 24, 27),
                                   options=(STEPS,), pooling_mm=(0.0, 6.0), fine_mm=1.0, note="recommended"),
    "any_contrast": Entry("any_contrast:AnyContrastRestoration", "any_contrast:train", "Any-contrast restoration",
                          "removes synthetic anomalies from brains of any MR contrast", (20, 23, 24, 27),
                          options=(STEPS,), pooling_mm=(0.0, 6.0), fine_mm=1.0, any_contrast=True),
    "feature_autoencoder": Entry("feature_autoencoder:FeatureAutoencoder", "feature_autoencoder:train",
                                 "Feature autoencoder", "reconstructs ImageNet features of the scan", (25,),
                                 options=(STEPS,), pooling_mm=(0.0, 2.5)),
    "implicit_field": Entry("implicit_field:ImplicitField", "implicit_field:train", "Implicit field",
                            "fits the healthy brain most similar to it", (17,)),
    "morphaeus": Entry("morphaeus:MorphAEus", "morphaeus:train", "MorphAEus",
                       "deforms a reconstruction until it fits", (18,),
                       {("score", "jacobian"): 19, ("schedule", "morphade"): 19}),
    "volume_restoration": Entry("volume_restoration:VolumeRestoration", "volume_restoration:train",
                                "Whole-brain restoration", "resamples what is improbable in healthy scans, in 3-D",
                                (15, 16), {("error", "categorical"): 17}, options=(STEPS, LATENT, PRIOR), fast=True),
    "ensemble": Entry("ensemble:Ensemble", "", "Ensemble", "joins the calibrated maps of several methods", options=()),
}  # fmt: skip


def trainable() -> tuple[str, ...]:
    """Return the names of the methods that `medad train` trains."""
    return tuple(name for name, entry in ENTRIES.items() if entry.recipe)


class LazyObjects(Mapping[str, Any]):
    """Objects that entries name, by method; each is imported on first use.

    Args:
        package: Package of the modules that `place` names.
        place: Maps an entry to ``module:object``.
    """

    def __init__(self, package: str, place: Callable[[Entry], str]):
        self._package, self._place = package, place

    def __getitem__(self, name: str) -> Any:
        module, _, attribute = self._place(ENTRIES[name]).partition(":")
        return getattr(import_module(f"{self._package}.{module}"), attribute)

    def __contains__(self, name: object) -> bool:
        """Whether a method has this name; imports nothing."""
        return name in ENTRIES

    def __iter__(self) -> Iterator[str]:
        return iter(ENTRIES)

    def __len__(self) -> int:
        return len(ENTRIES)


# The class of each method.
METHODS: Mapping[str, type] = LazyObjects(__package__, lambda entry: entry.method)


def pooling_of(method: str) -> Pooling:
    """Return the pooling that suits the raw score of a method, by its name."""
    from ..scoring.calibration import Pooling

    return Pooling(*ENTRIES[method].pooling_mm)
