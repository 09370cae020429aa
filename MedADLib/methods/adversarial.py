"""Methods with adversarial training: VAE-GAN, adversarial autoencoder and f-AnoGAN.

What VAE-GAN and the adversarial autoencoder do with a scan: they differ in networks and training only.

Adversarial autoencoder (Makhzani et al. 2015), by default the constrained one (Chen and Konukoglu 2018).

AnoGAN's search (Schlegl et al. 2017) for the code whose generated picture is nearest to a slice.

f-AnoGAN (Schlegl et al. 2019): the nearest picture that a generator of healthy slices can make.

VAE-GAN (Baur et al. 2018): a variational autoencoder whose reconstructions must pass for slices.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch.nn.functional import interpolate

from ..networks.adversarial import (
    VAEGAN,
    AdversarialAutoEncoder,
    CodeEncoder,
    Generator,
    ImageCritic,
    WassersteinGAN,
    distances,
)
from ..networks.conv_autoencoder import check_sizes
from ..runtime.progress import Progress
from ..scoring.restoration import Restoration
from .base import SliceNetwork, generated_slices, load_network, network_tensors, with_prefix
from .slicewise import slice_batches

PREFIXES = ("gan.", "encoder.")


class Reconstruction(SliceNetwork):
    """Absolute reconstruction error |x − x̂|; the sample score is its mean.

    The critic is kept in the model file, but not asked when a scan is examined.
    """

    def restore(
        self,
        image: np.ndarray,
        mask: np.ndarray,
        *,
        seed: int = 0,
        device: str = "cpu",
        progress: Progress | None = None,
    ) -> Restoration:
        """Score |x − x̂|, nothing of it random; see `Method.restore`."""
        restored = image.astype(np.float32)
        network = self.network.to(device).eval()
        with torch.inference_mode():
            for chosen, batch, _ in slice_batches(image, mask, device, progress):
                restored[chosen] = network(batch)[:, 0].float().cpu().numpy()
        restored = np.where(mask, np.maximum(restored, 0), 0).astype(np.float32)
        score = np.where(mask, np.abs(image - restored), 0).astype(np.float32)
        return Restoration(score, restored, float(score[mask].mean()) if mask.any() else 0.0)

    def prior_slices(self, count: int, columns: int, flat: bool, seed: int = 0) -> list[np.ndarray]:
        """Sample slices from the prior; see `WithPrior`."""
        return generated_slices(self.network, count, columns, seed)


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


def objective(gan: WassersteinGAN, images: torch.Tensor, codes: torch.Tensor, gamma: float) -> torch.Tensor:
    """(1 − γ)·Σ|x − G(z)| + γ·Σ|f(x) − f(G(z))| of each slice, (N,), with f the features of the critic."""
    pictures = gan.generator(codes)
    apart = (images - pictures).abs().flatten(1).sum(dim=1)
    features = (gan.critic.features(images) - gan.critic.features(pictures)).abs().sum(dim=1)
    return (1 - gamma) * apart + gamma * features


def search_codes(
    gan: WassersteinGAN, images: torch.Tensor, start: torch.Tensor, steps: int, rate: float, gamma: float
) -> torch.Tensor:
    """The best code that Adam passes on its way down the objective; generator and critic stay as they are.

    Adam scales every number of a code by itself, so slices searched together do not influence each other.

    Args:
        gan: Trained.
        images: (N, 1, Y, X) on the generator's grid.
        start: Codes (N, latent).
        steps: Of Adam.
        rate: Its learning rate.
        gamma: γ.

    Returns:
        (N, latent), never worse than `start`.
    """
    with torch.enable_grad():
        codes = start.detach().clone().requires_grad_(True)
        optimizer = torch.optim.Adam([codes], lr=rate)
        best, lowest = start.clone(), torch.full((len(start),), torch.inf, device=start.device)
        for step in range(steps + 1):
            values = objective(gan, images, codes, gamma)
            better = values.detach() < lowest
            best[better], lowest = codes.detach()[better], torch.minimum(values.detach(), lowest)
            if step < steps:
                (codes.grad,) = torch.autograd.grad(values.sum(), codes)
                optimizer.step()
    return best


@dataclass(frozen=True)
class FAnoGANParameters:
    """Settings of networks and scores.

    Attributes:
        size: Slice size (Y, X) of the model's space.
        resolution: Slice size (Y, X) that the networks work at; slices are resampled to it and the score back.
        channels: Channels of each level of encoder and critic, in reverse of the generator.
        latent: Latent size.
        kappa: κ, weight of the critic's features beside the picture, in the encoder's loss and in the sample score.
        search_steps: Steps of AnoGAN's search for the code; 0 takes the encoder's.
        search_from: Where the search begins: a draw from N(0, I), which is AnoGAN, or the encoder's code.
        search_rate: Learning rate of the search.
        gamma: γ, weight of the critic's features in the search.
    """

    size: tuple[int, ...] = (160, 160)
    resolution: tuple[int, ...] = (64, 64)
    channels: tuple[int, ...] = (16, 32, 64, 128)
    latent: int = 128
    kappa: float = 1.0
    search_steps: int = 0
    search_from: Literal["prior", "encoder"] = "prior"
    search_rate: float = 0.02
    gamma: float = 0.1

    def __post_init__(self) -> None:
        check_sizes(self.resolution, self.channels, self.latent)
        if len(self.size) != 2 or any(not 0 < n <= 1024 for n in self.size):
            raise ValueError("f-AnoGAN needs a 2-D size of at most 1024")
        if not 0 <= self.kappa <= 1e6 or not 0 <= self.gamma <= 1 or not 0 < self.search_rate <= 10:
            raise ValueError("kappa must not be negative, gamma must be 0 to 1, the search's rate above 0")
        if not 0 <= self.search_steps <= 10000:
            raise ValueError("the search may have up to 10000 steps")


class FAnoGAN:
    """Score |x − G(E(x))|, at the networks' resolution: detail that resampling loses is no anomaly."""

    name = "f_anogan"
    Parameters = FAnoGANParameters

    def __init__(self, parameters: FAnoGANParameters, gan: WassersteinGAN, encoder: CodeEncoder):
        self.parameters, self.gan, self.encoder = parameters, gan, encoder

    @classmethod
    def untrained(cls, parameters: FAnoGANParameters, seed: int = 0) -> FAnoGAN:
        """Fresh weights from a seed."""
        p = parameters
        torch.manual_seed(seed)
        generator = Generator(p.resolution, p.channels, p.latent)
        gan = WassersteinGAN(generator, ImageCritic(p.resolution, p.channels), p.latent)
        return cls(parameters, gan, CodeEncoder(p.resolution, p.channels, p.latent))

    def tensors(self) -> dict[str, np.ndarray]:
        """The weights of generator, critic and encoder."""
        return network_tensors(self.gan, PREFIXES[0]) | network_tensors(self.encoder, PREFIXES[1])

    @classmethod
    def from_tensors(cls, parameters: FAnoGANParameters, tensors: dict[str, np.ndarray]) -> FAnoGAN:
        """The method of saved weights; raises ModelError where they do not fit."""
        method = cls.untrained(parameters)
        strays = {key: value for key, value in tensors.items() if not key.startswith(PREFIXES)}
        load_network(cls.name, method.gan, with_prefix(tensors, PREFIXES[0]) | strays)
        load_network(cls.name, method.encoder, with_prefix(tensors, PREFIXES[1]))
        return method

    def fits(self, shape: tuple[int, ...]) -> bool:
        """Whether scans of this shape (Z, Y, X) can be restored."""
        return tuple(shape[1:]) == tuple(self.parameters.size)

    def restore(
        self,
        image: np.ndarray,
        mask: np.ndarray,
        *,
        seed: int = 0,
        device: str = "cpu",
        progress: Progress | None = None,
    ) -> Restoration:
        """Score |x − G(z)|; see `Method.restore`.

        The sample score is the mean over slices of MSE(x, G(z)) + κ·MSE(f(x), f(G(z))). ``code_distance`` among the
        facts is the mean of ‖E(x) − E(G(z))‖².
        """
        p = self.parameters
        self.gan.to(device).eval()
        self.encoder.to(device).eval()
        restored, score = image.astype(np.float32), np.zeros(image.shape, np.float32)
        samples, code_distances = [], []
        with torch.no_grad():
            for chosen, batch, _ in slice_batches(image, mask, device, progress):
                small = resampled(batch, p.resolution)
                own = self.encoder(small)
                pictures = self.gan.generator(self._codes(small, own, chosen, seed))
                score[chosen] = resampled((small - pictures).abs(), p.size)[:, 0].float().cpu().numpy()
                restored[chosen] = resampled(pictures, p.size)[:, 0].float().cpu().numpy()
                squared, features = distances(self.gan.critic, small, pictures)
                samples += (squared + p.kappa * features).tolist()
                code_distances += (own - self.encoder(pictures)).square().sum(dim=1).tolist()
        restored = np.where(mask, np.maximum(restored, 0), 0).astype(np.float32)
        facts = {"code_distance": float(np.mean(code_distances or [0.0]))}
        score = np.where(mask, score, 0).astype(np.float32)
        return Restoration(score, restored, float(np.mean(samples or [0.0])), facts)

    def prior_slices(self, count: int, columns: int, flat: bool, seed: int = 0) -> list[np.ndarray]:
        """Sample slices from the prior; see `WithPrior`."""
        return generated_slices(self.gan, count, columns, seed)

    def _codes(self, images: torch.Tensor, own: torch.Tensor, chosen: np.ndarray, seed: int) -> torch.Tensor:
        """The codes to generate from: the encoder's, or what the search finds; noise by seed and slice."""
        p = self.parameters
        if not p.search_steps:
            return own
        start = own
        if p.search_from == "prior":
            draws = [np.random.default_rng([seed, int(index)]).normal(size=p.latent) for index in chosen]
            start = torch.from_numpy(np.array(draws, np.float32)).to(images.device)
        return search_codes(self.gan, images, start, p.search_steps, p.search_rate, p.gamma)


def resampled(images: torch.Tensor, size: tuple[int, ...]) -> torch.Tensor:
    """Slices (N, 1, Y, X) on another grid over the same field of view; bilinear, and smoothed where it is coarser."""
    if tuple(images.shape[2:]) == tuple(size):
        return images
    return interpolate(images, tuple(size), mode="bilinear", align_corners=False, antialias=True)


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
