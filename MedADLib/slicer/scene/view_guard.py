"""Guard of the rule of `viewing`: no view shows the result of another scan, whatever the user does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import slicer

from .observers import Observers
from .viewing import detach_orphans, drop_foreign_layers, hide_others


class ViewGuard:
    """Observer of the slice views and of scans that leave the scene.

    When the background of a view changes, layers of other scans' results leave the view and their regions are hidden.
    A layer that the user lays over another scan on purpose, after that, stays.

    Args:
        scene: The scene.
        on_changed: Called after the background of a view changed or scans were deleted; None for no callback.
    """

    def __init__(self, scene: slicer.vtkMRMLScene, on_changed: Callable[[], None] | None = None):
        self._scene, self._on_changed = scene, on_changed
        self._observers = Observers()
        self._backgrounds: dict[slicer.vtkMRMLSliceCompositeNode, str | None] = {}
        self._busy = False
        for event, method in (
            (scene.NodeAddedEvent, self._views_changed),
            (scene.NodeRemovedEvent, self._node_removed),
            (scene.EndImportEvent, self._imported),
            (scene.EndCloseEvent, self._imported),
            (scene.EndBatchProcessEvent, self._imported),
        ):
            self._observers.add(scene, event, method)
        self._follow_views()
        self.check()

    def check(self) -> None:
        """Apply the rule to all views now."""
        detach_orphans(self._scene)
        hide_others(self._scene)

    def close(self) -> None:
        """Remove all observers."""
        self._observers.clear()
        self._backgrounds.clear()

    @property
    def _unsettled(self) -> bool:
        """Whether the scene is being opened or closed, so that references are temporarily invalid."""
        return self._scene.IsImporting() or self._scene.IsClosing() or self._scene.IsBatchProcessing()

    def _follow_views(self) -> None:
        views = [node for node in self._scene.GetNodes() if node.IsA("vtkMRMLSliceCompositeNode")]
        for gone in [view for view in self._backgrounds if view not in views]:
            self._observers.clear(gone)
            del self._backgrounds[gone]
        for view in views:
            if view not in self._backgrounds:
                self._backgrounds[view] = view.GetBackgroundVolumeID()
                self._observers.add(view, "ModifiedEvent", self._view_changed)

    def _views_changed(self, caller: Any, event: str) -> None:
        if not self._unsettled:
            self._follow_views()

    def _view_changed(self, view: Any, event: str) -> None:
        background = view.GetBackgroundVolumeID()
        if self._unsettled or self._busy or background == self._backgrounds.get(view):
            return
        self._backgrounds[view] = background
        self._busy = True
        try:
            drop_foreign_layers(view, self._scene)
            hide_others(self._scene)
        finally:
            self._busy = False
        self._notify()

    def _node_removed(self, caller: Any, event: str) -> None:
        if self._unsettled:
            return
        self._follow_views()
        if detach_orphans(self._scene):
            hide_others(self._scene)
            self._notify()

    def _imported(self, caller: Any, event: str) -> None:
        if self._unsettled:
            return
        self._follow_views()
        for view in self._backgrounds:
            self._backgrounds[view] = view.GetBackgroundVolumeID()
        self.check()
        self._notify()

    def _notify(self) -> None:
        if self._on_changed is not None:
            self._on_changed()
