"""The rule that protects a reader from the overlay of another patient, as functions on nodes of the scene.

A slice view shows of MedAD's results, tables and regions in the Segment Editor included, only those of the scan in its
background; a 3-D view only those of the chosen scan. `view_guard` applies the rule. This module needs only MRML.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import slicer

ROLE = "MedAD.role"
INPUT = "MedAD.input"
# The former ID of the scan of a result whose scan is gone.
ORPHAN = "MedAD.orphanOf"
# On regions that were handed to the Segment Editor: no run changes them, but they belong to their scan.
HANDED_ON = "MedAD.handedOn"
# On a display that is hidden by the rule: "1" until its scan is shown again, "refused" until its result is shown again.
ASIDE = "MedAD.aside"
REFUSED = "refused"
# Mark of a display that the rule limits to some views; limits that the user set stay.
LIMITED = "MedAD.limitedToViews"


def owner_of(node: slicer.vtkMRMLNode | None) -> str | None:
    """Return the ID of the scan of a result's node, empty if that scan is removed; None for any other node."""
    if node is None or (node.GetAttribute(ROLE) is None and node.GetAttribute(HANDED_ON) is None):
        return None
    if node.GetAttribute(ORPHAN) is not None:
        return ""
    return node.GetNodeReferenceID(INPUT)


def is_scan(node: slicer.vtkMRMLNode | None) -> bool:
    """Whether a node is a scalar volume with an image and not a result of MedAD."""
    if node is None or node.GetClassName() != "vtkMRMLScalarVolumeNode" or node.GetAttribute(ROLE) is not None:
        return False
    return node.GetImageData() is not None


def shown_scan(scene: slicer.vtkMRMLScene) -> slicer.vtkMRMLScalarVolumeNode | None:
    """Return the scan that all slice views show, itself or a result of it; None if they differ or show no scan."""
    shown = {scan_in(view, scene) for view in slice_views(scene) if view.GetBackgroundVolumeID()}
    node = node_of(scene, shown.pop()) if len(shown) == 1 else None
    return node if is_scan(node) else None


def has_blank_view(scene: slicer.vtkMRMLScene) -> bool:
    """Whether a slice view has no background, as after the deletion of what it showed."""
    return any(not view.GetBackgroundVolumeID() for view in slice_views(scene))


def scan_in(view: slicer.vtkMRMLSliceCompositeNode, scene: slicer.vtkMRMLScene) -> str | None:
    """Return the ID of the scan in a view's background, or of the scan that the background belongs to."""
    node = node_of(scene, view.GetBackgroundVolumeID())
    if node is None:
        return None
    owner = owner_of(node)
    return node.GetID() if owner is None else owner


def show_scan(volume_node: slicer.vtkMRMLVolumeNode | None, scene: slicer.vtkMRMLScene) -> None:
    """Show a scan without any result in all slice views; results of all scans are hidden, their nodes stay.

    None leaves the backgrounds and only hides results.
    """
    for view in slice_views(scene):
        if volume_node is not None:
            view.SetBackgroundVolumeID(volume_node.GetID())
        if volume_node is not None or owner_of(node_of(scene, view.GetForegroundVolumeID())) is not None:
            view.SetForegroundVolumeID(None)
        if owner_of(node_of(scene, view.GetLabelVolumeID())) is not None:
            view.SetLabelVolumeID(None)
    identifier = None if volume_node is None else volume_node.GetID()
    _hide(
        scene,
        lambda node: volume_node is None or (node.GetAttribute(HANDED_ON) is None and owner_of(node) == identifier),
        REFUSED,
    )
    hide_others(scene, volume_node)
    show_table(scene, volume_node)
    renew_legends(scene)


def allow(volume_node: slicer.vtkMRMLVolumeNode, scene: slicer.vtkMRMLScene) -> None:
    """Let the result of a scan be shown again after `show_scan` has hidden it."""
    for node, display in displays(scene):
        if display.GetAttribute(ASIDE) == REFUSED and owner_of(node) == volume_node.GetID():
            display.SetAttribute(ASIDE, "1")


def hide_others(scene: slicer.vtkMRMLScene, chosen: slicer.vtkMRMLVolumeNode | None = None, before: Any = None) -> None:
    """Hide what belongs to scans that no slice view shows; show again what was hidden so of scans that are shown.

    Args:
        scene: The scene.
        chosen: The scan of 3-D views, and of all views where the scene holds no slice view; None for any shown scan.
        before: A `Snapshot`, which keeps each display before it changes; None for none.
    """
    backgrounds = {view.GetLayoutName(): scan_in(view, scene) for view in slice_views(scene)}
    shown = set(backgrounds.values()) or ({chosen.GetID()} if chosen is not None else set())
    for node, display in displays(scene):
        owner, aside = owner_of(node), display.GetAttribute(ASIDE)
        ours = bool(owner) and owner in shown and aside != REFUSED
        if (ours and aside) or (not ours and display.GetVisibility()):
            if before is not None:
                before.keep(display)
            display.SetAttribute(ASIDE, None if ours else (aside or "1"))
            display.SetVisibility(ours)
        if ours and backgrounds and not display.IsA("vtkMRMLColorLegendDisplayNode"):
            names = {name for name, background in backgrounds.items() if background == owner}
            everywhere = len(names) == len(backgrounds)
            in_3d = everywhere or chosen is None or owner == chosen.GetID()
            _limit(display, scene, None if everywhere else names, in_3d)


