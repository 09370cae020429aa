"""Undo of the last run on a scan: restores its former result, or removes the result if there was none."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...errors import InputError
from .overlay import remove_stale_overlay
from .residual import remove_stale_residual

if TYPE_CHECKING:
    import slicer

    from .nodes import SceneResult
    from .transaction import Snapshot

# One step for each examined scan, with the node as the key, which distinguishes nodes of different scenes.
_last: dict[slicer.vtkMRMLVolumeNode, Snapshot] = {}


def remember(volume_node: slicer.vtkMRMLVolumeNode, snapshot: Snapshot) -> None:
    """Store the last run on a scan for `undo_detection`."""
    forget(volume_node)
    for other in [node for node in _last if node.GetScene() is None]:
        forget(other)
    _last[volume_node] = snapshot


def hand_over(volume_node: slicer.vtkMRMLVolumeNode) -> Snapshot | None:
    """Remove and return the snapshot of a scan's last run, for a caller that undoes more than that run."""
    return _last.pop(volume_node, None)


def forget(volume_node: slicer.vtkMRMLVolumeNode | None = None) -> None:
    """Release what undo needs, a whole result, for a scan, or for all scans, as when the scene is closed."""
    for node in list(_last) if volume_node is None else [volume_node]:
        snapshot = _last.pop(node, None)
        if snapshot is not None:
            snapshot.forget()


def can_undo(result: SceneResult) -> bool:
    """Whether the last run on a result's scan can be undone."""
    return result.input in _last and result.input.GetScene() is not None


def undo_detection(result: SceneResult) -> None:
    """Undo the last run on a result's scan.

    The nodes of its former result get their content back, with threshold, decisions and display of that time; if there
    was none, the nodes are removed. Slice views are restored as well.

    Raises:
        InputError: If there is nothing to undo: no run since the scene was opened, or it is undone already.
    """
    if not can_undo(result):
        raise InputError("nothing_to_undo")
    scene = result.input.GetScene()
    _last[result.input].restore(scene)
    forget(result.input)
    remove_stale_residual(result, scene)
    remove_stale_overlay(result, scene)
