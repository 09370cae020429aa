"""Stand-in for Slicer's chooser of a node: a combo box over the nodes that the scene really holds."""

from __future__ import annotations

import slicer
from PySide6 import QtCore, QtGui, QtWidgets
from PySide6.QtCore import Property, Qt, Signal

from .ctk_combo import ctkComboBox
from .dialogs import input_text
from .qmrml_model import ACTION_ROLE, AFTER, BEFORE, ID_ROLE, SceneModel, qMRMLSortFilterProxyModel


def _action_flag(name, default):
    """A boolean property that gives the list another action, with its setter's C++ name."""
    hidden = f"_{name}"

    def get(self):
        return getattr(self, hidden, default)

    def put(self, value):
        setattr(self, hidden, bool(value))
        self._update_actions()

    return put, Property(bool, get, put)


def _filter(name, kind):
    """A property of the filter that the selector has as well, with its setter's C++ name."""

    def get(self):
        return getattr(self._filter, name)

    def put(self, value):
        setattr(self._filter, name, value)

    return put, Property(kind, get, put)


class qMRMLNodeComboBox(QtWidgets.QWidget):
    """Shows the scene's nodes of some classes.

    It takes no keyboard focus, and neither does the combo box in it, for which it is the focus proxy.
    """

    currentNodeIDChanged = Signal(str)
    currentNodeRenamed = Signal(str)
    _node_signal = Signal(object)
    _valid_signal = Signal(bool)
    _activated_signal = Signal(object)
    _added_signal = Signal(object)
    _by_user_signal = Signal(object)
    _by_action_signal = Signal(object)
    _removed_signal = Signal(object)
    _edited_signal = Signal(object)
    _signal_aliases = {
        "currentNodeChanged(vtkMRMLNode*)": "_node_signal(PyObject)",
        "currentNodeChanged(bool)": "_valid_signal(bool)",
        "nodeActivated(vtkMRMLNode*)": "_activated_signal(PyObject)",
        "nodeAdded(vtkMRMLNode*)": "_added_signal(PyObject)",
        "nodeAddedByUser(vtkMRMLNode*)": "_by_user_signal(PyObject)",
        "nodeAddedByUserAction(vtkMRMLNode*)": "_by_action_signal(PyObject)",
        "nodeAboutToBeRemoved(vtkMRMLNode*)": "_removed_signal(PyObject)",
        "nodeAboutToBeEdited(vtkMRMLNode*)": "_edited_signal(PyObject)",
    }
    _slot_aliases = {
        "setMRMLScene(vtkMRMLScene*)": "setMRMLScene",
        "setCurrentNode(vtkMRMLNode*)": "setCurrentNode",
        "setCurrentNodeID(QString)": "setCurrentNodeID",
    }

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self._base_names: dict[str, str] = {}
        self._labels: dict[str, str] = {}
        self._attributes: dict[str, str] = {}
        self._none_enabled, self._none_display = False, "None"
        self._switching = self._checking = False
        self._requested = ""
        policy = QtWidgets.QSizePolicy.Policy
        # Flags of the designer's properties may be set before there is a list.
        self._model = SceneModel(self)
        self._filter = qMRMLSortFilterProxyModel(self, self._model)
        self._combo = ctkComboBox(self)
        self._combo._elide = Qt.TextElideMode.ElideMiddle
        layout = QtWidgets.QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._combo)
        size = QtWidgets.QSizePolicy(policy.Preferred, policy.Fixed, QtWidgets.QSizePolicy.ControlType.ComboBox)
        self.setSizePolicy(size)
        self._combo.setFocusProxy(self)
        self._combo.setModel(self._filter)
        self._combo.setSizePolicy(policy.Expanding, policy.Expanding)
        # Slicer listens to currentTextChanged, which Qt 5 emits with every change of the index, and with the row's.
        self._combo.currentIndexChanged.connect(lambda index: self._changed())
        self._filter.dataChanged.connect(self._data_changed)
        self._combo.activated.connect(self._activated)
        self._filter.rowsInserted.connect(self._rows_inserted)
        self._filter.rowsAboutToBeRemoved.connect(self._rows_removed)
        self._combo.view().clicked.connect(self._act)
        self._update_default_text()
        self.setEnabled(False)

    def mrmlScene(self):
        return self._model.scene()

    def setMRMLScene(self, scene):
        if scene is self._model.scene():
            return
        before, had_nodes = self.currentNodeID, self.nodeCount() > 0
        self._switching = True
        self._model.set_scene(scene)
        self._switching = False
        self._update_none()
        self._update_actions()
        self._combo.setRootModelIndex(self._filter.index(0, 0))
        self._check_after_removals()
        self._choose(before if had_nodes else self._requested or self.currentNodeID)
        self._requested = ""
        self._update_default_text()
        self.setEnabled(scene is not None)

    def _forget(self):
        """Observe nothing any more, as when Slicer destroys it."""
        self._model.forget()
        self._filter.forget()

    @property
    def _ids(self):
        """Identifiers of the rows from the top; empty for None and the actions."""
        nodes = [self._node_at(row) for row in range(self._combo.count())]
        return ["" if node is None else node.GetID() for node in nodes]

    def _node_at(self, row):
        index = self._filter.index(row, 0, self._combo.rootModelIndex())
        return self._node_of(index)

    def _node_of(self, index):
        return self._model.node_of(self._model.itemFromIndex(self._filter.mapToSource(index)))

    def _changed(self):
        if self._switching:
            return
        row, node = self._combo.currentIndex(), self.currentNode()
        if node is None and row != (0 if self._none_enabled else -1):
            # An action is no choice: the last node is taken instead.
            last = self.nodeFromIndex(self.nodeCount() - 1)
            if last is not None:
                self.setCurrentNode(last)
            return
        self._node_signal.emit(node)
        self._valid_signal.emit(node is not None)
        self.currentNodeIDChanged.emit("" if node is None else node.GetID())

    def _data_changed(self, first, last, roles=()):
        row = self._combo.currentIndex()
        if row >= 0 and first.parent() == self._combo.rootModelIndex() and first.row() <= row <= last.row():
            self._changed()

    def _activated(self, row):
        node = self._node_at(row)
        if node is not None or (self._none_enabled and row == 0):
            self._activated_signal.emit(node)

    def _rows_inserted(self, parent, first, last):
        self._announce(parent, first, last, self._added_signal)

    def _rows_removed(self, parent, first, last):
        self._announce(parent, first, last, self._removed_signal)

    def _announce(self, parent, first, last, signal):
        for row in range(first, last + 1):
            node = self._node_of(self._filter.index(row, 0, parent))
            if node is not None:
                signal.emit(node)

    def _check_after_removals(self):
        """Connect anew, so that the combo box hears of removed rows first, as it does with Qt 5 but not with Qt 6."""
        for signal in (self._filter.rowsRemoved, self._filter.modelReset, self._filter.layoutChanged):
            if self._checking:
                signal.disconnect(self._check_current)
            signal.connect(self._check_current)
        self._checking = True

    def _check_current(self, *rows):
        if self.currentNode() is None:
            self.setCurrentNode(None)

    def currentNode(self):
        return self._node_at(self._combo.currentIndex())

    def setCurrentNode(self, node):
        if node is not None and not isinstance(node, slicer.vtkMRMLNode):
            raise ValueError(f"setCurrentNode needs a node, not {node!r}")
        self.setCurrentNodeID(node.GetID() if node is not None else "")

    def _get_current_id(self):
        node = self.currentNode()
        return "" if node is None else node.GetID()

    def setCurrentNodeID(self, identifier):
        if self.mrmlScene() is None:
            self._requested = identifier or ""
        self._choose(identifier or "")

    def _choose(self, identifier):
        """Choose a row; a node that is not listed is forgotten, and nothing chosen."""
        found = []
        if identifier:
            flags = Qt.MatchFlag.MatchRecursive | Qt.MatchFlag.MatchExactly | Qt.MatchFlag.MatchWrap
            found = self._filter.match(self._filter.index(0, 0), ID_ROLE, identifier, 1, flags)
        view = self._combo.view()
        if not found:
            scene = self._filter.index(0, 0)
            self._combo.setRootModelIndex(scene)
            view.setCurrentIndex(self._filter.index(0, 0, scene) if self._none_enabled else scene)
            self._combo.setCurrentIndex(0 if self._none_enabled else -1)
        elif view.currentIndex() != found[0]:
            view.setCurrentIndex(found[0])
            # This is how Slicer lets the combo box take the row of its list.
            kind, none = QtCore.QEvent.Type.ShortcutOverride, Qt.KeyboardModifier.NoModifier
            QtWidgets.QApplication.sendEvent(view, QtGui.QKeyEvent(kind, Qt.Key.Key_Enter, none))

    currentNodeID = Property(str, _get_current_id, setCurrentNodeID)

    def setCurrentNodeIndex(self, index):
        index = -1 if index >= self.nodeCount() else index
        self._combo.setCurrentIndex(index + bool(self._none_enabled))

    def nodeCount(self):
        return self._combo.count() - self._model.extra_count() if self.mrmlScene() is not None else 0

    def nodeFromIndex(self, index):
        return self._node_at(index + bool(self._none_enabled))

    def nodes(self):
        return [self.nodeFromIndex(index) for index in range(self.nodeCount())]

    def addNode(self, kind=None):
        kind = kind or (self.nodeTypes[0] if self.nodeTypes else "")
        if kind not in self.nodeTypes:
            return None
        node = self.mrmlScene().CreateNodeByClass(kind)
        node.UnRegister(None)
        for name, value in self._attributes.items():
            node.SetAttribute(name, value)
        base = self._base_names.get(kind) or node.GetNodeTagName()
        node.SetName(self.mrmlScene().GenerateUniqueName(base))
        node = self.mrmlScene().AddNode(node)
        if self.selectNodeUponCreation:
            self.setCurrentNode(node)
        self._by_user_signal.emit(node)
        return node

    def removeCurrentNode(self):
        self.mrmlScene().RemoveNode(self.currentNode())

    def editCurrentNode(self):
        self._edited_signal.emit(self.currentNode())

    def renameCurrentNode(self):
        node = self.currentNode()
        name = input_text(self, f"Rename {self.nodeTypeLabel(node.GetClassName())}", "New name:") if node else ""
        if name:
            node.SetName(name)
            self.currentNodeRenamed.emit(name)

    def _act(self, index):
        """Do what a clicked row stands for, if it is an action."""
        action, _, kind = (index.data(ACTION_ROLE) or "").partition("/")
        if action:
            self._combo.hidePopup()
        if action == "CREATE":
            node = self.addNode(kind)
            self.setCurrentNode(node)
            self._by_action_signal.emit(node)
        elif action == "DELETE":
            self.removeCurrentNode()
        elif action == "EDIT":
            self.editCurrentNode()
        elif action == "RENAME":
            self.renameCurrentNode()

    def _update_none(self):
        self._model.set_extra(BEFORE, [(self._none_display, "")] if self._none_enabled else [])

    def _update_actions(self):
        if self.mrmlScene() is None:
            return
        label = self.nodeTypeLabel(self.nodeTypes[0] if len(self.nodeTypes) == 1 else "")
        actions = []
        if self.renameEnabled:
            actions.append((f"Rename current {label}", "RENAME/"))
        if self.editEnabled:
            actions.append((f"Edit current {label}", "EDIT/"))
        if self.addEnabled:
            actions += [(f"Create new {self.nodeTypeLabel(kind)}", f"CREATE/{kind}") for kind in self.nodeTypes]
        if self.removeEnabled:
            actions.append((f"Delete current {label}", "DELETE/"))
        separator = self.renameEnabled or self.editEnabled or self.addEnabled or self.removeEnabled
        row = self._combo.currentIndex()
        self._model.set_extra(AFTER, [("", ""), *actions] if separator else [])
        self._combo.setCurrentIndex(row)

    def _update_default_text(self):
        self._combo.setDefaultText(f"Select a {self.nodeTypeLabel(next(iter(self.nodeTypes), ''))}")

    def nodeTypeLabel(self, kind):
        scene = self.mrmlScene()
        shown = scene.GetTypeDisplayNameByClassName(kind) if scene is not None and kind else ""
        return self._labels.get(kind) or shown or "node"

    def setNodeTypeLabel(self, label, kind):
        self._labels[kind] = label
        self._update_default_text()
        self._update_actions()

    def addAttribute(self, kind, name, value=None):
        self._attributes[name] = "" if value is None else str(value)
        self._filter.addAttribute(kind, name, value)

    def removeAttribute(self, kind, name):
        self._attributes.pop(name, None)
        self._filter.removeAttribute(kind, name)

    def sortFilterProxyModel(self):
        return self._filter

    def _get_node_types(self):
        return self._filter.nodeTypes

    def setNodeTypes(self, types):
        self._filter.nodeTypes = [kind for kind in types if kind]
        self._update_default_text()
        self._update_actions()

    nodeTypes = Property("QStringList", _get_node_types, setNodeTypes)

    def _get_base_name(self):
        return self._base_names.get(next(iter(self.nodeTypes), ""), "")

    def setBaseName(self, name, kind=""):
        for each in [kind] if kind else self.nodeTypes:
            self._base_names[each] = name

    baseName = Property(str, _get_base_name, setBaseName)

    def _get_none_display(self):
        return self._none_display

    def setNoneDisplay(self, text):
        self._none_display = text
        self._update_none()

    noneDisplay = Property(str, _get_none_display, setNoneDisplay)

    def _get_none_enabled(self):
        return self._none_enabled

    def setNoneEnabled(self, enable):
        if bool(enable) != self._none_enabled:
            self._none_enabled = bool(enable)
            self._update_none()

    noneEnabled = Property(bool, _get_none_enabled, setNoneEnabled)

    def _get_policy(self):
        return self._combo.sizeAdjustPolicy()

    def setSizeAdjustPolicy(self, policy):
        self._combo.setSizeAdjustPolicy(policy)

    sizeAdjustPolicy = Property(QtWidgets.QComboBox.SizeAdjustPolicy, _get_policy, setSizeAdjustPolicy)
    setShowHidden, showHidden = _filter("showHidden", bool)
    setShowChildNodeTypes, showChildNodeTypes = _filter("showChildNodeTypes", bool)
    setHideChildNodeTypes, hideChildNodeTypes = _filter("hideChildNodeTypes", "QStringList")
    setAddEnabled, addEnabled = _action_flag("addEnabled", True)
    setRemoveEnabled, removeEnabled = _action_flag("removeEnabled", True)
    setEditEnabled, editEnabled = _action_flag("editEnabled", False)
    setRenameEnabled, renameEnabled = _action_flag("renameEnabled", False)
    setSelectNodeUponCreation, selectNodeUponCreation = _action_flag("selectNodeUponCreation", True)


class qMRMLColorTableComboBox(qMRMLNodeComboBox):
    """Shows the scene's colour tables."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.setNodeTypes(["vtkMRMLColorTableNode", "vtkMRMLProceduralColorNode"])
