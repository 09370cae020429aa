"""A brain mask that the user has in the scene, on the grid of the scan."""

from __future__ import annotations

import numpy as np
import slicer

from ..errors import InputError
from ..volume import Volume
from .images import volume_from_node


def mask_from_node(mask_node: slicer.vtkMRMLNode, volume_node: slicer.vtkMRMLVolumeNode) -> Volume:
    """The part to examine that a segmentation or a label map marks.

    Args:
        mask_node: A segmentation, whose visible segments are taken together and may lie under any transform, or a
            volume on the scan's own grid, nonzero in the part to examine.
        volume_node: The scan.

    Returns:
        uint8 on the scan's grid.

    Raises:
        InputError: If nothing is marked, or a label map is under another transform than the scan.
    """
    scan = volume_from_node(volume_node)
    name = mask_node.GetName()
    if mask_node.IsA("vtkMRMLSegmentationNode"):
        inside = _visible_segments(mask_node, volume_node, scan.array.shape)
    else:
        if mask_node.GetTransformNodeID() != volume_node.GetTransformNodeID():
            problem = f"the mask {name} is under another transform than {scan.name}"
            raise InputError(problem, "Put both under the same transform.")
        mask = volume_from_node(mask_node)
        if not scan.same_grid(mask):
            raise InputError(f"the mask {name} is not on the grid of {scan.name}", "Use a segmentation instead.")
        inside = mask.array != 0
    if not inside.any():
        raise InputError(f"the brain mask {name} marks nothing in {scan.name}", "Choose another mask, or none.")
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
