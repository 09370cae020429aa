"""Transactions on a scene: changes that are complete or undone, and can be undone later."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import slicer

from .ownership import ROLE
from .segments import release


class Snapshot:
    """Former state of some nodes, and the nodes that were added later."""

    def __init__(self, scene: slicer.vtkMRMLScene):
        self._before = {node.GetID() for node in scene.GetNodes()}
        self._kept: list[tuple[slicer.vtkMRMLNode, slicer.vtkMRMLNode]] = []
        self._added: list[slicer.vtkMRMLNode] | None = None

    def keep(self, node: slicer.vtkMRMLNode) -> None:
        """Store a node's present state."""
        copy = type(node)()
        # Shallow: the content of nodes is replaced, never modified, so the old content stays valid.
        copy.CopyContent(node, False)
        copy.CopyReferences(node)
        self._kept.append((node, copy))

    def keep_shown(self, node: slicer.vtkMRMLNode) -> None:
        """Store the present state of a node and of its displays, such as the legend of its colours."""
        self.keep(node)
        if node.IsA("vtkMRMLDisplayableNode"):
            displays = (node.GetNthDisplayNode(number) for number in range(node.GetNumberOfDisplayNodes()))
            for display in filter(None, displays):
                self.keep(display)

    def close(self, scene: slicer.vtkMRMLScene) -> None:
        """End the list of added nodes that `restore` removes."""
        self._added = self._new_nodes(scene)

    def restore(self, scene: slicer.vtkMRMLScene) -> None:
        """Restore the former state; nodes that have left the scene are skipped."""
        added = self._new_nodes(scene) if self._added is None else self._added
        for node, copy in reversed(self._kept):
            if scene.IsNodePresent(node):
                former = node.GetSegmentation() if node.IsA("vtkMRMLSegmentationNode") else None
                node.CopyContent(copy, False)
                node.CopyReferences(copy)
                release(former)
        # Colours last, when no node of a result uses them any more.
        for node in sorted(added, key=lambda node: node.IsA("vtkMRMLColorNode")):
            if scene.IsNodePresent(node) and not _is_used_colour(node, scene):
                remove_node(node, scene)

    def forget(self) -> None:
        """Release the stored states."""
        for _, copy in self._kept:
            if copy.IsA("vtkMRMLSegmentationNode"):
                segmentation = copy.GetSegmentation()
                copy.SetAndObserveSegmentation(None)
                release(segmentation)
        self._kept.clear()
        self._added = []

    def _new_nodes(self, scene: slicer.vtkMRMLScene) -> list[slicer.vtkMRMLNode]:
        return [node for node in scene.GetNodes() if node.GetID() not in self._before]


@contextmanager
def all_or_nothing(scene: slicer.vtkMRMLScene) -> Iterator[Snapshot]:
    """Undo changes to a scene if the block fails; yields the state of the scene at its beginning.

    Nodes added inside the block are removed. An existing node must be given to `Snapshot.keep` before it is changed.
    """
    snapshot = Snapshot(scene)
    try:
        yield snapshot
    except BaseException:
        snapshot.restore(scene)
        snapshot.forget()
        raise
    snapshot.close(scene)


def remove_node(node: slicer.vtkMRMLNode, scene: slicer.vtkMRMLScene) -> None:
    """Remove a node with its item in the subject hierarchy and its display and storage nodes.

    Colour nodes of ours are removed with the last node that uses them.
    """
    others = []
    if node.IsA("vtkMRMLDisplayableNode"):
        displays = [node.GetNthDisplayNode(number) for number in range(node.GetNumberOfDisplayNodes())]
        colours = [display.GetColorNode() for display in displays if display is not None]
        others += [*displays, *(colour for colour in colours if colour and colour.GetAttribute(ROLE))]
    if node.IsA("vtkMRMLStorableNode") and not node.IsA("vtkMRMLColorNode"):
        others.append(node.GetStorageNode())
    hierarchy = scene.GetSubjectHierarchyNode()
    if hierarchy is not None and hierarchy is not node:
        item = hierarchy.GetItemByDataNode(node)
        if item:
            hierarchy.RemoveItem(item, False, False)
    scene.RemoveNode(node)
    for other in others:
        if other is not None and scene.IsNodePresent(other) and not _is_used_colour(other, scene):
            scene.RemoveNode(other)


def _is_used_colour(node: slicer.vtkMRMLNode, scene: slicer.vtkMRMLScene) -> bool:
    """Whether a display in the scene, such as that of another result, uses these colours."""
    return node.IsA("vtkMRMLColorNode") and any(
        other.IsA("vtkMRMLDisplayNode") and other.GetColorNodeID() == node.GetID() for other in scene.GetNodes()
    )
