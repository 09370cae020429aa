"""Nodes of a result: their roles, how to find them, and their place beside the scan."""

from __future__ import annotations

from dataclasses import dataclass

import slicer
import vtk

from .ownership import INPUT, ROLE

NODES = {
    "anomaly": ("vtkMRMLScalarVolumeNode", "{} anomaly"),
    "restored": ("vtkMRMLScalarVolumeNode", "{} restored"),
    "labels": ("vtkMRMLLabelMapVolumeNode", "{} region labels"),
    "segmentation": ("vtkMRMLSegmentationNode", "{} regions"),
    "table": ("vtkMRMLTableNode", "{} findings"),
    "body": ("vtkMRMLModelNode", "{} examined"),
    "mask": ("vtkMRMLLabelMapVolumeNode", "{} examined voxels"),
}


def place_beside(node: slicer.vtkMRMLNode, sibling: slicer.vtkMRMLNode, scene: slicer.vtkMRMLScene) -> None:
    """Put a node where another one is in the subject hierarchy.

    Items are made here because only the application makes them automatically.
    """
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)
    beside = hierarchy.GetItemByDataNode(sibling) or hierarchy.CreateItem(hierarchy.GetSceneItemID(), sibling)
    parent = hierarchy.GetItemParent(beside)
    hierarchy.SetItemParent(hierarchy.GetItemByDataNode(node) or hierarchy.CreateItem(parent, node), parent)


@dataclass(frozen=True, eq=False)
class SceneResult:
    """The nodes of one detection.

    Attributes:
        input: The examined volume.
        anomaly: Scalar volume of rarities, or of z-scores in results of earlier versions, made to lie over the input.
        restored: Scalar volume, the pseudo-healthy image of the input.
        labels: Labelmap volume; voxel values are region ranks.
        segmentation: One segment per region.
        table: One row per region.
        body: Model of the surface of the examined part, context for 3-D views.
        mask: Labelmap volume; 1 in the examined part. Not hidden from the user, because Slicer does not save hidden
            volumes unless it packs the scene into one file.
    """

    input: slicer.vtkMRMLVolumeNode
    anomaly: slicer.vtkMRMLScalarVolumeNode
    restored: slicer.vtkMRMLScalarVolumeNode
    labels: slicer.vtkMRMLLabelMapVolumeNode
    segmentation: slicer.vtkMRMLSegmentationNode
    table: slicer.vtkMRMLTableNode
    body: slicer.vtkMRMLModelNode
    mask: slicer.vtkMRMLLabelMapVolumeNode

    def nodes(self) -> dict[str, slicer.vtkMRMLNode]:
        """All nodes but the input, by role."""
        return {role: getattr(self, role) for role in NODES}


def find_result(volume_node: slicer.vtkMRMLVolumeNode, scene: slicer.vtkMRMLScene) -> SceneResult | None:
    """Find the result of a volume in the scene, also after saving and loading; None if it is incomplete."""
    nodes = nodes_of(volume_node, scene)
    return SceneResult(volume_node, **nodes) if len(nodes) == len(NODES) else None


def find_derived(
    volume_node: slicer.vtkMRMLVolumeNode, role: str, scene: slicer.vtkMRMLScene
) -> slicer.vtkMRMLScalarVolumeNode | None:
    """Find the volume that was derived from the result of a scan; None if there is none."""
    for node in scene.GetNodes():
        if node.GetAttribute(ROLE) == role and node.GetNodeReferenceID(INPUT) == volume_node.GetID():
            return node
    return None


def add_derived(
    volume_node: slicer.vtkMRMLVolumeNode, role: str, title: str, scene: slicer.vtkMRMLScene
) -> slicer.vtkMRMLScalarVolumeNode:
    """Add a volume without voxels that is to be derived from the result of a scan, beside the scan."""
    node = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", f"{volume_node.GetName()} {title}")
    node.SetAttribute(ROLE, role)
    node.SetNodeReferenceID(INPUT, volume_node.GetID())
    place_beside(node, volume_node, scene)
    return node


def rename_after_scan(result: SceneResult) -> None:
    """Let nodes of a result that are still named after the former name of its scan bear the present one."""
    name = result.input.GetName()
    former: dict[str, list[tuple[slicer.vtkMRMLNode, str]]] = {}
    for role, node in result.nodes().items():
        pattern = NODES[role][1]
        ending = pattern.format("")
        if node.GetName() and node.GetName().endswith(ending):
            former.setdefault(node.GetName().removesuffix(ending), []).append((node, pattern))
    for prefix, named in former.items():
        # A single node may have got its name from the user.
        if prefix != name and len(named) > 1:
            for node, pattern in named:
                node.SetName(pattern.format(name))


def to_world(volume_node: slicer.vtkMRMLVolumeNode) -> vtk.vtkGeneralTransform:
    """Return the transform from the volume's own RAS mm to world RAS mm, through all its parent transforms."""
    transform = vtk.vtkGeneralTransform()
    slicer.vtkMRMLTransformNode.GetTransformBetweenNodes(volume_node.GetParentTransformNode(), None, transform)
    return transform


def nodes_of(volume_node: slicer.vtkMRMLVolumeNode, scene: slicer.vtkMRMLScene) -> dict[str, slicer.vtkMRMLNode]:
    """Find the volume's result nodes by role; the oldest one if a user made copies."""
    found: dict[str, slicer.vtkMRMLNode] = {}
    for node in scene.GetNodes():
        role = node.GetAttribute(ROLE)
        if node.GetNodeReferenceID(INPUT) == volume_node.GetID() and role in NODES and node.IsA(NODES[role][0]):
            found.setdefault(role, node)
    return found
