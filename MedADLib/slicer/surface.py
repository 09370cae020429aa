"""The examined part of the body as a closed surface, so that regions in a 3-D view have something to lie in."""

from __future__ import annotations

import numpy as np
from vtkmodules.vtkCommonDataModel import vtkPolyData
from vtkmodules.vtkCommonTransforms import vtkTransform
from vtkmodules.vtkFiltersCore import vtkFlyingEdges3D, vtkPolyDataNormals, vtkWindowedSincPolyDataFilter
from vtkmodules.vtkFiltersGeneral import vtkTransformPolyDataFilter

from ..volume import Volume
from .images import image_from_array, matrix_from_array

COARSE_MM = 2.5
SMOOTHING_STEPS = 15
PASS_BAND = 0.05


def surface_of(mask: Volume) -> vtkPolyData:
    """A smooth closed surface around a mask, coarse on purpose: it is context, not a measurement.

    Args:
        mask: Nonzero inside; any grid.

    Returns:
        Triangles with normals in the mask's RAS mm; empty if the mask is.
    """
    block = np.maximum(1, np.round(COARSE_MM / mask.spacing)).astype(int)
    coarse = _block_mean(mask.array != 0, tuple(int(size) for size in block[::-1]))
    # A mean over a block sits at the block's centre, half a block less half a voxel from the first voxel; one
    # more block of padding on each side closes the surface where the mask touches the border.
    place = np.eye(4)
    place[:3, :3] = np.diag(block.astype(float))
    place[:3, 3] = (block - 1) / 2.0 - block
    edges = vtkFlyingEdges3D()
    edges.SetInputData(image_from_array(np.pad(coarse, 1)))
    edges.SetValue(0, 0.5)
    edges.ComputeNormalsOff()
    edges.ComputeGradientsOff()
    smooth = vtkWindowedSincPolyDataFilter()
    smooth.SetInputConnection(edges.GetOutputPort())
    smooth.SetNumberOfIterations(SMOOTHING_STEPS)
    smooth.SetPassBand(PASS_BAND)
    smooth.NormalizeCoordinatesOn()
    to_ras = vtkTransform()
    to_ras.SetMatrix(matrix_from_array(mask.affine @ place))
    transform = vtkTransformPolyDataFilter()
    transform.SetTransform(to_ras)
    transform.SetInputConnection(smooth.GetOutputPort())
    normals = vtkPolyDataNormals()
    normals.SetInputConnection(transform.GetOutputPort())
    normals.ConsistencyOn()
    normals.AutoOrientNormalsOn()
    normals.SplittingOff()
    normals.Update()
    return normals.GetOutput()


def _block_mean(array: np.ndarray, block: tuple[int, int, int]) -> np.ndarray:
    """float32 mean of each block of `block` voxels; the last blocks are filled up with zeros."""
    padded = np.pad(array, [(0, -size % step) for size, step in zip(array.shape, block)])
    (z, y, x), (bz, by, bx) = padded.shape, block
    return padded.reshape(z // bz, bz, y // by, by, x // bx, bx).mean(axis=(1, 3, 5), dtype=np.float32)
