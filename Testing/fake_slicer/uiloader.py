"""Loading a .ui file as Slicer does, and refusing what Slicer would pass over in silence."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from PySide6 import QtCore, QtUiTools, QtWidgets

from . import signals, tooltips, widgets
from .pythonqt import properties_of

LAYOUT_PROPERTIES = {
    *("leftMargin", "topMargin", "rightMargin", "bottomMargin", "margin"),
    *("spacing", "horizontalSpacing", "verticalSpacing"),
}
HEADERS = ("horizontalHeader", "verticalHeader", "header")
PAGE_ATTRIBUTES = {"title", "icon", "toolTip", "label", "buttonGroup", "whatsThis"}


class UiError(ValueError):
    """The .ui file is not what Slicer needs."""


class _Loader(QtUiTools.QUiLoader):
    """Makes the stand-ins where the file names classes of CTK and Slicer."""

    def __init__(self):
        super().__init__()
        self.problems: list[str] = []
        self.made: list[QtWidgets.QWidget] = []

    def createWidget(self, class_name, parent=None, name=""):
        try:
            if class_name in widgets.ALL:
                widget = widgets.ALL[class_name](*([parent] if parent is not None else []))
                widget.setObjectName(name)
            elif class_name in self.availableWidgets() or class_name == "Line":
                widget = super().createWidget(class_name, parent, name)
            else:
                self.problems.append(f"{name}: there is no widget class {class_name} (on this fake Slicer)")
                widget = QtWidgets.QWidget(parent)
            self.made.append(widget)
            return widget
        except Exception as error:
            self.problems.append(f"{name}: {error!r}")
            raise


def load(path: str | Path) -> QtWidgets.QWidget:
    """The widget that a .ui file describes, with its connections made.

    Raises:
        UiError: If a class, property, signal, slot or object in it does not exist, or a name comes twice.
    """
    path = Path(path)
    if not path.is_file():
        raise UiError(f"{path} does not exist")
    root, wanted, problems, simple, enumerators = _read(path.read_bytes())
    problems, loader, buffer = list(problems), _Loader(), QtCore.QBuffer()
    buffer.setData(simple)
    buffer.open(QtCore.QIODevice.OpenModeFlag.ReadOnly)
    widget = loader.load(buffer)
    problems += loader.problems
    if widget is None:
        raise UiError(f"{path} cannot be loaded: {loader.errorString()} {'; '.join(problems)}")
    named = {widget.objectName(): widget}
    for child in widget.findChildren(QtCore.QObject):
        if child.objectName() and not child.objectName().startswith("qt_"):
            named.setdefault(child.objectName(), child)
    for element in root.iter():
        if element.tag in ("widget", "action"):
            problems += _check_properties(element, named)
        elif element.tag == "layout":
            names = {entry.get("name") for entry in element.findall("property")}
            known = set() if named.get(element.get("name")) is None else set(properties_of(named[element.get("name")]))
            problems += [f"layout {element.get('name')} has no property {n}" for n in names - LAYOUT_PROPERTIES - known]
    for connection in wanted:
        problems += _connect(connection, named)
    if problems:
        raise UiError(f"{path.name}: " + "; ".join(problems))
    for name, attribute, value in enumerators:
        setattr(named[name], attribute, value)
    for child in [widget, *widget.findChildren(QtWidgets.QWidget)]:
        tooltips.wrap(child)
    # Widgets of Python must live as long as the panel; Qt owns only their C++ side.
    widget._fake_made = loader.made
    return widget


@lru_cache(maxsize=4)
def _read(text: bytes) -> tuple[ElementTree.Element, list[ElementTree.Element], list[str], bytes, list]:
    """Root without connections, the connections, problems, what Qt's loader reads, and enumerators unknown to it."""
    root, simple = ElementTree.fromstring(text), ElementTree.fromstring(text)
    wanted = [connection for connections in root.findall("connections") for connection in connections]
    for tree in (root, simple):
        for connections in tree.findall("connections"):
            tree.remove(connections)
    enumerators = _take_enumerators(simple)
    return root, wanted, _check_text(root), ElementTree.tostring(simple), enumerators


def _take_enumerators(root: ElementTree.Element) -> list[tuple[str, str, Any]]:
    """Take out the enumerators of stand-ins, which Qt's loader does not know: widget, property and value of each."""
    found = []
    for element in root.iter("widget"):
        made = widgets.ALL.get(element.get("class"))
        for entry in list(element.findall("property")):
            text, attribute = entry.findtext("enum"), entry.get("name")
            if made is None or text is None or not isinstance(getattr(made, attribute, None), QtCore.Property):
                continue
            scope, _, name = text.rpartition("::")
            owner = QtCore.Qt if scope == "Qt" else getattr(QtWidgets, scope)
            found.append((element.get("name"), attribute, getattr(owner, name)))
            element.remove(entry)
    return found


def _check_text(root: ElementTree.Element) -> list[str]:
    """Names that come twice, and enumerators in Qt 6's spelling."""
    problems, seen = [], set()
    for element in root.iter():
        if element.tag in ("widget", "layout", "action", "spacer") and element.get("name"):
            if element.get("name") in seen:
                problems.append(f"the name {element.get('name')} comes twice")
            seen.add(element.get("name"))
        if element.tag in ("enum", "set") and any(part.count("::") > 1 for part in (element.text or "").split("|")):
            problems.append(f"{element.text} is not understood by Qt 5; leave out the enumeration's name")
    return problems


def _check_properties(element: ElementTree.Element, named: dict[str, QtCore.QObject]) -> list[str]:
    """Properties that the object does not have; those marked as dynamic may be anything."""
    name = element.get("name")
    obj = named.get(name)
    if obj is None:
        return [f"{name} was not made"]
    known = properties_of(obj)
    problems = []
    for entry in element.findall("property"):
        if entry.get("name") == "buddy" and element.get("class") == "QLabel":
            # No property of Qt, but something that its loader understands.
            if entry.findtext("cstring") not in named:
                problems.append(f"the buddy of {name}, {entry.findtext('cstring')}, does not exist")
        elif entry.get("name") not in known and entry.get("stdset") != "0":
            problems.append(f"{name} ({element.get('class')}) has no property {entry.get('name')}")
    for entry in element.findall("attribute"):
        attribute = entry.get("name")
        if attribute not in PAGE_ATTRIBUTES and not attribute.startswith(HEADERS):
            problems.append(f"{name} has no attribute {attribute}")
    return problems


def _connect(connection: ElementTree.Element, named: dict[str, QtCore.QObject]) -> list[str]:
    parts = ("sender", "signal", "receiver", "slot")
    sender, signal, receiver, slot = (connection.findtext(part, "") for part in parts)
    missing = [name for name in (sender, receiver) if name not in named]
    if missing:
        return [f"a connection names {name}, which does not exist" for name in missing]
    try:
        signals.connect_slot(named[sender], signal, named[receiver], slot)
    except ValueError as error:
        return [str(error)]
    return []
