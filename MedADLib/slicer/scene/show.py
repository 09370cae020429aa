"""Put a detection into a MRML scene, beside the volume it was made from."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import slicer
from vtkmodules.vtkCommonDataModel import vtkImageData

from ...errors import InputError
from ...results.exchange import MAPS
from .attributes import attributes_of, write_attributes
from .display import show_anomaly, show_body, show_labels, show_restored, show_segments
from .nodes import NODES, SceneResult, nodes_of, place_beside, to_world
from .overlay import renew_overlay
from .ownership import INPUT, ROLE, hide_others
from .residual import renew_residual
from .segments import replace_segmentation, segmentation_of, surface_of
from .table import describe_columns, table_of
from .transaction import Snapshot, all_or_nothing
from .undo import remember
from .viewing import show_in_slices
from .volumes import image_from_array, matrix_from_array, node_affine

if TYPE_CHECKING:
    from ...detection import Detection
    from ...scoring.regions import Region


def show_detection(
    detection: Detection, volume_node: slicer.vtkMRMLVolumeNode, scene: slicer.vtkMRMLScene, lay: bool = True
) -> SceneResult:
    """Put a detection into the scene, lay its map over the input in all slice views, and return the nodes.

    Results of an earlier run on the same volume are replaced in the same nodes; names, colours and opacities that
    the user gave them stay. If anything fails, the scene is unchanged; `undo_detection` can undo the run later.

    Args:
        detection: The detection of the volume.
        volume_node: The examined volume.
        scene: The scene that holds it.
        lay: Whether to show the result; otherwise the views stay, as when the reader looks at another scan.

    Raises:
        InputError: If the volume has left the scene, or has another grid than the one that was examined.
    """
    _check_input(detection, volume_node, scene)
    # Slow and memory-consuming steps come before the first change of the scene.
    images = images_of(detection)
    segmentation, table, body = segmentation_of(detection), table_of(detection.regions), surface_of(detection.mask)
    attributes = attributes_of(detection)
    with all_or_nothing(scene) as before:
        result, fresh = _take_nodes(volume_node, scene, before)
        for role, image in images.items():
            node = getattr(result, role)
            node.SetIJKToRASMatrix(matrix_from_array(detection.volume.affine))
            node.SetAndObserveImageData(image)
        for role, node in result.nodes().items():
            write_attributes(node, attributes[role])
            if node.IsA("vtkMRMLTransformableNode"):
                node.SetAndObserveTransformNodeID(volume_node.GetTransformNodeID())
        replace_segmentation(result.segmentation, segmentation, volume_node)
        result.table.SetAndObserveTable(table)
        describe_columns(result.table, detection.reference.unit)
        result.body.SetAndObservePolyData(body)
        show_anomaly(result.anomaly, detection, "anomaly" in fresh)
        show_labels(result.labels, len(detection.regions))
        show_segments(result.segmentation, "segmentation" in fresh)
        # Regions of an earlier run may have been rejected and so hidden.
        result.segmentation.GetDisplayNode().SetAllSegmentsVisibility(True)
        renew_residual(result, scene, before)
        renew_overlay(result, scene, before)
        if "restored" in fresh:
            show_restored(result.restored, volume_node)
        if "body" in fresh:
            show_body(result.body)
        for node in result.nodes().values():
            place_beside(node, volume_node, scene)
        if lay:
            show_in_slices(result, scene, before=before)
        else:
            hide_others(scene, before=before)
    remember(volume_node, before)
    return result


def images_of(detection: Detection) -> dict[str, vtkImageData]:
    """Make the images of a detection's volumes by role, without placement in space."""
    return {
        role: image_from_array(getattr(detection, role).array.astype(kind, copy=False)) for role, kind in MAPS.items()
    }


def jump_to(result: SceneResult, region: Region, scene: slicer.vtkMRMLScene) -> tuple[float, float, float]:
    """Centre all slice views on the peak of a region, because its centroid may lie outside the region.

    Returns the peak in world RAS mm, which includes the parent transform of the input.
    """
    world = to_world(result.input).TransformPoint(region.peak_ras)
    slicer.vtkMRMLSliceNode.JumpAllSlices(scene, *world, slicer.vtkMRMLSliceNode.CenteredJumpSlice)
    return world


def _check_input(detection: Detection, volume_node: slicer.vtkMRMLVolumeNode, scene: slicer.vtkMRMLScene) -> None:
    name = detection.volume.name
    if volume_node is None or not scene.IsNodePresent(volume_node):
        raise InputError("scan_gone", name=name)
    image = volume_node.GetImageData()
    same = image is not None and image.GetDimensions()[::-1] == detection.volume.array.shape
    if not same or not np.allclose(node_affine(volume_node), detection.volume.affine, atol=1e-3):
        raise InputError("scan_moved", name=name)


def _take_nodes(
    volume_node: slicer.vtkMRMLVolumeNode, scene: slicer.vtkMRMLScene, before: Snapshot
) -> tuple[SceneResult, set[str]]:
    """Find or add the nodes with their display nodes; return them and the roles of the new ones."""
    if volume_node.GetDisplayNode() is None:
        before.keep(volume_node)
        volume_node.CreateDefaultDisplayNodes()
    nodes = nodes_of(volume_node, scene)
    fresh = set(NODES) - set(nodes)
    for node in nodes.values():
        before.keep_shown(node)
    for role in sorted(fresh, key=list(NODES).index):
        class_name, name = NODES[role]
        nodes[role] = scene.AddNewNodeByClass(class_name, name.format(volume_node.GetName()))
        nodes[role].SetAttribute(ROLE, role)
        nodes[role].SetNodeReferenceID(INPUT, volume_node.GetID())
    for node in nodes.values():
        if node.IsA("vtkMRMLDisplayableNode") and node.GetDisplayNode() is None:
            node.CreateDefaultDisplayNodes()
    return SceneResult(volume_node, **nodes), fresh
