"""What VAE-GAN and the adversarial autoencoder do with a scan: they differ in networks and training only."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from ..networks.adversarial_reconstruction import AdversarialReconstruction
from ..progress import Progress
from .method import Restoration
from .slicewise import load_network, network_tensors, slice_batches


class Reconstruction:
    """Absolute reconstruction error |x − x̂|; the sample score is its mean.

    Subclasses name themselves and their `Parameters`, which have a `size` and give a fresh `network()`. The critic is
    kept in the model file, but not asked when a scan is examined.
    """

    name: str
    Parameters: type

    def __init__(self, parameters: Any, network: AdversarialReconstruction):
        self.parameters, self.network = parameters, network

    @classmethod
    def untrained(cls, parameters: Any, seed: int = 0) -> Reconstruction:
        """Fresh weights from a seed."""
        torch.manual_seed(seed)
        return cls(parameters, parameters.network())

    def tensors(self) -> dict[str, np.ndarray]:
        """The network's weights."""
        return network_tensors(self.network)

    @classmethod
    def from_tensors(cls, parameters: Any, tensors: dict[str, np.ndarray]) -> Reconstruction:
        """The method of saved weights; raises ModelError where they do not fit."""
        method = cls.untrained(parameters)
        load_network(cls.name, method.network, tensors)
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
        """Score |x − x̂|, nothing of it random; see `Method.restore`."""
        restored = image.astype(np.float32)
        network = self.network.to(device).eval()
        with torch.inference_mode():
            for chosen, batch, _ in slice_batches(image, mask, device, progress):
                restored[chosen] = network(batch)[:, 0].float().cpu().numpy()
        restored = np.where(mask, np.maximum(restored, 0), 0).astype(np.float32)
        score = np.where(mask, np.abs(image - restored), 0).astype(np.float32)
        return Restoration(score, restored, float(score[mask].mean()) if mask.any() else 0.0)
