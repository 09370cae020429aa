"""Content of slice and 3-D views, set by nodes of the scene alone, so that it works without any view.

One rule protects the reader from the overlay of another patient: a slice view shows of MedAD's results only those of
the scan in its background, and a 3-D view only those of scans that some slice view shows. `view_guard` keeps the rule
when the user changes views, loads or deletes scans.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import numpy as np
import slicer

from ...errors import InputError
from .nodes import INPUT, ORPHAN, ROLE
from .overlay import overlay_node
from .residual import residual_node

if TYPE_CHECKING:
    from .nodes import SceneResult
    from .transaction import SceneTransaction

WHATS = ("anomaly", "restored", "residual", "scan")
OVERLAY_OPACITY = 0.5
ASIDE = "MedAD.aside"
# Mark of a display that the rule limits to some views; limits that the user set stay.
LIMITED = "MedAD.limitedToViews"
REGIONS_AND_BODY = ("segmentation", "body")


def show(result: SceneResult, scene: slicer.vtkMRMLScene, what: str) -> None:
    """Lay a part of a result over its scan in all slice views there are.

    Results of other scans are hidden until they are shown themselves.

    Args:
        result: The nodes of a detection.
        scene: The scene that holds them.
        what: ``anomaly``, ``restored``, ``residual``, or ``scan`` for the scan alone. Outlines of regions are shown
            on the first and the third.

    Raises:
        InputError: If it is none of these.
    """
    if what not in WHATS:
        raise InputError("no_such_view", what=what, choices=", ".join(WHATS))
    if not all(scene.IsNodePresent(node) for node in (result.input, *result.nodes().values())):
        return
    follow_input(result)
    outlines = result.segmentation.GetDisplayNode()
    if outlines is not None:
        outlines.SetVisibility2D(what in ("anomaly", "residual"))
    if what == "anomaly":
        show_in_slices(result, scene)
    elif what == "residual":
        _lay(result, scene, residual_node(result, scene), OVERLAY_OPACITY)
    else:
        _lay(result, scene, result.restored, float(what == "restored"))


def show_in_slices(
    result: SceneResult,
    scene: slicer.vtkMRMLScene,
    opacity: float = OVERLAY_OPACITY,
    transaction: SceneTransaction | None = None,
) -> None:
    """Lay the anomaly map over its input in every slice view there is, without the rejected regions.

    Without views nothing happens.

    Args:
        result: The nodes of a detection.
        scene: The scene that holds them.
        opacity: Of the overlay, on top of the transparency of its colours.
        transaction: Keeps the views before they change.
    """
    _lay(result, scene, overlay_node(result, scene), opacity, transaction)


def set_opacity(result: SceneResult, scene: slicer.vtkMRMLScene, opacity: float) -> None:
    """Set the opacity in [0, 1] of the anomaly map or the difference, in the views that show one of them."""
    restored = result.restored.GetID()
    for view in _slice_views(scene):
        overlay = scene.GetNodeByID(view.GetForegroundVolumeID() or "")
        if overlay is not None and overlay.GetID() != restored and _belongs(overlay, result):
            view.SetForegroundOpacity(min(max(opacity, 0.0), 1.0))


def cross_fade(result: SceneResult, scene: slicer.vtkMRMLScene, part: float) -> None:
    """Blend the scan with its pseudo-healthy image in all slice views, under the outlines of the regions.

    Args:
        result: The nodes of a detection.
        scene: The scene that holds them.
        part: 0 for the scan as it is, 1 for the pseudo-healthy image.
    """
    if scene.IsNodePresent(result.input) and scene.IsNodePresent(result.restored):
        outlines = result.segmentation.GetDisplayNode()
        if outlines is not None:
            outlines.SetVisibility2D(True)
        _lay(result, scene, result.restored, min(max(part, 0.0), 1.0))


def shown_now(result: SceneResult, scene: slicer.vtkMRMLScene) -> tuple[str, float] | None:
    """Return what the first slice view shows of a result, so that controls can follow the views.

    Args:
        result: The nodes of a detection.
        scene: The scene that holds them.

    Returns:
        ``anomaly`` or ``residual`` and the opacity of the overlay, ``blend`` and the part of the pseudo-healthy image,
        ``scan`` and 0; None if no view shows the result's scan.
    """
    for view in _slice_views(scene):
        if view.GetBackgroundVolumeID() != result.input.GetID():
            continue
        overlay, opacity = scene.GetNodeByID(view.GetForegroundVolumeID() or ""), view.GetForegroundOpacity()
        outlines = result.segmentation.GetDisplayNode()
        if overlay is None or not _belongs(overlay, result):
            return "scan", 0.0
        if overlay.GetID() == result.restored.GetID():
            outlined = outlines is not None and bool(outlines.GetVisibility2D())
            return ("blend", opacity) if opacity > 0 or outlined else ("scan", 0.0)
        return ("residual" if overlay.GetAttribute(ROLE) == "residual" else "anomaly"), opacity
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
    transaction: SceneTransaction | None = None,
) -> None:
    for view in _slice_views(scene):
        if transaction is not None:
            transaction.keep(view)
        view.SetBackgroundVolumeID(result.input.GetID())
        view.SetForegroundVolumeID(overlay.GetID())
        view.SetForegroundOpacity(opacity)
    hide_others(scene, result.input, transaction)
    # A legend updates its list of views only when it is modified.
    for node in list(scene.GetNodes()):
        if node.IsA("vtkMRMLColorLegendDisplayNode"):
            node.Modified()


def show_scan(volume_node: slicer.vtkMRMLVolumeNode | None, scene: slicer.vtkMRMLScene) -> None:
    """Show a scan without any result in all slice views; results of all scans are hidden, their nodes stay.

    Args:
        volume_node: The scan; None leaves the backgrounds and only hides results.
        scene: The scene that holds it.
    """
    for view in _slice_views(scene):
        if volume_node is not None:
            view.SetBackgroundVolumeID(volume_node.GetID())
        if volume_node is not None or owner_of(_node(scene, view.GetForegroundVolumeID())) is not None:
            view.SetForegroundVolumeID(None)
        if owner_of(_node(scene, view.GetLabelVolumeID())) is not None:
            view.SetLabelVolumeID(None)
    hide_others(scene, volume_node)
    if volume_node is None:
        _hide_regions(scene, lambda node: True)


def shown_scan(scene: slicer.vtkMRMLScene) -> slicer.vtkMRMLScalarVolumeNode | None:
    """Return the scan in the background of all slice views that have one; None if they differ or show no scan."""
    shown = {view.GetBackgroundVolumeID() for view in _slice_views(scene) if view.GetBackgroundVolumeID()}
    node = scene.GetNodeByID(shown.pop()) if len(shown) == 1 else None
    return node if is_scan(node) else None


def is_laid(result: SceneResult, scene: slicer.vtkMRMLScene) -> bool:
    """Whether every slice view shows the result's scan with a layer of the result over it."""
    return all(
        view.GetBackgroundVolumeID() == result.input.GetID()
        and owner_of(_node(scene, view.GetForegroundVolumeID())) == result.input.GetID()
        for view in _slice_views(scene)
    )


