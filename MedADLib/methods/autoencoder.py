"""Slice-wise autoencoder (AE4AD, Cai et al. 2024): what a small latent cannot hold is unusual."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from ..networks.autoencoder import AutoEncoder
from ..progress import Progress
from .method import Restoration
from .slicewise import load_network, network_tensors, slice_batches


@dataclass(frozen=True)
class AutoencoderParameters:
    """Settings of the autoencoder.

    Attributes:
        size: Slice size (Y, X).
        channels: Channels of each level.
        latent: Latent size d.
    """

    size: tuple[int, ...] = (160, 160)
    channels: tuple[int, ...] = (16, 32, 64, 64, 64)
    latent: int = 32

    def __post_init__(self) -> None:
        if len(self.size) != 2 or not self.channels or not 1 <= len(self.channels) <= 8:
            raise ValueError("the autoencoder needs a 2-D size and 1 to 8 levels")
        if any(n % (1 << len(self.channels)) or not 0 < n <= 1024 for n in self.size):
            raise ValueError("the slice size must be divisible by 2 to the number of levels")
        if min(self.channels) < 1 or max(self.channels) > 512 or not 1 <= self.latent <= 4096:
            raise ValueError("channels must be 1 to 512, latent 1 to 4096")
        # A model file names these sizes: the dense layer must not take more memory than the file could ever fill.
        if self.channels[-1] * self.size[0] * self.size[1] >> 2 * len(self.channels) > 1 << 15:
            raise ValueError("the grid before the latent is too large; take more levels")


class Autoencoder:
    """Squared reconstruction error of a bottleneck autoencoder; the sample score is its mean."""

    name = "autoencoder"
    Parameters = AutoencoderParameters

    def __init__(self, parameters: AutoencoderParameters, network: AutoEncoder):
        self.parameters, self.network = parameters, network

    @classmethod
    def untrained(cls, parameters: AutoencoderParameters, seed: int = 0) -> Autoencoder:
        """Fresh weights from a seed."""
        torch.manual_seed(seed)
        return cls(parameters, AutoEncoder(parameters.size, parameters.channels, parameters.latent))

    def tensors(self) -> dict[str, np.ndarray]:
        """The network's weights."""
        return network_tensors(self.network)

    @classmethod
    def from_tensors(cls, parameters: AutoencoderParameters, tensors: dict[str, np.ndarray]) -> Autoencoder:
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
        """Score (x − x̂)²; see `Method.restore`."""
        restored = np.zeros(image.shape, np.float32)
        network = self.network.to(device).eval()
        with torch.inference_mode():
            for chosen, batch, _ in slice_batches(image, mask, device, progress):
                restored[chosen] = network(batch)[:, 0].float().cpu().numpy()
        restored = np.where(mask, np.maximum(restored, 0), 0).astype(np.float32)
        score = np.where(mask, np.square(image - restored), 0).astype(np.float32)
        return Restoration(score, restored, float(score[mask].mean()))
