"""Irregular shapes, random textures and displaced tissue for simulated lesions, on any grid in millimetres."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ...masks import connected_components

MOST_UNEVEN = 1.8


@dataclass(frozen=True, eq=False)
class Patch:
    """A box of a grid around a centre.

    Attributes:
        box: Its slices of the (Z, Y, X) array.
        spacing: Voxel spacing along (z, y, x) in mm.
        offsets: Distance of every voxel from the centre along the array's axes in mm, shape (3, Z', Y', X').
    """

    box: tuple[slice, slice, slice]
    spacing: tuple[float, float, float]
    offsets: np.ndarray

    @classmethod
    def around(cls, centre: np.ndarray, reach_mm: float, shape: tuple[int, ...], spacing: np.ndarray) -> Patch:
        """Return the box of all voxels within `reach_mm` of a voxel index (z, y, x), clipped to the grid.

        Args:
            centre: Voxel index (z, y, x), may be fractional.
            reach_mm: Half the edge of the box in mm.
            shape: Shape of the whole grid (Z, Y, X).
            spacing: Voxel spacing along (z, y, x) in mm.

        Returns:
            The box; it is at least one voxel thick if the centre is on the grid.
        """
        first = np.maximum(np.floor(centre - reach_mm / spacing), 0).astype(int)
        stop = np.minimum(np.ceil(centre + reach_mm / spacing).astype(int) + 1, shape)
        steps = [(np.arange(a, b) - c) * s for a, b, c, s in zip(first, stop, centre, spacing)]
        offsets = np.stack(np.meshgrid(*steps, indexing="ij")).astype(np.float32)
        return cls(tuple(slice(int(a), int(b)) for a, b in zip(first, stop)), tuple(map(float, spacing)), offsets)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Voxels along (z, y, x)."""
        return self.offsets.shape[1:]


