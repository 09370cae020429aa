"""Foreign patch interpolation (FPI; Tan et al. 2020) and Poisson image interpolation (PII; Tan et al. 2021)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from ..corruption.membrane import smoothed_over
from ..networks.corruption_learners import CorruptionSegmenter
from ..progress import Progress
from .method import Restoration
from .slice_profile import volume_score
from .slice_unet import SliceUNet, SliceUNetParameters


@dataclass(frozen=True)
class FPIParameters(SliceUNetParameters):
    """Settings of the segmenter, and what it was trained on.

    Attributes:
        blending: How foreign patches were blended in: ``linear`` (FPI), x̃ = (1 − α) x + α y; or ``poisson`` (PII),
            by gradients.
        shape: What they were cut out with: ``square`` (FPI and PII) or ``blob``, a smooth random shape.
    """

    blending: Literal["linear", "poisson"] = "linear"
    shape: Literal["square", "blob"] = "square"


class FPI(SliceUNet):
    """A segmenter of foreign patches in healthy slices; lesions, too, do not belong where they are.

    Pixel score: the predicted degree α̂. Sample score: mean of α̂ over each whole slice, the profile smoothed with a
    Savitzky–Golay filter, mean of its highest quarter.

    A segmenter restores nothing. What is given as restored is the scan with its unusual part replaced by a smooth
    continuation of its surroundings: a membrane that is held at each pixel the more firmly the lower α̂ is (see
    `smoothed_over`). It shows what was found; it does not know what healthy tissue looks like.
    """

    name = "fpi"
    Parameters = FPIParameters
    Network = CorruptionSegmenter

    def restore(
        self,
        image: np.ndarray,
        mask: np.ndarray,
        *,
        seed: int = 0,
        device: str = "cpu",
        progress: Progress | None = None,
    ) -> Restoration:
        """Score α̂; see `Method.restore`. Nothing here is random."""
        score = np.zeros(image.shape, np.float32)
        restored = np.where(mask, image, 0).astype(np.float32)
        for chosen, images, masks, degree in self.predictions(image, mask, device, progress):
            degree = degree * masks
            score[chosen] = degree[:, 0].cpu().numpy()
            restored[chosen] = (smoothed_over(images, masks, degree) * masks)[:, 0].cpu().numpy()
        return Restoration(score, restored, volume_score(score.mean(axis=(1, 2))))
