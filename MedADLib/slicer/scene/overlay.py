"""Overlay on a scan: the anomaly map without the regions that the reader rejected or found too small.

The map of a result stays whole. Where regions are rejected, slice views show a copy of it, of the role ``kept``, in
which their voxels are zero. Results of sequences have no copy, which would lag behind the browser.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import slicer

from ...detection import SMALLEST_REGION_ML
from ...results.text import smallest_region_ml
from .display import add_legend, legend_of
from .nodes import add_derived, find_derived
from .transaction import remove_node
from .volumes import image_from_array

if TYPE_CHECKING:
    from ...detection import Detection
    from ...scoring.regions import Region
    from .nodes import SceneResult
    from .transaction import Snapshot

KEPT = "kept"
MADE_FROM = "MedAD.madeFrom"


def overlay_node(result: SceneResult, scene: slicer.vtkMRMLScene) -> slicer.vtkMRMLScalarVolumeNode:
    """Return the volume to lay over the scan: the anomaly map, or its copy without rejected regions."""
    node = find_derived(result.input, KEPT, scene)
    if node is None or node.GetAttribute(MADE_FROM) != _stamp(result):
        return result.anomaly
    node.SetAndObserveTransformNodeID(result.input.GetTransformNodeID())
    return node


def hide_rejected(result: SceneResult, detection: Detection, rejected: Sequence[Region]) -> None:
    """Hide rejected regions in the overlay, and update the views that show it.

    Regions below the smallest volume are hidden as well, if the reader raised it.
    """
    scene = result.anomaly.GetScene()
    if scene is None or result.anomaly.GetDisplayNode() is None or _in_sequence(result.anomaly, scene):
        return
    node = find_derived(result.input, KEPT, scene)
    small = _too_small(detection)
    if node is None and not rejected and small is None:
        return
    node = node or _add(result, scene)
    if rejected or small is not None:
        shown = detection.anomaly.array.copy()
        if small is not None:
            shown[small] = 0
        for region in rejected:
            x0, x1, y0, y1, z0, z1 = region.bounding_box
            box = slice(z0, z1), slice(y0, y1), slice(x0, x1)
            shown[box][detection.labels.array[box] == region.label] = 0
        _fill(node, result, image_from_array(shown), _stamp(result))
    else:
        _release(node, result)
    display, like = node.GetDisplayNode(), result.anomaly.GetDisplayNode()
    display.SetThreshold(like.GetLowerThreshold(), like.GetUpperThreshold())
    overlay, both = overlay_node(result, scene).GetID(), (node.GetID(), result.anomaly.GetID())
    for view in list(scene.GetNodes()):
        if view.IsA("vtkMRMLSliceCompositeNode") and view.GetForegroundVolumeID() in both:
            view.SetForegroundVolumeID(overlay)


def _too_small(detection: Detection) -> np.ndarray | None:
    """Voxels above the threshold in no region, (Z, Y, X) bool; None if there are none or the reader hides none."""
    if smallest_region_ml(detection.provenance) <= SMALLEST_REGION_ML:
        return None
    small = (detection.anomaly.array >= detection.threshold) & (detection.labels.array == 0)
    return small if small.any() else None


def renew_overlay(result: SceneResult, scene: slicer.vtkMRMLScene, before: Snapshot) -> None:
    """Make the copy of an earlier run, if there is one, share the map of this run."""
    node = find_derived(result.input, KEPT, scene)
    if node is not None:
        before.keep_shown(node)
        _release(node, result)
        _look_like(node, result)


def remove_stale_overlay(result: SceneResult, scene: slicer.vtkMRMLScene) -> None:
    """Remove the copy of a run that was undone."""
    node = find_derived(result.input, KEPT, scene)
    if node is None:
        return
    present = scene.IsNodePresent(result.anomaly)
    if not present or node.GetAttribute(MADE_FROM) not in (None, _stamp(result)):
        remove_node(node, scene)


def _add(result: SceneResult, scene: slicer.vtkMRMLScene) -> slicer.vtkMRMLScalarVolumeNode:
    node = add_derived(result.input, KEPT, "anomaly of kept regions", scene)
    node.CreateDefaultDisplayNodes()
    add_legend(node)
    _look_like(node, result)
    legends = [legend_of(each) for each in (node, result.anomaly)]
    if all(legends):
        legends[0].SetVisibility(legends[1].GetVisibility())
    return node


def _look_like(node: slicer.vtkMRMLScalarVolumeNode, result: SceneResult) -> None:
    display, like = node.GetDisplayNode(), result.anomaly.GetDisplayNode()
    if display is not None and like is not None:
        display.CopyContent(like, False)
        display.CopyReferences(like)
    own, legend = legend_of(node), legend_of(result.anomaly)
    if own is not None and legend is not None:
        # The unit of another run may differ.
        own.SetTitleText(legend.GetTitleText())
        own.SetNumberOfLabels(legend.GetNumberOfLabels())


def _fill(node: slicer.vtkMRMLScalarVolumeNode, result: SceneResult, image: object, stamp: str | None) -> None:
    node.CopyOrientation(result.anomaly)
    node.SetAndObserveTransformNodeID(result.input.GetTransformNodeID())
    node.SetAndObserveImageData(image)
    node.SetAttribute(MADE_FROM, stamp)


def _release(node: slicer.vtkMRMLScalarVolumeNode, result: SceneResult) -> None:
    """Share the voxels of the map; the views then show the map itself."""
    _fill(node, result, result.anomaly.GetImageData(), None)


def _stamp(result: SceneResult) -> str:
    return f"{result.anomaly.GetAttribute('MedAD.time')} {result.anomaly.GetImageData().GetMTime()}"


def _in_sequence(node: slicer.vtkMRMLVolumeNode, scene: slicer.vtkMRMLScene) -> bool:
    browsers = (each for each in scene.GetNodes() if each.IsA("vtkMRMLSequenceBrowserNode"))
    return any(browser.GetSequenceNode(node) is not None for browser in browsers)
