"""Variational autoencoder, context encoder and ceVAE with the scores of Zimmerer et al. 2019."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Literal

import numpy as np
import torch
from torch.nn.functional import conv2d

from ..errors import SettingError
from ..networks.monai_export import BundleNetwork, first_outputs, image_layers, sequence_in_monai
from ..networks.pixel_error import Error
from ..networks.vae import VAE, Holes
from ..runtime.progress import Progress
from ..runtime.strict_json import added
from ..scoring.restoration import Restoration
from .base import BackboneParameters, SliceNetwork, check_centres
from .slicewise import slice_batches

WINDOW, SIGMA = 7, 3.0

SCALE_PERCENTILE = 99


def kl_gradient(network: VAE, images: torch.Tensor) -> torch.Tensor:
    """Compute |∂KL(q(z|x) ‖ p(z))/∂x| of slices (N, 1, Y, X), in nats per standard intensity (Zimmerer et al. 2019).

    The network is in eval mode, so that slices of a batch are independent; the latents are the posterior means.
    """
    with torch.enable_grad():
        images = images.detach().requires_grad_()
        (gradient,) = torch.autograd.grad(network.divergence(images).sum(), images)
    return gradient.abs()


def smoothed(values: torch.Tensor, masks: torch.Tensor) -> torch.Tensor:
    """Smooth with a Gaussian of 7×7 pixels and σ = 3, normalised within the masks so that a constant stays constant.

    Zimmerer et al. 2019 smooth slices of 64×64. Here too, the window is in pixels, whatever their size; the pooling of
    the calibration is in mm.

    Args:
        values: (N, 1, Y, X).
        masks: Valid pixels, bool or 0 and 1, (N, 1, Y, X).

    Returns:
        (N, 1, Y, X), 0 outside the masks.
    """
    masks = masks.to(values)
    profile = torch.arange(WINDOW, dtype=values.dtype, device=values.device) - WINDOW // 2
    profile = (-profile.square() / (2 * SIGMA**2)).exp()
    kernel = (profile[:, None] * profile / profile.sum() ** 2)[None, None]
    weights = conv2d(masks, kernel, padding=WINDOW // 2).clamp_min(1e-6)
    return conv2d(values * masks, kernel, padding=WINDOW // 2) / weights * masks


@dataclass(frozen=True)
class VAEParameters(BackboneParameters):
    """Settings of network and scores.

    Attributes:
        kl_weight: β, weight of the mean KL of a latent relative to the mean error of a pixel; see `VAE`. At the .005
            of MedIAnomaly's VAE, brains of 160×160 keep 20 nats and are blurred; at .0005 they keep 70 nats. With a
            categorical error and 128 latents, .005 gives the ELBO itself.
        error: "l2", "l1", or "categorical": the cross-entropy of intensity classes, see `PixelError`.
        score: Pixel score: the reconstruction error, the KL-gradient, or their product.
        sample_score: Sample score: the error, the KL, or the energy (error and β·KL, which is −ELBO up to scale and
            offset); of each slice, as the mean per pixel, per latent, and per pixel.
        over_slices: Whether the sample score is the mean over slices or their maximum.
        gradient_scale: Divisor of the smoothed KL-gradient: a high percentile on healthy scans. It is fixed, because
            the usual scaling by minimum and maximum of a batch makes maps incomparable.
        centres: Intensities of the classes of a categorical error. The first is 0, the class of the background, so
            that a hole in a brain is anomalous too; the others are of healthy brains.
    """

    kl_weight: float = 0.0005
    error: Error = "l2"
    score: Literal["reconstruction", "kl_gradient", "product"] = "reconstruction"
    sample_score: Literal["reconstruction", "kl", "elbo"] = "kl"
    over_slices: Literal["mean", "max"] = "mean"
    gradient_scale: float = 1.0
    centres: tuple[float, ...] = added(())

    found: ClassVar[tuple[str, ...]] = ("size", "centres", "gradient_scale")

    def __post_init__(self) -> None:
        super().__post_init__()
        check_centres(self.error, self.centres)
        if not 0 < self.kl_weight <= 1e3 or not 0 < self.gradient_scale < np.inf:
            raise SettingError("vae_weights")

    def network(self) -> VAE:
        """Build the network with random weights from torch's current seed."""
        return VAE(self.size, self.channels, self.latent, self.kl_weight, self.error, centres=self.centres)


