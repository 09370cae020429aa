"""Stand-in for Slicer's chooser of a node: shows the nodes that the scene really holds, and follows it."""

from __future__ import annotations

import slicer
import vtk
from PySide6 import QtWidgets
from PySide6.QtCore import Property, Signal
from shiboken6 import Shiboken


def _flag(name, default=False):
    """A boolean property that changes which rows there are, with its setter's C++ name."""
    hidden = f"_{name}"

    def get(self):
        return getattr(self, hidden, default)

    def put(self, value):
        setattr(self, hidden, bool(value))
        self._rebuild()

    return put, Property(bool, get, put)


class qMRMLNodeComboBox(QtWidgets.QWidget):
    """Shows the scene's nodes of some classes."""

    currentNodeIDChanged = Signal(str)
    _node_signal = Signal(object)
    _valid_signal = Signal(bool)
    _activated_signal = Signal(object)
    _added_signal = Signal(object)
    _signal_aliases = {
        "currentNodeChanged(vtkMRMLNode*)": "_node_signal(PyObject)",
        "currentNodeChanged(bool)": "_valid_signal(bool)",
        "nodeActivated(vtkMRMLNode*)": "_activated_signal(PyObject)",
        "nodeAdded(vtkMRMLNode*)": "_added_signal(PyObject)",
    }
    _slot_aliases = {
        "setMRMLScene(vtkMRMLScene*)": "setMRMLScene",
        "setCurrentNode(vtkMRMLNode*)": "setCurrentNode",
        "setCurrentNodeID(QString)": "setCurrentNodeID",
    }

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self._scene = None
        self._node_types: list[str] = []
        self._attributes: list[tuple[str, str, str | None]] = []
        self._base_name = ""
        self._none_display = "None"
        self._ids: list[str] = []
        self._wanted = ""
        self._current = ""
        self._tags: list[tuple[vtk.vtkObject, int]] = []
        self._combo = QtWidgets.QComboBox(self)
        policy = QtWidgets.QSizePolicy.Policy
        self._combo.setSizePolicy(policy.Ignored, policy.Fixed)
        self.setSizePolicy(policy.Expanding, policy.Fixed)
        layout = QtWidgets.QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._combo)
        self.setFocusProxy(self._combo)
        self._combo.currentIndexChanged.connect(self._on_index)
        self._combo.activated.connect(lambda index: self._activated_signal.emit(self.currentNode()))
        self._rebuild()

    def mrmlScene(self):
        return self._scene

    def setMRMLScene(self, scene):
        if scene is self._scene:
            return
        self._forget()
        self._scene = scene
        if scene is not None:
            events = (scene.NodeAddedEvent, scene.NodeRemovedEvent, scene.EndBatchProcessEvent)
            for event in (*events, scene.EndCloseEvent, scene.EndImportEvent):
                self._tags.append((scene, scene.AddObserver(event, self._on_scene)))
            self._watched: dict[str, tuple[vtk.vtkObject, int]] = {}
        self._rebuild()

    def _forget(self):
        for subject, tag in [*self._tags, *getattr(self, "_watched", {}).values()]:
            subject.RemoveObserver(tag)
        self._tags, self._watched = [], {}

    def _on_scene(self, caller, event):
        if Shiboken.isValid(self) and self._scene is not None and not self._scene.IsBatchProcessing():
            self._rebuild()

    def _shows(self, node):
        if not any(node.IsA(kind) for kind in self._node_types):
            return False
        if not self.showChildNodeTypes and node.GetClassName() not in self._node_types:
            return False
        if node.GetHideFromEditors() and not self.showHidden:
            return False
        filters = [entry for entry in self._attributes if node.IsA(entry[0])]
        values = [(node.GetAttribute(name), value) for _, name, value in filters]
        return all(have is not None and value in (None, have) for have, value in values)

    def _rebuild(self):
        if not hasattr(self, "_combo"):
            return
        candidates = [] if self._scene is None else list(self._scene.GetNodes())
        candidates = [node for node in candidates if any(node.IsA(kind) for kind in self._node_types)]
        self._watch(candidates)
        nodes = [node for node in candidates if self._shows(node)]
        before = set(self._ids)
        self._ids = ([""] if self.noneEnabled else []) + [node.GetID() for node in nodes]
        chosen = next((wanted for wanted in (self._wanted, self._current) if wanted in self._ids), None)
        if chosen is None:
            chosen = self._ids[0] if self._ids else ""
        blocked = self._combo.blockSignals(True)
        self._combo.clear()
        if self.noneEnabled:
            self._combo.addItem(self._none_display)
        for node in nodes:
            self._combo.addItem(node.GetName())
        self._combo.setCurrentIndex(self._ids.index(chosen) if chosen in self._ids else -1)
        self._combo.blockSignals(blocked)
        self._set_current(chosen)
        for node in nodes:
            if node.GetID() not in before:
                self._added_signal.emit(node)

    def _watch(self, nodes):
        """Follow names, attributes and hiding."""
        watched, self._watched = getattr(self, "_watched", {}), {}
        for node in nodes:
            entry = watched.pop(node.GetID(), None)
            if entry is None or entry[0] is not node:
                entry = node, node.AddObserver(vtk.vtkCommand.ModifiedEvent, self._on_node)
            self._watched[node.GetID()] = entry
        for node, tag in watched.values():
            node.RemoveObserver(tag)

    def _on_node(self, node, event):
        if not Shiboken.isValid(self) or self._scene is None or self._scene.IsBatchProcessing():
            return
        listed = node.GetID() in self._ids
        if listed != self._shows(node):
            self._rebuild()
        elif listed:
            row = self._ids.index(node.GetID())
            if self._combo.itemText(row) != node.GetName():
                self._combo.setItemText(row, node.GetName())

    def _on_index(self, index):
        self._wanted = self._ids[index] if 0 <= index < len(self._ids) else ""
        self._set_current(self._wanted)

    def _set_current(self, identifier):
        if identifier == self._current:
            return
        self._current = identifier
        self.currentNodeIDChanged.emit(identifier)
        self._node_signal.emit(self.currentNode())
        self._valid_signal.emit(self.currentNode() is not None)

    def currentNode(self):
        return self._scene.GetNodeByID(self._current) if self._scene is not None and self._current else None

    def setCurrentNode(self, node):
        if node is not None and not isinstance(node, slicer.vtkMRMLNode):
            raise ValueError(f"setCurrentNode needs a node, not {node!r}")
        self.setCurrentNodeID(node.GetID() if node is not None else "")

    def _get_current_id(self):
        return self._current

    def setCurrentNodeID(self, identifier):
        self._wanted = identifier or ""
        if self._wanted in self._ids:
            self._combo.setCurrentIndex(self._ids.index(self._wanted))
        elif not self._wanted:
            self._combo.setCurrentIndex(-1)

    currentNodeID = Property(str, _get_current_id, setCurrentNodeID)

    def setCurrentNodeIndex(self, index):
        self._combo.setCurrentIndex(index + bool(self.noneEnabled))

    def nodeCount(self):
        return len([identifier for identifier in self._ids if identifier])

    def nodeFromIndex(self, index):
        return self._scene.GetNodeByID([identifier for identifier in self._ids if identifier][index])

    def addNode(self, kind=None):
        node = self._scene.AddNewNodeByClass(kind or self._node_types[0], self._base_name)
        if self.selectNodeUponCreation:
            self.setCurrentNode(node)
        return node

    def removeCurrentNode(self):
        if self.currentNode() is not None:
            self._scene.RemoveNode(self.currentNode())

    def addAttribute(self, kind, name, value=None):
        self._attributes.append((kind, name, None if value is None else str(value)))
        self._rebuild()

    def removeAttribute(self, kind, name):
        self._attributes = [entry for entry in self._attributes if entry[:2] != (kind, name)]
        self._rebuild()

    def _get_node_types(self):
        return self._node_types

    def setNodeTypes(self, types):
        self._node_types = list(types)
        self._rebuild()

    nodeTypes = Property("QStringList", _get_node_types, setNodeTypes)

    def _get_base_name(self):
        return self._base_name

    def setBaseName(self, name):
        self._base_name = name

    baseName = Property(str, _get_base_name, setBaseName)

    def _get_none_display(self):
        return self._none_display

    def setNoneDisplay(self, text):
        self._none_display = text
        self._rebuild()

    noneDisplay = Property(str, _get_none_display, setNoneDisplay)
    setNoneEnabled, noneEnabled = _flag("noneEnabled")
    setShowHidden, showHidden = _flag("showHidden")
    setShowChildNodeTypes, showChildNodeTypes = _flag("showChildNodeTypes", True)
    setAddEnabled, addEnabled = _flag("addEnabled", True)
    setRemoveEnabled, removeEnabled = _flag("removeEnabled", True)
    setEditEnabled, editEnabled = _flag("editEnabled")
    setRenameEnabled, renameEnabled = _flag("renameEnabled")
    setSelectNodeUponCreation, selectNodeUponCreation = _flag("selectNodeUponCreation", True)


class qMRMLColorTableComboBox(qMRMLNodeComboBox):
    """Shows the scene's colour tables."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.setNodeTypes(["vtkMRMLColorTableNode", "vtkMRMLProceduralColorNode"])
