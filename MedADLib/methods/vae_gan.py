"""VAE-GAN (Baur et al. 2018): a variational autoencoder whose reconstructions must pass for slices."""

from __future__ import annotations

from dataclasses import dataclass

from ..networks.adversarial_reconstruction import VAEGAN
from ..networks.backbone import check_sizes
from .adversarial_reconstruction import Reconstruction


@dataclass(frozen=True)
class VAEGANParameters:
    """Settings of the networks.

    Attributes:
        size: Slice size (Y, X).
        channels: Channels of each level.
        latent: Latent size.
        critic_channels: Channels of each level of the critic.
        adversarial: w, weight of the critic's judgement against a sum over all pixels.
    """

    size: tuple[int, ...] = (160, 160)
    channels: tuple[int, ...] = (16, 32, 64, 64, 64)
    latent: int = 128
    critic_channels: tuple[int, ...] = (8, 16, 32, 64, 64)
    adversarial: float = 1.0

    def __post_init__(self) -> None:
        check_sizes(self.size, self.channels, self.latent)
        check_sizes(self.size, self.critic_channels, self.latent)
        if not 0 <= self.adversarial <= 1e6:
            raise ValueError("the weight of the critic must be 0 to 1000000")

    def network(self) -> VAEGAN:
        """Fresh networks."""
        return VAEGAN(self.size, self.channels, self.latent, self.critic_channels, self.adversarial)


class VAEGANReconstruction(Reconstruction):
    """Reconstruction error |x − x̂| of a VAE that a critic keeps from blurring (Baur et al. 2018, 2021); its mean."""

    name = "vae_gan"
    Parameters = VAEGANParameters
