"""Methods with adversarial training: VAE-GAN, adversarial autoencoder and f-AnoGAN."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch.nn.functional import interpolate

from ..errors import SettingError
from ..networks.adversarial import (
    VAEGAN,
    AdversarialAutoEncoder,
    CodeEncoder,
    Generator,
    ImageCritic,
    WassersteinGAN,
    distances,
)
from ..runtime.progress import Progress
from ..scoring.restoration import Restoration
from .base import BackboneParameters, Method, SliceNetwork, check_sizes, generated_slices
from .slicewise import slice_batches


class Reconstruction(SliceNetwork):
    """Absolute reconstruction error |x − x̂|; the sample score is its mean over the brain.

    The model file contains the critic, but the score does not use it.
    """

    def _restore(self, image: np.ndarray, mask: np.ndarray, seed: int, device: str, progress: Progress) -> Restoration:
        """Score |x − x̂|, without randomness."""
        restored = image.astype(np.float32)
        network = self.network.to(device).eval()
        with torch.inference_mode():
            for chosen, batch, _ in slice_batches(image, mask, device, progress):
                restored[chosen] = network(batch)[:, 0].float().cpu().numpy()
        restored = np.where(mask, np.maximum(restored, 0), 0).astype(np.float32)
        score = np.where(mask, np.abs(image - restored), 0).astype(np.float32)
        return Restoration(score, restored, float(score[mask].mean()) if mask.any() else 0.0)


@dataclass(frozen=True)
class AdversarialAutoencoderParameters(BackboneParameters):
    """Settings of the networks.

    Attributes:
        constraint: ρ, weight of ‖z − E(x̂)‖²; 0 for the plain adversarial autoencoder.
    """

    constraint: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.constraint <= 1e6:
            raise SettingError("constraint_out_of_range")

    def network(self) -> AdversarialAutoEncoder:
        """Build the networks with random weights from torch's current seed."""
        return AdversarialAutoEncoder(self.size, self.channels, self.latent, self.constraint)


class AdversarialAutoencoder(Reconstruction):
    """Reconstruction error |x − x̂| of an autoencoder with codes distributed as N(0, I); its mean is the sample score.

    Adversarial autoencoder (Makhzani et al. 2015), by default with the constraint of Chen and Konukoglu 2018.
    """

    name = "adversarial_autoencoder"
    Parameters = AdversarialAutoencoderParameters


def objective(gan: WassersteinGAN, images: torch.Tensor, codes: torch.Tensor, gamma: float) -> torch.Tensor:
    """Compute AnoGAN's objective (1 − γ)·Σ|x − G(z)| + γ·Σ|f(x) − f(G(z))| of each slice, (N,) (Schlegl et al. 2017).

    x are slices (N, 1, Y, X), z codes (N, latent), and f the features of the critic.
    """
    generated = gan.generator(codes)
    residual = (images - generated).abs().flatten(1).sum(dim=1)
    features = (gan.critic.features(images) - gan.critic.features(generated)).abs().sum(dim=1)
    return (1 - gamma) * residual + gamma * features


