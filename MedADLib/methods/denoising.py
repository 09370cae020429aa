"""Denoising autoencoder (DAE; Kascenas, Pugeault and O'Neil 2022): lesions are taken away like coarse noise."""

from __future__ import annotations

import numpy as np
import torch
from torch.nn.functional import avg_pool2d

from ..networks.corruption_learners import Denoiser
from ..progress import Progress
from .method import Restoration
from .slice_unet import SliceUNet, SliceUNetParameters

WINDOW = 5
WHOLE = 0.95


class Denoising(SliceUNet):
    """A U-Net that gives slices back without the coarse noise that was added to them in training.

    Pixel score: |x − x̂| where more than 95 % of the 5 × 5 pixels around are brain, because the edge of the brain is
    where a residual is large in health too. Sample score: its mean over the brain.
    """

    name = "denoising"
    Parameters = SliceUNetParameters
    Network = Denoiser

    def restore(
        self,
        image: np.ndarray,
        mask: np.ndarray,
        *,
        seed: int = 0,
        device: str = "cpu",
        progress: Progress | None = None,
    ) -> Restoration:
        """Score |x − x̂|; see `Method.restore`. Nothing here is random: no noise is added to the scan."""
        score, restored = np.zeros(image.shape, np.float32), np.where(mask, image, 0).astype(np.float32)
        for chosen, images, masks, healthy in self.predictions(image, mask, device, progress):
            healthy = healthy.clamp_min(0) * masks
            restored[chosen] = healthy[:, 0].cpu().numpy()
            score[chosen] = ((images - healthy).abs() * well_inside(masks))[:, 0].cpu().numpy()
        return Restoration(score, restored, float(score[mask].mean()))


def well_inside(masks: torch.Tensor) -> torch.Tensor:
    """Pixels with brain almost all around them.

    Args:
        masks: Brain, (N, 1, Y, X), 0 or 1; beyond the edge of the slice, the brain is taken to go on.

    Returns:
        (N, 1, Y, X), 0 or 1.
    """
    share = avg_pool2d(masks, WINDOW, stride=1, padding=WINDOW // 2, count_include_pad=False)
    return masks * (share > WHOLE)
