"""The coarse grids on which a brain is aligned; those of a template are made once, however many scans follow."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

import numpy as np

from .volume import Volume

if TYPE_CHECKING:
    import SimpleITK as sitk

# Grid spacing in mm, and whether the outlines are aligned instead of the intensities. Outlines come first, because
# mutual information alone can be led astray when the contrast is another one than the template's.
LEVELS = ((8.0, True), (8.0, False), (4.0, False))
# Coordinates in units of a brain's radius: a step of the optimizer then moves the brain's rim equally far whether it
# turns, scales or shifts, and no step can run away where one of these is already right.
UNIT_MM = 80.0


@dataclass(frozen=True, eq=False)
class Level:
    """A template at one resolution.

    Attributes:
        spacing: Of the grid, in mm.
        image: Its outline or its intensities, float32.
        near: Where intensities count; None if the outline is aligned.
    """

    spacing: float
    image: sitk.Image
    near: sitk.Image | None


_known: WeakKeyDictionary[Volume, tuple[np.ndarray, tuple[Level, ...]]] = WeakKeyDictionary()


def template_levels(template: Volume, mask: np.ndarray) -> tuple[Level, ...]:
    """A template at each of `LEVELS`, in this order; its voxels must not change.

    Args:
        template: The mean image.
        mask: Its brain, bool (Z, Y, X).
    """
    of, levels = _known.get(template, (None, ()))
    if of is not mask:
        levels = _levels(template, mask)
        _known[template] = (mask, levels)
    return levels


def _levels(template: Volume, mask: np.ndarray) -> tuple[Level, ...]:
    outline = template.with_array(mask.astype(np.float32))
    brain = template.with_array(np.where(mask, template.array, 0).astype(np.float32))
    near = template.with_array(_dilated(mask, template))
    return tuple(
        Level(spacing, coarse(outline, spacing), None)
        if by_outline
        else Level(spacing, coarse(brain, spacing), coarse(near, spacing) > 0.5)
        for spacing, by_outline in LEVELS
    )


def coarse(volume: Volume, spacing_mm: float) -> sitk.Image:
    """The volume smoothed and resampled to isotropic voxels, with coordinates in `UNIT_MM`."""
    import SimpleITK as sitk

    image = volume.to_sitk()
    # Averaging whole voxels first costs a tenth of smoothing them all, and blurs no more than the coarse grid does.
    image = sitk.BinShrink(image, [max(1, int(spacing_mm / 2 / s)) for s in image.GetSpacing()])
    sigmas = [max(0.5 * np.sqrt(max(spacing_mm**2 - s**2, 1e-2)), 0.1) for s in image.GetSpacing()]
    image = sitk.SmoothingRecursiveGaussian(image, sigmas)
    size = [max(1, int(np.ceil(n * s / spacing_mm))) for n, s in zip(image.GetSize(), image.GetSpacing())]
    image = sitk.Resample(
        image, size, sitk.Transform(), sitk.sitkLinear, image.GetOrigin(), [spacing_mm] * 3, image.GetDirection(), 0.0
    )
    image.SetSpacing([spacing_mm / UNIT_MM] * 3)
    image.SetOrigin([value / UNIT_MM for value in image.GetOrigin()])
    return image


def _dilated(mask: np.ndarray, volume: Volume) -> np.ndarray:
    """The mask with a rim of some 6 mm, so that the brain's outline takes part in the alignment."""
    import SimpleITK as sitk

    radius = [max(1, int(round(6.0 / s))) for s in volume.spacing]
    grown = sitk.BinaryDilate(volume.with_array(mask.astype(np.uint8)).to_sitk(), radius)
    return sitk.GetArrayFromImage(grown).astype(np.float32)
