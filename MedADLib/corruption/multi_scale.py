"""Synthetic anomalies of all sizes, kinds and strengths in slabs of a scan, to train a network that removes them.

The benchmark simulates lesions with other code, other formulas and other parameters (`evaluation/simulation`): this
module imports nothing from there. Two families are left out on purpose, so that a benchmark of them measures what the
training did not show: **thin tubes and sheets** (vessels, enlarged perivascular spaces, septa; no shape here is longer
than `LONGEST` times its width) and **changes of cortical thickness** (nothing here follows the border between grey and
white matter).

Sources: foreign patches (Tan et al. 2020), disentangled anomalies (Naval Marimont et al. 2024), shapes from Perlin
noise (Liu et al. 2025).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import torch
from torch.nn.functional import avg_pool3d, grid_sample

from .blending import HIGHEST, LOWEST, paste_foreign
from .random_fields import fractal_crop, random_crop
from .shapes import shift_bands

# Radius of the sphere of the same volume in mm. The smallest anomalies are one voxel of 1.5 mm.
RADII_MM = (0.75, 35.0)
SMALLEST_VOXELS = 0.6
CLEAN = 0.15
MOST = 8
# Several anomalies are smaller than a single one.
LARGEST_OF_SEVERAL_MM = 14.0
# Ratio of the longest to the shortest axis of an ellipsoid.
LONGEST = 2.5
# Edges in mm, at most this multiple of the radius.
EDGES_MM, SOFTEST = (0.3, 7.0), 1.5
# Strength of a change of intensity in SD of the brain's intensities.
STRENGTHS = (0.1, 2.5)
# Part of the ranges of radius and strength, in the logarithm, that full ease leaves out.
EASY_SIZE, EASY_STRENGTH = 0.3, 0.7
# Share of the anomalies with centres in the focus of `add_anomalies`.
FOCUSED = 0.8
# A mean change of this share of the brain's SD has the degree 1/2.
VISIBLE = 0.12
# Weight from which a voxel counts as part of an anomaly.
PART = 0.05
# Voxels around a component that its Dice also covers.
OCCUPIED = 0.4


@dataclass(eq=False)
class Slab:
    """Some neighbouring slices of a scan with anomalies, changed in place.

    Attributes:
        image: Standard intensities, float32 (Z, Y, X), 0 outside the brain.
        mask: Brain, bool (Z, Y, X).
        other: Returns the slab of another scan at the same height, as image and mask; called at most once.
        spacing: Voxel spacing along (z, y, x) in mm.
        edges: Borders between intensity bands, from `shapes.band_edges`.
        deep: Whether all slices have centres of anomalies, as in a block; otherwise anomalies touch the middle slice.
        degree: Degree of anomaly of each voxel, float32 (Z, Y, X), 0 to 1.
        labels: Number of the anomaly of each voxel, uint8 (Z, Y, X), 0 for none.
        spread: SD of the brain's intensities.
    """

    image: np.ndarray
    mask: np.ndarray
    other: Callable[[], tuple[np.ndarray, np.ndarray]]
    spacing: tuple[float, float, float]
    edges: torch.Tensor
    deep: bool = False
    degree: np.ndarray = field(init=False)
    labels: np.ndarray = field(init=False)
    spread: float = field(init=False)

    def __post_init__(self) -> None:
        self.degree = np.zeros(self.image.shape, np.float32)
        self.labels = np.zeros(self.image.shape, np.uint8)
        values = self.image[self.mask]
        self.spread = max(float(values.std()), 0.02) if values.size else 0.02

    @cached_property
    def foreign(self) -> tuple[np.ndarray, np.ndarray]:
        """Return image, float32, and mask, bool, of the other scan, each (Z, Y, X)."""
        return self.other()


@dataclass(frozen=True, eq=False)
class Site:
    """One anomaly's part of a slab: its box and its weight there.

    Attributes:
        slab: The slab.
        box: Slices of the box in the slab.
        weight: 0 to 1, float32, shape of the box.
        radius_mm: Radius of the sphere of about the same volume.
        ease: 0 for all strengths, 1 for strong anomalies only.
    """

    slab: Slab
    box: tuple[slice, slice, slice]
    weight: np.ndarray
    radius_mm: float
    ease: float

    @property
    def shape(self) -> tuple[int, ...]:
        """Return the shape of the box."""
        return self.weight.shape

    def foreign(self) -> tuple[np.ndarray, np.ndarray]:
        """Return image and mask of the other scan in the box."""
        image, mask = self.slab.foreign
        return image[self.box], mask[self.box]

    def strength(self, low: float, high: float, random: np.random.Generator) -> float:
        """Draw a strength, uniform in the logarithm; ease raises the lower end."""
        return _spread(low, high, EASY_STRENGTH * self.ease, random)

    def noise(self, width_mm: float, random: np.random.Generator) -> np.ndarray:
        """Draw smooth noise of mean 0 and SD 1 in the box."""
        return random_crop(self.shape, self.slab.spacing, width_mm, random)


def add_anomalies(
    slab: Slab,
    random: np.random.Generator,
    focus: tuple[slice, slice] | None = None,
    clean: float = CLEAN,
    count: int | None = None,
    radii_mm: tuple[float, float] = RADII_MM,
    kinds: tuple[str, ...] | None = None,
    ease: float = 0.0,
) -> None:
    """Add one to eight anomalies to a slab or block, or none.

    Args:
        slab: The slab; image, degree and labels change.
        random: Random generator.
        focus: Part of the plane with most of the centres (y, x); None for the whole plane.
        clean: Probability of a slab without anomalies.
        count: Number of anomalies; None draws it.
        radii_mm: Smallest and largest radius, drawn uniformly in the logarithm.
        kinds: Names of kinds to choose from, see `KINDS`; None for all.
        ease: 0 for all sizes and strengths, 1 for large and strong anomalies only.
    """
    if random.random() < clean:
        return
    if count is None:
        # Few anomalies are more frequent than many.
        count = int(MOST ** random.random() + 0.5)
    for number in range(1, count + 1):
        low, high = radii_mm
        # On a coarse grid, smaller anomalies would fall between the voxels.
        low = max(low, SMALLEST_VOXELS * max(slab.spacing[1:]))
        high = max(low, min(high, LARGEST_OF_SEVERAL_MM) if count > 2 else high)
        radius = _spread(low, high, EASY_SIZE * ease, random)
        site = _site(slab, radius, focus if random.random() < FOCUSED else None, ease, random)
        if site is not None:
            _change(site, number, kinds, random)
        if slab.degree.any() and (slab.labels[slab.mask] > 0).mean() > OCCUPIED:
            return


def _change(site: Site, number: int, kinds: tuple[str, ...] | None, random: np.random.Generator) -> None:
    """Apply a random kind of anomaly that suits the size, and mark its degree."""
    slab, box = site.slab, site.box
    names = [name for name in kinds or KINDS if kinds or site.radius_mm >= KINDS[name].smallest_mm]
    shares = np.array([KINDS[name].share for name in names])
    change = KINDS[names[int(random.choice(len(names), p=shares / shares.sum()))]].change
    before, mask = slab.image[box], slab.mask[box]
    after = np.where(mask, np.clip(change(site, random), LOWEST, HIGHEST), before).astype(np.float32)
    part = mask & (site.weight > PART)
    if not part.any():
        return
    after = np.where(part, after, before)
    difference = np.abs(after - before)
    near = _box_mean(difference, 3, 1)
    everywhere = float(difference[part].sum() / site.weight[part].sum())
    typical = 0.5 * near + 0.5 * everywhere * site.weight
    degree = np.where(part, site.weight * typical / (typical + VISIBLE * slab.spread), 0)
    slab.image[box] = after
    slab.degree[box] = np.maximum(slab.degree[box], degree)
    slab.labels[box][part] = number


def _spread(low: float, high: float, above: float, random: np.random.Generator) -> float:
    """Draw a number between two, uniform in the logarithm, but not in a share `above` at the lower end."""
    return float(low * (high / low) ** random.uniform(above, 1))


def _site(
    slab: Slab, radius: float, focus: tuple[slice, slice] | None, ease: float, random: np.random.Generator
) -> Site | None:
    """Draw position and shape of an anomaly; None if no brain is there."""
    middle = len(slab.image) // 2
    planes = slab.mask if slab.deep else slab.mask[middle : middle + 1]
    if focus is not None:
        inside = np.zeros_like(planes)
        inside[:, focus[0], focus[1]] = planes[:, focus[0], focus[1]]
        planes = inside if inside.any() else planes
    candidates = np.flatnonzero(planes)
    if not candidates.size:
        return None
    z, y, x = np.unravel_index(candidates[int(random.integers(candidates.size))], planes.shape)
    if slab.deep:
        z = z + random.uniform(-0.5, 0.5)
    else:
        # An anomaly may touch the middle slice with its centre or with its end.
        z = middle + random.uniform(-0.8, 0.8) * radius / slab.spacing[0] if len(slab.image) > 1 else middle
    centre = np.array([z, y, x], np.float64)
    centre[1:] += random.uniform(-0.5, 0.5, 2)
    edge = min(_spread(*EDGES_MM, 0.0, random), SOFTEST * radius)
    reach = 1.7 * radius + edge + max(slab.spacing[1:])
    box, steps = [], []
    for axis, (size, step) in enumerate(zip(slab.image.shape, slab.spacing)):
        first, last = 0, size
        if axis or slab.deep:
            first = max(math.floor(centre[axis] - reach / step), 0)
            last = min(math.ceil(centre[axis] + reach / step) + 1, size)
        box.append(slice(first, last))
        steps.append((np.arange(first, last) - centre[axis]) * step)
    offsets = np.stack(np.meshgrid(*steps, indexing="ij")).astype(np.float32)
    kind = SHAPES[int(random.choice(len(SHAPES), p=SHAPE_SHARES))]
    depth = kind(offsets, radius, slab.spacing, random)
    weight = 0.5 - 0.5 * np.cos(np.pi * np.clip(0.5 + depth / edge, 0, 1))
    return Site(slab, (box[0], box[1], box[2]), weight.astype(np.float32), radius, ease)


def _radii(random: np.random.Generator, radius: float) -> np.ndarray:
    """Draw the three radii of an ellipsoid with the volume of a sphere."""
    logs = random.uniform(-0.5, 0.5, 3) * math.log(LONGEST)
    return radius * np.exp(logs - logs.mean())


def _turned(offsets: np.ndarray, radii: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Rotate offsets (3, Z, Y, X) at random and divide them by the radii."""
    axes, _ = np.linalg.qr(random.standard_normal((3, 3)))
    return np.tensordot((axes / radii[:, None]).astype(np.float32), offsets, axes=1)


