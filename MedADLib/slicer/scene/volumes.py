"""Conversion of volumes, matrices and masks between numpy, VTK and MRML nodes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import slicer
from vtkmodules.util.numpy_support import get_vtk_array_type, numpy_to_vtk, vtk_to_numpy
from vtkmodules.vtkCommonDataModel import vtkImageData
from vtkmodules.vtkCommonMath import vtkMatrix4x4

from ...errors import InputError
from ...masks import with_background
from ...messages import Message
from ...preprocessing.brain_extraction import inside_of
from ...volume import RASTER_SUFFIXES, Volume, in_order_of, is_single_slice
from .dicom_facts import described


def volume_from_node(node: slicer.vtkMRMLVolumeNode) -> Volume:
    """Read the voxels of a scalar or label map node, placed in its own coordinates (without its parent transform).

    Returns:
        A copy of the voxels, of their own type, with the node's IJK-to-RAS matrix as the affine; NaN around the head is
        replaced by the background.

    Raises:
        InputError: If the node is missing or has no image, if it has several components (colour, vectors), or if
            some values are not finite.
    """
    return volume_and_notes(node)[0]


def volume_and_notes(node: slicer.vtkMRMLVolumeNode) -> tuple[Volume, list[Message]]:
    """Read a node as `volume_from_node` does, with notes on what was replaced."""
    if node is None:
        raise InputError("no_volume")
    name = node.GetName() or "volume"
    image = node.GetImageData()
    scalars = image.GetPointData().GetScalars() if image is not None else None
    if scalars is None or image.GetNumberOfPoints() == 0:
        raise InputError("volume_without_image", name=name)
    if scalars.GetNumberOfComponents() != 1:
        raise InputError("volume_with_components", name=name, count=scalars.GetNumberOfComponents())
    array = vtk_to_numpy(scalars).reshape(image.GetDimensions()[::-1]).copy()
    notes = []
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        found = with_background(array)
        if found is None:
            raise InputError("volume_not_finite", name=name)
        array, share = found
        notes = [Message("scan_nan_background", share=share)]
    volume = Volume(array, node_affine(node), name)
    if is_raster(node) and is_single_slice(volume):
        return replace(volume, has_spacing=False, has_orientation=False), notes
    return described(volume, node), notes


def is_raster(node: slicer.vtkMRMLVolumeNode) -> bool:
    """Return whether Slicer read the voxels from a PNG or JPEG, which have neither spacing nor orientation."""
    storage = node.GetStorageNode()
    return str((storage and storage.GetFileName()) or "").lower().endswith(RASTER_SUFFIXES)


def node_affine(node: slicer.vtkMRMLVolumeNode) -> np.ndarray:
    """Return the 4×4 matrix from index (x, y, z, 1), with 0 for the first voxel, to the node's own RAS mm."""
    matrix = vtkMatrix4x4()
    node.GetIJKToRASMatrix(matrix)
    affine = array_from_matrix(matrix)
    # In MRML the index of the first voxel may differ from zero; an array always starts at zero.
    affine[:3, 3] += affine[:3, :3] @ np.array(node.GetImageData().GetExtent()[::2], dtype=float)
    return affine


def array_from_matrix(matrix: vtkMatrix4x4) -> np.ndarray:
    """Convert a VTK matrix to a 4×4 array."""
    return np.array([[matrix.GetElement(row, column) for column in range(4)] for row in range(4)])


def matrix_from_array(array: np.ndarray) -> vtkMatrix4x4:
    """Convert a 4×4 array to a VTK matrix."""
    matrix = vtkMatrix4x4()
    matrix.DeepCopy(np.asarray(array, dtype=float).ravel().tolist())
    return matrix


def fill_image(image: vtkImageData, array: np.ndarray, first_voxel: tuple[int, int, int] = (0, 0, 0)) -> vtkImageData:
    """Copy voxels (Z, Y, X) into an empty image and return it; its placement in space stays.

    `first_voxel` is the index (x, y, z) of the first voxel.
    """
    extent = [bound for start, size in zip(first_voxel, array.shape[::-1]) for bound in (start, start + size - 1)]
    image.SetExtent(*extent)
    image.GetPointData().SetScalars(
        numpy_to_vtk(np.ascontiguousarray(array).ravel(), deep=True, array_type=get_vtk_array_type(array.dtype))
    )
    return image


def image_from_array(array: np.ndarray) -> vtkImageData:
    """Make an image without placement in space, as volume nodes hold it, from an array of shape (Z, Y, X)."""
    return fill_image(vtkImageData(), array)


def mask_from_node(mask_node: slicer.vtkMRMLNode, volume_node: slicer.vtkMRMLVolumeNode) -> Volume:
    """Read the part to examine from a segmentation or a label map.

    Args:
        mask_node: A segmentation under any transform, of which the visible segments are merged, or a volume on the
            scan's own grid, in any order of its voxels, see `inside_of`.
        volume_node: The scan.

    Returns:
        Mask (uint8, 1 in the part to examine) on the scan's grid.

    Raises:
        InputError: If nothing is marked, it is not clear what is, or a label map is under another transform than the
            scan.
    """
    scan = volume_from_node(volume_node)
    name = mask_node.GetName()
    if mask_node.IsA("vtkMRMLSegmentationNode"):
        inside = _visible_segments(mask_node, volume_node, scan.array.shape)
    else:
        if mask_node.GetTransformNodeID() != volume_node.GetTransformNodeID():
            raise InputError("mask_node_transform", name=name, scan=scan.name)
        mask = volume_from_node(mask_node)
        found = in_order_of(mask, scan)
        if found is None:
            raise InputError("mask_node_grid", name=name, scan=scan.name)
        inside = inside_of(found.array, name)
    if not inside.any():
        raise InputError("mask_node_empty", name=name, scan=scan.name)
    return scan.with_array(inside.astype(np.uint8), name)


def _visible_segments(
    node: slicer.vtkMRMLSegmentationNode, volume_node: slicer.vtkMRMLVolumeNode, shape: tuple[int, ...]
) -> np.ndarray:
    display = node.GetDisplayNode()
    ids = [
        segment
        for segment in node.GetSegmentation().GetSegmentIDs()
        if display is None or display.GetSegmentVisibility(segment)
    ]
    scene = volume_node.GetScene()
    labels = scene.AddNewNodeByClass("vtkMRMLLabelMapVolumeNode", "MedAD mask")
    try:
        export = slicer.vtkSlicerSegmentationsModuleLogic.ExportSegmentsToLabelmapNode
        if not ids or not export(node, ids, labels, volume_node):
            return np.zeros(shape, dtype=bool)
        return volume_from_node(labels).array != 0
    finally:
        scene.RemoveNode(labels)
