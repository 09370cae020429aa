"""Insertion of lesions of known extent into a healthy T1 brain.

Contrast is in units of the standard deviation of all brain voxels (weak 0.5, medium 1, strong 2). Lesions are darker by
the contrast, as on T1 without contrast agent, but not darker than fluid; oedema is darker by 0.6 of it. A change of
texture keeps the mean: it blurs by 2.5, 4.2 or 7 mm (full width at half maximum), or adds noise with a quarter of the
contrast as SD. Position and shape depend on the seed and not on the contrast, unless a thin weak lesion fills no voxel
there. Positions (unless given):

- tumour: in white matter, deep enough for the whole core, to one side of the midline and clear of the ventricles;
- spots: so deep in white matter that it surrounds each of them;
- cavity: near the surface, so that it reaches the cortex;
- texture: where cortex and white matter meet.

Two more are the **unseen families** (`UNSEEN`), which no generator of training anomalies imitates. They show what a
network finds beyond its training, and are reported apart from the other kinds:

- tubes: a thin curved tube, as an enlarged perivascular space or a vessel, or a thin sheet parallel to the surface of
  the brain, as a laminar band; both 1.5 to 3 mm across and in white matter;
- thickness: a patch of cortex 12 to 25 mm across that is thicker or thinner, since the border between grey and white
  matter lies elsewhere. The contrast is the distance by which it moves: 1, 1.75 or 2.5 mm. No intensity is painted.

All are in the cerebrum, away from the deep grey nuclei.

The mask holds the voxels where the weight of the lesion exceeds one half. Tissue around the mask changes where a tumour
displaces it, a cavity draws it in or the cortex changes its thickness, but does not belong to the lesion; all other
voxels keep their value bit for bit. The lesion of a changed thickness is the tissue between the old and the new border.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...errors import InputError
from ...masks import bounding_slices, connected_components
from ...volume import Volume
from .anatomy import PositionMaps, Tissue
from .painting import PAINTERS, Canvas, Layers

CONTRASTS = {"weak": 0.5, "medium": 1.0, "strong": 2.0}
# The position of a kind in this order is part of the seeds: new kinds come last.
RADII_MM = {
    "tumour": (8.0, 20.0),
    "spots": (2.0, 4.0),
    "cavity": (7.0, 14.0),
    "texture": (10.0, 18.0),
    "tubes": (0.75, 1.5),
    "thickness": (6.0, 12.5),
}
UNSEEN = ("tubes", "thickness")
NEEDED_DEPTH = {"tumour": 1.0, "spots": 1.0, "cavity": 0.3, "texture": 0.4, "tubes": 2.0, "thickness": 0.2}
# Depth of the cortex below the surface of the brain, where a change of its thickness is centred, in mm.
CORTEX_MM = (3.0, 16.0)
SPOTS = (4, 9)
SPOTS_WITHIN_MM = 25.0
SHRINK = 0.9
ATTEMPTS = 20


@dataclass(frozen=True)
class LesionSpec:
    """Specification of a lesion.

    Attributes:
        kind: "tumour", "spots", "cavity", "texture", "tubes" or "thickness".
        contrast: "weak", "medium" or "strong".
        radius_mm: Radius of the core of a tumour, of each spot, of the cavity or of the changed region, or half the
            thickness of a tube or sheet; None draws it by the seed and reduces it until the lesion fits.
        centre_ras: Position in RAS mm; spots lie around it. None chooses a fitting position by the seed.
    """

    kind: str
    contrast: str = "medium"
    radius_mm: float | None = None
    centre_ras: tuple[float, float, float] | None = None

    def __post_init__(self) -> None:
        if self.kind not in RADII_MM:
            raise InputError("lesion_kind_unknown", kind=self.kind, choices=", ".join(RADII_MM))
        if self.contrast not in CONTRASTS:
            raise InputError("lesion_contrast_unknown", contrast=self.contrast, choices=", ".join(CONTRASTS))
        if self.radius_mm is not None and not 0.5 <= self.radius_mm <= 60:
            raise InputError("lesion_radius", radius=self.radius_mm)


@dataclass(frozen=True, eq=False)
class SimulatedLesion:
    """A scan with a lesion.

    Attributes:
        volume: The scan with the lesion, float32, on the grid of the healthy one.
        mask: 1 in the lesion, uint8, on the same grid.
        description: One line of text.
        centre_ras: Centre of the lesion, or of the largest of several spots, RAS mm.
        layers: Its soft weights, and the images that it displaced; None if there were none.
    """

    volume: Volume
    mask: Volume
    description: str
    centre_ras: tuple[float, float, float]
    layers: Layers | None = None


def insert_lesion(
    volume: Volume, brain_mask: np.ndarray, spec: LesionSpec, seed: int, carried: np.ndarray | None = None
) -> SimulatedLesion:
    """Insert a lesion into a healthy T1 scan; the same arguments give the same lesion.

    Args:
        volume: The scan, with or without skull, in any orientation.
        brain_mask: True in the brain, shape (Z, Y, X).
        spec: Specification of the lesion.
        seed: Random seed of position and size (unless given) and of the shape.
        carried: Other images of the brain, (N, Z, Y, X), that lesions displace with its tissue; with them, soft weights
            of the lesion are kept too.

    Returns:
        The scan with the lesion and the mask of the lesion.

    Raises:
        InputError: If the mask is not on the scan's grid, the brain has no contrast, or the lesion does not fit.
    """
    brain = np.asarray(brain_mask, dtype=bool)
    scan, expected = volume.name, volume.array.shape
    if brain.shape != expected:
        raise InputError("brain_mask_shape", shape=brain.shape, scan=scan, expected=expected)
    if not brain.any():
        raise InputError("lesion_brain_mask_empty", scan=scan)
    levels = Tissue.measure(volume.array[brain])
    if not levels.fluid < levels.grey < levels.white:
        raise InputError("tissue_contrast", scan=scan)
    maps = PositionMaps.survey(volume, brain, levels)
    # A thin lesion may fill no voxel by half, and a sheet needs the surface of the brain near it: then another place.
    for attempt in range(ATTEMPTS):
        key = [seed, list(RADII_MM).index(spec.kind), *([attempt] if attempt else [])]
        placing, shaping = (np.random.default_rng(stream) for stream in np.random.SeedSequence(key).spawn(2))
        canvas = Canvas(volume.array.astype(np.float32), brain, volume.spacing[::-1], levels, maps.frame)
        canvas.layers = None if carried is None else Layers.of(carried)
        details = ""
        sites = _sites(volume, maps, spec, placing)
        for voxel, radius in sites:
            details = PAINTERS[spec.kind](canvas, voxel, radius, CONTRASTS[spec.contrast], shaping)
        if canvas.lesion.any():
            break
    else:
        raise InputError("lesion_no_place", scan=scan, kind=spec.kind, radius=sites[0][1])
    counted = f"{len(sites)} spots" if spec.kind == "spots" else spec.kind
    millilitres = np.count_nonzero(canvas.lesion) * volume.voxel_ml
    description = f"{counted}, {spec.contrast}, radius {sites[0][1]:.1f} mm, {millilitres:.2f} ml{details}, seed {seed}"
    return SimulatedLesion(
        volume=volume.with_array(canvas.image),
        mask=volume.with_array(canvas.lesion.astype(np.uint8), f"{volume.name}_lesion"),
        description=description,
        centre_ras=_centre(volume, canvas.lesion),
        layers=canvas.layers,
    )


def _sites(
    volume: Volume, maps: PositionMaps, spec: LesionSpec, rng: np.random.Generator
) -> list[tuple[np.ndarray, float]]:
    """Choose the positions of the lesion as voxel indices (z, y, x), with radii in mm."""
    low, high = RADII_MM[spec.kind]
    count = int(rng.integers(SPOTS[0], SPOTS[1] + 1)) if spec.kind == "spots" else 1
    sites: list[tuple[np.ndarray, float]] = []
    near = np.ones(maps.brain.shape, dtype=bool)
    for _ in range(count):
        radius = spec.radius_mm or float(rng.uniform(low, high))
        smallest = radius if spec.radius_mm else low
        if spec.centre_ras is not None and not sites:
            voxel = _given(volume, maps, spec, radius)
            near = maps.distance_from(voxel) <= SPOTS_WITHIN_MM
        else:
            voxel = maps.choose(_allowed(maps, spec.kind, radius, sites) & near, rng)
            while voxel is None and radius > smallest:
                radius = max(SHRINK * radius, smallest)
                voxel = maps.choose(_allowed(maps, spec.kind, radius, sites) & near, rng)
        if voxel is not None:
            sites.append((voxel, radius))
    if not sites:
        raise InputError("lesion_no_place", scan=volume.name, kind=spec.kind, radius=spec.radius_mm or low)
    return sites


def _allowed(maps: PositionMaps, kind: str, radius: float, sites: list[tuple[np.ndarray, float]]) -> np.ndarray:
    """Mark the voxels where a lesion of this kind may be centred, on the grid of `maps`."""
    depth, cerebrum = maps.depth, maps.cerebrum
    if kind == "spots":
        allowed = cerebrum & (maps.white_depth >= radius + 1)
        for voxel, other in sites:
            allowed &= maps.distance_from(voxel) >= radius + other + 2
        return allowed
    if kind == "tubes":
        return cerebrum & (maps.white_depth >= radius + 2) & (maps.around(maps.fluid, 8.0) <= 0.05)
    if kind == "thickness":
        cortical = (depth >= CORTEX_MM[0]) & (depth <= CORTEX_MM[1]) & (maps.aside >= radius)
        white = maps.around(maps.white, 0.5 * radius)
        return cerebrum & cortical & (white >= 0.3) & (white <= 0.7) & (maps.around(maps.fluid, radius) <= 0.3)
    fluid = maps.around(maps.fluid, radius)
    if kind == "tumour":
        beside = cerebrum & (maps.aside >= radius + 3) & (fluid <= 0.12)
        return beside & (depth >= 1.15 * radius + 1) & (maps.white > 0.5)
    if kind == "cavity":
        return cerebrum & (depth >= 0.4 * radius) & (depth <= 0.9 * radius) & (maps.aside >= radius) & (fluid <= 0.3)
    white = maps.around(maps.white, radius)
    cortical = (white >= 0.3) & (white <= 0.65) & (fluid <= 0.3)
    return cerebrum & (depth >= 0.5 * radius) & (depth <= 1.2 * radius) & cortical


def _given(volume: Volume, maps: PositionMaps, spec: LesionSpec, radius: float) -> np.ndarray:
    """Return the voxel index (z, y, x) of the given centre; InputError if the lesion does not fit there."""
    ras = np.array([*spec.centre_ras, 1.0])
    voxel = np.rint((np.linalg.inv(volume.affine) @ ras)[2::-1]).astype(int)
    here = tuple(np.rint((voxel - maps.first) / maps.step).astype(int))
    on_grid = all(0 <= index < size for index, size in zip(here, maps.brain.shape))
    depth = float(maps.depth[here]) if on_grid else 0.0
    if depth < max(NEEDED_DEPTH[spec.kind] * radius, maps.spacing.max()):
        shown = ", ".join(f"{value:.0f}" for value in spec.centre_ras)
        raise InputError("lesion_does_not_fit", kind=spec.kind, radius=radius, position=shown, depth=depth)
    return voxel


def _centre(volume: Volume, lesion: np.ndarray) -> tuple[float, float, float]:
    """Return the centre of the largest connected part of a mask, RAS mm."""
    box = bounding_slices(lesion)
    part = connected_components(lesion[box])
    where = np.argwhere(part == np.bincount(part[part > 0]).argmax()) + [edge.start for edge in box]
    return tuple(volume.ras_from_voxels(where).mean(axis=0).tolist())
