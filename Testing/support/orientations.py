"""One image in several orientations."""

from __future__ import annotations

import numpy as np

from MedADLib.volume import Volume


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
