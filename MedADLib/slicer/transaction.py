"""Changes to a scene that happen whole or not at all."""

from __future__ import annotations

from types import TracebackType

import slicer


class SceneTransaction:
    """Takes back what was done to a scene if the block fails.

    Nodes added inside the block are removed again, whoever added them. A node that existed before must be given to
    `keep` before it is changed.

    Args:
        scene: The scene that the block changes.
    """

    def __init__(self, scene: slicer.vtkMRMLScene):
        self._scene = scene
        self._before: set[str] = set()
        self._kept: list[tuple[slicer.vtkMRMLNode, slicer.vtkMRMLNode]] = []

    def __enter__(self) -> SceneTransaction:
        self._before = {node.GetID() for node in self._scene.GetNodes()}
        return self

    def keep(self, node: slicer.vtkMRMLNode) -> None:
        """Remember a node's present state, so that a failure brings it back."""
        copy = type(node)()
        # Shallow: what a node holds is replaced, never written into, so the old content stays whole.
        copy.CopyContent(node, False)
        copy.CopyReferences(node)
        self._kept.append((node, copy))

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None):
        if kind is not None:
            for node, copy in reversed(self._kept):
                node.CopyContent(copy, False)
                node.CopyReferences(copy)
            self._remove_added()
        self._kept.clear()

    def _remove_added(self) -> None:
        added = [node for node in self._scene.GetNodes() if node.GetID() not in self._before]
        hierarchy = self._scene.GetSubjectHierarchyNode()
        for node in added:
            if hierarchy is not None and hierarchy is not node:
                item = hierarchy.GetItemByDataNode(node)
                if item:
                    hierarchy.RemoveItem(item, False, False)
            self._scene.RemoveNode(node)
