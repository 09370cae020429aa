"""The two trainings of f-AnoGAN: a generator against a critic, then an encoder for the frozen two (izi_f)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from .adversarial import BETAS, CRITIC_STEPS, Loss, critic_loss, opponent_loss
from .backbone import ConvEncoder
from .turns import Turn


class WassersteinGAN(nn.Module):
    """A generator that learns to make samples which a critic cannot tell from the real ones (WGAN-GP).

    Args:
        generator: Codes (N, latent) to samples.
        critic: Samples to judgements (N,); no batch norm.
        latent: Length of a code; codes are N(0, I).
        critic_steps: Turns of the critic before one of the generator.
    """

    def __init__(self, generator: nn.Module, critic: nn.Module, latent: int, critic_steps: int = CRITIC_STEPS):
        super().__init__()
        self.generator, self.critic = generator, critic
        self.latent, self.critic_steps = latent, critic_steps

    def turns(self) -> tuple[Turn, Turn]:
        """The critic several times, then the generator; Adam with betas (0, 0.9)."""
        return (
            Turn("critic", self.critic.parameters(), self.critic_turn, repeat=self.critic_steps, betas=BETAS),
            Turn("generator", self.generator.parameters(), self.generator_turn, betas=BETAS),
        )

    def draw(self, like: torch.Tensor) -> torch.Tensor:
        """Generated samples, as many as `like` and on its device."""
        return self.generator(torch.randn(len(like), self.latent, device=like.device))

    def imagined(self, count: int, noise: torch.Generator) -> torch.Tensor:
        """Generated samples of codes drawn from N(0, I), as many as asked for."""
        return self.generator(torch.randn(count, self.latent, generator=noise))

    def critic_turn(self, real: torch.Tensor, *_: torch.Tensor) -> Loss:
        """E[D(G(z))] − E[D(x)] + penalty."""
        with torch.no_grad():
            fake = self.draw(real)
        return critic_loss(self.critic, real, fake)

    def generator_turn(self, real: torch.Tensor, *_: torch.Tensor) -> Loss:
        """−E[D(G(z))]."""
        loss = opponent_loss(self.critic, self.draw(real))
        return loss, {"judgement": -loss.detach()}


class CodeEncoder(nn.Sequential):
    """E(x): slices (N, 1, Y, X) to codes (N, latent) in [−1, 1].

    The tanh is f-AnoGAN's own: the generator is asked for codes from the middle of N(0, I) only, where pictures are
    most usual.

    Args:
        size: Slice size (Y, X).
        channels: Channels of each level.
        latent: Length of a code.
    """

    def __init__(self, size: Sequence[int], channels: Sequence[int], latent: int):
        super().__init__(ConvEncoder(size, channels, latent), nn.Tanh())


class IziF(nn.Module):
    """Trains f-AnoGAN's encoder (Schlegl et al. 2019) on the mapping image → z → image.

    L = mean (x − G(E(x)))² + κ · mean (f(x) − f(G(E(x))))², with f the features of the critic. Generator and critic
    are frozen: gradients pass through them, and they stay as they are.

    Args:
        gan: Trained; its parameters will ask for no gradients any more.
        encoder: To be trained.
        kappa: κ.
    """

    def __init__(self, gan: WassersteinGAN, encoder: nn.Module, kappa: float):
        super().__init__()
        self.gan, self.encoder, self.kappa = gan.requires_grad_(False), encoder, kappa

    def loss(self, images: torch.Tensor, *_: torch.Tensor) -> Loss:
        """The loss L, and its parts ``squared_error`` and ``feature_error``."""
        restored = self.gan.generator(self.encoder(images))
        squared, features = (part.mean() for part in distances(self.gan.critic, images, restored))
        log = {"squared_error": squared.detach(), "feature_error": features.detach()}
        return squared + self.kappa * features, log


def distances(critic: nn.Module, images: torch.Tensor, restored: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean squared error of each slice (N,), in the picture and in the critic's features."""
    squared = (images - restored.float()).square().flatten(1).mean(dim=1)
    features = (critic.features(images) - critic.features(restored)).float().square().mean(dim=1)
    return squared, features
