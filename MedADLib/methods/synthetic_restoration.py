"""Restoration by a network that learned to remove synthetic anomalies of all sizes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar, Literal

import numpy as np
import torch
from torch.nn.functional import interpolate, pad

from ..errors import SettingError
from ..messages import Message
from ..networks.synthetic_restoration import RESTORED, SLICES, SlabRestorer
from ..runtime.progress import Progress
from ..runtime.strict_json import added
from ..scoring.restoration import Restoration
from ..scoring.scan_score import mean_of_highest
from .base import SliceNetwork
from .inpainting import fill
from .slicewise import examined_slices, slice_batches, slice_positions, to_device

# The residual is in units of this many standard intensities, about the SD of a T1 brain.
CONTRAST = 0.25
# Degrees are compared by their logarithm, above this one: healthy white matter has degrees near 0.001, and a small or
# faint lesion in it has 0.05, which is less than healthy cortex can have.
LEAST_DEGREE = 1e-3
# The restoration changes voxels with a degree well above this one, and copies voxels far below it.
GATE = 0.1
# Share of the healthy brain in an erased region before the second pass; the rest is the restoration of the first one.
FILLED = 0.5
# Share of the brain, with the highest degrees, that can be erased: a scan of another scanner can have high degrees
# everywhere, and would become the healthy mean.
MOST_ERASED = 0.2
# Tissue is erased above this multiple of the median degree of the scan, at most above `SURE`: scans of another scanner
# have degrees of 0.3 and more in healthy tissue, and would lose its detail.
TIMES_USUAL, SURE = 5.0, 0.9
# The second pass replaces the first in the erased region, and fades over about this many voxels around it.
FADE_VOXELS = 1.5
# Voxels of a box that the 3-D network restores in one pass, about 0.5 kB each; larger ones take several.
PASS_VOXELS = 1 << 23
# Slices that the 3-D network needs around those that a pass keeps, in multiples of its coarsest voxel: more than its
# receptive field, so that the passes fit to each other.
AROUND = 7
TOP_SHARE = 0.01


@dataclass(frozen=True)
class SyntheticRestorationParameters:
    """Settings of the network and of its score.

    Attributes:
        size: Slice size (Y, X).
        resolution: Grid (Z, Y, X) of the mean and SD of healthy scans; the training finds both.
        channels: Channels of each level; all levels except the first halve the grid.
        mirror: Whether the network also sees the other half of the brain, mirrored.
        score: ``degree``, log(1 + d/0.001) of the predicted degree d; ``residual``, |x − x̂| in units of 0.25; or
            ``both``, their sum.
        erase: Degree above which tissue is erased before the second pass of the restoration, above 0; 1 for one pass.
            Only the fifth of the brain with the highest degrees, and what touches it, can be erased. The score is that
            of the first pass.
        dimensions: 2 for slabs of five slices, 3 for the whole volume with 3×3×3 convolutions.
    """

    found: ClassVar[tuple[str, ...]] = ("size", "resolution")

    size: tuple[int, ...] = (160, 160)
    resolution: tuple[int, ...] = (50, 80, 80)
    channels: tuple[int, ...] = (16, 48, 96, 192)
    mirror: bool = True
    score: Literal["both", "degree", "residual"] = "both"
    erase: float = added(0.3)
    dimensions: Literal[2, 3] = added(2)

    def __post_init__(self) -> None:
        if not 0 < self.erase <= 1:
            raise SettingError("erasing_degree")
        if len(self.size) != 2 or not 1 <= len(self.channels) <= 8:
            raise SettingError("unet_size")
        if len(self.resolution) != 3 or any(not 0 < n <= 512 for n in self.resolution):
            raise SettingError("statistics_grid")
        # These sizes come from a model file: a network must not need more memory than the file could fill.
        if any(not 0 < n <= 1024 for n in self.size) or any(not 0 < n <= 512 for n in self.channels):
            raise SettingError("unet_too_large")

    @property
    def multiple(self) -> int:
        """Return the number that divides the sides of the network's inputs."""
        return 1 << len(self.channels) - 1

    def network(self) -> SlabRestorer:
        """Build the untrained network."""
        return SlabRestorer(tuple(self.channels), tuple(self.resolution), self.dimensions)