def drop_foreign_layers(view: slicer.vtkMRMLSliceCompositeNode, scene: slicer.vtkMRMLScene) -> None:
    """Remove layers of a slice view that are results of another scan than the one in its background."""
    background = scan_in(view, scene)
    for identifier, drop in (
        (view.GetForegroundVolumeID(), view.SetForegroundVolumeID),
        (view.GetLabelVolumeID(), view.SetLabelVolumeID),
    ):
        owner = owner_of(node_of(scene, identifier))
        if owner is not None and owner != background:
            drop(None)


def detach_orphans(scene: slicer.vtkMRMLScene) -> list[slicer.vtkMRMLNode]:
    """Hide results of scans that are no longer in the scene, and remove their reference to it; their nodes stay.

    A reference to a removed node would later point to any volume that gets the same ID, as after saving and opening
    the scene: to another patient.

    Returns the nodes that were detached.
    """
    detached = []
    for node in list(scene.GetNodes()):
        if owner_of(node) and node.GetNodeReference(INPUT) is None:
            node.SetAttribute(ORPHAN, node.GetNodeReferenceID(INPUT))
            node.SetNodeReferenceID(INPUT, None)
            detached.append(node)
    if detached:
        gone = {node.GetID() for node in detached}
        for view in slice_views(scene):
            if view.GetBackgroundVolumeID() in gone:
                view.SetBackgroundVolumeID(None)
            if view.GetForegroundVolumeID() in gone:
                view.SetForegroundVolumeID(None)
            if view.GetLabelVolumeID() in gone:
                view.SetLabelVolumeID(None)
        _hide(scene, lambda node: node.GetID() in gone, "1")
    return detached


def show_table(scene: slicer.vtkMRMLScene, volume_node: slicer.vtkMRMLVolumeNode | None) -> None:
    """Let table views that show the regions of another scan show those of this scan, or nothing."""
    identifier = None if volume_node is None else volume_node.GetID()
    tables = [node for node in scene.GetNodes() if node.IsA("vtkMRMLTableNode") and owner_of(node) is not None]
    own = next((table.GetID() for table in tables if identifier and owner_of(table) == identifier), None)
    for view in list(scene.GetNodes()):
        if view.IsA("vtkMRMLTableViewNode"):
            owner = owner_of(node_of(scene, view.GetTableNodeID()))
            if owner is not None and owner != identifier:
                view.SetTableNodeID(own)


def renew_legends(scene: slicer.vtkMRMLScene) -> None:
    """Let legends look again which views show their volume; they do so only when they are modified."""
    for node in list(scene.GetNodes()):
        if node.IsA("vtkMRMLColorLegendDisplayNode"):
            node.Modified()


def displays(scene: slicer.vtkMRMLScene) -> Iterator[tuple[slicer.vtkMRMLNode, slicer.vtkMRMLDisplayNode]]:
    """Iterate over the nodes of all results, each with its displays: surfaces, volume renderings, legends.

    The displays of volumes in slices are not among them: layers of the views decide on those.
    """
    for node in list(scene.GetNodes()):
        if owner_of(node) is None or not node.IsA("vtkMRMLDisplayableNode"):
            continue
        for number in range(node.GetNumberOfDisplayNodes()):
            display = node.GetNthDisplayNode(number)
            if display is None or display.GetScene() is None:
                continue
            if display.IsA("vtkMRMLVolumeDisplayNode") and not display.IsA("vtkMRMLVolumeRenderingDisplayNode"):
                continue
            yield node, display


def slice_views(scene: slicer.vtkMRMLScene) -> Iterator[slicer.vtkMRMLSliceCompositeNode]:
    """Iterate over the layers of all slice views."""
    return (node for node in list(scene.GetNodes()) if node.IsA("vtkMRMLSliceCompositeNode"))


def node_of(scene: slicer.vtkMRMLScene, identifier: str | None) -> slicer.vtkMRMLNode | None:
    """Return the node of an ID; None for no ID."""
    return scene.GetNodeByID(identifier) if identifier else None


def _hide(scene: slicer.vtkMRMLScene, which: Callable[[slicer.vtkMRMLNode], bool], mark: str) -> None:
    for node, display in displays(scene):
        if which(node) and (display.GetVisibility() or display.GetAttribute(ASIDE) is not None):
            display.SetAttribute(ASIDE, mark)
            display.SetVisibility(False)


def _limit(display: slicer.vtkMRMLDisplayNode, scene: slicer.vtkMRMLScene, names: set[str] | None, in_3d: bool) -> None:
    """Show something in the slice views of these names only, and in 3-D views or not; None lifts the limit."""
    if names is None:
        if display.GetAttribute(LIMITED) is not None:
            display.SetAttribute(LIMITED, None)
            display.RemoveAllViewNodeIDs()
        return
    views = [
        node.GetID()
        for node in scene.GetNodes()
        if (in_3d and node.IsA("vtkMRMLViewNode")) or (node.IsA("vtkMRMLSliceNode") and node.GetLayoutName() in names)
    ]
    if list(display.GetViewNodeIDs() or ()) != views:
        display.SetAttribute(LIMITED, "1")
        display.SetViewNodeIDs(views)
