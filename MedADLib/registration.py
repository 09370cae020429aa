"""Affine alignment of a brain to the model's template."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .coarse_grid import UNIT_MM, coarse, template_levels
from .progress import Progress
from .regions import bounding_slices
from .volume import LPS_RAS, Volume

if TYPE_CHECKING:
    import SimpleITK as sitk

# Sums over several threads come in another order each time, and the result would not repeat bit for bit.
WORK_UNITS = 1
MARGIN_MM = 24.0
# No head has a tenth or ten times the volume of another; such an alignment has gone astray and is not taken.
SMALLEST_CHANGE, LARGEST_CHANGE = 0.1, 10.0
LEAST_KEPT, EVERY = 0.7, 50
DARKEST = 0.25


def affine_to_native(
    template: Volume,
    template_mask: np.ndarray,
    native: Volume,
    native_mask: np.ndarray,
    progress: Progress | None = None,
) -> np.ndarray:
    """Where each place of the template lies in a scan: 12-parameter affine by mutual information.

    Mutual information (Mattes et al. 2003) does not mind another contrast. All voxels of the template's mask
    are used on coarse grids, so the result is the same in every run.

    Args:
        template: The template's mean image.
        template_mask: Its brain, bool (Z, Y, X).
        native: The scan.
        native_mask: The scan's brain, bool (Z, Y, X).
        progress: Told after each resolution level.

    Returns:
        4×4 matrix from template RAS mm to scan RAS mm.
    """
    import SimpleITK as sitk

    progress = progress or Progress()
    sitk.ProcessObject.SetGlobalWarningDisplay(False)
    native, native_mask = _cropped(native, native_mask)
    moving = native.with_array(_standard_range(native.array, native_mask))
    outline = native.with_array(native_mask.astype(np.float32))
    levels = template_levels(template, template_mask)
    transform = _start(template, template_mask, native, native_mask)
    some = np.flatnonzero(template_mask)[::EVERY]
    places = template.ras_from_voxels(np.stack(np.unravel_index(some, template_mask.shape), axis=1))

    def covered(transform: sitk.AffineTransform) -> float:
        return _covered(places, _matrix(transform), native, native_mask)

    for number, level in enumerate(levels):
        spacing = level.spacing
        progress.update(number / len(levels), f"aligning at {spacing:g} mm")
        registration = sitk.ImageRegistrationMethod()
        registration.SetNumberOfWorkUnits(WORK_UNITS)
        if level.near is None:
            registration.SetMetricAsMeanSquares()
        else:
            registration.SetMetricAsMattesMutualInformation(32)
            registration.SetMetricFixedMask(level.near)
        registration.SetMetricSamplingStrategy(registration.NONE)
        registration.SetInterpolator(sitk.sitkLinear)
        registration.SetOptimizerAsRegularStepGradientDescent(
            learningRate=spacing / 2 / UNIT_MM,
            minStep=spacing * 2e-3 / UNIT_MM,
            numberOfIterations=120,
            relaxationFactor=0.6,
            gradientMagnitudeTolerance=1e-6,
        )
        candidate = sitk.AffineTransform(transform)
        registration.SetInitialTransform(candidate, inPlace=True)
        try:
            registration.Execute(level.image, coarse(outline if level.near is None else moving, spacing))
        except RuntimeError:
            # What is no brain may not overlap at all; the caller judges the overlap.
            continue
        if _is_sound(candidate, covered(transform), covered(candidate)):
            transform = candidate
    return _matrix(transform)


def resample(moving: Volume, reference: Volume, reference_to_moving: np.ndarray, outside: float = 0.0) -> np.ndarray:
    """The moving volume on the reference's grid, linearly interpolated.

    Args:
        moving: What is brought over.
        reference: The grid to bring it to.
        reference_to_moving: 4×4 matrix from reference RAS mm to moving RAS mm.
        outside: Value beyond the moving volume's field of view.

    Returns:
        float32 array of the reference's shape (Z, Y, X).
    """
    import SimpleITK as sitk

    # Each voxel is found on its own, so that all threads may help: the result is the same, bit for bit.
    result = sitk.Resample(
        moving.to_sitk(),
        [int(count) for count in reference.array.shape[::-1]],
        _transform(reference_to_moving),
        sitk.sitkLinear,
        reference.origin,
        reference.spacing.tolist(),
        reference.direction,
        outside,
        sitk.sitkFloat32,
    )
    return sitk.GetArrayFromImage(result)


def _standard_range(array: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Intensities (Z, Y, X) between robust extremes within the mask as `DARKEST` to 1, float32; 0 outside the mask.

    The darkest tissue must differ from the empty background, or a brain of dark tissue has no outline.
    """
    low, high = (float(value) for value in np.percentile(array[mask], (0.5, 99.5), overwrite_input=True))
    scaled = array.astype(np.float32)
    scaled -= low
    scaled /= max(high - low, 1e-6)
    np.clip(scaled, 0, 1, out=scaled)
    scaled *= 1 - DARKEST
    scaled += DARKEST
    scaled *= mask
    return scaled