def search_codes(
    gan: WassersteinGAN, images: torch.Tensor, start: torch.Tensor, steps: int, rate: float, gamma: float
) -> torch.Tensor:
    """Minimise AnoGAN's objective over the codes with Adam (Schlegl et al. 2017); return the best code of all steps.

    Generator and critic do not change. Adam scales each component of a code separately, so slices in one batch do not
    influence each other.

    Images (N, 1, Y, X) are on the generator's grid. The objective of the codes (N, latent) is at most that of `start`.
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
        resolution: Slice size (Y, X) of the networks; slices are resampled to it and the score back.
        channels: Channels of each level of encoder and critic, in reverse of the generator.
        latent: Latent size.
        kappa: κ, weight of the critic's features relative to the image, in the encoder's loss and in the sample score.
        search_steps: Steps of AnoGAN's search for the code; 0 uses the code of the encoder.
        search_from: Start of the search: a sample of N(0, I), as in AnoGAN, or the code of the encoder.
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
            raise SettingError("anogan_size")
        if not 0 <= self.kappa <= 1e6 or not 0 <= self.gamma <= 1 or not 0 < self.search_rate <= 10:
            raise SettingError("anogan_weights")
        if not 0 <= self.search_steps <= 10000:
            raise SettingError("anogan_steps")


class FAnoGAN(Method):
    """Residual |x − G(E(x))| of f-AnoGAN (Schlegl et al. 2019): encoder E, generator G of healthy slices.

    The residual is computed at the resolution of the networks, so detail that resampling loses is not an anomaly.
    Sample score: mean over slices of MSE(x, G(z)) + κ·MSE(f(x), f(G(z))), with the features f of the critic.
    """

    name = "f_anogan"
    Parameters = FAnoGANParameters

    def __init__(self, parameters: FAnoGANParameters, gan: WassersteinGAN, encoder: CodeEncoder):
        self.parameters, self.gan, self.encoder = parameters, gan, encoder

    @classmethod
    def untrained(cls, parameters: FAnoGANParameters, seed: int = 0) -> FAnoGAN:
        """Build the method with random weights from a seed."""
        p = parameters
        torch.manual_seed(seed)
        generator = Generator(p.resolution, p.channels, p.latent)
        gan = WassersteinGAN(generator, ImageCritic(p.resolution, p.channels), p.latent)
        return cls(parameters, gan, CodeEncoder(p.resolution, p.channels, p.latent))

    def networks(self) -> dict[str, torch.nn.Module]:
        """Return the networks by the prefix of their tensors."""
        return {"gan.": self.gan, "encoder.": self.encoder}

    def _restore(self, image: np.ndarray, mask: np.ndarray, seed: int, device: str, progress: Progress) -> Restoration:
        """Score |x − G(z)|; the fact ``code_distance`` is the mean of ‖E(x) − E(G(z))‖² over slices."""
        p = self.parameters
        self.gan.to(device).eval()
        self.encoder.to(device).eval()
        restored, score = image.astype(np.float32), np.zeros(image.shape, np.float32)
        samples, code_distances = [], []
        with torch.no_grad():
            for chosen, batch, _ in slice_batches(image, mask, device, progress):
                small = resampled(batch, p.resolution)
                own = self.encoder(small)
                generated = self.gan.generator(self._codes(small, own, chosen, seed))
                score[chosen] = resampled((small - generated).abs(), p.size)[:, 0].float().cpu().numpy()
                restored[chosen] = resampled(generated, p.size)[:, 0].float().cpu().numpy()
                squared, features = distances(self.gan.critic, small, generated)
                samples += (squared + p.kappa * features).tolist()
                code_distances += (own - self.encoder(generated)).square().sum(dim=1).tolist()
        facts = {"code_distance": float(np.mean(code_distances or [0.0]))}
        return Restoration(score, restored, float(np.mean(samples or [0.0])), facts)

    def prior_slices(self, count: int, columns: int, flat: bool, seed: int = 0) -> list[np.ndarray]:
        """Sample slices from the prior; see `Method.prior_slices`."""
        return generated_slices(self.gan, count, columns, seed)

    def _codes(self, images: torch.Tensor, own: torch.Tensor, chosen: np.ndarray, seed: int) -> torch.Tensor:
        """Return the codes for the generator: the encoder's or those of the search; noise depends on seed and slice."""
        p = self.parameters
        if not p.search_steps:
            return own
        start = own
        if p.search_from == "prior":
            samples = [np.random.default_rng([seed, int(index)]).normal(size=p.latent) for index in chosen]
            start = torch.from_numpy(np.array(samples, np.float32)).to(images.device)
        return search_codes(self.gan, images, start, p.search_steps, p.search_rate, p.gamma)


def resampled(images: torch.Tensor, size: tuple[int, ...]) -> torch.Tensor:
    """Resample slices (N, 1, Y, X) to another grid of the same field of view; bilinear, antialiased if coarser."""
    if tuple(images.shape[2:]) == tuple(size):
        return images
    return interpolate(images, tuple(size), mode="bilinear", align_corners=False, antialias=True)


@dataclass(frozen=True)
class VAEGANParameters(BackboneParameters):
    """Settings of the networks.

    Attributes:
        critic_channels: Channels of each level of the critic.
        adversarial: w, weight of the critic's output relative to a sum over all pixels.
    """

    critic_channels: tuple[int, ...] = (8, 16, 32, 64, 64)
    adversarial: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_sizes(self.size, self.critic_channels, self.latent)
        if not 0 <= self.adversarial <= 1e6:
            raise SettingError("critic_weight_out_of_range")

    def network(self) -> VAEGAN:
        """Build the networks with random weights from torch's current seed."""
        return VAEGAN(self.size, self.channels, self.latent, self.critic_channels, self.adversarial)


class VAEGANReconstruction(Reconstruction):
    """Reconstruction error |x − x̂| of VAE-GAN, a VAE trained against a critic of slices (Baur et al. 2018, 2021).

    The critic penalises blurred reconstructions. Sample score: the mean error over the brain.
    """

    name = "vae_gan"
    Parameters = VAEGANParameters
