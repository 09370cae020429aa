"""The training function of each method, by name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from ..errors import InputError
from ..methods.atlas import Atlas
from ..methods.registry import METHODS
from ..methods.settings import check_names
from ..runtime.progress import Progress
from .config import Options
from .data import HealthyData
from .recipes import adversarial, autoencoder, implicit_field, latent_restoration, morphaeus, synthetic_anomalies, vae

# Settings of a training that are not settings of the trained method.
OF_TRAINING = {"morphaeus": ("schedule",)}


def check_settings(method: str, options: Options) -> None:
    """Check the names of settings before any scan is read; the training itself checks their values.

    Args:
        method: Name of the method.
        options: Options of the training.

    Raises:
        InputError: For the first unknown name.
    """
    if method == Atlas.name:
        if unknown := sorted(options.extra):
            raise InputError("atlas_without_settings", setting=unknown[0])
        return
    # The latent size of morphaeus is not one of its settings.
    names = options.extra if method == "morphaeus" else options.overrides()
    check_names(METHODS[method].Parameters, names, OF_TRAINING.get(method, ()))


Trainer = Callable[[HealthyData, Options, Path, Progress], tuple[object, dict]]


def _atlas(data: HealthyData, options: Options, folder: Path, progress: Progress) -> tuple[Atlas, dict]:
    check_settings(Atlas.name, options)
    return Atlas.train(data.train, tuple(data.template.image.spacing), data.template.symmetric), {}


TRAINERS: dict[str, Trainer] = {
    "atlas": _atlas,
    "autoencoder": autoencoder.train,
    "latent_restoration": latent_restoration.train,
    "vae": vae.train_vae,
    "context_encoder": vae.train_context_encoder,
    "cevae": vae.train_cevae,
    "vae_tv": vae.train_vae_tv,
    "gmvae_tv": vae.train_gmvae_tv,
    "vae_gan": adversarial.train_vae_gan,
    "adversarial_autoencoder": adversarial.train_adversarial_autoencoder,
    "f_anogan": adversarial.train,
    "fpi": synthetic_anomalies.train_fpi,
    "denoising": synthetic_anomalies.train_denoising,
    "implicit_field": implicit_field.train,
    "morphaeus": morphaeus.train,
    "volume_restoration": latent_restoration.train_volumes,
}
