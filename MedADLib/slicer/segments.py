"""The regions of a detection as a segmentation: one segment each, with surface, colour and a coded meaning."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import slicer
from vtkmodules.vtkCommonDataModel import vtkPolyData

from ..colours import region_colour
from ..terminology import TERMINOLOGY
from .images import fill_image, matrix_from_array

if TYPE_CHECKING:
    from ..detection import Detection
    from ..regions import Region

SURFACE_SMOOTHING = "0.3"


def segmentation_of(detection: Detection) -> slicer.vtkSegmentation:
    """Build the segmentation of all regions, outside of any scene.

    All segments share one labelmap cropped to the regions, as Slicer keeps segments that do not overlap. Surfaces
    are made from each region's own bounding box, so the work grows with the regions and not with the image.

    Args:
        detection: What was found; label values equal ranks.

    Returns:
        Segments in the order of rank, with the identifiers `segment_id` gives. Surfaces are missing if the scene's
        application offers no conversion to them.
    """
    converter = slicer.vtkSegmentationConverter
    labelmap_name = converter.GetBinaryLabelmapRepresentationName()
    surface_name = converter.GetClosedSurfaceRepresentationName()
    segmentation = _empty_segmentation()
    if not detection.regions:
        return segmentation
    surfaces = _surfaces(detection, labelmap_name, surface_name)
    shared = _shared_labelmap(detection)
    for region in detection.regions:
        segment = slicer.vtkSegment()
        segment.SetName(f"Region {region.rank}")
        segment.SetColor(*region_colour(region.rank))
        segment.SetTag(segment.GetTerminologyEntryTagName(), TERMINOLOGY)
        segment.SetLabelValue(region.label)
        segment.AddRepresentation(labelmap_name, shared)
        if region.rank in surfaces:
            segment.AddRepresentation(surface_name, surfaces[region.rank])
        segmentation.AddSegment(segment, segment_id(region))
    return segmentation


def segment_id(region: Region) -> str:
    """The identifier of a region's segment."""
    return f"Region_{region.rank}"


def _empty_segmentation() -> slicer.vtkSegmentation:
    segmentation = slicer.vtkSegmentation()
    segmentation.SetSourceRepresentationName(slicer.vtkSegmentationConverter.GetBinaryLabelmapRepresentationName())
    segmentation.SetConversionParameter("Smoothing factor", SURFACE_SMOOTHING)
    return segmentation


def _shared_labelmap(detection: Detection) -> slicer.vtkOrientedImageData:
    boxes = np.array([region.bounding_box for region in detection.regions])
    (x0, y0, z0), (x1, y1, z1) = boxes[:, ::2].min(axis=0), boxes[:, 1::2].max(axis=0)
    labels = detection.labels.array[z0:z1, y0:y1, x0:x1]
    small = labels.astype(np.uint8 if max(region.label for region in detection.regions) < 256 else np.int16)
    return _oriented(small, (int(x0), int(y0), int(z0)), detection)


def _surfaces(detection: Detection, labelmap_name: str, surface_name: str) -> dict[int, vtkPolyData]:
    """The surface of each region by rank, made by the conversion that Slicer itself would use."""
    separate = _empty_segmentation()
    for region in detection.regions:
        x0, x1, y0, y1, z0, z1 = region.bounding_box
        inside = detection.labels.array[z0:z1, y0:y1, x0:x1] == region.label
        segment = slicer.vtkSegment()
        segment.AddRepresentation(labelmap_name, _oriented(inside.astype(np.uint8), (x0, y0, z0), detection))
        separate.AddSegment(segment, segment_id(region))
    if not separate.CreateRepresentation(surface_name):
        return {}
    return {
        region.rank: separate.GetSegment(segment_id(region)).GetRepresentation(surface_name)
        for region in detection.regions
    }


def _oriented(
    array: np.ndarray, first_voxel: tuple[int, int, int], detection: Detection
) -> slicer.vtkOrientedImageData:
    image = fill_image(slicer.vtkOrientedImageData(), array, first_voxel)
    image.SetImageToWorldMatrix(matrix_from_array(detection.volume.affine))
    return image
