"""Painting of each kind of simulated lesion into a T1 brain."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from ...masks import connected_components
from ...scoring.pooling import smooth
from .anatomy import Frame, Tissue
from .shapes import Ellipsoid, Patch, blob, depth_mm, displace, push, random_field, soft, warp

HELD_MM = 10.0
# Tubes and sheets: length and radius of curvature of a tube, half the width of a sheet, in mm. Of several directions of
# a tube, the one with most white matter is used.
TUBES_MM, CURVES_MM, SHEETS_MM = (15.0, 40.0), (15.0, 60.0), (8.0, 16.0)
DIRECTIONS = 24
# Distance in mm by which the border of the cortex moves at a contrast of 1, and the change when the contrast doubles:
# 1, 1.75 and 2.5 mm at the three contrasts of the benchmark. From the border, the displacement ends at the depth of a
# thin cortex on one side and fades in white matter on the other.
MOVED_MM, DOUBLED_MM, THIN_CORTEX_MM, FADE_MM = 1.75, 0.75, 3.5, 3.0
# Depth of the ventricles below the surface of the brain; share of a voxel that changes its tissue in the lesion.
DEEPEST_MM, CHANGED_SHARE = 22.0, 0.3


@dataclass(frozen=True, eq=False)
class Layers:
    """Soft weights of a lesion and other images of the same brain, all float32 (Z, Y, X); changed in place.

    Attributes:
        core: Weight of the lesion, without the rim of a tumour, 0 to 1.
        rim: Weight of the oedema of a tumour, 0 to 1.
        carried: Images that are displaced with the tissue, float32 (N, Z, Y, X).
    """

    core: np.ndarray
    rim: np.ndarray
    carried: np.ndarray

    @classmethod
    def of(cls, carried: np.ndarray) -> Layers:
        """Return layers without a lesion, with a copy of images (N, Z, Y, X) to displace."""
        core, rim = np.zeros((2, *carried.shape[1:]), np.float32)
        return cls(core, rim, carried.astype(np.float32))


@dataclass(eq=False)
class Canvas:
    """A scan with the lesions painted into it.

    Attributes:
        image: The scan, float32, shape (Z, Y, X); changed in place.
        brain: True in the brain, same shape.
        spacing: Voxel spacing along (z, y, x) in mm.
        tissue: Typical intensities of the scan without lesions.
        frame: Frame of reference of the brain.
        layers: What else to keep of a lesion, for images of other contrasts; None if only the image counts.
        lesion: True where a lesion was painted, same shape; changed in place.
    """

    image: np.ndarray
    brain: np.ndarray
    spacing: np.ndarray
    tissue: Tissue
    frame: Frame
    layers: Layers | None = None
    lesion: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        self.lesion = np.zeros(self.brain.shape, dtype=bool)

    def patch(self, voxel: np.ndarray, reach_mm: float) -> Patch:
        """Return the patch around a voxel index (z, y, x)."""
        return Patch.around(voxel, reach_mm, self.image.shape, self.spacing)

    def push(self, voxel: np.ndarray, ellipsoid: Ellipsoid, amount_mm: float, fades_mm: float) -> None:
        """Displace tissue outwards, or inwards if negative, by `amount_mm` at the surface of an ellipsoid.

        The displacement reaches zero `fades_mm` from there, and is smaller near the surface of the brain.
        """
        reach = 1 + fades_mm / ellipsoid.radius_mm
        patch = self.patch(voxel, reach * ellipsoid.reach_mm())
        held = soft(depth_mm(self.brain[patch.box], patch.spacing) - HELD_MM / 2, HELD_MM)
        outward = push(patch, ellipsoid, amount_mm, reach) * held
        self.image[patch.box] = displace(patch, self.image[patch.box], outward)
        for image in self.layers.carried if self.layers else ():
            image[patch.box] = displace(patch, image[patch.box], outward)

    def put(self, patch: Patch, image: np.ndarray, weight: np.ndarray, rim: np.ndarray | None = None) -> None:
        """Replace a patch and mark the lesion where its weight, or that of the rim around it, exceeds one half.

        No voxel of the brain gets darker than the darkest of the scan, since it would look like background.
        """
        brain = self.brain[patch.box]
        before = self.image[patch.box]
        bounded = np.maximum(image, np.minimum(before, np.float32(self.tissue.darkest)))
        self.image[patch.box] = np.where(brain, bounded, before)
        if self.layers:
            core = self.layers.core[patch.box]
            np.maximum(core, brain * weight, out=core)
        if rim is not None:
            weight = np.maximum(weight, rim)
            if self.layers:
                self.layers.rim[patch.box] = brain * rim
        self.lesion[patch.box] |= brain & (weight > 0.5)


def paint_tumour(canvas: Canvas, voxel: np.ndarray, radius: float, contrast: float, rng: np.random.Generator) -> str:
    """Paint an uneven core that displaces the tissue around it, with oedema along white matter.

    Args:
        canvas: The scan, changed in place.
        voxel: Centre, index (z, y, x).
        radius: Radius of the core in mm.
        contrast: Mean decrease of the intensity in the core, in SD of all brain voxels.
        rng: Source of randomness.

    Returns:
        Details to append to the description.
    """
    tissue, drop = canvas.tissue, contrast * canvas.tissue.spread
    ellipsoid = Ellipsoid.draw(radius, 0.13, rng)
    canvas.push(voxel, ellipsoid, radius * rng.uniform(0.2, 0.35), 25.0)
    rim = rng.uniform(6, 12) * min(1.0, radius / 12)
    patch = canvas.patch(voxel, ellipsoid.reach_mm(0.22) + rim + 3)
    moved, brain = canvas.image[patch.box].copy(), canvas.brain[patch.box]
    inside = blob(patch, ellipsoid, 0.2, rng)
    core = soft(inside, 3.0) * brain
    oedema = _oedema(canvas, patch, blob(patch, ellipsoid, 0.22, rng) + rim, core, rng) * (1 - core)

    level = max(float(moved[core > 0.5].mean()) - drop, tissue.pure_fluid)
    solid = level + 0.2 * drop * random_field(patch, 0.25 * radius, rng)
    details = []
    if rng.random() < 0.6 and radius > 9:
        shore = radius * rng.uniform(0.4, 0.55) + 0.12 * radius * random_field(patch, 3.0, rng)
        solid = solid - soft(inside - shore, 3.0) * min(0.7 * drop, level - tissue.pure_fluid)
        details.append("necrotic centre")
    if rng.random() < 0.5:
        patchy = np.clip(0.6 + 0.5 * random_field(patch, 5.0, rng), 0, 1)
        solid = solid + 0.8 * drop * patchy * np.exp(-0.5 * ((inside - 2.5) / 1.3) ** 2)
        details.append("brighter rim")
    painted = moved - 0.6 * drop * oedema
    painted = painted + core * (solid + _grain(canvas, patch, rng) - painted)
    canvas.put(patch, painted, core, oedema)
    return ", ".join(["", *details, "oedema"])


def _oedema(canvas: Canvas, patch: Patch, inside: np.ndarray, core: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return the weight of oedema: the part of a body (depth in mm) that white matter connects to the core."""
    brain = canvas.brain[patch.box]
    white = canvas.tissue.white_share(smooth(canvas.image[patch.box], brain, patch.spacing[::-1], 2.5))
    position = canvas.frame.position([np.arange(part.start, part.stop) for part in patch.box])
    spared = np.minimum(canvas.frame.outside_nuclei(position), canvas.frame.outside_hindbrain(position))
    spared = spared + 3 * random_field(patch, 4.0, rng)
    weight = soft(inside, 6.0) * white * soft(spared, 10.0)
    part = connected_components((weight > 0.3) | (core > 0.5))
    joined = part == part[np.unravel_index(int(np.argmax(core)), core.shape)]
    near = smooth(joined.astype(np.float32), np.ones_like(joined), patch.spacing[::-1], 3.0)
    return weight * np.clip(2 * near, 0, 1)