def _ellipsoid(
    offsets: np.ndarray, radius: float, spacing: tuple[float, float, float], random: np.random.Generator
) -> np.ndarray:
    """Return the depth in mm inside an ellipsoid with an uneven surface, negative outside."""
    distance = np.sqrt((_turned(offsets, _radii(random, radius), random) ** 2).sum(0))
    if radius < 2:
        return radius * (1 - distance)
    uneven = random.uniform(0, 0.25) * random_crop(distance.shape, spacing, 0.5 * radius, random)
    return radius * (1 - distance * (1 + uneven))


def _box(
    offsets: np.ndarray, radius: float, spacing: tuple[float, float, float], random: np.random.Generator
) -> np.ndarray:
    """Return the depth in mm inside a rotated box."""
    # A cube of the volume of a sphere has 0.81 of its radius as half edge.
    return radius * (1 - np.abs(_turned(offsets, 0.81 * _radii(random, radius), random)).max(0))


def _pair(
    offsets: np.ndarray, radius: float, spacing: tuple[float, float, float], random: np.random.Generator
) -> np.ndarray:
    """Return the depth in mm inside two overlapping ellipsoids."""
    away = (random.uniform(-0.7, 0.7, 3) * radius).astype(np.float32)[:, None, None, None]
    parts = [_ellipsoid(offsets + sign * away, 0.8 * radius, spacing, random) for sign in (1, -1)]
    return np.maximum(*parts)


