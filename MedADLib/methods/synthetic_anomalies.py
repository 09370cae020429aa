"""Methods that learn from synthetic anomalies: DAE, FPI and PII, with a U-Net for slices."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
import torch
from torch.nn.functional import avg_pool2d

from ..corruption.poisson import inpaint
from ..errors import SettingError
from ..networks.unet import GROUPS, CorruptionSegmenter, Denoiser, UNet
from ..runtime.progress import Progress
from ..scoring.restoration import Restoration
from .base import SliceNetwork
from .slicewise import slice_batches

ORDER = 3
WINDOW_SHARE = 0.1
TOP_SHARE = 0.25

WINDOW = 5
WHOLE = 0.95


def volume_score(profile: np.ndarray) -> float:
    """Compute the mean of the highest quarter of a smooth profile (Z,): FPI's score in MOOD 2020 (Tan et al. 2020)."""
    smooth = np.sort(smoothed(profile, window_of(len(profile))))
    return float(smooth[-max(round(TOP_SHARE * len(smooth)), 1) :].mean())


def window_of(count: int) -> int:
    """Return the odd window nearest to a tenth of `count` slices, at least two longer than the polynomial order."""
    return max(2 * round((WINDOW_SHARE * count - 1) / 2) + 1, ORDER + 2)


def smoothed(profile: np.ndarray, window: int) -> np.ndarray:
    """Apply a Savitzky–Golay filter: replace each value by that of the least-squares cubic of its window.

    At the ends, the values come from the cubic of the outermost complete window.

    Args:
        profile: (Z,).
        window: Odd, above 3.

    Returns:
        (Z,), float64; the profile itself if it is shorter than the window.
    """
    from scipy.signal import savgol_filter

    profile = np.asarray(profile, np.float64)
    if len(profile) < window:
        return profile
    return savgol_filter(profile, window, ORDER)


@dataclass(frozen=True)
class SliceUNetParameters:
    """Settings of a U-Net for slices.

    Attributes:
        size: Slice size (Y, X).
        channels: Channels of each level; all levels except the first halve the grid.
    """

    size: tuple[int, ...] = (160, 160)
    channels: tuple[int, ...] = (16, 32, 64, 128, 128)

    def __post_init__(self) -> None:
        if len(self.size) != 2 or not 1 <= len(self.channels) <= 8:
            raise SettingError("unet_size")
        if any(n % (1 << len(self.channels) - 1) or not 0 < n <= 1024 for n in self.size):
            raise SettingError("unet_levels")
        # These sizes come from a model file: a network must not need more memory than the file could fill.
        if any(n % GROUPS or not 0 < n <= 512 for n in self.channels):
            raise SettingError("unet_channels", groups=GROUPS)


class SliceUNet(SliceNetwork):
    """Base class of methods with one U-Net; a subclass defines the network and the meaning of its `predict`."""

    Network: ClassVar[type[UNet]]

    @classmethod
    def untrained(cls, parameters: SliceUNetParameters, seed: int = 0) -> SliceUNet:
        """Build the method with random weights from a seed."""
        torch.manual_seed(seed)
        return cls(parameters, cls.Network(tuple(parameters.channels)))

    def predictions(
        self, image: np.ndarray, mask: np.ndarray, device: str, progress: Progress | None
    ) -> Iterator[tuple[np.ndarray, torch.Tensor, torch.Tensor, torch.Tensor]]:
        """Apply the network to the slices of a prepared scan.

        Args:
            image: Standard intensities, (Z, Y, X).
            mask: Brain, bool (Z, Y, X).
            device: ``cpu``, ``cuda`` or ``cuda:N``.
            progress: Updated before each batch.

        Yields:
            Slice indices (n,), images, masks (0 or 1) and predictions, each (n, 1, Y, X).
        """
        network = self.network.to(device).eval()
        with torch.inference_mode():
            for chosen, batch, positions in slice_batches(image, mask, device, progress):
                masks = torch.from_numpy(mask[chosen].astype(np.float32))[:, None].to(device)
                yield chosen, batch, masks, network.predict(batch, positions)


class Denoising(SliceUNet):
    """Denoising autoencoder (DAE; Kascenas, Pugeault and O'Neil 2022): a U-Net that removes coarse noise from slices.

    Pixel score: |x − x̂| where more than 95 % of the surrounding 5 × 5 pixels are brain, because the residual at the
    edge of the brain is large in healthy scans too. Sample score: its mean over the brain.
    """

    name = "denoising"
    Parameters = SliceUNetParameters
    Network = Denoiser

    def _restore(self, image: np.ndarray, mask: np.ndarray, seed: int, device: str, progress: Progress) -> Restoration:
        """Score |x − x̂|, without randomness: no noise is added to the scan."""
        score, restored = np.zeros(image.shape, np.float32), np.where(mask, image, 0).astype(np.float32)
        for chosen, images, masks, healthy in self.predictions(image, mask, device, progress):
            healthy = healthy.clamp_min(0) * masks
            restored[chosen] = healthy[:, 0].cpu().numpy()
            score[chosen] = ((images - healthy).abs() * well_inside(masks))[:, 0].cpu().numpy()
        return Restoration(score, restored, float(score[mask].mean()))


def well_inside(masks: torch.Tensor) -> torch.Tensor:
    """Find the pixels of brain masks (N, 1, Y, X) with more than 95 % brain in their 5 × 5 neighbourhood."""
    share = avg_pool2d(masks, WINDOW, stride=1, padding=WINDOW // 2, count_include_pad=False)
    return masks * (share > WHOLE)


@dataclass(frozen=True)
class FPIParameters(SliceUNetParameters):
    """Settings of the segmenter and of its training data.

    Attributes:
        blending: Blending of foreign patches in training: ``linear`` (FPI), x̃ = (1 − α) x + α y; or ``poisson``
            (PII), by gradients.
        shape: Shape of the patches: ``square`` (FPI and PII) or ``blob``, a smooth random shape.
    """

    blending: Literal["linear", "poisson"] = "linear"
    shape: Literal["square", "blob"] = "square"


class FPI(SliceUNet):
    """Segmenter of foreign patches: FPI (Tan et al. 2020), or PII with Poisson blending (Tan et al. 2021).

    Pixel score: the predicted degree α̂ of corruption. Sample score: mean of α̂ over each slice, this profile smoothed
    with a Savitzky–Golay filter, and the mean of its highest quarter.

    A segmenter has no model of healthy tissue. The pseudo-healthy image is the scan with its anomalous part replaced by
    a smooth continuation of its surroundings, a membrane with weights that decrease with α̂ (see `inpaint`). It
    shows the finding only.
    """

    name = "fpi"
    Parameters = FPIParameters
    Network = CorruptionSegmenter

    def _restore(self, image: np.ndarray, mask: np.ndarray, seed: int, device: str, progress: Progress) -> Restoration:
        """Score α̂, without randomness."""
        score = np.zeros(image.shape, np.float32)
        restored = np.where(mask, image, 0).astype(np.float32)
        for chosen, images, masks, degree in self.predictions(image, mask, device, progress):
            degree = degree * masks
            score[chosen] = degree[:, 0].cpu().numpy()
            restored[chosen] = (inpaint(images, masks, degree) * masks)[:, 0].cpu().numpy()
        return Restoration(score, restored, volume_score(score.mean(axis=(1, 2))))