def _cropped(volume: Volume, mask: np.ndarray) -> tuple[Volume, np.ndarray]:
    """Volume and mask without most of the empty space around the brain; every voxel stays where it is."""
    box = []
    for found, size, spacing in zip(bounding_slices(mask), mask.shape, volume.spacing[::-1]):
        margin = int(np.ceil(MARGIN_MM / spacing))
        box.append(slice(max(found.start - margin, 0), min(found.stop + margin, size)))
    return volume.within(tuple(box)), mask[tuple(box)]


def _covered(places: np.ndarray, matrix: np.ndarray, native: Volume, native_mask: np.ndarray) -> float:
    """The share of template places (N, 3), RAS mm, that a 4×4 matrix sends into the scan's brain."""
    to_voxels = np.linalg.inv(native.affine) @ matrix
    voxels = np.rint(places @ to_voxels[:3, :3].T + to_voxels[:3, 3]).astype(int)[:, ::-1]
    inside = ((voxels >= 0) & (voxels < native_mask.shape)).all(axis=1)
    return float(native_mask[tuple(voxels[inside].T)].sum() / len(places))


def _is_sound(candidate: sitk.AffineTransform, before: float, after: float) -> bool:
    """Whether an alignment keeps the brain's size within reason and does not leave the brain."""
    change = np.linalg.det(np.reshape(candidate.GetMatrix(), (3, 3)))
    return SMALLEST_CHANGE < change < LARGEST_CHANGE and after > LEAST_KEPT * before


def _start(
    template: Volume, template_mask: np.ndarray, native: Volume, native_mask: np.ndarray
) -> sitk.AffineTransform:
    """Centres of mass on each other, and one scale from the two brain volumes; coordinates in `UNIT_MM`."""
    import SimpleITK as sitk

    fixed_centre = template.ras_from_voxels(_centre(template_mask)[None])[0]
    moving_centre = native.ras_from_voxels(_centre(native_mask)[None])[0]
    ratio = native_mask.sum() * native.voxel_ml / (template_mask.sum() * template.voxel_ml)
    scale = float(np.clip(ratio, 0.5, 2.0)) ** (1 / 3)
    lps = LPS_RAS[:3, :3]
    transform = sitk.AffineTransform(3)
    transform.SetCenter((lps @ fixed_centre / UNIT_MM).tolist())
    transform.SetMatrix((np.eye(3) * scale).ravel().tolist())
    transform.SetTranslation((lps @ (moving_centre - fixed_centre) / UNIT_MM).tolist())
    return transform


def _centre(mask: np.ndarray) -> np.ndarray:
    """The mean index (z, y, x) of a mask's voxels, from its profiles, for a list of all places may not fit."""
    per_slice, in_plane = mask.sum(axis=(1, 2)), mask.sum(axis=0)
    profiles = (per_slice, in_plane.sum(axis=1), in_plane.sum(axis=0))
    return np.array([np.arange(len(profile)) @ profile for profile in profiles]) / per_slice.sum()


def _matrix(transform: sitk.AffineTransform) -> np.ndarray:
    """The 4×4 RAS matrix, in mm, of an ITK affine transform of `UNIT_MM` coordinates."""
    matrix = np.array(transform.GetMatrix()).reshape(3, 3)
    centre, translation = np.array(transform.GetCenter()), np.array(transform.GetTranslation())
    lps = np.eye(4)
    lps[:3, :3] = matrix
    lps[:3, 3] = UNIT_MM * (translation + centre - matrix @ centre)
    return LPS_RAS @ lps @ LPS_RAS


def _transform(ras: np.ndarray) -> sitk.AffineTransform:
    """The ITK transform of a 4×4 RAS matrix."""
    import SimpleITK as sitk

    lps = LPS_RAS @ ras @ LPS_RAS
    transform = sitk.AffineTransform(3)
    transform.SetMatrix(lps[:3, :3].ravel().tolist())
    transform.SetTranslation(lps[:3, 3].tolist())
    return transform
