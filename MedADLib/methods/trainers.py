"""How each method of the registry is trained; one line a method."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from ..errors import InputError
from ..progress import Progress
from ..training import Plan
from ..training_data import HealthyData
from . import (
    METHODS,
    training_adversarial_reconstruction,
    training_autoencoder,
    training_denoising,
    training_f_anogan,
    training_fpi,
    training_implicit_field,
    training_latent_restoration,
    training_morphaeus,
    training_tv_restoration,
    training_vae,
    training_volume_restoration,
)
from .atlas import Atlas
from .wishes import check_names


@dataclass(frozen=True)
class Options:
    """What a user may choose; None takes the method's own.

    Attributes:
        steps: Optimizer steps of the main network.
        prior_steps: Optimizer steps of the prior.
        latent: Latent size of an autoencoder; None chooses it on the validation scans.
        sweep_steps: Steps for each latent size tried.
        seed: Of everything random.
        device: Where to train.
        reduced: bfloat16 autocast.
        extra: What this method alone knows, by name; each method refuses names that it does not know.
    """

    steps: int | None = None
    prior_steps: int | None = None
    latent: int | None = None
    sweep_steps: int | None = None
    seed: int = 0
    device: str = "cpu"
    reduced: bool = False
    extra: dict[str, object] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for value in (self.steps, self.prior_steps, self.latent, self.sweep_steps):
            if value is not None and value < 1:
                raise InputError("steps and latent size must be at least 1")

    def wishes(self) -> dict[str, object]:
        """What is asked of the method's own parameters."""
        return dict(self.extra) | ({} if self.latent is None else {"latent": self.latent})

    def plan(self, steps: int, rate: float) -> Plan:
        """The training plan of a network."""
        return Plan(steps, rate, every=min(250, steps), seed=self.seed, reduced=self.reduced)


# What may be set for a training, and is no setting of the method that comes out.
OF_TRAINING = {"morphaeus": ("schedule",)}


def check_settings(method: str, options: Options) -> None:
    """Refuse the names of settings that a method does not know, which needs no scans; their values may.

    Args:
        method: Its name.
        options: What the user chose.

    Raises:
        InputError: Naming the first that is unknown.
    """
    if method == Atlas.name:
        if unknown := sorted(options.extra):
            raise InputError(f"the atlas has no setting {unknown[0]!a:.80}", "It has none at all: leave it out.")
        return
    # The width of morphaeus is no setting of its own.
    names = options.extra if method == "morphaeus" else options.wishes()
    check_names(METHODS[method].Parameters, names, OF_TRAINING.get(method, ()))


Trainer = Callable[[HealthyData, Options, Path, Progress], tuple[object, dict]]


def _atlas(data: HealthyData, options: Options, folder: Path, progress: Progress) -> tuple[Atlas, dict]:
    check_settings(Atlas.name, options)
    return Atlas.train(data.train, tuple(data.template.image.spacing), data.template.symmetric), {}


TRAINERS: dict[str, Trainer] = {
    "atlas": _atlas,
    "autoencoder": training_autoencoder.train,
    "latent_restoration": training_latent_restoration.train,
    "vae": training_vae.train_vae,
    "context_encoder": training_vae.train_context_encoder,
    "cevae": training_vae.train_cevae,
    "vae_tv": training_tv_restoration.train_vae_tv,
    "gmvae_tv": training_tv_restoration.train_gmvae_tv,
    "vae_gan": training_adversarial_reconstruction.train_vae_gan,
    "adversarial_autoencoder": training_adversarial_reconstruction.train_adversarial_autoencoder,
    "f_anogan": training_f_anogan.train,
    "fpi": training_fpi.train,
    "denoising": training_denoising.train,
    "implicit_field": training_implicit_field.train,
    "morphaeus": training_morphaeus.train,
    "volume_restoration": training_volume_restoration.train,
}