def paint_spot(canvas: Canvas, voxel: np.ndarray, radius: float, contrast: float, rng: np.random.Generator) -> str:
    """Paint one small ovoid darker than the white matter around it; arguments as for `paint_tumour`."""
    ellipsoid, edge = Ellipsoid.draw(radius, 0.25, rng), max(1.2 * radius, 2.0)
    patch = canvas.patch(voxel, ellipsoid.reach_mm(0.12) + edge)
    weight = soft(blob(patch, ellipsoid, 0.12, rng), edge)
    before = canvas.image[patch.box]
    drop = contrast * canvas.tissue.spread * rng.uniform(0.9, 1.1)
    deepest = np.maximum(before - canvas.tissue.pure_fluid, 0)
    canvas.put(patch, before - weight * np.minimum(drop, deepest), weight)
    return ""


def paint_cavity(canvas: Canvas, voxel: np.ndarray, radius: float, contrast: float, rng: np.random.Generator) -> str:
    """Paint a loss of tissue to fluid, partial at low contrast, with its surroundings drawn in; as `paint_tumour`."""
    fluid = canvas.tissue.pure_fluid
    ellipsoid = Ellipsoid.draw(radius, 0.18, rng)
    canvas.push(voxel, ellipsoid, -rng.uniform(1.0, 2.5), 14.0)
    patch = canvas.patch(voxel, ellipsoid.reach_mm(0.25) + 2.5)
    weight = soft(blob(patch, ellipsoid, 0.25, rng), 2.5) * canvas.brain[patch.box]
    moved = canvas.image[patch.box].copy()
    excess = float(moved[weight > 0.5].mean()) - fluid
    share = min(1.0, contrast * canvas.tissue.spread / max(excess, 1e-6))
    remains = np.clip(1 - share * (1 + 0.15 * random_field(patch, 2.0, rng)), 0, 1)
    emptied = fluid + remains * (moved - fluid) + 0.7 * (1 - remains) * _grain(canvas, patch, rng)
    canvas.put(patch, moved + weight * (emptied - moved), weight)
    return f", {100 * share:.0f} % of the way to fluid"


