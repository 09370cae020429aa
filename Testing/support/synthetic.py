"""Small synthetic scans, grids in every orientation, and detections."""

from __future__ import annotations

import numpy as np

from MedADLib.detection import Detection
from MedADLib.scoring.regions import find_regions
from MedADLib.volume import Volume
from support.references import healthy_reference


def brain_volume(
    shape: tuple[int, int, int] = (24, 28, 26),
    spacing: tuple[float, float, float] = (6.0, 6.0, 6.0),
    affine: np.ndarray | None = None,
    name: str = "scan",
) -> Volume:
    """A smooth ellipsoid of 60-120 on a background of 0: float32, axes towards right, anterior, superior by default.

    Args:
        shape: (Z, Y, X).
        spacing: Of (x, y, z) in mm.
        affine: Used instead of one made from `spacing`.
        name: Of the volume.
    """
    z, y, x = np.meshgrid(*[np.linspace(-1, 1, n) for n in shape], indexing="ij")
    radius = x**2 + y**2 + z**2
    array = np.where(radius < 0.7, 120 - 60 * radius + 5 * np.sin(9 * x), 0).astype(np.float32)
    if affine is None:
        affine = np.diag([*spacing, 1.0])
        affine[:3, 3] = -np.array(spacing) * (np.array(shape[::-1]) - 1) / 2
    return Volume(array, affine, name)


def synthetic_detection(volume: Volume | None = None, spots: int = 2, warnings: tuple[str, ...] = ()) -> Detection:
    """What a detector would return that found `spots` unusual places in a scan.

    Args:
        volume: The scan; its voxels above 0 are the brain.
        spots: Unusual places, at most 4; the first is the most unusual.
        warnings: Passed on.
    """
    volume = volume or brain_volume()
    mask = volume.array > 0
    anomaly = np.where(mask, 0.5, 0).astype(np.float32)
    centres = np.array([[0.5, 0.4, 0.35], [0.45, 0.6, 0.65], [0.6, 0.5, 0.4], [0.35, 0.5, 0.5]])
    for number, centre in enumerate(centres[:spots]):
        z, y, x = (centre * volume.array.shape).astype(int)
        anomaly[z - 1 : z + 1, y - 1 : y + 1, x - 1 : x + 2] = 9.0 - number
    anomaly *= mask
    field = volume.with_array(anomaly, f"{volume.name}_anomaly")
    reference = healthy_reference()
    labels, regions = find_regions(field, 3.0, reference.region_p_value)
    restored = np.where(anomaly > 3, 90, volume.array).astype(np.float32)
    return Detection(
        volume=volume,
        mask=volume.with_array(mask.astype(np.uint8), f"{volume.name}_mask"),
        anomaly=field,
        restored=volume.with_array(restored, f"{volume.name}_restored"),
        labels=volume.with_array(labels, f"{volume.name}_regions"),
        regions=regions,
        threshold=3.0,
        expected_false_positive_ml=1.0,
        score=12.5,
        p_value=1 / 7,
        healthy_count=6,
        reference=reference,
        provenance={
            "model": {"name": "brain-t1", "version": "1.0", "sha256": "ab" * 32},
            "method": "atlas",
            "seed": 0,
            "settings": {"threshold": "1ml"},
            "device": "cpu",
            "versions": {"medad": "0.1.0"},
            "seconds": {"brain mask": 0.1},
        },
        warnings=warnings,
    )


def rotation(degrees):
    """Rotations about x, y, z by the degrees given."""
    result = np.eye(3)
    for axis, angle in enumerate(np.radians(degrees)):
        i, j = [other for other in range(3) if other != axis]
        step = np.eye(3)
        step[i, i] = step[j, j] = np.cos(angle)
        step[i, j], step[j, i] = -np.sin(angle), np.sin(angle)
        result = result @ step
    return result


def affine(axes, spacing, origin=(11.0, -22.0, 33.0)):
    result = np.eye(4)
    result[:3, :3] = np.asarray(axes) * np.asarray(spacing)
    result[:3, 3] = origin
    return result


GEOMETRIES = {
    "RAS": affine(np.eye(3), (1, 1, 1)),
    "LPS, anisotropic": affine(np.diag([-1, -1, 1]), (0.8, 0.9, 6.5)),
    "LAS, left-handed": affine(np.diag([-1, 1, 1]), (0.868, 0.868, 1)),
    "PSR, permuted": affine([[0, 0, 1], [-1, 0, 0], [0, 1, 0]], (2, 3, 4)),
    "oblique": affine(rotation((12, -25, 40)), (1.1, 2.2, 3.3)),
    "oblique, left-handed": affine(rotation((-170, 35, 5)) @ np.diag([1, 1, -1]), (0.5, 0.7, 5)),
}


def turned(volume: Volume, axes: tuple[int, int, int], flips: tuple[int, ...]) -> Volume:
    """The same slice in the same place, stored with its array axes in another order and direction."""
    step, array = np.eye(4), volume.array.transpose(axes)
    # Column c of the new affine is the direction of the old array axis that the new axis 2 - c was.
    step[:3, :3] = 0
    for new, old in enumerate(axes):
        step[2 - old, 2 - new] = 1
    affine = volume.affine @ step
    for axis in flips:
        affine[:3, 3] += affine[:3, 2 - axis] * (array.shape[axis] - 1)
        affine[:3, 2 - axis] *= -1
        array = np.flip(array, axis)
    return Volume(np.ascontiguousarray(array), affine, "turned")
