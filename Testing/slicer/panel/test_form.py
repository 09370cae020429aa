"""What can be said of the panel without opening it: its .ui file, and the names by which the code reaches into it."""

from __future__ import annotations

import ast
import copy
import re
import xml.etree.ElementTree as ElementTree
from collections import Counter

from support.source_code import ROOT, library_files, syntax

PANELS = sorted((ROOT / "MedAD" / "Resources" / "UI").glob("*.ui"))
CODE = [*library_files("MedAD"), *library_files("MedADLib/slicer")]
# A widget of a class that is in neither list fails the tests: decide whether a user puts something into it.
# fmt: off
INPUT = {
    "QPushButton", "QToolButton", "QCheckBox", "QRadioButton", "QComboBox", "QLineEdit", "QSpinBox",
    "QDoubleSpinBox", "QSlider", "QPlainTextEdit", "QTextEdit", "QTextBrowser", "QTableWidget", "QTreeWidget",
    "QListWidget", "ctkSliderWidget", "ctkDoubleSlider", "ctkPathLineEdit", "ctkComboBox", "ctkPushButton",
    "qMRMLNodeComboBox", "qMRMLSliderWidget", "qMRMLCheckableNodeComboBox",
}
# fmt: on
SECTIONS = {"ctkCollapsibleButton", "ctkCollapsibleGroupBox", "ctkExpandButton"}
PASSIVE = {"QWidget", "QFrame", "QLabel", "QProgressBar", "QGroupBox", "QStackedWidget", "QTabWidget", "qMRMLWidget"}
STYLING = {"styleSheet", "palette", "geometry", "maximumSize", "baseSize", "iconSize", "sizeIncrement"}
NUMBER = {"number": r"-?\d+", "double": r"-?\d+(\.\d+)?(e[-+]?\d+)?", "bool": r"true|false", "UInt": r"\d+"}
HIGHEST_MINIMUM = 60


def widgets(panel):
    return list(panel.iter("widget"))


def value(widget, name):
    """The text of a property; None if it is not set."""
    for entry in widget.findall("property"):
        if entry.get("name") == name:
            return "".join(entry.itertext()).strip()
    return None


def names(panel):
    """What Slicer's childWidgetVariables makes reachable."""
    return [node.get("name") for node in panel.iter() if node.tag in ("widget", "layout", "action")]


def name_problems(panel):
    twice = [name for name, count in Counter(names(panel)).items() if count > 1]
    yield from (f"two things are called {name}" for name in twice)
    known = INPUT | SECTIONS | PASSIVE
    yield from (f"unknown class {each.get('class')}" for each in widgets(panel) if each.get("class") not in known)
    for tag in ("sender", "receiver"):
        yield from (f"connection to {end.text}" for end in panel.iter(tag) if end.text not in names(panel))


def value_problems(panel):
    for tag, form in NUMBER.items():
        for node in panel.iter(tag):
            if not re.fullmatch(form, (node.text or "").strip()):
                yield f"<{tag}> holds {node.text!r}"


def help_problems(panel):
    for widget in widgets(panel):
        if widget.get("class") in INPUT and not value(widget, "toolTip"):
            yield f"{widget.get('name')} has no tooltip"


def label_problems(panel):
    focusable = {each.get("name") for each in widgets(panel) if each.get("class") in INPUT}
    for layout in panel.iter("layout"):
        for item in layout.findall("item"):
            label = item.find("widget")
            beside = layout.get("class") == "QFormLayout" and item.get("column") == "0" and not item.get("colspan")
            if beside and label is not None and label.get("class") == "QLabel" and value(label, "buddy") is None:
                yield f"{label.get('name')} is a label of nothing (no buddy)"
    for widget in widgets(panel):
        if value(widget, "buddy") not in (None, *focusable):
            yield f"{widget.get('name')} is a label of {value(widget, 'buddy')}, which takes no input"
    texts = [value(widget, "text") or "" for widget in widgets(panel)]
    keys = Counter(key.lower() for text in texts for key in re.findall(r"&(\w)", text.replace("&&", "")))
    yield from (f"Alt+{key.upper()} means two things" for key, count in keys.items() if count > 1)


def order_problems(panel):
    """The Tab key goes through all that takes input, in the order in which it is seen."""
    expected = [each.get("name") for each in widgets(panel) if each.get("class") in INPUT | SECTIONS]
    stops = [stop.text for stop in panel.iter("tabstop")]
    if stops != expected:
        yield f"tab order: missing {sorted(set(expected) - set(stops))}, strange {sorted(set(stops) - set(expected))}"


def style_problems(panel):
    """Nothing that fights a dark theme, large fonts or a narrow panel."""
    for widget in widgets(panel):
        name = widget.get("name")
        yield from (f"{name} sets {each}" for each in sorted(STYLING) if value(widget, each) is not None)
        for size in widget.findall("property[@name='minimumSize']/size"):
            if int(size.findtext("width")) > 0 or int(size.findtext("height")) > HIGHEST_MINIMUM:
                yield f"{name} keeps the panel from getting narrow or low"
        yield from (f"{name} fixes its font" for font in widget.iter("font") if {e.tag for e in font} - {"bold"})
        long = widget.get("class") == "QLabel" and len(value(widget, "text") or "") > 40
        if long and value(widget, "wordWrap") != "true":
            yield f"{name} is a long line that cannot wrap"


CHECKS = (name_problems, value_problems, help_problems, label_problems, order_problems, style_problems)


