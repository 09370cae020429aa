"""Our nodes beside the scans that they belong to."""

from __future__ import annotations

import slicer


def place_beside(node: slicer.vtkMRMLNode, sibling: slicer.vtkMRMLNode, scene: slicer.vtkMRMLScene) -> None:
    """Put a node where another one is in the subject hierarchy.

    Items are made here because only the application makes them by itself.

    Args:
        node: The node to place.
        sibling: The node beside it.
        scene: The scene that holds both.
    """
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)
    beside = hierarchy.GetItemByDataNode(sibling) or hierarchy.CreateItem(hierarchy.GetSceneItemID(), sibling)
    parent = hierarchy.GetItemParent(beside)
    hierarchy.SetItemParent(hierarchy.GetItemByDataNode(node) or hierarchy.CreateItem(parent, node), parent)
