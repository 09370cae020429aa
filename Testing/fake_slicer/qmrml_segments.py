"""Stand-in for Slicer's table of segments."""

from __future__ import annotations

import vtk
from PySide6 import QtGui, QtWidgets
from PySide6.QtCore import Property, QItemSelection, Signal
from shiboken6 import Shiboken

from .qmrml_widget import qMRMLWidget


def _shown(name, column):
    """A property for whether a column is shown, with its setter."""

    def get(self):
        return not self._table.isColumnHidden(column)

    def put(self, visible):
        self._table.setColumnHidden(column, not visible)

    return put, Property(bool, get, put)


class qMRMLSegmentsTableView(qMRMLWidget):
    """Lists the segments of one segmentation: visible, colour, opacity, name."""

    selectionChanged = Signal(QItemSelection, QItemSelection)

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self._node = None
        self._tag = None
        self._table = QtWidgets.QTableWidget(0, 4, self)
        self._table.setHorizontalHeaderLabels(["", "", "Opacity", "Name"])
        self._table.horizontalHeader().setStretchLastSection(True)
        self._table.setSelectionBehavior(QtWidgets.QAbstractItemView.SelectionBehavior.SelectRows)
        self._table.selectionModel().selectionChanged.connect(self.selectionChanged)
        layout = QtWidgets.QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._table)

    def segmentationNode(self):
        return self._node

    def setSegmentationNode(self, node):
        if self._node is not None:
            self._node.RemoveObserver(self._tag)
        self._node = node
        if node is not None:
            self._tag = node.AddObserver(vtk.vtkCommand.AnyEvent, self._on_node)
        self._fill()

    def _on_node(self, node, event):
        if Shiboken.isValid(self):
            self._fill()

    def _ids(self):
        return [] if self._node is None else list(self._node.GetSegmentation().GetSegmentIDs())

    def _fill(self):
        self._table.setRowCount(len(self._ids()))
        for row, identifier in enumerate(self._ids()):
            segment = self._node.GetSegmentation().GetSegment(identifier)
            display = self._node.GetDisplayNode()
            visible = display is None or display.GetSegmentVisibility(identifier)
            colour = QtWidgets.QTableWidgetItem()
            colour.setBackground(QtGui.QColor.fromRgbF(*segment.GetColor()))
            opacity = "1.00" if display is None else f"{display.GetSegmentOpacity3D(identifier):.2f}"
            entries = ("👁" if visible else "", colour, opacity, segment.GetName())
            for column, entry in enumerate(entries):
                item = entry if column == 1 else QtWidgets.QTableWidgetItem(entry)
                self._table.setItem(row, column, item)

    def selectedSegmentIDs(self):
        rows = {index.row() for index in self._table.selectionModel().selectedRows()}
        return [identifier for row, identifier in enumerate(self._ids()) if row in rows]

    def setSelectedSegmentIDs(self, identifiers):
        self._table.clearSelection()
        for row, identifier in enumerate(self._ids()):
            if identifier in identifiers:
                self._table.selectRow(row)

    def rowForSegmentID(self, identifier):
        return self._ids().index(identifier) if identifier in self._ids() else -1

    def segmentIDForRow(self, row):
        return self._ids()[row]

    def clearSelection(self):
        self._table.clearSelection()

    def _get_count(self):
        return len(self._ids())

    segmentCount = Property(int, _get_count)
    setVisibilityColumnVisible, visibilityColumnVisible = _shown("visibilityColumnVisible", 0)
    setColorColumnVisible, colorColumnVisible = _shown("colorColumnVisible", 1)
    setOpacityColumnVisible, opacityColumnVisible = _shown("opacityColumnVisible", 2)
    setStatusColumnVisible, statusColumnVisible = _shown("statusColumnVisible", 4)

    def _get_header(self):
        return not self._table.horizontalHeader().isHidden()

    def setHeaderVisible(self, visible):
        self._table.horizontalHeader().setVisible(visible)

    headerVisible = Property(bool, _get_header, setHeaderVisible)

    def _get_read_only(self):
        return self._table.editTriggers() == QtWidgets.QAbstractItemView.EditTrigger.NoEditTriggers

    def setReadOnly(self, read_only):
        triggers = QtWidgets.QAbstractItemView.EditTrigger
        self._table.setEditTriggers(triggers.NoEditTriggers if read_only else triggers.DoubleClicked)

    readOnly = Property(bool, _get_read_only, setReadOnly)

    def _get_filter_bar(self):
        return False

    def setFilterBarVisible(self, visible):
        pass

    filterBarVisible = Property(bool, _get_filter_bar, setFilterBarVisible)