class VariationalAutoencoder(SliceNetwork):
    """VAE (Kingma and Welling 2014) with the scores of Zimmerer et al. 2019: error, KL-gradient or their product.

    Pixel score: e(x, x̂), the smoothed |∂ KL(q(z|x) ‖ N(0, I)) / ∂x|, or their product. Sample score: mean e, mean KL,
    or mean e + β·mean KL, which is −ELBO up to scale.
    """

    name = "vae"
    Parameters = VAEParameters

    def _restore(self, image: np.ndarray, mask: np.ndarray, seed: int, device: str, progress: Progress) -> Restoration:
        """Score the error e, the smoothed |∂KL/∂x|, or their product, with z = μ."""
        p = self.parameters
        network = self.network.to(device).eval()
        restored, score = image.astype(np.float32), np.zeros(image.shape, np.float32)
        samples: dict[str, list[float]] = {"reconstruction": [], "kl": [], "elbo": []}
        for chosen, batch, _ in slice_batches(image, mask, device, progress):
            with torch.no_grad():
                terms = network.terms(batch)
            pixels = torch.ones_like(batch)
            if p.score != "kl_gradient":
                pixels = pixels * terms.errors
            if p.score != "reconstruction":
                inside = torch.from_numpy(mask[chosen])[:, None].to(device)
                pixels = pixels * smoothed(kl_gradient(network, batch), inside) / p.gradient_scale
            restored[chosen], score[chosen] = (part[:, 0].float().cpu().numpy() for part in (terms.restored, pixels))
            error, divergence = terms.error / network.pixels, terms.divergence / network.latents
            samples["reconstruction"] += error.tolist()
            samples["kl"] += divergence.tolist()
            samples["elbo"] += (error + p.kl_weight * divergence).tolist()
        pool = np.mean if p.over_slices == "mean" else np.max
        found = {name: float(pool(values)) if values else 0.0 for name, values in samples.items()}
        return Restoration(score, restored, found[p.sample_score], found)

    def alternative_scores(self) -> dict[str, VariationalAutoencoder]:
        """Return each other pixel score with the sample score that belongs to it; needs a trained KL term."""
        if self.network.context >= 1:
            return {}
        p = self.parameters
        pairs = (("reconstruction", "reconstruction"), ("kl_gradient", "kl"), ("product", "elbo"))
        return {
            f"{score}, sample {sample}".replace("kl_gradient", "KL gradient").replace(" kl", " KL"): type(self)(
                replace(p, score=score, sample_score=sample), self.network
            )
            for score, sample in pairs
            if (score, sample) != (p.score, p.sample_score)
        }

    def with_gradient_scale(
        self, scans: Sequence[tuple[np.ndarray, np.ndarray]], device: str = "cpu", progress: Progress | None = None
    ) -> VariationalAutoencoder:
        """Return the method with the scale of the KL-gradient found on healthy scans, image and mask (Z, Y, X)."""
        unscaled = type(self)(replace(self.parameters, score="kl_gradient", gradient_scale=1.0), self.network)
        values = [unscaled.restore(image, mask, device=device, progress=progress).score[mask] for image, mask in scans]
        scale = float(np.percentile(np.concatenate(values), SCALE_PERCENTILE))
        return type(self)(replace(self.parameters, gradient_scale=float(f"{max(scale, 1e-12):.6g}")), self.network)

    def monai_network(self) -> BundleNetwork:
        """Return the reconstruction of a slice with z = μ, as PyTorch layers."""
        network = self.network
        *layers, moments = network.encoder
        means = first_outputs(moments, network.shape[0])
        return sequence_in_monai([*layers, means, *network.expand, *network.decoder, *image_layers(network.compare)])