def is_scan(node: slicer.vtkMRMLNode | None) -> bool:
    """Whether a node is a scalar volume with an image and not a result of MedAD."""
    if node is None or node.GetClassName() != "vtkMRMLScalarVolumeNode" or node.GetAttribute(ROLE) is not None:
        return False
    return node.GetImageData() is not None


def owner_of(node: slicer.vtkMRMLNode | None) -> str | None:
    """Return the ID of the scan of a result's node, empty if that scan is removed; None for any other node."""
    if node is None or node.GetAttribute(ROLE) is None:
        return None
    if node.GetAttribute(ORPHAN) is not None:
        return ""
    return node.GetNodeReferenceID(INPUT)


def hide_others(
    scene: slicer.vtkMRMLScene,
    chosen: slicer.vtkMRMLVolumeNode | None = None,
    transaction: SceneTransaction | None = None,
) -> None:
    """Hide regions and bodies of scans that no slice view shows; show again those of shown scans that it had hidden.

    Args:
        scene: The scene.
        chosen: The scan whose result is shown where the scene holds no slice view.
        transaction: Keeps each display before it changes.
    """
    backgrounds = {view.GetLayoutName(): _scan_in(view, scene) for view in _slice_views(scene)}
    shown = set(backgrounds.values()) or ({chosen.GetID()} if chosen is not None else set())
    for node, display in _displays(scene):
        owner = owner_of(node)
        ours, aside = owner in shown, display.GetAttribute(ASIDE) is not None
        if (ours and aside) or (not ours and display.GetVisibility()):
            if transaction is not None:
                transaction.keep(display)
            display.SetAttribute(ASIDE, None if ours else "1")
            display.SetVisibility(ours)
        if ours and backgrounds:
            names = {name for name, background in backgrounds.items() if background == owner}
            _limit(display, scene, None if len(names) == len(backgrounds) else names)


