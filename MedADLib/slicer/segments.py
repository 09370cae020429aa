"""The regions of a detection as a segmentation: one segment each, with surface, colour and a coded meaning."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import slicer
import vtk
from vtkmodules.vtkCommonDataModel import vtkPolyData

from ..decision import default_name
from ..terminology import TERMINOLOGY
from .images import fill_image, matrix_from_array
from .labelimage import box_of, voxels_of
from .palette import rank_colour

if TYPE_CHECKING:
    from ..decision import Decision
    from ..detection import Detection
    from ..regions import Region

SURFACE_SMOOTHING = "0.3"
SURFACES_AT_ONCE = 100


def segmentation_of(
    detection: Detection, decisions: Mapping[int, Decision] | None = None, surfaces: int = SURFACES_AT_ONCE
) -> slicer.vtkSegmentation:
    """Build the segmentation of all regions, outside of any scene.

    All segments share one labelmap cropped to the regions, as Slicer keeps segments that do not overlap. Surfaces
    are made from each region's own bounding box, so the work grows with the regions and not with the image.

    Args:
        detection: What was found; label values equal ranks.
        decisions: By rank, for the segments' names.
        surfaces: For how many regions to make surfaces, the most anomalous first; `add_surfaces` makes more later.

    Returns:
        Segments in the order of rank, with the identifiers `segment_id` gives. Surfaces are missing if the scene's
        application offers no conversion to them.
    """
    segmentation = _empty_segmentation()
    if not detection.regions:
        return segmentation
    labelmap_name = slicer.vtkSegmentationConverter.GetBinaryLabelmapRepresentationName()
    shared = _shared_labelmap(detection)
    for region in detection.regions:
        segment = slicer.vtkSegment()
        segment.SetName(decisions[region.rank].name if decisions else default_name(region))
        segment.SetColor(*rank_colour(region.rank))
        segment.SetTag(segment.GetTerminologyEntryTagName(), TERMINOLOGY)
        segment.SetLabelValue(region.label)
        segment.AddRepresentation(labelmap_name, shared)
        segmentation.AddSegment(segment, segment_id(region))
    add_surfaces(segmentation, detection, surfaces)
    return segmentation


def add_surfaces(segmentation: slicer.vtkSegmentation, detection: Detection, most: int) -> int:
    """Make the surfaces of segments that have none yet.

    Args:
        segmentation: As `segmentation_of` the detection gives it; segments that are no longer there are passed over.
        detection: What was found.
        most: How many to make.

    Returns:
        How many were made.
    """
    surface_name = slicer.vtkSegmentationConverter.GetClosedSurfaceRepresentationName()
    segments = {region.rank: segmentation.GetSegment(segment_id(region)) for region in detection.regions}
    bare = [r for r in detection.regions if segments[r.rank] and not segments[r.rank].GetRepresentation(surface_name)]
    surfaces = _surfaces(detection, bare[:most], surface_name)
    for rank, surface in surfaces.items():
        segments[rank].AddRepresentation(surface_name, surface)
    return len(surfaces)


def replace_segmentation(
    node: slicer.vtkMRMLSegmentationNode, segmentation: slicer.vtkSegmentation, like: slicer.vtkMRMLVolumeNode
) -> None:
    """Give a node another segmentation on the grid of a volume.

    Args:
        node: In the scene, under its transform already: saved voxels are resampled, and some lost, if the reference
            geometry is set before the parent transform.
        segmentation: What it shall hold.
        like: The volume.
    """
    former = node.GetSegmentation()
    node.SetAndObserveSegmentation(segmentation)
    node.SetReferenceImageGeometryParameterFromVolumeNode(like)
    release(former)


def release(segmentation: slicer.vtkSegmentation | None) -> None:
    """Empty a segmentation that the caller alone still holds.

    A segmentation that ends takes each segment out of the labelmap that they share, voxel by voxel: seconds, where
    there are many. Without their labelmap there is nothing to take out.
    """
    if segmentation is not None and segmentation.GetReferenceCount() == 1:
        for number in range(segmentation.GetNumberOfSegments()):
            segmentation.GetNthSegment(number).RemoveAllRepresentations()


def segment_id(region: Region) -> str:
    """The identifier of a region's segment."""
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
    """The surface of each region by rank, made by the conversion that Slicer itself would use."""
    labelmap_name = slicer.vtkSegmentationConverter.GetBinaryLabelmapRepresentationName()
    separate = _empty_segmentation()
    for region in regions:
        x0, x1, y0, y1, z0, z1 = region.bounding_box
        inside = detection.labels.array[z0:z1, y0:y1, x0:x1] == region.label
        segment = slicer.vtkSegment()
        segment.AddRepresentation(labelmap_name, _oriented(inside.astype(np.uint8), (x0, y0, z0), detection))
        separate.AddSegment(segment, segment_id(region))
    if not regions or not separate.CreateRepresentation(surface_name):
        return {}
    return {region.rank: separate.GetSegment(segment_id(region)).GetRepresentation(surface_name) for region in regions}


def _oriented(
    array: np.ndarray, first_voxel: tuple[int, int, int], detection: Detection
) -> slicer.vtkOrientedImageData:
    image = fill_image(slicer.vtkOrientedImageData(), array, first_voxel)
    image.SetImageToWorldMatrix(matrix_from_array(detection.volume.affine))
    return image
