"""Stand-ins for CTK's choosers of files and folders."""

from __future__ import annotations

from PySide6 import QtCore, QtWidgets
from PySide6.QtCore import Property, Signal

from . import dialogs


class ctkPathLineEdit(QtWidgets.QWidget):
    """A path to type or to browse for."""

    currentPathChanged = Signal(str)
    validInputChanged = Signal(bool)
    _signal_aliases = {"currentPathChanged(QString)": "currentPathChanged(QString)"}
    _slot_aliases = {
        "setCurrentPath(QString)": "setCurrentPath",
        "addCurrentPathToHistory()": "addCurrentPathToHistory",
    }

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self._filters = 0
        self._name_filters: list[str] = []
        self._label = ""
        self._setting_key = ""
        self._combo = QtWidgets.QComboBox(self)
        self._combo.setEditable(True)
        self._combo.setSizePolicy(QtWidgets.QSizePolicy.Policy.Expanding, QtWidgets.QSizePolicy.Policy.Fixed)
        self._button = QtWidgets.QToolButton(self)
        self._button.setText("...")
        self._button.clicked.connect(self.browse)
        layout = QtWidgets.QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._combo)
        layout.addWidget(self._button)
        self.setFocusProxy(self._combo)
        self._combo.editTextChanged.connect(self.currentPathChanged)

    def browse(self):
        """Ask for a path."""
        path = dialogs.file_path(self, self._label)
        if path:
            self.setCurrentPath(path)

    def addCurrentPathToHistory(self):
        if self._get_path() and self._combo.findText(self._get_path()) < 0:
            self._combo.addItem(self._get_path())

    def _get_path(self):
        return self._combo.currentText()

    def setCurrentPath(self, path):
        if not isinstance(path, str):
            raise TypeError("setCurrentPath needs a text")
        self._combo.setEditText(path)

    currentPath = Property(str, _get_path, setCurrentPath, notify=currentPathChanged)

    def _get_filters(self):
        return self._filters

    def setFilters(self, filters):
        self._filters = filters

    filters = Property(int, _get_filters, setFilters)

    def _get_name_filters(self):
        return self._name_filters

    def setNameFilters(self, filters):
        self._name_filters = list(filters)

    nameFilters = Property("QStringList", _get_name_filters, setNameFilters)

    def _get_label(self):
        return self._label

    def setLabel(self, label):
        self._label = label

    label = Property(str, _get_label, setLabel)

    def _get_setting_key(self):
        return self._setting_key

    def setSettingKey(self, key):
        self._setting_key = key

    settingKey = Property(str, _get_setting_key, setSettingKey)

    def _get_show_browse(self):
        return not self._button.isHidden()

    def setShowBrowseButton(self, show):
        self._button.setVisible(show)

    showBrowseButton = Property(bool, _get_show_browse, setShowBrowseButton)

    def _get_show_history(self):
        return True

    def setShowHistoryButton(self, show):
        pass

    showHistoryButton = Property(bool, _get_show_history, setShowHistoryButton)


class ctkDirectoryButton(QtWidgets.QWidget):
    """A button that shows a folder and browses for another."""

    directoryChanged = Signal(str)
    directorySelected = Signal(str)

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self._directory = QtCore.QDir.currentPath()
        self._caption = ""
        self._text = ""
        self._button = QtWidgets.QPushButton(self)
        icon = QtWidgets.QStyle.StandardPixmap.SP_DirIcon
        self._button.setIcon(self.style().standardIcon(icon))
        self._button.clicked.connect(self.browse)
        layout = QtWidgets.QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._button)
        self._show()

    def browse(self):
        """Ask for a folder."""
        path = dialogs.file_path(self, self._caption)
        if path:
            self.setDirectory(path)
            self.directorySelected.emit(path)

    def _show(self):
        self._button.setText(self._text or self._directory)

    def _get_directory(self):
        return self._directory

    def setDirectory(self, directory):
        path = QtCore.QDir(directory).absolutePath()
        if path != self._directory:
            self._directory = path
            self._show()
            self.directoryChanged.emit(path)

    directory = Property(str, _get_directory, setDirectory)

    def _get_caption(self):
        return self._caption

    def setCaption(self, caption):
        self._caption = caption

    caption = Property(str, _get_caption, setCaption)

    def _get_text(self):
        return self._text

    def setText(self, text):
        self._text = text
        self._show()

    text = Property(str, _get_text, setText)
