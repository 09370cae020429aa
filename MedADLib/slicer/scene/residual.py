"""Residual volume: scan minus pseudo-healthy image."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import slicer

from .display import RESIDUAL_TITLE, add_legend, difference_node
from .nodes import add_derived, find_derived
from .transaction import remove_node
from .volumes import image_from_array, matrix_from_array, volume_from_node

if TYPE_CHECKING:
    from .nodes import SceneResult
    from .transaction import Snapshot

RESIDUAL = "residual"
MADE_FROM = "MedAD.madeFrom"
LARGE_PERCENTILE = 99.5


def residual_node(result: SceneResult, scene: slicer.vtkMRMLScene) -> slicer.vtkMRMLScalarVolumeNode:
    """Return the scan minus its restoration within the examined part; computed on first use and after each run.

    Returns:
        The volume in the scan's own units: red where the scan is brighter than expected, blue where it is darker, and
        clear where they hardly differ.
    """
    node = find_derived(result.input, RESIDUAL, scene) or add_derived(result.input, RESIDUAL, "residual", scene)
    node.SetAndObserveTransformNodeID(result.input.GetTransformNodeID())
    if _is_stale(node, result):
        _fill(node, result)
    return node


def renew_residual(result: SceneResult, scene: slicer.vtkMRMLScene, before: Snapshot) -> None:
    """Recompute the residual of an earlier run, if there is one, for this run."""
    node = find_derived(result.input, RESIDUAL, scene)
    if node is not None:
        before.keep_shown(node)
        residual_node(result, scene)


def remove_stale_residual(result: SceneResult, scene: slicer.vtkMRMLScene) -> None:
    """Remove the residual of a run that was undone."""
    node = find_derived(result.input, RESIDUAL, scene)
    if node is not None and (not scene.IsNodePresent(result.restored) or _is_stale(node, result)):
        remove_node(node, scene)


def _stamp(result: SceneResult) -> str:
    return f"{result.anomaly.GetAttribute('MedAD.time')} {result.restored.GetImageData().GetMTime()}"


def _is_stale(node: slicer.vtkMRMLScalarVolumeNode, result: SceneResult) -> bool:
    return node.GetImageData() is None or node.GetAttribute(MADE_FROM) != _stamp(result)


def _fill(node: slicer.vtkMRMLScalarVolumeNode, result: SceneResult) -> None:
    scan, restored, mask = (volume_from_node(part) for part in (result.input, result.restored, result.mask))
    inside = mask.array != 0
    difference = np.where(inside, scan.array.astype(np.float32) - restored.array, 0).astype(np.float32)
    node.SetIJKToRASMatrix(matrix_from_array(scan.affine))
    node.SetAndObserveImageData(image_from_array(difference))
    if node.GetDisplayNode() is None:
        node.CreateDefaultDisplayNodes()
        add_legend(node, RESIDUAL_TITLE)
    sizes = np.abs(difference[inside]) if inside.any() else np.zeros(1)
    large = max(float(np.percentile(sizes, LARGE_PERCENTILE)), 1e-6)
    display = node.GetDisplayNode()
    display.SetAndObserveColorNodeID(difference_node(node.GetScene()).GetID())
    display.SetAutoWindowLevel(False)
    display.SetWindowLevelMinMax(-large, large)
    node.SetAttribute(MADE_FROM, _stamp(result))
