"""Notices that the nodes of a result hold something else, as when the user goes to another frame of a sequence."""

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
        on_changed: Called when the map is another one; once for changes in quick succession, as in playing a sequence.
    """

    def __init__(self, on_changed: Callable[[], None]):
        self._on_changed = on_changed
        self._node: slicer.vtkMRMLScalarVolumeNode | None = None
        self._map: Any = None
        self._tag = 0
        self._timer = qt.QTimer()
        self._timer.setSingleShot(True)
        self._timer.setInterval(PAUSE_MS)
        self._timer.connect("timeout()", self._tell)

    def follow(self, result: SceneResult | None) -> None:
        """Follow this result, or none."""
        self._timer.stop()
        if self._node is not None:
            self._node.RemoveObserver(self._tag)
        self._node = None if result is None else result.anomaly
        if self._node is not None:
            self._map = self._node.GetImageData()
            self._tag = self._node.AddObserver(slicer.vtkMRMLVolumeNode.ImageDataModifiedEvent, self._on_event)

    def _on_event(self, caller: object, event: str) -> None:
        if self._node is not None and self._node.GetImageData() is not self._map:
            self._timer.start()

    def _tell(self) -> None:
        self._on_changed()
