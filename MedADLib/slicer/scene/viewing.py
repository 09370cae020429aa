"""Content of slice and 3-D views, set by nodes of the scene alone, so that it works without any view.

What is shown always belongs to the scan in the views: see `ownership`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import slicer

from ...errors import InputError
from .nodes import rename_after_scan
from .overlay import overlay_node
from .ownership import ROLE, allow, hide_others, node_of, owner_of, renew_legends, show_scan, show_table, slice_views
from .residual import RESIDUAL, residual_node

if TYPE_CHECKING:
    from .nodes import SceneResult
    from .transaction import Snapshot

WHATS = ("anomaly", "restored", "residual", "scan")
OVERLAY_OPACITY = 0.5


def show(result: SceneResult, scene: slicer.vtkMRMLScene, what: str) -> None:
    """Lay a part of a result over its scan in all slice views; results of other scans are hidden until they are shown.

    `what` is ``anomaly``, ``restored``, ``residual``, or ``scan`` for the scan alone, without regions in 3-D views;
    outlines of regions are shown on the first and the third. Raises InputError for anything else.
    """
    if what not in WHATS:
        raise InputError("no_such_view", what=what, choices=", ".join(WHATS))
    if not all(scene.IsNodePresent(node) for node in (result.input, *result.nodes().values())):
        return
    follow_input(result)
    rename_after_scan(result)
    outlines = result.segmentation.GetDisplayNode()
    if outlines is not None:
        outlines.SetVisibility2D(what in ("anomaly", "residual"))
    if what == "anomaly":
        show_in_slices(result, scene)
    elif what == "residual":
        _lay(result, scene, residual_node(result, scene), OVERLAY_OPACITY)
    elif what == "restored":
        _lay(result, scene, result.restored, 1.0)
    else:
        show_scan(result.input, scene)


def show_in_slices(result: SceneResult, scene: slicer.vtkMRMLScene, before: Snapshot | None = None) -> None:
    """Lay the anomaly map without the rejected regions over its input in every slice view, if there are any."""
    _lay(result, scene, overlay_node(result, scene), OVERLAY_OPACITY, before)


def set_opacity(result: SceneResult, scene: slicer.vtkMRMLScene, opacity: float) -> None:
    """Set the opacity in [0, 1] of the anomaly map or the difference, in the views that show one of them."""
    restored = result.restored.GetID()
    for view in slice_views(scene):
        overlay = scene.GetNodeByID(view.GetForegroundVolumeID() or "")
        if overlay is not None and overlay.GetID() != restored and _belongs(overlay, result):
            view.SetForegroundOpacity(min(max(opacity, 0.0), 1.0))


def cross_fade(result: SceneResult, scene: slicer.vtkMRMLScene, part: float) -> None:
    """Blend the scan (0) with its pseudo-healthy image (1) in all slice views, under the outlines of the regions."""
    if scene.IsNodePresent(result.input) and scene.IsNodePresent(result.restored):
        outlines = result.segmentation.GetDisplayNode()
        if outlines is not None:
            outlines.SetVisibility2D(True)
        _lay(result, scene, result.restored, min(max(part, 0.0), 1.0))


def shown_now(result: SceneResult, scene: slicer.vtkMRMLScene) -> tuple[str, float] | None:
    """Return what the first slice view shows of a result, so that controls can follow the views.

    Returns:
        ``anomaly`` or ``residual`` and the opacity of the overlay, ``blend`` and the part of the pseudo-healthy image,
        ``scan`` and 0; None if no view shows the result's scan.
    """
    for view in slice_views(scene):
        if view.GetBackgroundVolumeID() != result.input.GetID():
            continue
        overlay, opacity = scene.GetNodeByID(view.GetForegroundVolumeID() or ""), view.GetForegroundOpacity()
        outlines = result.segmentation.GetDisplayNode()
        if overlay is None or not _belongs(overlay, result):
            return "scan", 0.0
        if overlay.GetID() == result.restored.GetID():
            outlined = outlines is not None and bool(outlines.GetVisibility2D())
            return ("blend", opacity) if opacity > 0 or outlined else ("scan", 0.0)
        return ("residual" if overlay.GetAttribute(ROLE) == RESIDUAL else "anomaly"), opacity
    return None


def show_3d(result: SceneResult, on: bool) -> None:
    """Show or hide the regions and the examined part in 3-D views."""
    for node in (result.segmentation, result.body):
        display = node.GetDisplayNode()
        if display is not None:
            display.SetVisibility3D(on)


def follow_input(result: SceneResult) -> None:
    """Put all nodes of a result under the present transform of its scan."""
    for node in result.nodes().values():
        if node.IsA("vtkMRMLTransformableNode") and node.GetTransformNodeID() != result.input.GetTransformNodeID():
            node.SetAndObserveTransformNodeID(result.input.GetTransformNodeID())


def _lay(
    result: SceneResult,
    scene: slicer.vtkMRMLScene,
    overlay: slicer.vtkMRMLVolumeNode,
    opacity: float,
    before: Snapshot | None = None,
) -> None:
    allow(result.input, scene)
    for view in slice_views(scene):
        if before is not None:
            before.keep(view)
        view.SetBackgroundVolumeID(result.input.GetID())
        view.SetForegroundVolumeID(overlay.GetID())
        view.SetForegroundOpacity(opacity)
    hide_others(scene, result.input, before)
    show_table(scene, result.input)
    renew_legends(scene)


def is_laid(result: SceneResult, scene: slicer.vtkMRMLScene, alone: bool = False) -> bool:
    """Whether every slice view shows the result's scan, and unless it is wanted alone, a layer of the result on it."""
    return all(
        view.GetBackgroundVolumeID() == result.input.GetID()
        and (alone or owner_of(node_of(scene, view.GetForegroundVolumeID())) == result.input.GetID())
        for view in slice_views(scene)
    )


def stand_inside(
    volume_node: slicer.vtkMRMLVolumeNode, scene: slicer.vtkMRMLScene, point: tuple[float, float, float] | None = None
) -> bool:
    """Move slice views into a scan if one of them lies outside; return whether they were moved.

    The target is a point in world RAS mm, or the middle of the scan.
    """
    bounds = np.zeros(6)
    volume_node.GetRASBounds(bounds)
    low, high = bounds[::2], bounds[1::2]
    if (high < low).any():
        return False
    for view in scene.GetNodes():
        if view.IsA("vtkMRMLSliceNode"):
            to_ras = view.GetSliceToRAS()
            centre = np.array([to_ras.GetElement(row, 3) for row in range(3)])
            if (centre < low).any() or (centre > high).any():
                target = (low + high) / 2 if point is None else point
                slicer.vtkMRMLSliceNode.JumpAllSlices(scene, *target, slicer.vtkMRMLSliceNode.CenteredJumpSlice)
                return True
    return False


def _belongs(node: slicer.vtkMRMLNode, result: SceneResult) -> bool:
    return owner_of(node) == result.input.GetID()
