"""What VAE-GAN and the adversarial autoencoder do with a scan: they differ in networks and training only."""

from __future__ import annotations

import numpy as np
import torch

from ..progress import Progress
from .method import Restoration
from .slice_network import SliceNetwork
from .slicewise import slice_batches


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