def paint_texture(canvas: Canvas, voxel: np.ndarray, radius: float, contrast: float, rng: np.random.Generator) -> str:
    """Paint a region of blurred borders or coarse grain with an unchanged mean; as for `paint_tumour`."""
    ellipsoid = Ellipsoid.draw(radius, 0.15, rng)
    patch = canvas.patch(voxel, ellipsoid.reach_mm(0.2) + 5)
    brain = canvas.brain[patch.box]
    weight = soft(blob(patch, ellipsoid, 0.2, rng), 5.0) * brain
    before = canvas.image[patch.box]
    if rng.random() < 0.65:
        blurred = smooth(before, brain, patch.spacing[::-1], 4.2 * contrast**0.75)
        change = blurred + _grain(canvas, patch, rng) - before
        details = ", blurred borders"
    else:
        change = 0.25 * contrast * canvas.tissue.spread * random_field(patch, rng.uniform(0.8, 1.3), rng)
        details = ", coarse grain"
    change = change - (weight * change).sum() / weight.sum()
    canvas.put(patch, before + weight * change, weight)
    return details


def paint_tube(canvas: Canvas, voxel: np.ndarray, radius: float, contrast: float, rng: np.random.Generator) -> str:
    """Paint a thin, curved tube or sheet darker than the white matter around it; arguments as for `paint_tumour`.

    `radius` is half the thickness.
    """
    if rng.random() < 0.5:
        length, curve = rng.uniform(*TUBES_MM), rng.uniform(*CURVES_MM)
        patch = canvas.patch(voxel, length / 2 + radius + 2)
        white = _tissue_share(canvas, patch)
        arcs = [_arc(length, curve, rng) for _ in range(DIRECTIONS)]
        inside = radius - _distance_to(max(arcs, key=lambda arc: _mean_on(patch, white, arc)), patch)
        details = f", tube {length:.0f} mm long"
    else:
        half = rng.uniform(*SHEETS_MM)
        patch = canvas.patch(voxel, 1.5 * half + radius + 2)
        white, depth = _tissue_share(canvas, patch), _depth_below_surface(canvas, patch)
        here = tuple(int(v) - part.start for v, part in zip(voxel, patch.box))
        outline = blob(patch, Ellipsoid.draw(half, 0.2, rng), 0.15, rng)
        inside = np.minimum(radius - np.abs(depth - depth[here]), outline)
        details = f", sheet {2 * half:.0f} mm wide"
    weight = soft(inside, 1.0) * (white > 0.5)
    before = canvas.image[patch.box]
    drop = contrast * canvas.tissue.spread * rng.uniform(0.9, 1.1)
    canvas.put(patch, before - weight * np.minimum(drop, np.maximum(before - canvas.tissue.pure_fluid, 0)), weight)
    return details