def _perlin(
    offsets: np.ndarray, radius: float, spacing: tuple[float, float, float], random: np.random.Generator
) -> np.ndarray:
    """Return the depth in mm inside a ball's part of thresholded fractal noise; its outline is irregular."""
    distance = np.sqrt((offsets**2).sum(0))
    noise = fractal_crop(distance.shape, spacing, 0.6 * radius, random)
    return 0.5 * (1.1 * radius - distance) + 0.35 * radius * noise


SHAPES = (_ellipsoid, _box, _pair, _perlin)
SHAPE_SHARES = (0.4, 0.1, 0.15, 0.35)


def change_gain(site: Site, random: np.random.Generator) -> np.ndarray:
    """Multiply by a factor: darker or brighter, with the structure kept."""
    image = site.slab.image[site.box]
    inside = image[site.weight > 0.5] if (site.weight > 0.5).any() else image
    level = max(float(inside.mean()), 0.1)
    strength = site.strength(*STRENGTHS, random) * random.choice((-1.0, 1.0))
    factor = strength * site.slab.spread / level
    uneven = 1 + random.uniform(0, 0.4) * site.noise(random.uniform(0, 7), random)
    return image * (1 + np.maximum(factor * uneven, -0.95) * site.weight)


def change_level(site: Site, random: np.random.Generator) -> np.ndarray:
    """Pull towards one intensity, that of some other tissue or any, with grain: structure disappears."""
    slab = site.slab
    image, values = slab.image[site.box], slab.image[slab.mask]
    other = float(values[int(random.integers(values.size))])
    level = other if random.random() < 0.6 else random.uniform(0.05, 1.3)
    share = site.strength(0.15, 1, random)
    grain = random.uniform(0, 0.25) * slab.spread * site.noise(random.uniform(0, 2.6), random)
    blotches = random.uniform(0, 0.4) * slab.spread * site.noise(random.uniform(1.6, 7), random)
    return image + share * site.weight * (level + grain + blotches - image)


