"""What Slicer's node selectors list: the scene as a Qt model, and the filter between it and the combo box.

Both follow Slicer's qMRMLSceneModel and qMRMLSortFilterProxyModel, also where these are slow to notice something: rows
vanish and come back when a scene was read, and a node that is hidden from editors later on stays listed.
"""

from __future__ import annotations

import slicer
import vtk
from PySide6 import QtCore, QtGui
from PySide6.QtCore import Property, Qt
from shiboken6 import Shiboken

ID_ROLE = Qt.ItemDataRole.UserRole + 1
ACTION_ROLE = Qt.ItemDataRole.UserRole + 3
SCENE, BEFORE, AFTER = "scene", "preItem", "postItem"
EARLY, LATE = 10.0, -10.0


class SceneModel(QtGui.QStandardItemModel):
    """All nodes of a scene beneath one item, between extra items such as "None" and "Create new Volume"."""

    def __init__(self, parent):
        super().__init__(parent)
        self._scene = None
        self._tags: list[int] = []
        self._observed: dict[str, tuple[slicer.vtkMRMLNode, int]] = {}
        # Of each listed node, by its identifier.
        self._items: dict[str, QtGui.QStandardItem] = {}
        self._extra = {BEFORE: [], AFTER: []}

    def scene(self):
        return self._scene

    def set_scene(self, scene):
        self.forget()
        self._scene = scene
        self._update()
        if scene is None:
            return
        observers = (
            (scene.NodeAddedEvent, self._on_added, EARLY),
            (scene.NodeAboutToBeRemovedEvent, self._on_removed, LATE),
            (scene.EndCloseEvent, self._on_changed, 0.0),
            (scene.EndImportEvent, self._on_changed, 0.0),
        )
        self._tags = [scene.AddObserver(event, function, priority) for event, function, priority in observers]

    def forget(self):
        """Observe nothing any more."""
        for tag in self._tags:
            self._scene.RemoveObserver(tag)
        self._tags = []
        self._observe_none()

    def _observe_none(self):
        for node, tag in self._observed.values():
            node.RemoveObserver(tag)
        self._observed = {}

    def scene_item(self):
        return self.item(0) if self._scene is not None and self.rowCount() else None

    def node_of(self, item):
        """The node of an item; None for extra items, the scene, and nodes that are gone."""
        identifier = item.data(ID_ROLE) if item is not None else None
        if identifier in (None, SCENE, BEFORE, AFTER) or self._scene is None:
            return None
        return self._scene.GetNodeByID(identifier)

    def extra_count(self):
        return len(self._extra[BEFORE]) + len(self._extra[AFTER])

    def set_extra(self, kind, entries):
        """Replace the extra items of one kind by these: (text, action); no text makes a separator."""
        parent = self.scene_item()
        if parent is None or self._extra[kind] == entries:
            return
        for row in reversed(range(parent.rowCount())):
            if parent.child(row).data(ID_ROLE) == kind:
                parent.removeRow(row)
        for number, (text, action) in enumerate(entries):
            item = QtGui.QStandardItem(text)
            item.setData(kind, ID_ROLE)
            item.setData(action, ACTION_ROLE)
            if not text:
                item.setData("separator", Qt.ItemDataRole.AccessibleDescriptionRole)
            flags = Qt.ItemFlag.ItemIsEnabled
            item.setFlags(flags | Qt.ItemFlag.ItemIsSelectable if kind == BEFORE else flags)
            parent.insertRow(number if kind == BEFORE else parent.rowCount(), [item])
        self._extra[kind] = list(entries)

    def _update(self):
        """Remove all rows of nodes and make them anew, as after reading or closing a scene."""
        self._observe_none()
        self._items = {}
        if self._scene is None:
            self.removeRows(0, self.rowCount())
            self._extra = {BEFORE: [], AFTER: []}
            return
        if not self.rowCount():
            item = QtGui.QStandardItem("Scene")
            item.setData(SCENE, ID_ROLE)
            item.setFlags(Qt.ItemFlag.ItemIsEnabled)
            self.appendRow(item)
        parent, first = self.scene_item(), len(self._extra[BEFORE])
        count = parent.rowCount() - self.extra_count()
        if count:
            parent.removeRows(first, count)
        for index, node in enumerate(self._scene.GetNodes()):
            self._insert(node, index)

    def _insert(self, node, index):
        parent = self.scene_item()
        row = min(len(self._extra[BEFORE]) + index, parent.rowCount() - len(self._extra[AFTER]))
        item = QtGui.QStandardItem(node.GetName())
        item.setData(node.GetID(), ID_ROLE)
        item.setToolTip(node.GetNodeTagName())
        item.setFlags(Qt.ItemFlag.ItemIsEnabled | Qt.ItemFlag.ItemIsSelectable)
        parent.insertRow(row, [item])
        self._items[node.GetID()] = item

    def observe(self, node):
        """Follow the name of a node that is listed."""
        identifier = node.GetID()
        if identifier not in self._observed:
            tag = node.AddObserver(vtk.vtkCommand.ModifiedEvent, self._on_node)
            self._observed[identifier] = node, tag

    def _on_node(self, node, event):
        if not self._alive() or self._scene.IsClosing() or self._scene.IsImporting() or node.GetScene() is None:
            return
        item = self._items.get(node.GetID())
        if item is not None:
            item.setText(node.GetName())

    @vtk.calldata_type(vtk.VTK_OBJECT)
    def _on_added(self, scene, event, node):
        if not self._alive() or scene.IsImporting():
            # Identifiers and references of nodes that are being read are not final.
            return
        if node.GetID() not in self._items:
            self._insert(node, list(scene.GetNodes()).index(node))

    @vtk.calldata_type(vtk.VTK_OBJECT)
    def _on_removed(self, scene, event, node):
        if not self._alive() or scene.IsClosing():
            return
        if (entry := self._observed.pop(node.GetID(), None)) is not None:
            entry[0].RemoveObserver(entry[1])
        item = self._items.pop(node.GetID(), None)
        if item is not None:
            self.scene_item().removeRow(item.row())

    def _on_changed(self, scene, event):
        if self._alive():
            self._update()

    def _alive(self):
        return Shiboken.isValid(self) and self._scene is not None


