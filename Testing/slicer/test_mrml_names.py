"""Method and class names of MRML and VTK in our code exist: a typo would show only when its line runs in Slicer."""

from __future__ import annotations

import ast
import inspect
import re
from functools import cache

import numpy as np
import pytest
import vtk
from support.source_code import ROOT, library_files, syntax

pytest.importorskip("slicer.util", reason="slicer-core is not installed (pip install trame-slicer[standalone])")
import slicer

CODE = [*library_files("MedADLib/slicer"), *library_files("MedAD")]
# Their first argument is the name of a node class.
TAKES_CLASS = {"AddNewNodeByClass", "CreateNodeByClass", "GetFirstNodeByClass", "GetNodesByClass", "IsA"}
TAKES_CLASS |= {"GetNthNodeByClass", "GetNumberOfNodesByClass", "getFirstNodeByClassByName", "getNodesByClass"}


@cache
def vtk_names() -> frozenset[str]:
    """The attributes of every class of Slicer's and VTK's, and of the arrays that are made of them."""
    import vtkmodules.all

    found = set(dir(np.ndarray))
    for module in (slicer, vtkmodules.all):
        for _name, thing in inspect.getmembers(module, inspect.isclass):
            found.update(dir(thing))
    return frozenset(found)


@cache
def own_names() -> frozenset[str]:
    """Methods, constants and fields of the code's own classes."""
    found: set[str] = set()
    for node in (node for path in CODE for node in ast.walk(syntax(path))):
        if isinstance(node, ast.ClassDef):
            found.update(each.name for each in node.body if isinstance(each, ast.FunctionDef))
            assigned = (each for each in node.body if isinstance(each, (ast.Assign, ast.AnnAssign)))
            found.update(word.id for each in assigned for word in ast.walk(each) if isinstance(word, ast.Name))
    return frozenset(found)


def problems(tree: ast.AST) -> list[str]:
    """Names that start with a capital letter, unknown, and of no other library: Qt's are left to the fake Slicer."""
    found, imported = [], imported_names(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            owner = ast.unparse(node.value)
            if owner == "slicer" and node.attr.startswith("vtk") and not hasattr(slicer, node.attr):
                found.append(f"line {node.lineno}: slicer.{node.attr}")
            foreign = root(node.value) in imported and not owner.startswith(("slicer", "vtk"))
            foreign = foreign or re.search(r"\bQ[A-Z]\w+", f"{owner}.{node.attr}") is not None
            foreign = foreign or (owner == "slicer.util" and hasattr(slicer.util, node.attr))
            foreign = foreign or (owner == "vtk" and hasattr(vtk, node.attr)) or "import_module" in owner
            if node.attr[0].isupper() and not foreign and node.attr not in vtk_names() | own_names():
                found.append(f"line {node.lineno}: {owner}.{node.attr}")
        elif isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
            name = node.args[0].value
            if getattr(node.func, "attr", "") in TAKES_CLASS and not hasattr(slicer, name):
                found.append(f"line {node.lineno}: {name}")
    return found


def imported_names(tree: ast.AST) -> set[str]:
    """What the file's import statements bind."""
    statements = (node for node in ast.walk(tree) if isinstance(node, (ast.Import, ast.ImportFrom)))
    return {(alias.asname or alias.name).partition(".")[0] for node in statements for alias in node.names}


def root(node: ast.AST) -> str:
    """The variable that a chain of attributes starts from; nothing if it starts from the result of a call."""
    while isinstance(node, ast.Attribute):
        node = node.value
    return node.id if isinstance(node, ast.Name) else ""


def test_names_exist():
    assert len(CODE) > 40
    assert [f"{path.relative_to(ROOT).as_posix()}: {each}" for path in CODE for each in problems(syntax(path))] == []


TYPOS = (
    "node.GetDispalyNode()",
    "slicer.vtkMRMLScalarVolumNode()",
    "scene.AddNewNodeByClass('vtkMRMLModleNode')",
    "node.GetDisplayNode().SetVisibilty(1)",
    "scene.NodeAdedEvent",
    "import vtk\nvtk.vtkCommand.ModifedEvent",
    "slicer.mrmlScene.EndClosEvent",
)
SOUND = (
    "node.GetDisplayNode().SetVisibility(1)",
    "slicer.vtkMRMLScalarVolumeNode().Modified()",
    "scene.AddNewNodeByClass('vtkMRMLModelNode')",
    "import os\nos.PathLike",
    "import qt\nqt.Qt.Horizontal",
    "self._qt.QProcess.NotRunning",
    "import vtk\nvtk.vtkCommand.ModifiedEvent",
    "scene.NodeAddedEvent",
)


def test_planted_typos_are_found_and_sound_code_passes():
    assert [code for code in TYPOS if len(problems(ast.parse(code))) != 1] == []
    assert [code for code in SOUND if problems(ast.parse(code))] == []