def change_bias(site: Site, random: np.random.Generator) -> np.ndarray:
    """Multiply by a smooth field, in the whole extent of the weight."""
    spread = site.strength(0.05, 0.5, random)
    tilt = site.noise(12.0, random) if random.random() < 0.5 else random.choice((-1.0, 1.0))
    # The square makes the outline soft, whatever the edge.
    return site.slab.image[site.box] * np.exp(spread * site.weight**2 * tilt)


def change_foreign(site: Site, random: np.random.Generator) -> np.ndarray:
    """Blend in the tissue of another scan; half of the time with equal mean and SD."""
    slab = site.slab
    image, (foreign, foreign_mask) = slab.image[site.box], site.foreign()
    both = slab.mask[site.box] & foreign_mask
    inside = both & (site.weight > 0.5)
    if random.random() < 0.5 and np.count_nonzero(inside) > 8:
        own, other = image[inside], foreign[inside]
        foreign = own.mean() + (foreign - other.mean()) * min(own.std() / max(other.std(), 0.02), 2)
    return image + site.strength(0.2, 1, random) * site.weight * both * (foreign - image)


def change_bands(site: Site, random: np.random.Generator) -> np.ndarray:
    """Disentangled anomaly generation (DAG): blend in foreign tissue of matched range, and shift intensity bands."""
    slab = site.slab
    depth, height, width = site.shape
    image, mask, (foreign, foreign_mask) = slab.image[site.box], slab.mask[site.box], site.foreign()
    inside = (site.weight > 0) & mask & foreign_mask
    if inside.any() and np.ptp(foreign[inside]) > 0:
        low, least = foreign[inside].min(), image[inside].min()
        foreign = (foreign - low) * (np.ptp(image[inside]) / np.ptp(foreign[inside])) + least

    def tall(values: np.ndarray) -> torch.Tensor:
        # As one tall slice, all slices of the slab have the same bands.
        return torch.from_numpy(np.ascontiguousarray(values, np.float32)).view(1, 1, depth * height, width)

    degree = torch.tensor([random.random() * (random.random() < 0.6)], dtype=torch.float32)
    bias = torch.tensor([site.strength(0.03, 0.5, random)], dtype=torch.float32)
    masks, shapes = tall(mask), tall(site.weight)
    pasted = paste_foreign(tall(image), masks, tall(foreign), tall(foreign_mask), shapes, degree).images
    generator = torch.Generator().manual_seed(int(random.integers(2**62)))
    shifted = shift_bands(pasted, masks, shapes, slab.edges, bias, generator)
    return shifted.images.view(depth, height, width).numpy()


