"""Notices that a result or its scan holds other voxels, as when the user goes to another frame of a sequence."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import qt
import slicer

if TYPE_CHECKING:
    from .scene import SceneResult

PAUSE_MS = 60


class ResultWatch:
    """Follows one result at a time.

    Args:
        on_changed: Called when map or scan are other ones; once for changes in quick succession, as in playing a
            sequence.
    """

    def __init__(self, on_changed: Callable[[], None]):
        self._on_changed = on_changed
        # Each node with its voxels and the tag of its observer.
        self._followed: list[tuple[slicer.vtkMRMLVolumeNode, Any, int]] = []
        self._timer = qt.QTimer()
        self._timer.setSingleShot(True)
        self._timer.setInterval(PAUSE_MS)
        self._timer.connect("timeout()", self._tell)

    def follow(self, result: SceneResult | None) -> None:
        """Follow this result, or none."""
        self._timer.stop()
        for node, _, tag in self._followed:
            node.RemoveObserver(tag)
        nodes = () if result is None else (result.anomaly, result.input)
        event = slicer.vtkMRMLVolumeNode.ImageDataModifiedEvent
        self._followed = [(node, node.GetImageData(), node.AddObserver(event, self._on_event)) for node in nodes]

    def _on_event(self, caller: object, event: str) -> None:
        if any(node.GetImageData() is not voxels for node, voxels, _ in self._followed):
            self._timer.start()

    def _tell(self) -> None:
        self._on_changed()
