"""Networks of adversarial training: generators, critics, and their losses (WGAN-GP).

The Wasserstein game with a gradient penalty (WGAN-GP): what a critic and its opponent are told.

Arjovsky et al. 2017 and Gulrajani et al. 2017: the critic D, of slope 1 almost everywhere, makes E[D(real)] −
E[D(fake)] as large as it can, which then is the Wasserstein distance of the two distributions; the opponent makes it
small. The penalty looks at the slope of every sample by itself, so a critic must not mix samples: no batch norm.

The two trainings of f-AnoGAN: a generator against a critic, then an encoder for the frozen two (izi_f).

Critics for the Wasserstein game: one number a sample, each sample by itself.

Autoencoders with a critic: of pictures (VAE-GAN, Baur et al. 2018), or of codes (AAE, Makhzani et al. 2015).

Generator: pictures out of Gaussian noise.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import chain

import torch
from torch import nn

from .alternating_optimisation import Turn
from .conv_autoencoder import ConvDecoder, ConvEncoder, Expansion, grid_of
from .vae import Normal, per_image

PENALTY = 10.0
CRITIC_STEPS = 5
BETAS = (0.0, 0.9)

Critic = Callable[[torch.Tensor], torch.Tensor]
Loss = tuple[torch.Tensor, dict[str, torch.Tensor]]


def gradient_penalty(critic: Critic, real: torch.Tensor, fake: torch.Tensor) -> torch.Tensor:
    """10 · E[(‖∇D(x̃)‖₂ − 1)²] at x̃ = εx + (1 − ε)x̂, ε ~ U(0, 1) for each sample.

    Computed in full precision, because the gradient of a gradient does not survive half of it.

    Args:
        critic: Gives one number a sample, (N,).
        real: (N, ...).
        fake: As `real`.
    """
    with torch.autocast(real.device.type, enabled=False), torch.enable_grad():
        part = torch.rand(len(real), *[1] * (real.dim() - 1), device=real.device)
        between = torch.lerp(fake.detach().float(), real.detach().float(), part).requires_grad_(True)
        (slope,) = torch.autograd.grad(critic(between).sum(), between, create_graph=True)
        # The root has no slope of its own at 0.
        steepness = slope.flatten(1).square().sum(dim=1).add(1e-12).sqrt()
        return PENALTY * (steepness - 1).square().mean()


def critic_loss(critic: Critic, real: torch.Tensor, fake: torch.Tensor) -> Loss:
    """E[D(fake)] − E[D(real)] + gradient penalty; nothing of it reaches what made `fake`.

    Args:
        critic: Gives one number a sample, (N,).
        real: (N, ...).
        fake: As `real`.

    Returns:
        The loss, and ``wasserstein`` (the distance as the critic sees it) and ``penalty``.
    """
    distance = critic(real.detach()).float().mean() - critic(fake.detach()).float().mean()
    penalty = gradient_penalty(critic, real, fake)
    return penalty - distance, {"wasserstein": distance.detach(), "penalty": penalty.detach()}


def opponent_loss(critic: Critic, fake: torch.Tensor) -> torch.Tensor:
    """−E[D(fake)], for what made `fake`."""
    return -critic(fake).float().mean()


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


class ImageCritic(nn.Module):
    """Judges slices, and lends f-AnoGAN the features that it judges by.

    Strided convolutions (kernel 4) with leaky ReLU and layer norm, then one dense layer. The first convolution has no
    norm, or a slice's brightness would be lost before it is seen.

    Args:
        size: Slice size (Y, X), both divisible by 2 to the number of levels.
        channels: Channels of each level; every level halves the grid.
    """

    def __init__(self, size: Sequence[int], channels: Sequence[int]):
        super().__init__()
        layers: list[nn.Module] = []
        before = 1
        for after in channels:
            norm = [nn.GroupNorm(1, after)] if layers else []
            layers += [nn.Conv2d(before, after, 4, 2, 1), *norm, nn.LeakyReLU(0.2)]
            before = after
        channel, rows, columns = grid_of(size, channels)
        self.body = nn.Sequential(*layers, nn.Flatten())
        self.head = nn.Linear(channel * rows * columns, 1)

    def features(self, images: torch.Tensor) -> torch.Tensor:
        """f(x), the last activations before the judgement, (N, features)."""
        return self.body(images)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Judgement of slices (N, 1, Y, X), as (N,)."""
        return self.head(self.features(images))[:, 0]


class CodeCritic(nn.Sequential):
    """Judges codes (N, latent), as (N,): two hidden layers with leaky ReLU.

    Args:
        latent: Length of a code.
        width: Of the hidden layers.
    """

    def __init__(self, latent: int, width: int = 256):
        layers = [nn.Linear(latent, width), nn.LeakyReLU(0.2), nn.Linear(width, width), nn.LeakyReLU(0.2)]
        super().__init__(*layers, nn.Linear(width, 1), nn.Flatten(0))


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


class Generator(nn.Sequential):
    """G(z): codes (N, latent) to slices (N, 1, Y, X).

    The decoder of the autoencoders, without batch norm: a picture depends on its own code only, and the critic's turn,
    which looks at generated pictures, leaves nothing behind in the generator.

    Args:
        size: Slice size (Y, X), both divisible by 2 to the number of levels.
        channels: Of a critic's levels, in the critic's order.
        latent: Length of a code.
    """

    def __init__(self, size: Sequence[int], channels: Sequence[int], latent: int):
        expansion = Expansion(size, channels, latent, norm="none", act="leaky")
        super().__init__(expansion, ConvDecoder(channels, norm="none", act="leaky"))