def _strings(name):
    """A property of texts that changes which nodes are listed, with its setter."""
    hidden = f"_{name}"

    def get(self):
        return getattr(self, hidden, [])

    def put(self, texts):
        texts = list(texts)
        if texts != getattr(self, hidden, []):
            setattr(self, hidden, texts)
            self._refilter()

    return put, Property("QStringList", get, put)


def _flag(name, default):
    hidden = f"_{name}"

    def get(self):
        return getattr(self, hidden, default)

    def put(self, value):
        if bool(value) != getattr(self, hidden, default):
            setattr(self, hidden, bool(value))
            self._refilter()

    return put, Property(bool, get, put)


class qMRMLSortFilterProxyModel(QtCore.QSortFilterProxyModel):
    """Which nodes are listed; a script can set its properties but not call their setters."""

    def __init__(self, parent, model):
        super().__init__(parent)
        self._attributes: dict[str, tuple[str, str | None]] = {}
        self._watched: dict[str, tuple[slicer.vtkMRMLNode, int]] = {}
        self.setDynamicSortFilter(True)
        self.setSourceModel(model)

    _set_types, nodeTypes = _strings("nodeTypes")
    _set_hidden_types, hideChildNodeTypes = _strings("hideChildNodeTypes")
    _set_hidden_for, showHiddenForTypes = _strings("showHiddenForTypes")
    _set_hidden_ids, hiddenNodeIDs = _strings("hiddenNodeIDs")
    _set_visible_ids, visibleNodeIDs = _strings("visibleNodeIDs")
    _set_hidden, showHidden = _flag("showHidden", False)
    _set_child_types, showChildNodeTypes = _flag("showChildNodeTypes", True)

    def _refilter(self):
        if hasattr(self, "beginFilterChange"):
            self.beginFilterChange()
            self.endFilterChange()
        else:
            # Before Qt 6.10.
            self.invalidateFilter()

    def addAttribute(self, kind, name, value=None):
        """One attribute for each node type, and only for a type that is listed."""
        if kind in self.nodeTypes:
            self._attributes[kind] = name, None if value is None else str(value)
            self._refilter()

    def removeAttribute(self, kind, name):
        if kind in self.nodeTypes and self._attributes.get(kind, ("",))[0] == name:
            del self._attributes[kind]
            self._refilter()

    def forget(self):
        """Observe nothing any more."""
        for node, tag in self._watched.values():
            node.RemoveObserver(tag)
        self._watched = {}

    def filterAcceptsRow(self, row, parent):
        model = self.sourceModel()
        item = model.itemFromIndex(parent).child(row) if parent.isValid() else model.item(row)
        node = model.node_of(item)
        if node is None:
            return True
        accepted, changeable = self._accepts(node)
        if accepted or changeable:
            model.observe(node)
        return accepted

    def _accepts(self, node):
        """Whether a node is listed, and whether that may change with its attributes."""
        if node.GetID() in self.hiddenNodeIDs:
            return False, False
        if node.GetID() in self.visibleNodeIDs:
            return True, True
        hidden = node.GetHideFromEditors() and not self.showHidden
        if hidden and not any(node.IsA(kind) for kind in self.showHiddenForTypes):
            return False, False
        if not self.nodeTypes:
            return True, True
        for kind in self.nodeTypes:
            if not node.IsA(kind) or (not self.showChildNodeTypes and kind != node.GetClassName()):
                continue
            if self.showChildNodeTypes and any(node.IsA(hidden) for hidden in self.hideChildNodeTypes):
                return False, False
            if kind in self._attributes:
                self._watch(node)
                name, wanted = self._attributes[kind]
                found = node.GetAttribute(name)
                return found is not None and wanted in (None, found), True
            return True, True
        return False, False

    def _watch(self, node):
        if node.GetID() not in self._watched:
            tag = node.AddObserver(vtk.vtkCommand.ModifiedEvent, self._on_modified)
            self._watched[node.GetID()] = node, tag

    def _on_modified(self, node, event):
        if Shiboken.isValid(self):
            self.invalidate()
