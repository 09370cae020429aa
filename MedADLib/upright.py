"""A volume with its axes along those of the body as nearly as they lie; its voxels are not copied."""

from __future__ import annotations

from .volume import Volume

# Axis of the body, and whether the letter lies on its negative side in RAS.
LETTERS = {"R": (0, False), "L": (0, True), "A": (1, False), "P": (1, True), "S": (2, False), "I": (2, True)}


def upright(volume: Volume, towards: str) -> Volume:
    """The same voxels in the same places, in another order.

    Args:
        volume: Of any orientation.
        towards: Where the axes (x, y, z) shall run, such as ``LPS``: towards left, posterior and superior.

    Returns:
        The turned volume; its array is a view.
    """
    here = [LETTERS[letter] for letter in orientation(volume)]
    axes = [next(axis for axis, (along, _) in enumerate(here) if along == LETTERS[letter][0]) for letter in towards]
    flipped = [here[axis][1] != LETTERS[letter][1] for axis, letter in zip(axes, towards)]
    steps = tuple(slice(None, None, -1 if flip else 1) for flip in reversed(flipped))
    array = volume.array.transpose([2 - axis for axis in reversed(axes)])[steps]
    affine = volume.affine.copy()
    for column, (axis, flip) in enumerate(zip(axes, flipped)):
        affine[:3, column] = volume.affine[:3, axis] * (-1 if flip else 1)
        if flip:
            affine[:3, 3] += volume.affine[:3, axis] * (volume.array.shape[2 - axis] - 1)
    return Volume(array, affine, volume.name)


def orientation(volume: Volume) -> str:
    """Where the axes (x, y, z) run, in ITK's choice of letters, such as ``RAS``."""
    import SimpleITK as sitk

    # SimpleITK, like DICOM, names the side of the body that an axis runs towards.
    return sitk.DICOMOrientImageFilter.GetOrientationFromDirectionCosines(volume.direction)