@dataclass(frozen=True)
class ContextVAEParameters(VAEParameters):
    """Settings of ceVAE, by default those of Zimmerer et al. 2018.

    Attributes:
        kl_weight: β, with mean errors and mean KL.
        error: L1.
        score: The product of error and KL-gradient.
        sample_score: Error and β·KL of a slice.
        over_slices: The maximum over slices.
        context: c, the share of the loss on slices with holes; 0 is the VAE.
        fewest_holes: Smallest number of holes in a slice.
        most_holes: Largest number of holes in a slice.
        smallest_hole: Smallest side, as a fraction of the slice's shorter side.
        largest_hole: Largest side, as a fraction of the slice's shorter side.
    """

    kl_weight: float = 0.01
    error: Error = "l1"
    score: Literal["reconstruction", "kl_gradient", "product"] = "product"
    sample_score: Literal["reconstruction", "kl", "elbo"] = "elbo"
    over_slices: Literal["mean", "max"] = "max"
    context: float = 0.5
    fewest_holes: int = 0
    most_holes: int = 3
    smallest_hole: float = 0.0
    largest_hole: float = 0.5

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.context <= 1:
            raise SettingError("context_share")
        fewest, most = self.fewest_holes, self.most_holes
        if not 0 <= fewest <= most <= 16 or not 0 <= self.smallest_hole <= self.largest_hole <= 1:
            raise SettingError("hole_settings")

    def holes(self) -> Holes:
        """Return the distribution of the holes."""
        return Holes(self.fewest_holes, self.most_holes, self.smallest_hole, self.largest_hole)

    def network(self) -> VAE:
        """Build the network with random weights from torch's current seed."""
        sizes = self.size, self.channels, self.latent, self.kl_weight, self.error
        return VAE(*sizes, context=self.context, holes=self.holes(), centres=self.centres)


@dataclass(frozen=True)
class ContextEncoderParameters(ContextVAEParameters):
    """Settings of the context encoder: 1 to 3 squares of 20 pixels in 128 (Pathak et al. 2016; Baur et al. 2021).

    The loss covers the whole slice, so that the network also learns to reconstruct pixels outside the holes.

    Attributes:
        error: L2.
        score: The error; the latents have no prior and therefore no KL.
        sample_score: The mean error.
        over_slices: The mean over slices.
        context: 1; the loss is on slices with holes only.
        fewest_holes: 1.
        smallest_hole: 20/128.
        largest_hole: 20/128.
    """

    error: Error = "l2"
    score: Literal["reconstruction"] = "reconstruction"
    sample_score: Literal["reconstruction"] = "reconstruction"
    over_slices: Literal["mean", "max"] = "mean"
    context: float = 1.0
    fewest_holes: int = 1
    smallest_hole: float = 20 / 128
    largest_hole: float = 20 / 128

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.context != 1:
            raise SettingError("context_without_mixture")


class ContextVAE(VariationalAutoencoder):
    """ceVAE (Zimmerer et al. 2018): a VAE that also learns to fill holes; error weighted by the KL-gradient.

    Pixel score: |x − x̂| ⊙ |∂ KL(q(z|x) ‖ N(0, I)) / ∂x|. Sample score: the maximum over slices of mean |x − x̂| + β·KL.
    """

    name = "cevae"
    Parameters = ContextVAEParameters


class ContextEncoder(VariationalAutoencoder):
    """Reconstruction error e(x, x̂) of a context encoder, a network that learns to fill holes (Pathak et al. 2016).

    Sample score: its mean over the slices.
    """

    name = "context_encoder"
    Parameters = ContextEncoderParameters

    def prior_slices(self, count: int, columns: int, flat: bool, seed: int = 0) -> list[np.ndarray]:
        """Return nothing: the latents have no prior."""
        return []
