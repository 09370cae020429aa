"""Regions as segments and label image, and the surface of the examined part."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import slicer
import vtk
from vtkmodules.util.numpy_support import vtk_to_numpy
from vtkmodules.vtkCommonDataModel import vtkImageData, vtkPolyData
from vtkmodules.vtkCommonTransforms import vtkTransform
from vtkmodules.vtkFiltersCore import vtkFlyingEdges3D, vtkPolyDataNormals, vtkWindowedSincPolyDataFilter
from vtkmodules.vtkFiltersGeneral import vtkTransformPolyDataFilter

from ...results.decisions import default_name
from ...results.writing import TERMINOLOGY
from ...volume import Volume
from .display import rank_colour
from .volumes import fill_image, image_from_array, matrix_from_array

if TYPE_CHECKING:
    from ...detection import Detection
    from ...results.decisions import Decision
    from ...scoring.regions import Region

Box = tuple[slice, slice, slice]

SURFACE_SMOOTHING = "0.3"
SURFACES_AT_ONCE = 100

COARSE_MM = 2.5
SMOOTHING_STEPS = 15
PASS_BAND = 0.05


class LabelImage:
    """Image of region labels that follows a threshold: rewritten in place, and only where regions are or were.

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
    """View the voxels of an image as an array of shape (Z, Y, X); not a copy."""
    return vtk_to_numpy(image.GetPointData().GetScalars()).reshape(image.GetDimensions()[::-1])


def box_of(detection: Detection) -> Box | None:
    """Find the smallest box, along (z, y, x), around all regions; None without regions."""
    if not detection.regions:
        return None
    boxes = np.array([region.bounding_box for region in detection.regions])
    edges = zip(boxes[:, ::2].min(axis=0).tolist(), boxes[:, 1::2].max(axis=0).tolist())
    x, y, z = (slice(first, beyond) for first, beyond in edges)
    return z, y, x


def segmentation_of(
    detection: Detection, decisions: Mapping[int, Decision] | None = None, surfaces: int = SURFACES_AT_ONCE
) -> slicer.vtkSegmentation:
    """Build the segmentation of all regions, outside of any scene.

    All segments share one labelmap cropped to the regions, as Slicer keeps segments that do not overlap. Surfaces
    are made from each region's own bounding box, so the work grows with the regions and not with the image.

    Args:
        detection: The detection; label values equal ranks.
        decisions: By rank, for the segments' names.
        surfaces: Number of regions to make surfaces of, the most anomalous first; `add_surfaces` makes more later.

    Returns:
        Segments in the order of rank, with the identifiers of `segment_id`. Surfaces are missing if the scene's
        application has no conversion to them.
    """
    segmentation = _empty_segmentation()
    if not detection.regions:
        return segmentation
    shared = _shared_labelmap(detection)
    for region in detection.regions:
        name = decisions[region.rank].name if decisions else default_name(region)
        _add_segment(segmentation, region, name, region.label, shared)
    add_surfaces(segmentation, detection, surfaces)
    return segmentation


def add_surfaces(segmentation: slicer.vtkSegmentation, detection: Detection, most: int) -> int:
    """Make at most so many surfaces of segments that have none yet; deleted segments are skipped.

    Returns the number of surfaces made.
    """
    surface_name = slicer.vtkSegmentationConverter.GetClosedSurfaceRepresentationName()
    segments = {region.rank: segmentation.GetSegment(segment_id(region)) for region in detection.regions}
    bare = [r for r in detection.regions if segments[r.rank] and not segments[r.rank].GetRepresentation(surface_name)]
    surfaces = _surfaces(detection, bare[:most], surface_name)
    for rank, surface in surfaces.items():
        segments[rank].AddRepresentation(surface_name, surface)
    return len(surfaces)


def restore_segment(segmentation: slicer.vtkSegmentation, detection: Detection, region: Region) -> None:
    """Add the segment of a region again, with its default name, in a labelmap of its own."""
    _add_segment(segmentation, region, default_name(region), 1, _own_labelmap(detection, region))
    add_surfaces(segmentation, detection, most=1)


def _add_segment(
    segmentation: slicer.vtkSegmentation, region: Region, name: str, label: int, labelmap: slicer.vtkOrientedImageData
) -> None:
    segment = slicer.vtkSegment()
    segment.SetName(name)
    segment.SetColor(*rank_colour(region.rank))
    segment.SetTag(segment.GetTerminologyEntryTagName(), TERMINOLOGY)
    segment.SetLabelValue(label)
    segment.AddRepresentation(slicer.vtkSegmentationConverter.GetBinaryLabelmapRepresentationName(), labelmap)
    segmentation.AddSegment(segment, segment_id(region))


