"""Autoencoders with a critic: of pictures (VAE-GAN, Baur et al. 2018), or of codes (AAE, Makhzani et al. 2015)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain

import torch
from torch import nn

from .adversarial import BETAS, CRITIC_STEPS, Loss, critic_loss, opponent_loss
from .backbone import ConvDecoder, ConvEncoder, Expansion
from .critic import CodeCritic, ImageCritic
from .posterior import Normal, per_image
from .turns import Turn


class AdversarialReconstruction(nn.Module):
    """What the two have in common: encoder, decoder, a critic, and their turns.

    No batch norm anywhere: Baur et al. 2021 report results without it, and the critic's turn, which looks at codes or
    pictures, must not change the autoencoder.

    Args:
        size: Slice size (Y, X), both divisible by 2 to the number of levels.
        channels: Channels of each level; every level halves the grid.
        latent: Length of a code.
        out: What the encoder gives for a slice; twice the length of a code for a mean and a variance.
        critic: The critic.
    """

    def __init__(self, size: Sequence[int], channels: Sequence[int], latent: int, out: int, critic: nn.Module):
        super().__init__()
        self.latent = latent
        self.encoder = ConvEncoder(size, channels, out, norm="none", act="leaky")
        self.expansion = Expansion(size, channels, latent, norm="none", act="leaky")
        self.decoder = ConvDecoder(channels, norm="none", act="leaky")
        self.critic = critic

    def encode(self, images: torch.Tensor) -> torch.Tensor:
        """The code of slices (N, 1, Y, X) that they are reconstructed from, (N, latent)."""
        return self.encoder(images)

    def decode(self, codes: torch.Tensor) -> torch.Tensor:
        """Slices (N, 1, Y, X) of codes (N, latent)."""
        return self.decoder(self.expansion(codes))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Reconstruct slices (N, 1, Y, X)."""
        return self.decode(self.encode(images))

    def imagined(self, count: int, noise: torch.Generator) -> torch.Tensor:
        """Slices (count, 1, Y, X) of codes drawn from N(0, I)."""
        return self.decode(torch.randn(count, self.latent, generator=noise))

    def turns(self) -> tuple[Turn, ...]:
        """The critic five times, by Adam with betas (0, 0.9), then encoder and decoder together."""
        return (
            Turn("critic", self.critic.parameters(), self.critic_turn, repeat=CRITIC_STEPS, betas=BETAS),
            Turn("autoencoder", self.own_parameters(), self.autoencoder_turn),
        )

    def own_parameters(self) -> Iterator[nn.Parameter]:
        """Those of encoder and decoder."""
        return chain(*(part.parameters() for part in (self.encoder, self.expansion, self.decoder)))


class VAEGAN(AdversarialReconstruction):
    """VAE whose reconstructions a critic cannot tell from slices (Baur et al. 2018, WGAN-GP form).

    L = E[Σ|x − x̂| + KL(q(z|x) ‖ N(0, I)) − w · D(x̂)], divided by the number of pixels so that a slice's size does
    not matter to the learning rate. At the weight w = 1 of the recipe a critic of slope 1 pulls gently beside a sum
    over all pixels.

    Args:
        size: Slice size (Y, X).
        channels: Channels of each level.
        latent: Length of a code.
        critic_channels: Channels of each level of the critic.
        adversarial: w.
    """

    def __init__(
        self,
        size: Sequence[int],
        channels: Sequence[int],
        latent: int,
        critic_channels: Sequence[int],
        adversarial: float = 1.0,
    ):
        super().__init__(size, channels, latent, 2 * latent, ImageCritic(size, critic_channels))
        self.adversarial = adversarial

    def encode(self, images: torch.Tensor) -> torch.Tensor:
        """The mean of q(z|x)."""
        return Normal.of(self.encoder(images)).mean

    def sample(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Reconstructions x̂ of drawn codes z ~ q(z|x), and KL(q(z|x) ‖ N(0, I)) of each slice, (N,)."""
        posterior = Normal.of(self.encoder(images))
        return self.decode(posterior.at(torch.randn_like)), per_image(posterior.divergence_from_standard())

    def critic_turn(self, images: torch.Tensor, masks: torch.Tensor, positions: torch.Tensor) -> Loss:
        """Slices against reconstructions."""
        with torch.no_grad():
            restored, _ = self.sample(images)
        return critic_loss(self.critic, images, restored)

    def autoencoder_turn(self, images: torch.Tensor, masks: torch.Tensor, positions: torch.Tensor) -> Loss:
        """The loss L, and ``error`` (mean absolute error per brain pixel), ``kl`` and ``judgement``."""
        restored, kl = self.sample(images)
        difference = (restored.float() - images).abs()
        judged = opponent_loss(self.critic, restored)
        loss = difference.mean() + (kl.mean() + self.adversarial * judged) / images[0].numel()
        error = (difference * masks).sum() / masks.sum().clamp_min(1)
        return loss, {"error": error.detach(), "kl": kl.mean().detach(), "judgement": -judged.detach()}


class AdversarialAutoEncoder(AdversarialReconstruction):
    """Autoencoder whose codes a critic cannot tell from N(0, I) (Makhzani et al. 2015; constrained, Chen et al. 2018).

    Encoder and decoder learn E[‖x − x̂‖² + ρ‖z − E(x̂)‖²], z = E(x), divided by the number of pixels; the constraint
    keeps a reconstruction near its slice in the code space, so that a lesion's code is near that of the healthy slice.
    Then the encoder alone learns −E[D(z)]. The two are apart, each with its own Adam, as in Makhzani's paper, so that
    neither has to be weighed against the other.

    Args:
        size: Slice size (Y, X).
        channels: Channels of each level.
        latent: Length of a code.
        constraint: ρ; 0 for the plain adversarial autoencoder.
    """

    def __init__(self, size: Sequence[int], channels: Sequence[int], latent: int, constraint: float = 1.0):
        super().__init__(size, channels, latent, latent, CodeCritic(latent))
        self.constraint = constraint

    def turns(self) -> tuple[Turn, ...]:
        """The critic five times, encoder and decoder together, then the encoder against the critic."""
        return (*super().turns(), Turn("encoder", self.encoder.parameters(), self.encoder_turn, betas=BETAS))

    def critic_turn(self, images: torch.Tensor, masks: torch.Tensor, positions: torch.Tensor) -> Loss:
        """Draws from N(0, I) against codes."""
        with torch.no_grad():
            codes = self.encode(images).float()
        return critic_loss(self.critic, torch.randn_like(codes), codes)

    def autoencoder_turn(self, images: torch.Tensor, masks: torch.Tensor, positions: torch.Tensor) -> Loss:
        """The loss, and ``error`` (mean absolute error per brain pixel) and ``constraint``, ‖z − E(x̂)‖²."""
        codes = self.encode(images)
        restored = self.decode(codes)
        difference = restored.float() - images
        loss, log = difference.square().mean(), {}
        if self.constraint:
            apart = (codes - self.encode(restored)).float().square().sum(dim=1).mean()
            loss, log["constraint"] = loss + self.constraint * apart / images[0].numel(), apart.detach()
        error = (difference.abs() * masks).sum() / masks.sum().clamp_min(1)
        return loss, log | {"error": error.detach()}

    def encoder_turn(self, images: torch.Tensor, masks: torch.Tensor, positions: torch.Tensor) -> Loss:
        """−E[D(E(x))]."""
        loss = opponent_loss(self.critic, self.encode(images))
        return loss, {"judgement": -loss.detach()}
