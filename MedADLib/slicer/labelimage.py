"""An image of region labels that follows a threshold: rewritten in place, where regions are or were, and only there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from vtkmodules.util.numpy_support import vtk_to_numpy
from vtkmodules.vtkCommonDataModel import vtkImageData

from .images import image_from_array

if TYPE_CHECKING:
    from ..detection import Detection

Box = tuple[slice, slice, slice]


class LabelImage:
    """The labels of a detection as an image of its own.

    Args:
        detection: Whose labels it shows first.

    Attributes:
        image: Without placement in space, as volume nodes hold it.
    """

    def __init__(self, detection: Detection):
        self.image = image_from_array(detection.labels.array.astype(np.int16, copy=False))
        self._filled = box_of(detection)

    def show(self, detection: Detection) -> None:
        """Show the labels of a detection on the same grid."""
        voxels = voxels_of(self.image)
        if self._filled is not None:
            voxels[self._filled] = 0
        self._filled = box_of(detection)
        if self._filled is not None:
            voxels[self._filled] = detection.labels.array[self._filled]
        self.image.GetPointData().GetScalars().Modified()
        self.image.Modified()


def voxels_of(image: vtkImageData) -> np.ndarray:
    """The voxels of an image, shape (Z, Y, X); not a copy."""
    return vtk_to_numpy(image.GetPointData().GetScalars()).reshape(image.GetDimensions()[::-1])


def box_of(detection: Detection) -> Box | None:
    """The smallest box, along (z, y, x), that holds all regions; None without regions."""
    if not detection.regions:
        return None
    boxes = np.array([region.bounding_box for region in detection.regions])
    edges = zip(boxes[:, ::2].min(axis=0).tolist(), boxes[:, 1::2].max(axis=0).tolist())
    x, y, z = (slice(first, beyond) for first, beyond in edges)
    return z, y, x