def change_texture(site: Site, random: np.random.Generator) -> np.ndarray:
    """Smooth, sharpen or roughen, or take the fine structure of another scan; half of the time the mean stays."""
    slab = site.slab
    image, mask = slab.image[site.box], slab.mask[site.box]
    way = random.random()
    if way < 0.5:
        # Two box filters: a kernel with a flat top and finite extent.
        size = int(random.choice((3, 3, 5, 5, 7)))
        change = random.uniform(0.6, 1) * (_box_blur(image, mask, size, int(random.choice((1, 3)))) - image)
        change = change + random.uniform(0, 0.1) * slab.spread * site.noise(0.0, random)
    elif way < 0.75:
        width = random.choice((0.0, 1.6, 2.6))
        change = site.strength(0.08, 0.8, random) * slab.spread * site.noise(width, random) * (0.4 + image)
    elif way < 0.9:
        foreign, foreign_mask = site.foreign()
        own, other = (part - _box_blur(part, at, 5, 3) for part, at in ((image, mask), (foreign, foreign_mask)))
        change = random.uniform(0.5, 1) * (mask & foreign_mask) * (other - own)
    else:
        change = random.uniform(0.4, 1.5) * (image - _box_blur(image, mask, 3, 1))
    change = change * site.weight
    inside = site.weight * mask
    if random.random() < 0.5 and inside.any():
        change = change - inside * float((change * mask).sum() / inside.sum())
    return image + change


def _box_blur(image: np.ndarray, mask: np.ndarray, size: int, depth: int) -> np.ndarray:
    """Filter twice with a box of (depth, size, size) voxels within a mask."""
    share = mask.astype(np.float32)
    total = image * share
    for _ in range(2):
        total, share = (_box_mean(part, size, depth) for part in (total, share))
    return np.where(mask, total / np.maximum(share, 1e-3), image)


def _box_mean(values: np.ndarray, size: int, depth: int) -> np.ndarray:
    """Return the mean over boxes of (depth, size, size) voxels, odd numbers, with zeros beyond the edge."""
    around = [(reach, reach) for reach in (depth // 2, size // 2, size // 2)]
    batch = torch.from_numpy(np.pad(values.astype(np.float32), around))[None, None]
    return avg_pool3d(batch, (depth, size, size), stride=1)[0, 0].numpy()


def change_form(site: Site, random: np.random.Generator) -> np.ndarray:
    """Displace tissue by 1 to 5 mm along a random smooth field in the plane; intensities stay."""
    slab = site.slab
    image = slab.image[site.box]
    depth, height, width = site.shape
    amount, smooth = random.uniform(1, 5), random.choice((4.2, 7.0))
    moves = []
    for axis, size in ((2, width), (1, height)):
        field = site.noise(smooth, random) * amount * site.weight / slab.spacing[axis]
        pixels = np.arange(size, dtype=np.float32)
        place = field + (pixels if axis == 2 else pixels[:, None])
        moves.append((2 * place + 1) / size - 1)
    grid = torch.from_numpy(np.stack(moves, -1).astype(np.float32))
    # Bicubic interpolation keeps the noise: bilinear interpolation would smooth it and so reveal the anomaly.
    moved = grid_sample(
        torch.from_numpy(image)[:, None], grid, mode="bicubic", padding_mode="border", align_corners=False
    )[:, 0].numpy()
    # Background that moves in would be a hole.
    return np.where((site.weight > 0) & (moved > 0.5 * image), moved, image)


@dataclass(frozen=True)
class Kind:
    """A kind of anomaly.

    Attributes:
        change: Returns the changed intensities in the box of a site.
        share: Relative frequency.
        smallest_mm: Smallest radius at which it occurs.
    """

    change: Callable[[Site, np.random.Generator], np.ndarray]
    share: float
    smallest_mm: float = 0.0


KINDS = {
    "gain": Kind(change_gain, 0.2),
    "level": Kind(change_level, 0.2),
    "bands": Kind(change_bands, 0.13, 2.0),
    "foreign": Kind(change_foreign, 0.12, 3.0),
    "texture": Kind(change_texture, 0.24, 4.0),
    "form": Kind(change_form, 0.05, 5.0),
    "bias": Kind(change_bias, 0.06, 8.0),
}