def random_field(patch: Patch, sigma_mm: float | np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Draw smooth Gaussian noise of mean 0 and SD 1, float32, shape of the patch.

    `sigma_mm` is the SD of the smoothing Gaussian in mm, or one for each of (z, y, x).
    """
    spectrum = np.fft.rfftn(rng.standard_normal(patch.shape, dtype=np.float32))
    sigma = np.broadcast_to(sigma_mm, 3)
    for axis in range(3):
        frequency = np.fft.rfftfreq if axis == 2 else np.fft.fftfreq
        cycles = frequency(patch.shape[axis], patch.spacing[axis])
        damping = np.exp(-2 * (math.pi * sigma[axis] * cycles) ** 2)
        spectrum *= damping.reshape([-1 if axis == other else 1 for other in range(3)])
    field = np.fft.irfftn(spectrum, patch.shape, axes=(0, 1, 2))
    return ((field - field.mean()) / max(field.std(), 1e-12)).astype(np.float32)


@dataclass(frozen=True, eq=False)
class Ellipsoid:
    """A randomly rotated ellipsoid.

    Attributes:
        radius_mm: Radius of the sphere of the same volume.
        turn: Maps offsets along (z, y, x) in mm to a space in which the ellipsoid is the unit sphere, shape (3, 3).
    """

    radius_mm: float
    turn: np.ndarray

    @classmethod
    def draw(cls, radius_mm: float, stretch: float, rng: np.random.Generator) -> Ellipsoid:
        """Draw an ellipsoid; `stretch` is the SD of the logarithm of its three radii."""
        turn, _ = np.linalg.qr(rng.standard_normal((3, 3)))
        log_radii = stretch * np.clip(rng.standard_normal(3), -1.5, 1.5)
        radii = radius_mm * np.exp(log_radii - log_radii.mean())
        return cls(radius_mm, (turn / radii[:, None]).astype(np.float32))

    def reach_mm(self, roughness: float = 0.0) -> float:
        """Return the largest distance of a blob of this roughness from the centre."""
        return float(np.exp(roughness * MOST_UNEVEN) / np.linalg.norm(self.turn, axis=1).min())

    def distance(self, patch: Patch) -> np.ndarray:
        """Return the distance from the centre in radii, shape of the patch; 1 on the surface."""
        return np.sqrt((np.tensordot(self.turn, patch.offsets, axes=1) ** 2).sum(axis=0))


def blob(patch: Patch, ellipsoid: Ellipsoid, roughness: float, rng: np.random.Generator) -> np.ndarray:
    """Draw a connected, irregular body around the centre.

    `roughness` is the SD of the logarithm of the distance to the surface. The result is the depth of every voxel inside
    the body in mm, negative outside.
    """
    radius, distance = ellipsoid.radius_mm, ellipsoid.distance(patch)
    coarse = random_field(patch, 0.4 * radius, rng)
    fine = random_field(patch, max(0.14 * radius, 0.8), rng)
    uneven = np.clip(0.85 * coarse + 0.5 * fine, -MOST_UNEVEN, MOST_UNEVEN)
    inside = radius * (1 - distance * np.exp(roughness * uneven))
    body = connected_components(inside > 0)
    nearest = np.unravel_index(int(np.argmin(distance)), distance.shape)
    return np.where((body == body[nearest]) | (body == 0), inside, np.float32(-radius)).astype(np.float32)


def soft(inside_mm: np.ndarray, edge_mm: float) -> np.ndarray:
    """Return a weight that rises from 0 to 1 over `edge_mm`, 0.5 on the surface, exactly 0 and 1 beyond."""
    share = np.clip(0.5 + inside_mm / edge_mm, 0, 1)
    return share * share * (3 - 2 * share)


def depth_mm(mask: np.ndarray, spacing: tuple[float, float, float] | np.ndarray) -> np.ndarray:
    """Return the distance to the nearest voxel outside a mask, 0 outside; shape (Z, Y, X), spacing along (z, y, x).

    The edge of the array does not count as outside.
    """
    import SimpleITK as sitk

    if mask.all():
        return np.full(mask.shape, np.inf, dtype=np.float32)
    image = sitk.GetImageFromArray(np.ascontiguousarray(~mask, dtype=np.uint8))
    image.SetSpacing([float(step) for step in spacing][::-1])
    outside = sitk.SignedMaurerDistanceMap(image, squaredDistance=False, useImageSpacing=True)
    return np.maximum(sitk.GetArrayFromImage(outside), 0)


def push(patch: Patch, ellipsoid: Ellipsoid, amount_mm: float, reach: float) -> np.ndarray:
    """Return the displacement of tissue away from the centre: 0 there, largest at the surface, 0 at `reach`.

    The displacement, in mm along the direction from the centre, is at most a quarter of the distance over which it
    fades, since a larger one would fold the tissue. `reach` is in radii, above 1.
    """
    limit = 0.25 * (reach - 1) * ellipsoid.radius_mm
    amount = float(np.clip(amount_mm, -limit, limit))
    distance = ellipsoid.distance(patch)
    fading = np.clip((reach - distance) / (reach - 1), 0, 1) ** 2
    return amount * np.where(distance < 1, distance, fading)


def displace(patch: Patch, image: np.ndarray, outward_mm: np.ndarray) -> np.ndarray:
    """Move the tissue of an image along the direction from the centre.

    Args:
        patch: The grid.
        image: Shape of the patch.
        outward_mm: Outward displacement of the tissue that arrives at each voxel, shape of the patch.

    Returns:
        The displaced image, float32; voxels without displacement keep their value bit for bit.
    """
    length = np.sqrt((patch.offsets**2).sum(axis=0))
    return warp(patch, image, -patch.offsets * (outward_mm / np.maximum(length, 1e-3)), outward_mm == 0)


def warp(patch: Patch, image: np.ndarray, shift_mm: np.ndarray, still: np.ndarray) -> np.ndarray:
    """Resample an image of a patch at displaced positions.

    Args:
        patch: The grid.
        image: Shape of the patch.
        shift_mm: Displacement from each voxel to the position that it samples, along the array's axes, shape
            (3, Z', Y', X').
        still: Voxels that keep their value bit for bit, bool, shape of the patch.

    Returns:
        The displaced image, float32.
    """
    import SimpleITK as sitk

    field = sitk.GetImageFromArray(np.ascontiguousarray(np.moveaxis(shift_mm[::-1], 0, -1), np.float64), isVector=True)
    source = sitk.GetImageFromArray(np.ascontiguousarray(image, dtype=np.float32))
    for grid in (field, source):
        grid.SetSpacing(patch.spacing[::-1])
    transform = sitk.DisplacementFieldTransform(field)
    # Cubic splines keep the noise of the scan; linear interpolation would smooth it and so reveal the lesion.
    moved = sitk.GetArrayFromImage(sitk.Resample(source, source, transform, sitk.sitkBSpline, 0.0))
    moved = np.clip(moved, image.min(), image.max())
    return np.where(still, image, moved).astype(np.float32)