def replace_segmentation(
    node: slicer.vtkMRMLSegmentationNode, segmentation: slicer.vtkSegmentation, like: slicer.vtkMRMLVolumeNode
) -> None:
    """Give a node another segmentation on the grid of a volume.

    The node must be in the scene, under its transform already: saved voxels are resampled, and some lost, if the
    reference geometry is set before the parent transform.
    """
    former = node.GetSegmentation()
    node.SetAndObserveSegmentation(segmentation)
    node.SetReferenceImageGeometryParameterFromVolumeNode(like)
    release(former)


def release(segmentation: slicer.vtkSegmentation | None) -> None:
    """Empty a segmentation to which only the caller has a reference.

    The destructor of a segmentation removes each segment from the shared labelmap, voxel by voxel, which takes seconds
    for many segments. Without the labelmap there is nothing to remove.
    """
    if segmentation is not None and segmentation.GetReferenceCount() == 1:
        for number in range(segmentation.GetNumberOfSegments()):
            segmentation.GetNthSegment(number).RemoveAllRepresentations()


def segment_id(region: Region) -> str:
    """Return the identifier of a region's segment."""
    return f"Region_{region.rank}"


def _empty_segmentation() -> slicer.vtkSegmentation:
    segmentation = slicer.vtkSegmentation()
    segmentation.SetSourceRepresentationName(slicer.vtkSegmentationConverter.GetBinaryLabelmapRepresentationName())
    segmentation.SetConversionParameter("Smoothing factor", SURFACE_SMOOTHING)
    return segmentation


def _shared_labelmap(detection: Detection) -> slicer.vtkOrientedImageData:
    box = box_of(detection)
    many = max(region.label for region in detection.regions) >= 256
    image = slicer.vtkOrientedImageData()
    image.SetExtent(*(edge for part in box[::-1] for edge in (part.start, part.stop - 1)))
    image.AllocateScalars(vtk.VTK_SHORT if many else vtk.VTK_UNSIGNED_CHAR, 1)
    image.SetImageToWorldMatrix(matrix_from_array(detection.volume.affine))
    np.copyto(voxels_of(image), detection.labels.array[box], casting="unsafe")
    return image


def _surfaces(detection: Detection, regions: Sequence[Region], surface_name: str) -> dict[int, vtkPolyData]:
    """Make the surface of each region by Slicer's own conversion; returned by rank."""
    labelmap_name = slicer.vtkSegmentationConverter.GetBinaryLabelmapRepresentationName()
    separate = _empty_segmentation()
    for region in regions:
        segment = slicer.vtkSegment()
        segment.AddRepresentation(labelmap_name, _own_labelmap(detection, region))
        separate.AddSegment(segment, segment_id(region))
    if not regions or not separate.CreateRepresentation(surface_name):
        return {}
    return {region.rank: separate.GetSegment(segment_id(region)).GetRepresentation(surface_name) for region in regions}


def _own_labelmap(detection: Detection, region: Region) -> slicer.vtkOrientedImageData:
    """Make the labelmap of one region, 1 inside, cropped to its bounding box."""
    x0, x1, y0, y1, z0, z1 = region.bounding_box
    inside = detection.labels.array[z0:z1, y0:y1, x0:x1] == region.label
    image = fill_image(slicer.vtkOrientedImageData(), inside.astype(np.uint8), (x0, y0, z0))
    image.SetImageToWorldMatrix(matrix_from_array(detection.volume.affine))
    return image


def surface_of(mask: Volume) -> vtkPolyData:
    """Make a smooth closed surface around the nonzero voxels of a mask; coarse, because it is context and not a
    measurement.

    Returns triangles with normals in the mask's RAS mm; empty for an empty mask.
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
    """Compute the float32 mean of each block of `block` voxels; the last blocks are padded with zeros."""
    padded = np.pad(array, [(0, -size % step) for size, step in zip(array.shape, block)])
    (z, y, x), (bz, by, bx) = padded.shape, block
    return padded.reshape(z // bz, bz, y // by, by, x // bx, bx).mean(axis=(1, 3, 5), dtype=np.float32)
