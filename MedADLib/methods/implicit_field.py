"""Auto-decoder of an implicit field (Naval Marimont and Tarroni 2021): fit a healthy brain to a scan."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch

from ..errors import SettingError
from ..messages import Message
from ..networks.implicit_field import IntensityField, within_ball
from ..runtime.progress import Progress
from ..scoring.restoration import Restoration
from .base import SliceNetwork, check_centres
from .slicewise import generator_of

CHUNK = 8192


@dataclass(frozen=True)
class ImplicitFieldParameters:
    """Settings of network and search.

    Naval Marimont and Tarroni 2021 use 8 layers of 512, a latent of 256 and 602 steps. With the defaults here, one CPU
    core examines a brain in a few seconds.

    Attributes:
        size: Grid (Z, Y, X) of the coordinates.
        centres: Intensities of the classes. The background has no class: the field models the brain only.
        latent: Length of a scan's latent.
        width: Width of each hidden layer.
        layers: Linear layers.
        bands: Frequency bands of the Fourier features.
        steps: Adam steps of the search for a scan's latent.
        points: Random brain voxels in each step.
        rate: First learning rate; it decreases linearly to 0.
    """

    size: tuple[int, int, int]
    centres: tuple[float, ...]
    latent: int = 128
    width: int = 256
    layers: int = 6
    bands: int = 10
    steps: int = 120
    points: int = 2048
    rate: float = 0.01

    found: ClassVar[tuple[str, ...]] = ("size", "centres")

    def __post_init__(self) -> None:
        if not all(1 <= n <= 1024 for n in self.size):
            raise SettingError("field_grid")
        check_centres("categorical", self.centres)
        # A model file names these sizes: networks must not take more memory than the file could ever fill.
        if not 1 <= self.latent <= 1024 or not 1 <= self.width <= 1024 or not 2 <= self.layers <= 16:
            raise SettingError("field_sizes")
        if not 0 <= self.bands <= 16:
            raise SettingError("field_bands")
        if not 1 <= self.steps <= 10_000 or not 1 <= self.points <= 1 << 17 or not 0 < self.rate <= 1:
            raise SettingError("field_search")

    def network(self) -> IntensityField:
        """Build the network with random weights from torch's current seed."""
        return IntensityField(self.centres, self.latent, self.width, self.layers, self.bands)


class ImplicitField(SliceNetwork):
    """Cross-entropy of intensity classes under the fitted healthy brain (Naval Marimont and Tarroni 2021).

    Voxel score: −log p(class of x | position, z) in nats, with z the latent of ‖z‖ ≤ 1 that minimises the mean over
    the brain. Sample score: that mean.
    """

    name = "implicit_field"
    Parameters = ImplicitFieldParameters

    def _restore(self, image: np.ndarray, mask: np.ndarray, seed: int, device: str, progress: Progress) -> Restoration:
        """Score the cross-entropy of each voxel, and its mean over the brain.

        The length of the latent is not the sample score: it reaches its limit of 1 for many healthy scans.
        """
        p = self.parameters
        restored, score = np.zeros(image.shape, np.float32), np.zeros(image.shape, np.float32)
        voxels = np.flatnonzero(mask)
        if not len(voxels):
            return Restoration(score, restored, 0.0)
        network = self.network.to(device).eval()
        intensities = image.ravel()[voxels].astype(np.float32)

        def batch(step: int) -> tuple[torch.Tensor, torch.Tensor]:
            progress.update(0.5 * step / p.steps, Message("progress_latent", step=step + 1, count=p.steps))
            chosen = torch.randint(len(voxels), (p.points,), generator=generator_of([seed, step])).numpy()
            where, seen = voxel_coordinates(voxels[chosen], p.size), torch.from_numpy(intensities[chosen])
            return where[None].to(device), seen[None].to(device)

        latents = search_latents(network, batch, 1, p.steps, p.rate)
        with torch.inference_mode():
            for start in range(0, len(voxels), CHUNK):
                progress.update(0.5 + 0.5 * start / len(voxels), Message("progress_field"))
                chosen = voxels[start : start + CHUNK]
                seen = torch.from_numpy(intensities[start : start + CHUNK])[None].to(device)
                found = network.errors(voxel_coordinates(chosen, p.size)[None].to(device), latents, seen)
                score.ravel()[chosen], restored.ravel()[chosen] = (part[0].cpu().numpy() for part in found)
        mean = float(score[mask].mean(dtype=np.float64))
        return Restoration(score, restored, mean, {"latent_length": float(latents.norm())})


def voxel_coordinates(voxels: np.ndarray, size: tuple[int, int, int]) -> torch.Tensor:
    """Compute coordinates (n, 3), along (z, y, x), of voxels with a flat index; the longest side is from -1 to 1.

    The origin is the centre of the grid, so a change of sign of x gives the mirror image.
    """
    indices = np.stack(np.unravel_index(voxels, size), axis=1)
    return torch.from_numpy(((2 * indices + 1 - np.array(size)) / max(size)).astype(np.float32))


def search_latents(
    network: IntensityField,
    batch: Callable[[int], tuple[torch.Tensor, torch.Tensor]],
    count: int,
    steps: int,
    rate: float,
) -> torch.Tensor:
    """Find the latents of scans: Adam on the mean cross-entropy, from 0; the network does not change.

    Adam scales each component of a latent separately, so scans in one batch do not influence each other.

    `batch` returns points (N, P, 3) and intensities (N, P) by the number of a step, and the rate decreases linearly to
    0. The latents (N, latent) have lengths of at most 1.
    """
    # Training validates in inference mode, where tensors have no gradient.
    with torch.inference_mode(False), torch.enable_grad():
        latents = torch.zeros(count, network.latent, device=network.head.weight.device, requires_grad=True)
        optimizer = torch.optim.Adam([latents], lr=rate)
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1 - step / steps)
        for step in range(steps):
            points, intensities = batch(step)
            entropy, _ = network.errors(points, latents, intensities)
            (latents.grad,) = torch.autograd.grad(entropy.mean(dim=1).sum(), latents)
            optimizer.step()
            schedule.step()
            with torch.no_grad():
                latents.copy_(within_ball(latents))
        return latents.detach()
