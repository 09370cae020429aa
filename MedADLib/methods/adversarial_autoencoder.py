"""Adversarial autoencoder (Makhzani et al. 2015), by default the constrained one (Chen and Konukoglu 2018)."""

from __future__ import annotations

from dataclasses import dataclass

from ..networks.adversarial_reconstruction import AdversarialAutoEncoder
from ..networks.backbone import check_sizes
from .adversarial_reconstruction import Reconstruction


@dataclass(frozen=True)
class AdversarialAutoencoderParameters:
    """Settings of the networks.

    Attributes:
        size: Slice size (Y, X).
        channels: Channels of each level.
        latent: Latent size.
        constraint: ρ, weight of ‖z − E(x̂)‖²; 0 for the plain adversarial autoencoder.
    """

    size: tuple[int, ...] = (160, 160)
    channels: tuple[int, ...] = (16, 32, 64, 64, 64)
    latent: int = 128
    constraint: float = 1.0

    def __post_init__(self) -> None:
        check_sizes(self.size, self.channels, self.latent)
        if not 0 <= self.constraint <= 1e6:
            raise ValueError("the constraint must be 0 to 1000000")

    def network(self) -> AdversarialAutoEncoder:
        """Fresh networks."""
        return AdversarialAutoEncoder(self.size, self.channels, self.latent, self.constraint)


class AdversarialAutoencoder(Reconstruction):
    """Reconstruction error |x − x̂| of an autoencoder whose codes fill N(0, I); its mean is the sample score.

    Makhzani et al. 2015, with the constraint of Chen and Konukoglu 2018.
    """

    name = "adversarial_autoencoder"
    Parameters = AdversarialAutoencoderParameters
