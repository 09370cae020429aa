"""MorphAEus (Bercea, Rueckert and Schnabel 2023): the residual after a pseudo-healthy image is deformed to the scan."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import torch

from ..errors import SettingError
from ..networks.morphaeus import LEVELS, Morphing, levels_of
from ..runtime.progress import Progress
from ..scoring.restoration import Restoration
from .base import SliceNetwork
from .slicewise import slice_batches

Score = Literal["morphed", "prior", "jacobian"]
LARGEST_SIDE = 1024
FIRST, LARGEST_WIDTH = 16, 256


def channels_for(size: tuple[int, ...], widest: int = 128) -> tuple[int, ...]:
    """Return the channels 16, 32, 64, ... up to the widest, one for each level down to a 1 × 1 grid.

    The paper uses up to 256 for 8000 radiographs; for tens of scans, a latent of 128 is enough.
    """
    return tuple(min(FIRST << level, widest) for level in range(levels_of(size)))


@dataclass(frozen=True)
class MorphAEusParameters:
    """Settings of network and score.

    Attributes:
        size: Slice size (Y, X).
        channels: Channels of each level; the last is the latent size.
        score: Pixel score: "morphed" |x − x_morph|; "prior" |x − x_prior|, without the deformer; "jacobian"
            |det ∂φ/∂p|·|x − x_morph|, the score of MORPHADE (Avci et al. 2024).
    """

    size: tuple[int, ...] = (160, 160)
    channels: tuple[int, ...] = (16, 32, 64, 128, 128, 128, 128, 128)
    score: Score = "morphed"

    def __post_init__(self) -> None:
        if len(self.size) != 2 or not all(1 << LEVELS < n <= LARGEST_SIDE for n in self.size):
            raise SettingError("morphing_size", least=(1 << LEVELS) + 1, most=LARGEST_SIDE)
        if len(self.channels) != levels_of(self.size):
            raise SettingError("morphing_levels", size=self.size, levels=levels_of(self.size))
        if not all(1 <= width <= LARGEST_WIDTH for width in self.channels):
            raise SettingError("morphing_channels", most=LARGEST_WIDTH)
        if self.score not in get_args(Score):
            raise SettingError("setting_not_allowed", value=self.score, allowed=", ".join(get_args(Score)))

    def network(self) -> Morphing:
        """Build the network with random weights from torch's current seed."""
        return Morphing(self.size, self.channels)


class MorphAEus(SliceNetwork):
    """Residual of a coarse pseudo-healthy image x̂ that φ deforms to the patient's anatomy (Bercea et al. 2023).

    Pixel score: |x − x̂∘φ|; |x − x̂| without the deformer; or |det ∂φ/∂p|·|x − x̂∘φ| (MORPHADE, Avci et al. 2024).
    Sample score: its mean over the brain.
    """

    name = "morphaeus"
    Parameters = MorphAEusParameters

    def _restore(self, image: np.ndarray, mask: np.ndarray, seed: int, device: str, progress: Progress) -> Restoration:
        """Score the residual after deformation, without randomness.

        The facts contain the mean displacement over the brain in pixels of the model's grid, and the smallest Jacobian
        determinant of the deformation there: at 0 or below, the deformation folds.
        """
        network, kind = self.network.to(device).eval(), self.parameters.score
        restored, score = np.where(mask, image, 0).astype(np.float32), np.zeros(image.shape, np.float32)
        moved, smallest = [np.zeros(0)], 1.0
        for chosen, batch, _ in slice_batches(image, mask, device, progress):
            inside = torch.from_numpy(mask[chosen])[:, None].to(device)
            with torch.inference_mode():
                made = network(batch)
                # Score the image that is shown: no negative intensity, nothing outside the brain.
                healthy = (made.prior if kind == "prior" else made.morphed).clamp_min(0) * inside
                determinant = made.jacobian()
                pixels = (batch - healthy).abs() * inside
                if kind == "jacobian":
                    pixels = pixels * determinant.abs()
                restored[chosen], score[chosen] = (part[:, 0].cpu().numpy() for part in (healthy, pixels))
                moved.append(made.displacement.norm(dim=1, keepdim=True)[inside].double().cpu().numpy())
                smallest = min(smallest, float(determinant[inside].min()))
        moved = np.concatenate(moved)
        facts = {"mean_displacement": float(moved.mean()) if len(moved) else 0.0, "smallest_jacobian": smallest}
        return Restoration(score, restored, float(score[mask].mean()), facts)
