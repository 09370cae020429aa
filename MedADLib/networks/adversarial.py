"""Networks of adversarial training with WGAN-GP: critics, generator, f-AnoGAN's encoder, VAE-GAN and AAE.

WGAN-GP (Arjovsky et al. 2017; Gulrajani et al. 2017): the critic D, with gradient norm 1 almost everywhere, maximises
E[D(real)] − E[D(fake)]. The maximum is the Wasserstein distance of the two distributions, and the generator minimises
it. The penalty uses the gradient of each sample separately, so a critic must not mix samples: no batch norm.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import chain

import torch
from torch import nn

from .alternating_optimisation import Objective
from .conv_autoencoder import ConvDecoder, ConvEncoder, Expansion, grid_of
from .losses import brain_mean
from .vae import Normal, per_image

PENALTY = 10.0
CRITIC_STEPS = 5
BETAS = (0.0, 0.9)

Critic = Callable[[torch.Tensor], torch.Tensor]
Loss = tuple[torch.Tensor, dict[str, torch.Tensor]]


def gradient_penalty(critic: Critic, real: torch.Tensor, fake: torch.Tensor) -> torch.Tensor:
    """Compute 10 · E[(‖∇D(x̃)‖₂ − 1)²] at x̃ = εx + (1 − ε)x̂, ε ~ U(0, 1) for each sample (Gulrajani et al. 2017).

    Computed in float32, because second derivatives are too inaccurate in half precision.

    Args:
        critic: Returns one number for each sample, (N,).
        real: x, (N, ...).
        fake: x̂, the same shape.

    Returns:
        A scalar.
    """
    with torch.autocast(real.device.type, enabled=False), torch.enable_grad():
        part = torch.rand(len(real), *[1] * (real.dim() - 1), device=real.device)
        between = torch.lerp(fake.detach().float(), real.detach().float(), part).requires_grad_(True)
        (slope,) = torch.autograd.grad(critic(between).sum(), between, create_graph=True)
        # The square root has no finite derivative at 0.
        steepness = slope.flatten(1).square().sum(dim=1).add(1e-12).sqrt()
        return PENALTY * (steepness - 1).square().mean()


def critic_loss(critic: Critic, real: torch.Tensor, fake: torch.Tensor) -> Loss:
    """Compute the critic's loss E[D(fake)] − E[D(real)] + gradient penalty, without gradients to the generator.

    Args:
        critic: Returns one number for each sample, (N,).
        real: (N, ...).
        fake: The same shape.

    Returns:
        The loss, and ``wasserstein`` (the critic's estimate of the distance) and ``penalty``.
    """
    distance = critic(real.detach()).float().mean() - critic(fake.detach()).float().mean()
    penalty = gradient_penalty(critic, real, fake)
    return penalty - distance, {"wasserstein": distance.detach(), "penalty": penalty.detach()}


def opponent_loss(critic: Critic, fake: torch.Tensor) -> torch.Tensor:
    """Compute −E[D(fake)], the loss of the network that made `fake`."""
    return -critic(fake).float().mean()


class WassersteinGAN(nn.Module):
    """Generator and critic, trained alternately with WGAN-GP (Gulrajani et al. 2017).

    Args:
        generator: Maps codes (N, latent) to samples.
        critic: Maps samples to (N,); no batch norm.
        latent: Length of a code; codes are N(0, I).
        critic_steps: Optimizer steps of the critic before one of the generator.
    """

    def __init__(self, generator: nn.Module, critic: nn.Module, latent: int, critic_steps: int = CRITIC_STEPS):
        super().__init__()
        self.generator, self.critic = generator, critic
        self.latent, self.critic_steps = latent, critic_steps

    def objectives(self) -> tuple[Objective, Objective]:
        """Alternate between several steps of the critic and one of the generator; Adam with betas (0, 0.9)."""
        return (
            Objective("critic", self.critic.parameters(), self.critic_loss, repeat=self.critic_steps, betas=BETAS),
            Objective("generator", self.generator.parameters(), self.generator_loss, betas=BETAS),
        )

    def generate(self, like: torch.Tensor) -> torch.Tensor:
        """Generate samples of random codes, as many as `like` and on its device."""
        return self.generator(torch.randn(len(like), self.latent, device=like.device))

    def sample_prior(self, count: int, noise: torch.Generator) -> torch.Tensor:
        """Generate (count, 1, Y, X) from codes sampled from N(0, I)."""
        return self.generator(torch.randn(count, self.latent, generator=noise))

    def critic_loss(self, real: torch.Tensor, *_: torch.Tensor) -> Loss:
        """Compute E[D(G(z))] − E[D(x)] + penalty."""
        with torch.no_grad():
            fake = self.generate(real)
        return critic_loss(self.critic, real, fake)

    def generator_loss(self, real: torch.Tensor, *_: torch.Tensor) -> Loss:
        """Compute −E[D(G(z))]."""
        loss = opponent_loss(self.critic, self.generate(real))
        return loss, {"judgement": -loss.detach()}


class CodeEncoder(nn.Sequential):
    """Encoder E(x) of f-AnoGAN: slices (N, 1, Y, X) to codes (N, latent) in [−1, 1].

    The tanh is that of f-AnoGAN (Schlegl et al. 2019): codes come from the centre of N(0, I) only, where generated
    images are most typical.

    Args:
        size: Slice size (Y, X).
        channels: Channels of each level.
        latent: Length of a code.
    """

    def __init__(self, size: Sequence[int], channels: Sequence[int], latent: int):
        super().__init__(ConvEncoder(size, channels, latent), nn.Tanh())


class IziF(nn.Module):
    """Training objective izi_f of f-AnoGAN's encoder, for the mapping image → z → image (Schlegl et al. 2019).

    L = mean (x − G(E(x)))² + κ · mean (f(x) − f(G(E(x))))², with f the features of the critic. Generator and critic
    are frozen; gradients pass through them.

    Args:
        gan: Trained generator and critic; requires_grad is set to False.
        encoder: Encoder to train.
        kappa: κ.
    """

    def __init__(self, gan: WassersteinGAN, encoder: nn.Module, kappa: float):
        super().__init__()
        self.gan, self.encoder, self.kappa = gan.requires_grad_(False), encoder, kappa

    def loss(self, images: torch.Tensor, *_: torch.Tensor) -> Loss:
        """Compute the loss L, and its parts ``squared_error`` and ``feature_error``."""
        restored = self.gan.generator(self.encoder(images))
        squared, features = (part.mean() for part in distances(self.gan.critic, images, restored))
        log = {"squared_error": squared.detach(), "feature_error": features.detach()}
        return squared + self.kappa * features, log


def distances(critic: nn.Module, images: torch.Tensor, restored: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Compute the mean squared errors of each slice, (N,) each: of the image, and of the critic's features."""
    squared = (images - restored.float()).square().flatten(1).mean(dim=1)
    features = (critic.features(images) - critic.features(restored)).float().square().mean(dim=1)
    return squared, features


class ImageCritic(nn.Module):
    """Critic of slices, which also provides the features f for f-AnoGAN.

    Strided convolutions (kernel 4) with leaky ReLU and layer norm, then one dense layer. The first convolution has no
    norm, because normalisation there would remove the brightness of a slice.

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
        """Compute f(x), the activations before the last layer, (N, features)."""
        return self.body(images)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Compute D(x) of slices (N, 1, Y, X), as (N,)."""
        return self.head(self.features(images))[:, 0]


class CodeCritic(nn.Sequential):
    """Critic of codes (N, latent), with result (N,): two hidden layers with leaky ReLU."""

    def __init__(self, latent: int, width: int = 256):
        layers = [nn.Linear(latent, width), nn.LeakyReLU(0.2), nn.Linear(width, width), nn.LeakyReLU(0.2)]
        super().__init__(*layers, nn.Linear(width, 1), nn.Flatten(0))


class AdversarialReconstruction(nn.Module):
    """Base class of VAE-GAN and the adversarial autoencoder: encoder, decoder, critic, and their alternating steps.

    Without batch norm: Baur et al. 2021 report results without it, and a step of the critic, which needs codes or
    reconstructions, must not change the autoencoder's statistics.

    Args:
        size: Slice size (Y, X), both divisible by 2 to the number of levels.
        channels: Channels of each level; every level halves the grid.
        latent: Length of a code.
        out: Outputs of the encoder; twice the length of a code for a mean and a variance.
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
        """Encode slices (N, 1, Y, X) to the codes (N, latent) of their reconstruction."""
        return self.encoder(images)

    def decode(self, codes: torch.Tensor) -> torch.Tensor:
        """Decode codes (N, latent) to slices (N, 1, Y, X)."""
        return self.decoder(self.expansion(codes))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Reconstruct slices (N, 1, Y, X)."""
        return self.decode(self.encode(images))

    def sample_prior(self, count: int, noise: torch.Generator) -> torch.Tensor:
        """Decode codes sampled from N(0, I), to (count, 1, Y, X)."""
        return self.decode(torch.randn(count, self.latent, generator=noise))

    def objectives(self) -> tuple[Objective, ...]:
        """Alternate between five steps of the critic, Adam with betas (0, 0.9), and one of encoder and decoder."""
        return (
            Objective("critic", self.critic.parameters(), self.critic_loss, repeat=CRITIC_STEPS, betas=BETAS),
            Objective("autoencoder", self.own_parameters(), self.autoencoder_loss),
        )

    def own_parameters(self) -> Iterator[nn.Parameter]:
        """Iterate over the parameters of encoder and decoder."""
        return chain(*(part.parameters() for part in (self.encoder, self.expansion, self.decoder)))


class VAEGAN(AdversarialReconstruction):
    """VAE-GAN (Baur et al. 2018, in WGAN-GP form): a VAE with a critic of its reconstructions.

    L = E[Σ|x − x̂| + KL(q(z|x) ‖ N(0, I)) − w · D(x̂)], divided by the number of pixels so that the learning rate does
    not depend on the slice size. At the weight w = 1 of the recipe, a critic with gradient norm 1 contributes little
    compared with a sum over all pixels.

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
        """Return the mean of q(z|x), (N, latent)."""
        return Normal.of(self.encoder(images)).mean

    def sample(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Reconstruct x̂ (N, 1, Y, X) from codes z ~ q(z|x); also return KL(q(z|x) ‖ N(0, I)) of each slice, (N,)."""
        posterior = Normal.of(self.encoder(images))
        return self.decode(posterior.at(torch.randn_like)), per_image(posterior.divergence_from_standard())

    def critic_loss(self, images: torch.Tensor, masks: torch.Tensor, positions: torch.Tensor) -> Loss:
        """Compute the critic's loss with slices as real and reconstructions as fake samples."""
        with torch.no_grad():
            restored, _ = self.sample(images)
        return critic_loss(self.critic, images, restored)

    def autoencoder_loss(self, images: torch.Tensor, masks: torch.Tensor, positions: torch.Tensor) -> Loss:
        """Compute L, and ``error`` (mean absolute error per brain pixel), ``kl`` and ``judgement`` (E[D(x̂)])."""
        restored, kl = self.sample(images)
        difference = (restored.float() - images).abs()
        judged = opponent_loss(self.critic, restored)
        loss = difference.mean() + (kl.mean() + self.adversarial * judged) / images[0].numel()
        error = brain_mean(difference, masks)
        return loss, {"error": error.detach(), "kl": kl.mean().detach(), "judgement": -judged.detach()}


class AdversarialAutoEncoder(AdversarialReconstruction):
    """Adversarial autoencoder (Makhzani et al. 2015), by default constrained (Chen and Konukoglu 2018).

    A critic compares codes with samples of N(0, I). Encoder and decoder minimise E[‖x − x̂‖² + ρ‖z − E(x̂)‖²], z = E(x),
    divided by the number of pixels; the constraint keeps a reconstruction near its slice in the code space, so that the
    code of a slice with a lesion is near that of the healthy slice. Then the encoder alone minimises −E[D(z)]. The two
    steps have separate optimisers, as in Makhzani et al. 2015, so that no weight between the losses is needed.

    Args:
        size: Slice size (Y, X).
        channels: Channels of each level.
        latent: Length of a code.
        constraint: ρ; 0 for the plain adversarial autoencoder.
    """

    def __init__(self, size: Sequence[int], channels: Sequence[int], latent: int, constraint: float = 1.0):
        super().__init__(size, channels, latent, latent, CodeCritic(latent))
        self.constraint = constraint

    def objectives(self) -> tuple[Objective, ...]:
        """Alternate between five steps of the critic, one of encoder and decoder, and one of the encoder."""
        return (*super().objectives(), Objective("encoder", self.encoder.parameters(), self.encoder_loss, betas=BETAS))

    def critic_loss(self, images: torch.Tensor, masks: torch.Tensor, positions: torch.Tensor) -> Loss:
        """Compute the critic's loss with samples of N(0, I) as real and codes as fake samples."""
        with torch.no_grad():
            codes = self.encode(images).float()
        return critic_loss(self.critic, torch.randn_like(codes), codes)

    def autoencoder_loss(self, images: torch.Tensor, masks: torch.Tensor, positions: torch.Tensor) -> Loss:
        """Compute the loss, and ``error`` (mean absolute error per brain pixel) and ``constraint``, ‖z − E(x̂)‖²."""
        codes = self.encode(images)
        restored = self.decode(codes)
        difference = restored.float() - images
        loss, log = difference.square().mean(), {}
        if self.constraint:
            apart = (codes - self.encode(restored)).float().square().sum(dim=1).mean()
            loss, log["constraint"] = loss + self.constraint * apart / images[0].numel(), apart.detach()
        error = brain_mean(difference.abs(), masks)
        return loss, log | {"error": error.detach()}

    def encoder_loss(self, images: torch.Tensor, masks: torch.Tensor, positions: torch.Tensor) -> Loss:
        """Compute −E[D(E(x))]."""
        loss = opponent_loss(self.critic, self.encode(images))
        return loss, {"judgement": -loss.detach()}


class Generator(nn.Sequential):
    """Generator G(z): codes (N, latent) to slices (N, 1, Y, X).

    The decoder of the autoencoders, without batch norm: an image depends on its own code only, and a step of the
    critic, which needs generated images, does not change the generator's statistics.

    Args:
        size: Slice size (Y, X), both divisible by 2 to the number of levels.
        channels: Channels of the critic's levels, in the critic's order.
        latent: Length of a code.
    """

    def __init__(self, size: Sequence[int], channels: Sequence[int], latent: int):
        expansion = Expansion(size, channels, latent, norm="none", act="leaky")
        super().__init__(expansion, ConvDecoder(channels, norm="none", act="leaky"))