def paint_thickness(canvas: Canvas, voxel: np.ndarray, radius: float, contrast: float, rng: np.random.Generator) -> str:
    """Move the border between grey and white matter within a patch of cortex; arguments as for `paint_tumour`.

    The tissue itself is displaced along the normal of the border: a thicker cortex is stretched grey matter, with the
    white matter below it compressed, and a thinner one the reverse. The surface of the brain does not move.
    """
    thicker = rng.random() < 0.5
    amount = MOVED_MM + DOUBLED_MM * math.log2(contrast)
    patch = canvas.patch(voxel, 1.3 * radius + THIN_CORTEX_MM + FADE_MM + amount + 3)
    before, brain = canvas.image[patch.box], canvas.brain[patch.box]
    white = canvas.tissue.white_share(smooth(before, brain, patch.spacing[::-1], 1.8)) * brain
    # The border lies half a voxel from the centres of the voxels beside it.
    inside, half = white > 0.5, 0.5 * float(np.mean(patch.spacing))
    depth = np.where(inside, depth_mm(inside, patch.spacing) - half, half - depth_mm(~inside, patch.spacing))
    depth = smooth(depth, np.ones_like(brain), patch.spacing[::-1], 2.0)
    gradient = np.stack(np.gradient(depth, *patch.spacing))
    normal = gradient / np.maximum(np.sqrt((gradient**2).sum(axis=0)), 0.3)
    within = soft(blob(patch, Ellipsoid.draw(radius, 0.1, rng), 0.1, rng), 4.0)
    border = amount if thicker else -amount
    outer, inner = -THIN_CORTEX_MM, FADE_MM + (2 * amount if thicker else 0)
    source = np.interp(depth, (outer, border, inner), (outer, 0.0, inner))
    shift = within * np.where((depth > outer) & (depth < inner), source - depth, 0)
    # The surface of the brain stays, and so do the walls of the ventricles.
    below = _depth_below_surface(canvas, patch)
    shift = shift * soft(below - 1.5, 2.0) * soft(DEEPEST_MM - below, 4.0)
    moved = warp(patch, before, (normal * shift).astype(np.float32), shift == 0)
    # Of a voxel, the part on the white side of the border changes by this share.
    before_share, after_share = (np.clip(part / (2 * half) + 0.5, 0, 1) for part in (depth, depth + shift))
    between = np.abs(after_share - before_share) > CHANGED_SHARE
    # In the middle of a narrow gyrus the normals of both sides cancel, and a bright line would remain.
    line = between & ((normal**2).sum(axis=0) < 0.7) if thicker else np.zeros_like(between)
    moved[line] = _filled(moved, between & ~line, patch)[line]
    canvas.put(patch, moved, between.astype(np.float32))
    return f", {'thicker' if thicker else 'thinner'} by {amount:.2f} mm"


