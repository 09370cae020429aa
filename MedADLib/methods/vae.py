"""Slice-wise variational autoencoder with the scores of Zimmerer et al. 2019: reconstruction, KL and its gradient."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import torch

from ..entries import added
from ..networks.backbone import check_sizes
from ..networks.pixel_error import Error, check_centres
from ..networks.vae import VAE
from ..progress import Progress
from .kl_gradient import kl_gradient, smoothed
from .method import Restoration
from .slice_network import SliceNetwork
from .slicewise import slice_batches

SCALE_PERCENTILE = 99


@dataclass(frozen=True)
class VAEParameters:
    """Settings of network and scores.

    Attributes:
        size: Slice size (Y, X).
        channels: Channels of each level.
        latent: Latent size.
        kl_weight: β; weighs the mean KL of a latent against the mean error of a pixel, see `VAE`. At the .005 of
            MedIAnomaly's VAE brains of 160×160 keep 20 nats and are blurred; at .0005 they keep 70. With a categorical
            error and 128 latents, .005 is the ELBO itself.
        error: "l2", "l1", or "categorical": the cross-entropy of intensity classes, see `PixelError`.
        score: Of pixels: the reconstruction's error, the KL-gradient, or their product.
        sample_score: Of scans: the error, the KL, or the energy (error and β·KL, which is −ELBO but for scale and
            offset); per slice, as means of a pixel, a latent, and a pixel.
        over_slices: Whether the sample score is the mean over slices or the largest.
        gradient_scale: What the smoothed KL-gradient is divided by: a high percentile on healthy scans. It is a fixed
            number, since the usual scaling by minimum and maximum of a batch makes maps incomparable.
        centres: Intensities of the classes of a categorical error. The first is 0, the class of the background, so
            that a hole in a brain is unusual too; the others are of healthy brains.
    """

    size: tuple[int, ...] = (160, 160)
    channels: tuple[int, ...] = (16, 32, 64, 64, 64)
    latent: int = 128
    kl_weight: float = 0.0005
    error: Error = "l2"
    score: Literal["reconstruction", "kl_gradient", "product"] = "reconstruction"
    sample_score: Literal["reconstruction", "kl", "elbo"] = "kl"
    over_slices: Literal["mean", "max"] = "mean"
    gradient_scale: float = 1.0
    centres: tuple[float, ...] = added(())

    def __post_init__(self) -> None:
        check_sizes(self.size, self.channels, self.latent)
        check_centres(self.error, self.centres)
        if not 0 < self.kl_weight <= 1e3 or not 0 < self.gradient_scale < np.inf:
            raise ValueError("the KL weight must be above 0, at most 1000, and the gradient's scale positive")

    def network(self) -> VAE:
        """A fresh network."""
        return VAE(self.size, self.channels, self.latent, self.kl_weight, self.error, centres=self.centres)


class VariationalAutoencoder(SliceNetwork):
    """What healthy latents cannot draw, or what pulls a slice's latents away from those of healthy ones, is unusual.

    Zimmerer et al. 2019, on the VAE of Kingma and Welling 2014. Pixel score: e(x, x̂), |∂ KL(q(z|x) ‖ N(0, I)) / ∂x|
    smoothed, or their product. Sample score: mean e, mean KL, or mean e + β·mean KL, which is −ELBO but for scale.
    """

    name = "vae"
    Parameters = VAEParameters

    def restore(
        self,
        image: np.ndarray,
        mask: np.ndarray,
        *,
        seed: int = 0,
        device: str = "cpu",
        progress: Progress | None = None,
    ) -> Restoration:
        """Score the error e, the smoothed |∂KL/∂x|, or their product, always with z = μ; see `Method.restore`."""
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
        restored = np.where(mask, np.maximum(restored, 0), 0).astype(np.float32)
        pool = np.mean if p.over_slices == "mean" else np.max
        found = {name: float(pool(values)) if values else 0.0 for name, values in samples.items()}
        return Restoration(np.where(mask, score, 0).astype(np.float32), restored, found[p.sample_score], found)

    def with_gradient_scale(
        self, scans: Sequence[tuple[np.ndarray, np.ndarray]], device: str = "cpu", progress: Progress | None = None
    ) -> VariationalAutoencoder:
        """The method with the scale of the KL-gradient from pairs of image and mask of healthy scans."""
        unscaled = type(self)(replace(self.parameters, score="kl_gradient", gradient_scale=1.0), self.network)
        values = [unscaled.restore(image, mask, device=device, progress=progress).score[mask] for image, mask in scans]
        scale = float(np.percentile(np.concatenate(values), SCALE_PERCENTILE))
        return type(self)(replace(self.parameters, gradient_scale=float(f"{max(scale, 1e-12):.6g}")), self.network)
