"""Feature autoencoder (FAE, Meissen et al. 2023): similarity of ImageNet features and their reconstruction."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch.nn.functional import interpolate

from ..networks.efficientnet import MOST_LEVELS, SHA256, STRIDE, ImageNetFeatures, channels_of, imagenet_features
from ..networks.feature_autoencoder import SCORE_WINDOW, FeatureMapAutoencoder
from ..runtime.progress import Progress
from ..scoring.restoration import Restoration
from .base import SliceNetwork
from .slicewise import slice_batches


@dataclass(frozen=True)
class FeatureAutoencoderParameters:
    """Settings of the features and of the autoencoder.

    Attributes:
        size: Slice size (Y, X).
        resolution: Grid (Z, Y, X) of the mean of healthy scans; the training finds both.
        weights: SHA-256 of the file with the weights of the features.
        levels: Stages of EfficientNet-lite0 that give features, 1 to 5.
        channels: Channels of each level of the autoencoder.
        dropout: Share of channels that are dropped in training.
    """

    found: ClassVar[tuple[str, ...]] = ("size", "resolution", "weights")

    size: tuple[int, ...] = (160, 160)
    resolution: tuple[int, ...] = (50, 80, 80)
    weights: str = SHA256
    levels: int = 3
    channels: tuple[int, ...] = (100, 150, 200, 300)
    dropout: float = 0.1

    def __post_init__(self) -> None:
        # The similarity needs more than half of its window along each axis of a feature map.
        if len(self.size) != 2 or any(not STRIDE * (SCORE_WINDOW // 2 + 1) <= n <= 1024 for n in self.size):
            raise ValueError(f"slices need {STRIDE * (SCORE_WINDOW // 2 + 1)} to 1024 pixels along both sides")
        # These sizes come from a model file: a network must not need more memory than the file could fill.
        if len(self.resolution) != 3 or any(not 0 < n <= 512 for n in self.resolution):
            raise ValueError("the mean needs a 3-D grid of up to 512 voxels along each side")
        if not 1 <= len(self.channels) <= 6 or any(not 0 < n <= 512 for n in self.channels):
            raise ValueError("the autoencoder needs 1 to 6 levels of up to 512 channels")
        if not 1 <= self.levels <= MOST_LEVELS or not 0 <= self.dropout < 1:
            raise ValueError(f"levels must be 1 to {MOST_LEVELS}, dropout 0 to below 1")
        if self.weights != SHA256:
            raise ValueError("its features have weights that this version does not know")

    def network(self) -> FeatureMapAutoencoder:
        """Build the autoencoder with random weights from torch's current seed."""
        return FeatureMapAutoencoder(channels_of(self.levels), self.channels, self.dropout, self.resolution)


class FeatureAutoencoder(SliceNetwork):
    """Autoencoder of ImageNet features, scored by structural similarity (FAE; Meissen et al. 2023).

    Pixel score: 1 − SSIM of each feature map and its reconstruction, mean over the maps, upsampled from a quarter of
    the resolution. Sample score: its mean over the brain.

    Features have no image. The pseudo-healthy image is the mean of the training scans, as for the atlas, and not a
    restoration of this scan.

    The model file contains the autoencoder and the hash of the weights of the features, not the weights: examining a
    scan needs the package with them, see `networks.efficientnet`.

    Attributes:
        features: Computes features (N, C, h, w) of slices (N, 1, Y, X); None until the first use.
    """

    name = "feature_autoencoder"
    Parameters = FeatureAutoencoderParameters

    def __init__(self, parameters: FeatureAutoencoderParameters, network: FeatureMapAutoencoder):
        super().__init__(parameters, network)
        self.features: ImageNetFeatures | None = None

    def _restore(self, image: np.ndarray, mask: np.ndarray, seed: int, device: str, progress: Progress) -> Restoration:
        """Score 1 − SSIM of the features, without randomness."""
        if self.features is None:
            self.features = imagenet_features(self.parameters.levels)
        features, network = self.features.to(device), self.network.to(device).eval()
        score = np.zeros(image.shape, np.float32)
        with torch.inference_mode():
            for chosen, batch, _ in slice_batches(image, mask, device, progress):
                error = network.error(features(batch))
                fine = interpolate(error, size=batch.shape[2:], mode="bilinear", align_corners=False)
                score[chosen] = fine[:, 0].cpu().numpy()
            mean = interpolate(network.healthy[None, None], size=image.shape, mode="trilinear", align_corners=False)
        return Restoration(score, mean[0, 0].cpu().numpy(), float(score[mask].mean()))