def _filled(image: np.ndarray, known: np.ndarray, patch: Patch) -> np.ndarray:
    """Return the image smoothed over known voxels only; the image itself far from all of them."""
    everywhere, spacing = np.ones_like(known), patch.spacing[::-1]
    share = smooth(known.astype(np.float32), everywhere, spacing, 3.0)
    total = smooth(np.where(known, image, np.float32(0)), everywhere, spacing, 3.0)
    return np.where(share > 0.05, total / np.maximum(share, 0.05), image)


def _arc(length: float, curve: float, rng: np.random.Generator) -> np.ndarray:
    """Draw an arc of a circle through the centre: points along (z, y, x) in mm, 0.3 mm apart, shape (N, 3)."""
    along, aside = np.linalg.qr(rng.standard_normal((3, 2)))[0].T
    angle = np.linspace(-length / 2, length / 2, max(3, int(length / 0.3)))[:, None] / curve
    return curve * (np.sin(angle) * along + (1 - np.cos(angle)) * aside)


def _distance_to(points: np.ndarray, patch: Patch) -> np.ndarray:
    """Return the distance of every voxel of a patch from the nearest point, in mm."""
    from scipy.spatial import cKDTree

    offsets = patch.offsets.reshape(3, -1).T
    return cKDTree(points).query(offsets)[0].reshape(patch.shape).astype(np.float32)


def _mean_on(patch: Patch, values: np.ndarray, points: np.ndarray) -> float:
    """Return the mean of a map at points; 0 outside the patch."""
    first = patch.offsets[:, 0, 0, 0]
    index = np.rint((points - first) / patch.spacing).astype(int)
    inside = ((index >= 0) & (index < patch.shape)).all(axis=1)
    return float(values[tuple(index[inside].T)].sum() / len(points))


def _tissue_share(canvas: Canvas, patch: Patch) -> np.ndarray:
    """Return the share of white matter in a patch of the cerebrum, 0 to 1."""
    brain = canvas.brain[patch.box]
    white = canvas.tissue.white_share(smooth(canvas.image[patch.box], brain, patch.spacing[::-1], 2.5))
    position = canvas.frame.position([np.arange(part.start, part.stop) for part in patch.box])
    return white * brain * (canvas.frame.outside_nuclei(position) > 0)


def _depth_below_surface(canvas: Canvas, patch: Patch) -> np.ndarray:
    """Return the distance to the outside of the brain in mm; the edge of the patch does not count."""
    return depth_mm(canvas.brain[patch.box], patch.spacing)


PAINTERS = {
    "tumour": paint_tumour,
    "spots": paint_spot,
    "cavity": paint_cavity,
    "texture": paint_texture,
    "tubes": paint_tube,
    "thickness": paint_thickness,
}


def _grain(canvas: Canvas, patch: Patch, rng: np.random.Generator) -> np.ndarray:
    """Draw noise with the SD and smoothness of the white matter in the patch; shape of the patch."""
    image, brain = canvas.image[patch.box], canvas.brain[patch.box]
    spacing_xyz = patch.spacing[::-1]
    white = canvas.tissue.white_share(smooth(image, brain, spacing_xyz, 2.0)) > 0.95
    residual = image - smooth(image, white, spacing_xyz, 4.0)
    white &= depth_mm(white, patch.spacing) > 2
    if np.count_nonzero(white) < 200:
        return 0.05 * canvas.tissue.spread * random_field(patch, 0.5 * np.array(patch.spacing), rng)
    values = residual[white] - np.median(residual[white])
    strength = 1.4826 * float(np.median(np.abs(values)))
    sigma = []
    for axis in range(3):
        one, next_one = (np.moveaxis(part, axis, 0) for part in (residual, white))
        both = next_one[1:] & next_one[:-1]
        likeness = float((one[1:][both] * one[:-1][both]).mean()) / max(float((values**2).mean()), 1e-12)
        # Noise smoothed by a Gaussian of s voxels has neighbours that correlate by exp(-1 / (4 s²)).
        sigma.append(patch.spacing[axis] * math.sqrt(-1 / (4 * math.log(min(max(likeness, 0.01), 0.95)))))
    return strength * random_field(patch, np.array(sigma), rng)
