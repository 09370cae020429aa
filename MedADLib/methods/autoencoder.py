"""Slice-wise autoencoders (AE4AD, Cai et al. 2024): the reconstruction error of a small latent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import torch

from ..errors import SettingError
from ..networks.autoencoder import AutoEncoder, Variant
from ..networks.losses import SSIM_WINDOW, Loss
from ..networks.monai_export import BundleNetwork, first_outputs, sequence_in_monai
from ..runtime.progress import Progress
from ..runtime.strict_json import added
from ..scoring.restoration import Restoration
from .base import BackboneParameters, SliceNetwork
from .slicewise import slice_batches

Score = Literal["error", "gradient"]


@dataclass(frozen=True)
class AutoencoderParameters(BackboneParameters):
    """Settings of the autoencoder.

    Attributes:
        latent: Latent size d; of each grid position if spatial.
        loss: Error e: "l2", "l1", "ssim" or "perceptual"; see `losses.error_map`.
        variant: "plain", "uncertain" (AE-U), "memory" (MemAE), "spatial" or "constrained"; see `AutoEncoder`.
        score: Pixel score: the error itself, or the absolute gradient of its sum with respect to the slice (AE-grad).
        slots: Number of memory slots N.
    """

    latent: int = 32
    loss: Loss = added("l2")
    variant: Variant = added("plain")
    score: Score = added("error")
    slots: int = added(25)

    def __post_init__(self) -> None:
        super().__post_init__()
        for value, choices in ((self.loss, Loss), (self.variant, Variant), (self.score, Score)):
            if value not in get_args(choices):
                raise SettingError("setting_not_allowed", value=value, allowed=", ".join(get_args(choices)))
        if min(self.size) < SSIM_WINDOW:
            raise SettingError("slice_too_small", least=SSIM_WINDOW)
        if self.variant == "uncertain" and self.loss not in ("l2", "l1"):
            raise SettingError("uncertain_loss")
        if not 2 <= self.slots <= 4096:
            raise SettingError("memory_slots")

    def network(self) -> AutoEncoder:
        """Build the network with random weights from torch's current seed."""
        return AutoEncoder(self.size, self.channels, self.latent, self.variant, self.loss, self.slots)


class Autoencoder(SliceNetwork):
    """Reconstruction error e(x, x̂) of a bottleneck autoencoder (AE4AD, Cai et al. 2024).

    The pixel score is e, with AE-U exp(−s)·e, or |∂ Σ e / ∂x|; the sample score is its mean over the brain.
    """

    name = "autoencoder"
    Parameters = AutoencoderParameters

    def _restore(self, image: np.ndarray, mask: np.ndarray, seed: int, device: str, progress: Progress) -> Restoration:
        """Score e(x, x̂), exp(−s)·e(x, x̂) of AE-U, or |∂ Σ score / ∂x|."""
        p, network = self.parameters, self.network.to(device).eval()
        # Slices with too little brain are not examined and stay unchanged.
        restored, score = np.where(mask, image, 0).astype(np.float32), np.zeros(image.shape, np.float32)
        if (p.loss, p.score) == ("l2", "error"):
            # Here they become 0, as in the calibration of the shipped model.
            restored, score = np.zeros(image.shape, np.float32), np.square(image)
        for chosen, batch, _ in slice_batches(image, mask, device, progress):
            with torch.set_grad_enabled(p.score == "gradient"):
                batch.requires_grad_(p.score == "gradient")
                made = network.reconstruct(batch)
                if p.score == "error":
                    inside = torch.from_numpy(mask[chosen])[:, None].to(device)
                    # Score the image that is shown: no negative intensity, nothing outside the brain.
                    made = made._replace(restored=made.restored.clamp_min(0) * inside)
                pixels = network.score(batch, made)
                if p.score == "gradient":
                    pixels = torch.autograd.grad(pixels.sum(), batch)[0].abs()
            restored[chosen], score[chosen] = (
                part.detach()[:, 0].float().cpu().numpy() for part in (made.restored, pixels)
            )
        return Restoration(score, restored, float(score[mask].mean()))

    def monai_network(self) -> BundleNetwork | None:
        """Return the reconstruction x̂ of a slice as PyTorch layers; None for MemAE with its memory."""
        network = self.network
        if network.memory is not None:
            return None
        *layers, last = *network.encoder, *network.expand, *network.decoder
        return sequence_in_monai([*layers, first_outputs(last, 1)])
