"""Guard of the rule of `ownership`: no view shows the result of another scan, whatever the user does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import slicer

from .observers import Observers
from .ownership import (
    detach_orphans,
    displays,
    drop_foreign_layers,
    hide_others,
    owner_of,
    renew_legends,
    scan_in,
    slice_views,
)


class ViewGuard:
    """Observer of the slice views, of everything that can be displayed, and of scans that leave the scene.

    Args:
        scene: The scene.
        on_changed: Called after the layers of a view changed or scans were deleted.
        chosen: Returns the scan of the 3-D views; None for any scan that a slice view shows.
    """

    def __init__(
        self,
        scene: slicer.vtkMRMLScene,
        on_changed: Callable[[], None] | None = None,
        chosen: Callable[[], slicer.vtkMRMLVolumeNode | None] = lambda: None,
    ):
        self._scene, self._on_changed, self._chosen = scene, on_changed, chosen
        self._observers = Observers()
        self._layers: dict[slicer.vtkMRMLSliceCompositeNode, tuple] = {}
        self._displayed: set[slicer.vtkMRMLDisplayableNode] = set()
        self._busy = False
        self._observers.add(scene, scene.NodeAddedEvent, self._node_added)
        self._observers.add(scene, scene.NodeRemovedEvent, self._node_removed)
        for event in (scene.EndImportEvent, scene.EndRestoreEvent, scene.EndCloseEvent, scene.EndBatchProcessEvent):
            self._observers.add(scene, event, self._replaced)
        self._follow()
        self.check()

    def check(self) -> None:
        """Apply the rule to all views now."""
        if self._busy:
            return
        self._busy = True
        try:
            detach_orphans(self._scene)
            for view in slice_views(self._scene):
                drop_foreign_layers(view, self._scene)
                self._layers[view] = _layers_of(view)
            hide_others(self._scene, self._chosen())
            renew_legends(self._scene)
        finally:
            self._busy = False

    def close(self) -> None:
        """Remove all observers."""
        self._observers.clear()
        self._layers.clear()
        self._displayed.clear()

    @property
    def _unsettled(self) -> bool:
        """Whether the scene is being opened or closed, so that references lead nowhere for a while."""
        scene = self._scene
        return scene.IsImporting() or scene.IsClosing() or scene.IsRestoring() or scene.IsBatchProcessing()

    def _follow(self) -> None:
        """Observe new views and new nodes that can be displayed; forget those that are gone."""
        nodes = list(self._scene.GetNodes())
        present = set(nodes)
        for gone in [node for node in (*self._layers, *self._displayed) if node not in present]:
            self._observers.clear(gone)
            self._layers.pop(gone, None)
            self._displayed.discard(gone)
        for node in nodes:
            if node.IsA("vtkMRMLSliceCompositeNode"):
                if node not in self._layers:
                    self._layers[node] = _layers_of(node)
                    self._observers.add(node, "ModifiedEvent", self._view_changed)
            elif node.IsA("vtkMRMLDisplayableNode") and node not in self._displayed:
                self._displayed.add(node)
                self._observers.add(node, node.DisplayModifiedEvent, self._display_changed)

    def _node_added(self, caller: Any, event: str) -> None:
        if not self._unsettled:
            self._follow()

    def _view_changed(self, view: Any, event: str) -> None:
        layers = _layers_of(view)
        if self._unsettled or self._busy or layers == self._layers.get(view):
            return
        self.check()
        self._notify()

    def _display_changed(self, node: Any, event: str) -> None:
        owner = owner_of(node)
        if owner is None or self._unsettled or self._busy:
            return
        foreign = owner not in {scan_in(view, self._scene) for view in slice_views(self._scene)}
        if foreign and any(each is node and display.GetVisibility() for each, display in displays(self._scene)):
            self.check()

    def _node_removed(self, caller: Any, event: str) -> None:
        if self._unsettled:
            return
        self._follow()
        if detach_orphans(self._scene):
            self.check()
            self._notify()

    def _replaced(self, caller: Any, event: str) -> None:
        if self._unsettled:
            return
        self._follow()
        self.check()
        self._notify()

    def _notify(self) -> None:
        if self._on_changed is not None:
            self._on_changed()


def _layers_of(view: slicer.vtkMRMLSliceCompositeNode) -> tuple:
    return view.GetBackgroundVolumeID(), view.GetForegroundVolumeID(), view.GetLabelVolumeID()