def stand_inside(
    volume_node: slicer.vtkMRMLVolumeNode, scene: slicer.vtkMRMLScene, point: tuple[float, float, float] | None = None
) -> bool:
    """Move slice views into a scan if one of them lies outside.

    Args:
        volume_node: The scan.
        scene: The scene that holds it.
        point: Target in world RAS mm; None for the middle of the scan.

    Returns:
        Whether the views were moved.
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


def detach_orphans(scene: slicer.vtkMRMLScene) -> list[slicer.vtkMRMLNode]:
    """Hide results of scans that are no longer in the scene, and remove their reference to it; their nodes stay.

    A reference to a removed node would later point to any volume that gets the same ID, as after saving and opening
    the scene: to another patient.

    Returns:
        The nodes that were detached.
    """
    detached = []
    for node in list(scene.GetNodes()):
        if node.GetAttribute(ROLE) is None or not node.GetNodeReferenceID(INPUT):
            continue
        if node.GetNodeReference(INPUT) is None:
            node.SetAttribute(ORPHAN, node.GetNodeReferenceID(INPUT))
            node.SetNodeReferenceID(INPUT, None)
            detached.append(node)
    if detached:
        gone = {node.GetID() for node in detached}
        for view in _slice_views(scene):
            if view.GetBackgroundVolumeID() in gone:
                view.SetBackgroundVolumeID(None)
            if view.GetForegroundVolumeID() in gone:
                view.SetForegroundVolumeID(None)
            if view.GetLabelVolumeID() in gone:
                view.SetLabelVolumeID(None)
        _hide_regions(scene, lambda node: node.GetID() in gone)
    return detached


def drop_foreign_layers(view: slicer.vtkMRMLSliceCompositeNode, scene: slicer.vtkMRMLScene) -> None:
    """Remove layers of a slice view that are results of another scan than the one in its background."""
    background = _scan_in(view, scene)
    for identifier, drop in (
        (view.GetForegroundVolumeID(), view.SetForegroundVolumeID),
        (view.GetLabelVolumeID(), view.SetLabelVolumeID),
    ):
        owner = owner_of(_node(scene, identifier))
        if owner is not None and owner != background:
            drop(None)


def _scan_in(view: slicer.vtkMRMLSliceCompositeNode, scene: slicer.vtkMRMLScene) -> str | None:
    """Return the ID of the scan in a view's background, or of the scan that the background belongs to."""
    node = _node(scene, view.GetBackgroundVolumeID())
    if node is None:
        return None
    owner = owner_of(node)
    return node.GetID() if owner is None else owner


def _node(scene: slicer.vtkMRMLScene, identifier: str | None) -> slicer.vtkMRMLNode | None:
    return scene.GetNodeByID(identifier) if identifier else None


def _displays(scene: slicer.vtkMRMLScene) -> Iterator[tuple[slicer.vtkMRMLNode, slicer.vtkMRMLDisplayNode]]:
    """Iterate over the regions and bodies of all results, each with its display."""
    for node in list(scene.GetNodes()):
        if node.GetAttribute(ROLE) in REGIONS_AND_BODY and node.IsA("vtkMRMLDisplayableNode"):
            display = node.GetDisplayNode()
            if display is not None and display.GetScene() is not None:
                yield node, display


def _hide_regions(scene: slicer.vtkMRMLScene, which: Callable[[slicer.vtkMRMLNode], bool]) -> None:
    for node, display in _displays(scene):
        if which(node) and display.GetVisibility():
            display.SetAttribute(ASIDE, "1")
            display.SetVisibility(False)


def _limit(display: slicer.vtkMRMLDisplayNode, scene: slicer.vtkMRMLScene, names: set[str] | None) -> None:
    """Limit a display to the slice views of these names and all 3-D views; None removes the limit."""
    if names is None:
        if display.GetAttribute(LIMITED) is not None:
            display.SetAttribute(LIMITED, None)
            display.RemoveAllViewNodeIDs()
        return
    views = [
        node.GetID()
        for node in scene.GetNodes()
        if node.IsA("vtkMRMLViewNode") or (node.IsA("vtkMRMLSliceNode") and node.GetLayoutName() in names)
    ]
    if list(display.GetViewNodeIDs() or ()) != views:
        display.SetAttribute(LIMITED, "1")
        display.SetViewNodeIDs(views)


def _belongs(node: slicer.vtkMRMLNode, result: SceneResult) -> bool:
    return node.GetNodeReferenceID(INPUT) == result.input.GetID()


def _slice_views(scene: slicer.vtkMRMLScene) -> Iterator[slicer.vtkMRMLSliceCompositeNode]:
    return (node for node in list(scene.GetNodes()) if node.IsA("vtkMRMLSliceCompositeNode"))
