"""Distance from one learned slice: a small method that shows what a new method consists of."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from ..networks.mean_image import MeanImage
from ..runtime.progress import Progress
from ..scoring.restoration import Restoration
from .base import SliceNetwork, generated_slices
from .slicewise import slice_batches


@dataclass(frozen=True)
class MeanImageParameters:
    """Settings of the method.

    Attributes:
        size: Slice size (Y, X); the training finds it.
        gain: Factor of the score.
    """

    size: tuple[int, ...] = (160, 160)
    gain: float = 1.0

    def network(self) -> MeanImage:
        """A fresh network."""
        return MeanImage(self.size)


class MeanImageDistance(SliceNetwork):
    """Score gain·|x − m| with the learned slice m; the sample score is its mean over the brain."""

    name = "mean_image"
    Parameters = MeanImageParameters

    def _restore(self, image: np.ndarray, mask: np.ndarray, seed: int, device: str, progress: Progress) -> Restoration:
        """Score gain·|x − m|."""
        restored = image.astype(np.float32)
        network = self.network.to(device).eval()
        with torch.inference_mode():
            for chosen, batch, _ in slice_batches(image, mask, device, progress):
                restored[chosen] = network(batch)[:, 0].cpu().numpy()
        score = self.parameters.gain * np.abs(image - restored)
        return Restoration(score, restored, float(score[mask].mean()))

    def prior_slices(self, count: int, columns: int, flat: bool, seed: int = 0) -> list[np.ndarray]:
        """Sample slices; see `Method.prior_slices`."""
        return generated_slices(self.network, count, columns, seed)