def test_the_panels_are_sound():
    assert PANELS
    roots = {path.name: ElementTree.parse(path).getroot() for path in PANELS}
    assert [f"{name}: {problem}" for name in roots for check in CHECKS for problem in check(roots[name])] == []


def reached_widgets(tree):
    """The names that code reads from an object called `ui`, as `self.ui.runButton` or `ui.runButton`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and is_ui(node.value):
            yield node.attr
        by_name = isinstance(node, ast.Call) and getattr(node.func, "id", "") in ("getattr", "hasattr", "setattr")
        if by_name and is_ui(node.args[0]) and isinstance(node.args[1], ast.Constant):
            yield node.args[1].value


def is_ui(node):
    return getattr(node, "attr", getattr(node, "id", "")).lstrip("_") == "ui"


def test_every_widget_that_the_code_names_exists():
    there = {name for panel in PANELS for name in names(ElementTree.parse(panel).getroot())}
    reached = {(path.relative_to(ROOT).as_posix(), name) for path in CODE for name in reached_widgets(syntax(path))}
    assert len(reached) > 50
    assert sorted(f"{path}: {name}" for path, name in reached if name not in there) == []


def parameters(trees):
    """Names of the fields of every class under @parameterNodeWrapper."""
    classes = (node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.ClassDef))
    wrapped = [each for each in classes if "parameterNodeWrapper" in map(ast.unparse, each.decorator_list)]
    return {field.target.id for each in wrapped for field in each.body if isinstance(field, ast.AnnAssign)}


def bound(panel):
    return {value(each, "SlicerParameterName") for each in widgets(panel)} - {None}


def test_every_parameter_that_the_panel_binds_exists():
    fields = parameters(map(syntax, CODE))
    assert fields
    for path in PANELS:
        assert {name.partition(".")[0] for name in bound(ElementTree.parse(path).getroot())} <= fields


SOUND = ElementTree.fromstring("""
<ui version="4.0"><class>Panel</class><widget class="qMRMLWidget" name="Panel"><layout class="QFormLayout" name="form">
<item row="0" column="0"><widget class="QLabel" name="label">
<property name="text"><string>&amp;Volume:</string></property>
<property name="buddy"><cstring>box</cstring></property></widget></item>
<item row="0" column="1"><widget class="QSpinBox" name="box">
<property name="toolTip"><string>How many.</string></property>
<property name="value"><number>3</number></property>
<property name="SlicerParameterName" stdset="0"><string>count</string></property></widget></item>
</layout></widget><tabstops><tabstop>box</tabstop></tabstops></ui>""")


def test_a_sound_panel_passes():
    assert [problem for check in CHECKS for problem in check(SOUND)] == []
    assert bound(SOUND) == {"count"}


def plant(tag, attribute, name, text):
    def change(panel):
        panel.find(f".//{tag}[@{attribute}='{name}']").set(attribute, text)

    return change


def add_property(owner, xml):
    return lambda panel: panel.find(f".//widget[@name='{owner}']").append(ElementTree.fromstring(xml))


def drop_property(owner, name):
    def change(panel):
        widget = panel.find(f".//widget[@name='{owner}']")
        widget.remove(widget.find(f"property[@name='{name}']"))

    return change


def set_text(path, text):
    return lambda panel: setattr(panel.find(path), "text", text)


PLANTED = {
    "a name twice": (name_problems, plant("widget", "name", "label", "box")),
    "a class that nobody decided on": (name_problems, plant("widget", "class", "QSpinBox", "QDial")),
    "a number that is none": (value_problems, set_text(".//number", "false")),
    "no tooltip": (help_problems, drop_property("box", "toolTip")),
    "an empty tooltip": (help_problems, set_text(".//property[@name='toolTip']/string", None)),
    "a label without buddy": (label_problems, drop_property("label", "buddy")),
    "a buddy that is not there": (label_problems, set_text(".//cstring", "boxx")),
    "a key with two meanings": (
        label_problems,
        add_property("box", '<property name="text"><string>&amp;very</string></property>'),
    ),
    "a tab order without a widget": (order_problems, lambda panel: panel.find("tabstops").clear()),
    "a tab order with a stranger": (order_problems, set_text(".//tabstop", "boxx")),
    "a style sheet": (style_problems, add_property("box", '<property name="styleSheet"><string>x</string></property>')),
    "a fixed size": (style_problems, add_property("box", '<property name="maximumSize"><size/></property>')),
    "a font of a fixed size": (
        style_problems,
        add_property("box", '<property name="font"><font><pointsize>9</pointsize></font></property>'),
    ),
    "a panel that cannot be narrow": (
        style_problems,
        add_property(
            "box",
            '<property name="minimumSize"><size><width>300</width><height>0</height></size></property>',
        ),
    ),
    "a long line that cannot wrap": (style_problems, set_text(".//property[@name='text']/string", "word " * 20)),
}


def test_planted_errors_are_found():
    missed = []
    for name, (check, change) in PLANTED.items():
        panel = copy.deepcopy(SOUND)
        change(panel)
        missed += [] if list(check(panel)) else [name]
    assert missed == []


def test_a_misspelled_widget_is_found():
    codes = ("self.ui.boxx.value = 1", "ui.boxx.show()", "x = panel.ui.boxx", "self._ui.boxx()")
    for code in (*codes, "getattr(self.ui, 'boxx')"):
        assert list(reached_widgets(ast.parse(code))) == ["boxx"], code


def test_a_parameter_without_field_is_found():
    tree = ast.parse("@parameterNodeWrapper\nclass P:\n    count: int = 3\n@other\nclass Q:\n    counts: int")
    assert parameters([tree]) == {"count"}
