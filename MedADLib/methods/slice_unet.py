"""What the methods with a U-Net for slices share: settings, weights, and a pass over the slices of a scan."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch

from ..networks.unet import GROUPS, UNet
from ..progress import Progress
from .slice_network import SliceNetwork
from .slicewise import slice_batches


@dataclass(frozen=True)
class SliceUNetParameters:
    """Settings of a U-Net for slices.

    Attributes:
        size: Slice size (Y, X).
        channels: Channels of each level; all levels but the first halve the grid.
    """

    size: tuple[int, ...] = (160, 160)
    channels: tuple[int, ...] = (16, 32, 64, 128, 128)

    def __post_init__(self) -> None:
        if len(self.size) != 2 or not 1 <= len(self.channels) <= 8:
            raise ValueError("the U-Net needs a 2-D size and 1 to 8 levels")
        if any(n % (1 << len(self.channels) - 1) or not 0 < n <= 1024 for n in self.size):
            raise ValueError("the slice size must be divisible by 2 to the number of levels less one")
        # A model file names these sizes: networks must not take more memory than the file could ever fill.
        if any(n % GROUPS or not 0 < n <= 512 for n in self.channels):
            raise ValueError(f"channels must be multiples of {GROUPS} up to 512")


class SliceUNet(SliceNetwork):
    """A method whose one network is a U-Net with a `predict`; its subclasses say what that predicts."""

    Network: ClassVar[type[UNet]]

    @classmethod
    def untrained(cls, parameters: SliceUNetParameters, seed: int = 0) -> SliceUNet:
        """Fresh weights from a seed."""
        torch.manual_seed(seed)
        return cls(parameters, cls.Network(tuple(parameters.channels)))

    def predictions(
        self, image: np.ndarray, mask: np.ndarray, device: str, progress: Progress | None
    ) -> Iterator[tuple[np.ndarray, torch.Tensor, torch.Tensor, torch.Tensor]]:
        """Pass the slices of a prepared scan through the network.

        Args:
            image: Standard intensities, (Z, Y, X).
            mask: Brain, bool (Z, Y, X).
            device: Where to compute.
            progress: Told before each batch.

        Yields:
            Slice indices (n,), images, masks (0 or 1) and predictions, each (n, 1, Y, X).
        """
        network = self.network.to(device).eval()
        with torch.inference_mode():
            for chosen, batch, positions in slice_batches(image, mask, device, progress):
                masks = torch.from_numpy(mask[chosen].astype(np.float32))[:, None].to(device)
                yield chosen, batch, masks, network.predict(batch, positions)
