"""Train the restorer of synthetic anomalies on slabs or blocks of healthy scans."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np
import torch
from torch.nn.functional import adaptive_avg_pool3d, affine_grid, grid_sample, interpolate, pad

from ...corruption.multi_scale import HIGHEST, LOWEST, Slab, add_anomalies
from ...corruption.random_fields import random_crop
from ...corruption.shapes import band_edges
from ...errors import InputError
from ...methods.settings import with_overrides
from ...methods.slicewise import examined_slices
from ...methods.synthetic_restoration import (
    SyntheticRestoration,
    SyntheticRestorationParameters,
    healthy_maps,
    position_maps,
    slab_indices,
    slab_inputs,
)
from ...networks.synthetic_restoration import RESTORED, SlabRestorer, middle, restored_from
from ...preprocessing.space import BRAIN
from ...runtime.progress import Progress
from ...scoring.metrics import Curve
from ..data import HealthyData, Scan
from ..loop import Plan, fit
from ..prefetching import Prefetched

if TYPE_CHECKING:
    from ..config import Options

STEPS, RATE = 20000, 2e-3
# Share of the steps after which anomalies of all sizes and strengths occur.
EASY_UNTIL = 0.25
BATCH, SIDE = 8, 96
# Blocks of the 3-D network: as many voxels restored in a step. The noise repeats after 32 slices.
BLOCKS, BLOCK = 3, (32, 48)
# Factor between the grid and that of the mean and SD of healthy scans.
COARSER = 2
# Largest shift of an augmented slab in pixels.
MARGIN = 4
VALIDATION_SLABS, VALIDATION_BLOCKS = 48, 18
# Size of a brain's field of view in mm; anomalies in other fields of view are larger or smaller in proportion.
FIELD_MM = 192.0
# Numbers that separate the streams of random numbers of one seed.
DRAWN, HELD_OUT = 51, 52
# Degree from which a voxel is an anomaly for the validation's average precision.
CLEAR = 0.3


def train(
    data: HealthyData, options: Options, folder: Path, progress: Progress, workers: int | None = None
) -> tuple[SyntheticRestoration, dict]:
    """Train the restorer: 20,000 steps of 8 slabs of 96 × 96 pixels, 7,000 to 11,000 CPU seconds.

    See `trainers.Trainer`. ``options.extra`` may set ``channels``, ``mirror``, ``score``, ``erase`` and ``dimensions``.
    With ``dimensions=3`` a step has 3 blocks of 32 × 48 × 48 voxels.

    The training begins with large and strong anomalies and has all of them after a quarter of the steps: with all from
    the start, networks predict only the frequency of anomalies for many steps. Other processes draw the anomalies; a
    batch depends on seed and step only.

    The log has values on synthetic anomalies in the validation scans: ``validation_error``, the mean |x̂ − x₀| in
    anomalies; ``validation_healing``, the same over the mean |x − x₀|; ``validation_precision``, the average precision
    of the degree over the voxels; ``validation_psnr``, of x̂ outside anomalies, in dB; and ``validation_sharpness``,
    the energy of the gradients of x̂ over that of x there, in the plane.

    `workers` is the number of processes that draw anomalies; None chooses it.

    Raises:
        InputError: If there is only one training scan.
    """
    shape = data.train[0][0].shape
    resolution = tuple(-(-size // COARSER) for size in shape)
    base = SyntheticRestorationParameters(size=tuple(shape[1:]), resolution=resolution)
    method = SyntheticRestoration.untrained(with_overrides(base, options.overrides()), options.seed)
    method.network.healthy.copy_(mean_and_spread(data.train, resolution, data.template.symmetric))
    positions = position_maps(healthy_maps(shape, method.network.healthy)).numpy()
    deep = method.parameters.dimensions == 3
    source = SlabSource.of(data.train, data, positions, deep)
    held_out = SlabSource.of(data.validation, data, positions, deep, source)
    progress.stage("restorer of synthetic anomalies", 0.0, 0.9)
    plan = options.plan(options.steps or STEPS, RATE)
    return method, fitted(method, source, held_out, plan, folder, options.device, progress, workers)


def fitted(
    method: SyntheticRestoration,
    source: Source,
    held_out: Source,
    plan: Plan,
    folder: Path,
    device: str,
    progress: Progress,
    workers: int | None,
) -> dict:
    """Train the network of a method on the slabs of a source, see `train`; returns facts for the model file.

    Args:
        method: The method; its network ends on the CPU.
        source: Where the slabs come from.
        held_out: Source of the validation slabs.
        plan: Steps and rate.
        folder: Folder of the training.
        device: Device of the training.
        progress: Receives the steps.
        workers: See `train`.
    """
    multiple, mirror = method.parameters.multiple, method.parameters.mirror

    def batch(step: int) -> Learned:
        return source.batch(step, plan.seed, multiple, mirror, max(0.0, 1 - step / (EASY_UNTIL * plan.steps)))

    check = Check(held_out, plan.seed, multiple, mirror, device)
    with Prefetched(batch, plan.steps, workers) as batches:
        log = fit(method.network, batches, check, plan, folder / "restorer", device, progress)
    method.network.to("cpu").requires_grad_(False)
    return {"last": log[-1]}


class Learned(NamedTuple):
    """A batch: inputs of the network, and its targets in the middle slices; see `SlabRestorer.loss`."""

    slabs: torch.Tensor
    mirrors: torch.Tensor
    positions: torch.Tensor
    masks: torch.Tensor
    clean: torch.Tensor
    degrees: torch.Tensor
    labels: torch.Tensor


class Source(Protocol):
    """Where slabs or blocks with synthetic anomalies come from; see `SlabSource`."""

    deep: bool

    def batch(self, step: int, seed: int, multiple: int, mirror: bool, ease: float = 0.0) -> Learned:
        """Draw the batch of a step."""

    def drawn(self, random: np.random.Generator, multiple: int, mirror: bool, ease: float = 0.0) -> Learned:
        """Draw a batch of one."""


@dataclass(frozen=True, eq=False)
class SlabSource:
    """Healthy scans from which slabs with synthetic anomalies are drawn.

    Attributes:
        scans: Pairs of image (Z, Y, X), float16, and mask.
        foreign: Scans that give foreign tissue.
        spacing: Voxel spacing along (z, y, x) in mm, of a field of view as large as that of a brain.
        edges: Borders between intensity bands.
        mirrored: Whether mirror images of healthy slices are healthy too.
        varied: Whether to augment the slabs.
        positions: What the network sees of positions, see `position_maps`.
        deep: Whether to draw blocks, and not slabs.
        rows: Rows of the plane with brain in some scan, and a margin.
        columns: Such columns, symmetric in the plane.
    """

    scans: list[tuple[np.ndarray, np.ndarray]]
    foreign: list[tuple[np.ndarray, np.ndarray]]
    spacing: tuple[float, float, float]
    edges: torch.Tensor
    mirrored: bool
    varied: bool
    positions: np.ndarray
    deep: bool
    rows: slice
    columns: slice

    @classmethod
    def of(
        cls,
        scans: list[Scan],
        data: HealthyData,
        positions: np.ndarray,
        deep: bool = False,
        foreign: SlabSource | None = None,
    ) -> SlabSource:
        """Collect scans, with the foreign tissue and the intensity bands of another source, if one is given.

        Raises:
            InputError: If there is only one scan, so that no foreign tissue exists.
        """
        kept = [(image.astype(np.float16), mask) for image, mask in scans]
        if foreign is None and len(kept) < 2:
            raise InputError("only_one_scan")
        values = [image[mask][:: max(np.count_nonzero(mask) // 2000, 1)] for image, mask in kept]
        edges = foreign.edges if foreign else band_edges(torch.from_numpy(np.concatenate(values).astype(np.float32)))
        shape = kept[0][0].shape
        rows, columns = occupied_plane([mask for _, mask in kept])
        return cls(
            kept,
            foreign.scans if foreign else kept,
            lesion_spacing(data, shape),
            edges,
            data.template.symmetric,
            data.varied,
            np.ascontiguousarray(positions[..., rows, columns]),
            deep,
            rows,
            columns,
        )

    def batch(self, step: int, seed: int, multiple: int, mirror: bool, ease: float = 0.0) -> Learned:
        """Draw the batch of a step.

        Args:
            step: Number of the step.
            seed: Random seed.
            multiple: Number that divides the sides of the slabs.
            mirror: Whether the network sees the mirror image.
            ease: See `add_anomalies`.
        """
        count = BLOCKS if self.deep else BATCH
        streams = [np.random.default_rng([seed, DRAWN, step, number]) for number in range(count)]
        parts = [self.drawn(random, multiple, mirror, ease) for random in streams]
        return Learned(*(torch.cat(part) for part in zip(*parts)))

    def drawn(self, random: np.random.Generator, multiple: int, mirror: bool, ease: float = 0.0) -> Learned:
        """Draw one slab or block with anomalies, a batch of one."""
        number = int(random.integers(len(self.scans)))
        image, mask = self.scans[number]
        used = examined_slices(mask)
        z = int(used[int(random.integers(len(used)))])
        clean, inside = self._varied(image, mask, z, random)
        others = [scan for scan in self.foreign if scan[0] is not image]
        other = others[int(random.integers(len(others)))]
        near = int(np.clip(z + random.integers(-2, 3), 0, len(image) - 1))
        # Foreign tissue is often not needed. It has random numbers of its own, so that all others are the same without.
        apart = random.spawn(1)[0]
        foreign = partial(self._varied, *other, near, apart)
        slab = Slab(clean, inside, foreign, self.spacing, self.edges, self.deep)
        places = self.positions[self._chosen(z, len(image))].swapaxes(0, 1) if self.deep else self.positions[z]
        return learned(slab, places, random, multiple, mirror, ease)

    def _chosen(self, z: int, count: int) -> np.ndarray:
        """Return the indices of the slices of the slab or block around a slice."""
        if not self.deep:
            return slab_indices(z, count)
        depth = min(BLOCK[0], count)
        return np.arange(depth) + int(np.clip(z - depth // 2, 0, count - depth))

    def _varied(
        self, image: np.ndarray, mask: np.ndarray, z: int, random: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        """Cut the slab or block around a slice, and augment it: image, float32 (Z, Y, X), and mask, bool."""
        chosen = self._chosen(z, len(image))
        slab, inside = image[chosen, self.rows, self.columns].astype(np.float32), mask[chosen, self.rows, self.columns]
        if not self.varied:
            return np.where(inside, slab, 0).astype(np.float32), inside
        slab, inside = moved(slab, inside, random)
        if self.mirrored and random.random() < 0.5:
            slab, inside = slab[..., ::-1], inside[..., ::-1]
        slab = _recoloured(slab, self.spacing, random)
        return np.ascontiguousarray(np.where(inside, slab, 0), np.float32), np.ascontiguousarray(inside)


def learned(
    slab: Slab, positions: np.ndarray, random: np.random.Generator, multiple: int, mirror: bool, ease: float
) -> Learned:
    """Add anomalies to a healthy slab or block (Z, Y, X), and cut a part out of it: a batch of one.

    Args:
        slab: The slab or block, changed in place.
        positions: What the network sees of the positions, (5, Y, X), or of a block (5, Z, Y, X).
        random: Random generator.
        multiple: Number that divides the sides of the part.
        mirror: Whether the network sees the mirror image.
        ease: See `add_anomalies`.
    """
    clean, deep = slab.image.copy(), slab.deep
    side = max((BLOCK[1] if deep else SIDE) // multiple, 1) * multiple
    rows, columns = (
        _window(np.flatnonzero(slab.mask[len(clean) // 2].any(axis=1 - axis)), size, side, random)
        for axis, size in enumerate(clean.shape[1:])
    )
    add_anomalies(slab, random, (rows, columns), ease=ease)
    inputs = slab_inputs(torch.from_numpy(slab.image)[None], torch.from_numpy(positions)[None], mirror, deep)
    count = len(clean) if deep else RESTORED
    targets = (
        middle(torch.from_numpy(part.astype(np.float32))[None], count)
        for part in (slab.mask, clean, slab.degree, slab.labels)
    )
    return Learned(*(_cut(part, rows, columns, multiple, deep) for part in (*inputs, *targets)))


def mean_and_spread(scans: list[Scan], resolution: tuple[int, ...], mirrored: bool) -> torch.Tensor:
    """Compute mean and SD of healthy scans on a coarser grid.

    Args:
        scans: Pairs of image and mask, each (Z, Y, X).
        resolution: The coarser grid (Z', Y', X').
        mirrored: Whether mirror images of healthy scans are healthy too.

    Returns:
        (2, Z', Y', X'), float32; mean 0 and SD 1 where no scan has brain.
    """
    shape = scans[0][0].shape
    count, total, squares = (np.zeros(shape, np.float32) for _ in range(3))
    for image, mask in scans:
        for turn in (slice(None), slice(None, None, -1))[: 1 + mirrored]:
            count += mask[..., turn]
            total += (image * mask)[..., turn]
            squares += (image.astype(np.float32) ** 2 * mask)[..., turn]
    parts = [adaptive_avg_pool3d(torch.from_numpy(part)[None], resolution)[0] for part in (count, total, squares)]
    seen = parts[0] > 0.5
    mean, square = (part / parts[0].clamp_min(1e-3) for part in parts[1:])
    spread = (square - mean.square()).clamp_min(0).sqrt()
    return torch.stack([torch.where(seen, mean, 0), torch.where(seen, spread, 1)])


def occupied_plane(masks: list[np.ndarray]) -> tuple[slice, slice]:
    """Return the rows and columns of the plane with brain in some mask (Z, Y, X), and a margin."""
    planes = np.any([mask.any(axis=0) for mask in masks], axis=0)
    # The mirror image of the part is the part of the mirror image.
    planes |= planes[:, ::-1]
    return _with_margin(planes.any(axis=1), MARGIN), _with_margin(planes.any(axis=0), MARGIN)


def _with_margin(occupied: np.ndarray, margin: int) -> slice:
    """Return the part of an axis from the first to the last marked pixel, and some pixels more."""
    found = np.flatnonzero(occupied)
    return slice(max(int(found[0]) - margin, 0), min(int(found[-1]) + 1 + margin, len(occupied)))


def lesion_spacing(data: HealthyData, shape: tuple[int, ...]) -> tuple[float, float, float]:
    """Return the voxel spacing along (z, y, x) in mm, scaled to the field of view of a brain in other spaces."""
    z, y, x = (float(step) for step in data.template.image.spacing[::-1])
    scale = 1.0 if data.template.kind == BRAIN else FIELD_MM / max(shape[1] * y, shape[2] * x)
    return z * scale, y * scale, x * scale


def moved(slab: np.ndarray, mask: np.ndarray, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Shift, and half of the time also rotate and scale, a slab; the other half keeps the sharpness of the scan."""
    shift = random.uniform(-MARGIN, MARGIN, 2)
    if random.random() < 0.5:
        steps = tuple(int(round(step)) for step in shift)
        return np.roll(slab, steps, (1, 2)), np.roll(mask, steps, (1, 2))
    _, height, width = slab.shape
    angle, scale = math.radians(random.uniform(-7, 7)), math.exp(random.uniform(-0.08, 0.08))
    cosine, sine = math.cos(angle) * scale, math.sin(angle) * scale
    matrix = torch.tensor(
        [
            [cosine, -sine * height / width, 2 * shift[1] / width],
            [sine * width / height, cosine, 2 * shift[0] / height],
        ],
        dtype=torch.float32,
    )
    grid = affine_grid(matrix[None], [1, 1, height, width], align_corners=False)
    image = torch.from_numpy(slab)[None]
    inside = torch.from_numpy(mask.astype(np.float32))[None]
    # Cubic interpolation blurs less than linear interpolation.
    moved = grid_sample(image, grid, mode="bicubic", align_corners=False)[0].numpy()
    share = grid_sample(inside, grid, mode="bilinear", align_corners=False)[0].numpy()
    return moved, share > 0.5


def _recoloured(slab: np.ndarray, spacing: tuple[float, float, float], random: np.random.Generator) -> np.ndarray:
    """Change contrast, brightness, curve, shading, sharpness and noise of a slab."""
    if random.random() < 0.6:
        slab = np.maximum(slab, 0) ** np.float32(math.exp(random.uniform(-0.25, 0.25)))
    slab = slab * np.float32(random.uniform(0.92, 1.08)) + np.float32(random.uniform(-0.03, 0.03))
    if random.random() < 0.6:
        nodes = torch.from_numpy(random.standard_normal((1, 1, 3, 3)).astype(np.float32))
        field = interpolate(nodes, size=slab.shape[1:], mode="bicubic", align_corners=True)[0].numpy()
        slab = slab * np.exp(np.float32(random.uniform(0, 0.08)) * field)
    if random.random() < 0.2:
        soft = slab.copy()
        soft[:, 1:-1, 1:-1] = (
            4 * slab[:, 1:-1, 1:-1] + slab[:, :-2, 1:-1] + slab[:, 2:, 1:-1] + slab[:, 1:-1, :-2] + slab[:, 1:-1, 2:]
        ) / 8
        slab = slab + np.float32(random.random()) * (soft - slab)
    if random.random() < 0.5:
        slab = slab + np.float32(random.uniform(0, 0.03)) * random_crop(slab.shape, spacing, 0.0, random)
    return np.clip(slab, LOWEST, HIGHEST).astype(np.float32)


def _window(occupied: np.ndarray, size: int, most: int, random: np.random.Generator) -> slice:
    """Draw a part of an axis of a plane that overlaps the brain, at most `most` pixels."""
    length = min(most, size)
    if length == size or not occupied.size:
        return slice(0, length)
    centre = random.uniform(*sorted((occupied[0] + 0.25 * length, occupied[-1] - 0.25 * length)))
    start = int(np.clip(round(centre - length / 2), 0, size - length))
    return slice(start, start + length)


def _cut(part: torch.Tensor, rows: slice, columns: slice, multiple: int, deep: bool) -> torch.Tensor:
    """Cut slabs (1, C, Y, X) or blocks (1, …, Z, Y, X) to the window, with zeros up to a multiple of a number."""
    part = part[..., rows, columns]
    above, below, right = (-size % multiple for size in part.shape[-3:])
    return pad(part, (0, right, 0, below, 0, above if deep else 0))


class Check:
    """Values on validation scans with the same synthetic anomalies at each validation; see `train`.

    Args:
        source: Validation scans.
        seed: Random seed of the anomalies.
        multiple: Number that divides the sides of the slabs.
        mirror: Whether the network sees the mirror image.
        device: Device of the training.
    """

    def __init__(self, source: Source, seed: int, multiple: int, mirror: bool, device: str):
        draws = [
            source.drawn(np.random.default_rng([seed, HELD_OUT, number]), multiple, mirror)
            for number in range(VALIDATION_BLOCKS if source.deep else VALIDATION_SLABS)
        ]
        self._batch = Learned(*(torch.cat(part) for part in zip(*draws)))
        self._device = device

    def __call__(self, network: SlabRestorer) -> dict[str, float]:
        """Compute the values that `train` describes."""
        batch = self._batch
        restored, degree = [], []
        for first in range(0, len(batch.slabs), BATCH):
            inputs = [part[first : first + BATCH].to(self._device) for part in batch[:3]]
            correction, logit = network(*inputs)
            scan = middle(inputs[0], correction.shape[1])
            restored.append(restored_from(scan, correction, logit).cpu())
            degree.append(torch.sigmoid(logit).cpu())
        found, scan, brain = torch.cat(restored), middle(batch.slabs, batch.clean.shape[1]), batch.masks > 0
        sick, healthy = brain & (batch.labels > 0), brain & (batch.labels == 0)
        error, before = ((part - batch.clean).abs()[sick].mean() for part in (found, scan))
        curve = Curve.of(torch.cat(degree)[brain].numpy(), batch.degrees[brain].numpy() > CLEAR)
        squared = (found - scan)[healthy].square().mean().clamp_min(1e-12)
        return {
            "error": float(error),
            "healing": float(error / before.clamp_min(1e-6)),
            "precision": curve.average_precision(),
            "psnr": float(-10 * torch.log10(squared)),
            "sharpness": float(_energy(found, healthy) / _energy(scan, healthy).clamp_min(1e-12)),
        }


def _energy(images: torch.Tensor, where: torch.Tensor) -> torch.Tensor:
    """Return the mean squared difference of neighbours in the plane, both at marked pixels."""
    total = images.new_zeros(())
    for axis in (2, 3):
        size = images.shape[axis]
        one, two = (images.narrow(axis, start, size - 1) for start in (1, 0))
        both = where.narrow(axis, 1, size - 1) & where.narrow(axis, 0, size - 1)
        total = total + (one - two)[both].square().mean()
    return total