class SyntheticRestoration(SliceNetwork):
    """Restorer trained on synthetic anomalies (after Naval Marimont et al. 2024, Tan et al. 2020 and Liu et al. 2025).

    As in DISYRE the network sees healthy scans with synthetic anomalies and restores them; as in FPI (Tan et al. 2020)
    it also predicts the degree of anomaly of each voxel. One network has both heads, and the degree d = σ(a) gates the
    change of the restoration. In training, x̂ = x + d·r. The degree of a faint lesion is low by definition, however sure
    the network is, and would leave most of it unhealed; x̂ = x + g(d)·r with g(d) = d³/(d³ + 0.1³) is therefore applied.
    As in UNA the network sees the mirrored scan too. Every slice is restored in three neighbouring slabs, and the mean
    of the three changes is applied, so that slices fit to each other.

    **A second pass** heals large lesions: the network sees where they are, but its correction is too small. Tissue of a
    high degree is erased, as in PHANES (Bercea et al. 2023): the mean of the training scans, shifted to the intensities
    around the region, replaces half of the first restoration there, and the network restores the result again.

    **In three dimensions** the network is applied to the whole brain at once. It sees the same: the scan, the mirrored
    scan, position, mean and SD of healthy scans, and the distance from the mean.

    Voxel score, from the first pass: see `SyntheticRestorationParameters`. Sample score: mean of the highest 1 % of the
    voxels' scores.
    """

    name = "synthetic_restoration"
    Parameters = SyntheticRestorationParameters
    adjustable = ("score", "erase")

    def _restore(self, image: np.ndarray, mask: np.ndarray, seed: int, device: str, progress: Progress) -> Restoration:
        """Restore the scan and score it, without randomness."""
        image = np.where(mask, image, 0).astype(np.float32)
        healthy = self._healthy(image, mask)
        with progress.part(0.0, 0.6 if self.parameters.erase < 1 else 1.0):
            change, degree = self._predicted(image, mask, healthy, device, progress)
        restored = np.where(mask, np.maximum(image + change, 0), 0)
        residual = np.abs(image - restored) / np.float32(CONTRAST)
        evidence = np.log1p(degree / np.float32(LEAST_DEGREE))
        score = {"degree": evidence, "residual": residual, "both": evidence + residual}[self.parameters.score]
        with progress.part(0.6, 1.0):
            restored = self._restored_again(image, restored, mask, healthy, degree, device, progress)
        return Restoration(score, restored, mean_of_highest(score[mask], TOP_SHARE * np.count_nonzero(mask)))

    def _healthy(self, image: np.ndarray, mask: np.ndarray) -> torch.Tensor:
        """Return mean and SD of healthy scans of the contrast of a scan (Z, Y, X), float32 (2, Z, Y, X)."""
        return healthy_maps(image.shape, self.network.healthy.cpu())

    def _restored_again(
        self,
        image: np.ndarray,
        restored: np.ndarray,
        mask: np.ndarray,
        healthy: torch.Tensor,
        degree: np.ndarray,
        device: str,
        progress: Progress,
    ) -> np.ndarray:
        """Erase tissue of a high degree and restore it once more; see the class.

        Args:
            image: The scan, (Z, Y, X).
            restored: Its restoration, which stays outside the erased region.
            mask: Examined part, bool.
            healthy: From `_healthy`.
            degree: Degree of each voxel.
            device: Where the network runs.
            progress: Receives the slices.

        Returns:
            The restoration, float32 (Z, Y, X).
        """
        from scipy.ndimage import binary_dilation, gaussian_filter

        usual, least = np.quantile(degree[mask], (0.5, 1 - MOST_ERASED)) if mask.any() else (0.0, 0.0)
        limit = min(TIMES_USUAL * usual, SURE)
        erased = binary_dilation(degree > max(self.parameters.erase, limit, least)) & mask
        if not erased.any():
            return restored
        mean = healthy[0].numpy()
        known = mask & ~binary_dilation(erased)
        usual = np.maximum(mean + fill(image - mean, known), 0)
        # The factor lets the whole region be replaced, although the filter halves its border.
        weight = np.minimum(1.3 * gaussian_filter(erased.astype(np.float32), FADE_VOXELS), 1) * mask
        mixed = restored + FILLED * weight * np.where(erased, usual - restored, 0)
        # In three dimensions the network needs the slices around the erased region too.
        part = mask if self.parameters.dimensions == 3 else mask & weight.any(axis=(1, 2), keepdims=True)
        change, _ = self._predicted(mixed, part, healthy, device, progress)
        return restored + weight * (np.maximum(mixed + change, 0) - restored)

    def alternative_scores(self) -> dict[str, SyntheticRestoration]:
        """Return the same network with the other scores; see `Method.alternative_scores`."""
        names = [name for name in ("both", "degree", "residual") if name != self.parameters.score]
        return {name: type(self)(replace(self.parameters, score=name), self.network) for name in names}

    def _predicted(
        self, image: np.ndarray, mask: np.ndarray, healthy: torch.Tensor, device: str, progress: Progress
    ) -> tuple[np.ndarray, np.ndarray]:
        """Predict the change x̂ − x and the degree of each voxel, each float32 (Z, Y, X), means over the slabs."""
        if self.parameters.dimensions == 3:
            return self._predicted_volume(image, mask, healthy, device, progress)
        change, degree = np.zeros(image.shape, np.float32), np.zeros(image.shape, np.float32)
        times = np.zeros(len(image), np.float32)
        box = brain_box(mask, self.parameters.multiple)
        positions = position_maps(healthy)
        network = self.network.to(device).eval()
        with torch.inference_mode():
            for chosen, _, _ in slice_batches(image, mask, device, progress):
                slabs = np.stack([image[slab_indices(z, len(image))] for z in chosen])
                parts = slab_inputs(torch.from_numpy(slabs), positions[chosen], self.parameters.mirror)
                correction, logit = network(*(to_device(box.cut(part), device) for part in parts))
                both = _gated(correction, logit)
                for number, z in enumerate(chosen):
                    for channel in range(RESTORED):
                        here = z + channel - RESTORED // 2
                        if 0 <= here < len(image):
                            times[here] += 1
                            for total, part in zip((change, degree), both):
                                box.add(total[here], part[number, channel])
        share = np.zeros((len(image), 1, 1), np.float32)
        used = examined_slices(mask)
        share[used, 0, 0] = 1 / times[used]
        return change * share, degree * share

    def _predicted_volume(
        self, image: np.ndarray, mask: np.ndarray, healthy: torch.Tensor, device: str, progress: Progress
    ) -> tuple[np.ndarray, np.ndarray]:
        """Predict change and degree with the 3-D network, in one pass if the box around the brain is not too large."""
        found = (np.zeros(image.shape, np.float32), np.zeros(image.shape, np.float32))
        occupied = np.flatnonzero(mask.any(axis=(1, 2)))
        if not occupied.size:
            return found
        start, stop = int(occupied[0]), int(occupied[-1]) + 1
        multiple = self.parameters.multiple
        box = brain_box(mask, multiple)
        positions = position_maps(healthy).movedim(0, 1)[None]
        inputs = [
            box.cut(part)
            for part in slab_inputs(torch.from_numpy(image)[None], positions, self.parameters.mirror, deep=True)
        ]
        around, most = AROUND * multiple, PASS_VOXELS // inputs[0][0, 0].numel()
        kept = stop - start if stop - start <= most else max(most // multiple * multiple - 2 * around, around)
        network = self.network.to(device).eval()
        with torch.inference_mode():
            for first in range(start, stop, kept):
                message = Message("progress_slice", number=first - start + 1, count=stop - start)
                progress.update((first - start) / (stop - start), message)
                last = min(first + kept, stop)
                low, high = max(first - around, start), min(last + around, stop)
                margin = (0, 0, 0, 0, 0, (low - high) % multiple)
                parts = (to_device(pad(part[..., low:high, :, :], margin), device) for part in inputs)
                for total, part in zip(found, _gated(*network(*parts))):
                    box.add(total[first:last], part[0, first - low : last - low])
        return found


def _gated(correction: torch.Tensor, logit: torch.Tensor) -> tuple[np.ndarray, np.ndarray]:
    """Return the change g(d)·r and the degree d of the network's outputs r and a."""
    cubes = torch.sigmoid(logit) ** 3
    gate = cubes / (cubes + GATE**3)
    return (gate * correction).cpu().numpy(), torch.sigmoid(logit).cpu().numpy()


@dataclass(frozen=True)
class Box:
    """A part of the plane around the brain, with margins beyond the plane where it is too small.

    Attributes:
        rows: Part of the rows.
        columns: Part of the columns.
        margin: Pixels beyond the plane below and to the right.
    """

    rows: slice
    columns: slice
    margin: tuple[int, int]

    def cut(self, parts: torch.Tensor) -> torch.Tensor:
        """Cut (…, Y, X) to the box, with zeros in the margin."""
        return pad(parts[..., self.rows, self.columns], (0, self.margin[1], 0, self.margin[0]))

    def add(self, plane: np.ndarray, part: np.ndarray) -> None:
        """Add values in the box to a plane or planes (…, Y, X), in place."""
        target = plane[..., self.rows, self.columns]
        target += part[..., : target.shape[-2], : target.shape[-1]]


def brain_box(mask: np.ndarray, multiple: int) -> Box:
    """Return the box around a brain (Z, Y, X), with sides that are a multiple of a number."""
    parts, margins = [], []
    for axis in (1, 2):
        size = mask.shape[axis]
        occupied = np.flatnonzero(mask.any(axis=(0, 3 - axis)))
        first, last = (int(occupied[0]), int(occupied[-1]) + 1) if occupied.size else (0, 1)
        length = -(-(last - first) // multiple) * multiple
        start = max(0, min(first - (length - (last - first)) // 2, size - length))
        stop = min(start + length, size)
        parts.append(slice(start, stop))
        margins.append(length - (stop - start))
    return Box(parts[0], parts[1], (margins[0], margins[1]))


def slab_indices(z: int, count: int) -> np.ndarray:
    """Return the indices of the slices in the slab around a slice; the outermost slices repeat beyond the ends."""
    return np.clip(np.arange(z - SLICES // 2, z + SLICES // 2 + 1), 0, count - 1)


def coordinates(shape: tuple[int, ...]) -> np.ndarray:
    """Return the coordinates of all pixels of a grid (Z, Y, X), -0.5 to 0.5, float32 (Z, 3, Y, X)."""
    axes = [slice_positions(size) for size in shape]
    return np.stack(np.meshgrid(*axes, indexing="ij"), axis=1)


def position_maps(healthy: torch.Tensor) -> torch.Tensor:
    """Return what the network sees of the position of all pixels of a grid (Z, Y, X).

    Args:
        healthy: Mean and SD of healthy scans, from `healthy_maps`, (2, Z, Y, X).

    Returns:
        Coordinates, mean and SD, float32 (Z, 5, Y, X).
    """
    return torch.cat([torch.from_numpy(coordinates(healthy.shape[1:])), healthy.movedim(0, 1)], dim=1)


def healthy_maps(shape: tuple[int, ...], healthy: torch.Tensor) -> torch.Tensor:
    """Resample mean and SD of healthy scans, (2, Z', Y', X'), to a grid, float32 (2, Z, Y, X)."""
    return interpolate(healthy[None].float(), size=tuple(shape), mode="trilinear", align_corners=False)[0]


def slab_inputs(
    slabs: torch.Tensor, positions: torch.Tensor, mirror: bool, deep: bool = False
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return the three inputs of the network for whole slices.

    Args:
        slabs: (N, 5, Y, X); blocks are (N, Z, Y, X).
        positions: From `position_maps`, (N, 5, Y, X); of blocks (N, 5, Z, Y, X).
        mirror: Whether to show the mirror image; without it, the channel is 0.
        deep: Whether these are blocks, of which the network sees the mirror image of all slices.
    """
    centre = slabs if deep else slabs[:, SLICES // 2 : SLICES // 2 + 1]
    return slabs, centre.flip(-1) if mirror else torch.zeros_like(centre), positions
