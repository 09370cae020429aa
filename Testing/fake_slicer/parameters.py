"""Stand-in for slicer.parameterNodeWrapper: typed parameters in a scripted module node, stored as Slicer stores them.

Kept to bool, int, float, str, Enum, paths, FloatRange, nodes and unions of these.
"""

from __future__ import annotations

import enum
import json
import pathlib
import types
import typing
import weakref
from dataclasses import dataclass
from typing import Any

import slicer
import vtk

from . import connectors

PATHS = (
    *(pathlib.Path, pathlib.PosixPath, pathlib.WindowsPath),
    *(pathlib.PurePath, pathlib.PurePosixPath, pathlib.PureWindowsPath),
)
RESERVED = {
    *("allParameters", "default", "isCached", "dataType", "getValue", "setValue", "connectGui"),
    *("connectParametersToGui", "disconnectGui", "StartModify", "EndModify", "AddObserver", "RemoveObserver"),
    "Modified",
}


@dataclass(frozen=True)
class FloatRange:
    """Two numbers, the lower first."""

    minimum: float
    maximum: float

    def __post_init__(self):
        if self.minimum > self.maximum:
            raise ValueError("a range's minimum is above its maximum")


class Validator:
    """Base of what restricts a parameter."""

    def validate(self, value: Any) -> None:
        """Raise ValueError if the value is not allowed."""


@dataclass(frozen=True)
class Minimum(Validator):
    minimum: float

    def validate(self, value):
        if value < self.minimum:
            raise ValueError(f"{value} is below {self.minimum}")


@dataclass(frozen=True)
class Maximum(Validator):
    maximum: float

    def validate(self, value):
        if value > self.maximum:
            raise ValueError(f"{value} is above {self.maximum}")


@dataclass(frozen=True)
class WithinRange(Validator):
    minimum: float
    maximum: float

    def validate(self, value):
        if not self.minimum <= value <= self.maximum:
            raise ValueError(f"{value} is not within [{self.minimum}, {self.maximum}]")


@dataclass(frozen=True)
class RangeBounds(Validator):
    minimum: float
    maximum: float

    def validate(self, value):
        if not (self.minimum <= value.minimum and value.maximum <= self.maximum):
            raise ValueError(f"{value} is not within [{self.minimum}, {self.maximum}]")


class Choice(Validator):
    def __init__(self, choices):
        self.choices = choices

    def validate(self, value):
        if value not in self.choices:
            raise ValueError(f"{value!r} is none of {self.choices}")


class Exclude(Validator):
    def __init__(self, excludedValues):
        self.excludedValues = excludedValues

    def validate(self, value):
        if value in self.excludedValues:
            raise ValueError(f"{value!r} is not allowed")


class NotNone(Validator):
    def validate(self, value):
        if value is None:
            raise ValueError("None is not allowed")


@dataclass(frozen=True)
class Default:
    value: Any


@dataclass(frozen=True)
class Decimals:
    value: int


@dataclass(frozen=True)
class SingleStep:
    value: float


@dataclass(frozen=True)
class Stored:
    """How values of one type are stored in a parameter node."""

    kind: Any
    notes: tuple

    def is_node(self) -> bool:
        return isinstance(self.kind, type) and issubclass(self.kind, slicer.vtkMRMLNode)

    def default(self) -> Any:
        """What Slicer takes where the class gives no default; it has to pass the validators all the same."""
        if self.kind is type(None) or self.is_node():
            return None
        if issubclass(self.kind, enum.Enum):
            return next(iter(self.kind))
        return FloatRange(0.0, 0.0) if self.kind is FloatRange else self.kind()

    def takes(self, kind: type) -> bool:
        """Whether values of a type are stored in this way, whatever the validators say."""
        return issubclass(kind, slicer.vtkMRMLNode) if self.is_node() else issubclass(kind, self.kind)

    def check(self, value: Any, name: str) -> None:
        """Raise TypeError for a value of another type, ValueError if a validator refuses it."""
        if value is None and self.kind is not type(None) and not self.is_node():
            raise ValueError(f"parameter {name}: None is not allowed")
        kinds = (int, float) if self.kind is float else self.kind
        if value is not None and not isinstance(value, kinds):
            raise TypeError(f"parameter {name} takes {self.kind.__name__}, not {value!r}")
        for note in self.notes:
            if isinstance(note, Validator):
                note.validate(value)

    def is_in(self, node: slicer.vtkMRMLScriptedModuleNode, name: str) -> bool:
        return bool(node.HasParameter(name))

    def read(self, node: slicer.vtkMRMLScriptedModuleNode, name: str) -> Any:
        if self.kind is type(None):
            return None
        if self.is_node():
            return node.GetNodeReference(name)
        text = node.GetParameter(name)
        if self.kind is bool:
            return text == "True"
        if issubclass(self.kind, enum.Enum):
            return self.kind[text]
        return FloatRange(*json.loads(text)) if self.kind is FloatRange else self.kind(text)

    def write(self, node: slicer.vtkMRMLScriptedModuleNode, name: str, value: Any) -> None:
        self.check(value, name)
        if self.is_node():
            # None is a value as well, so that a parameter of this name says that there is one.
            node.SetParameter(name, "")
            node.SetNodeReferenceID(name, value.GetID() if value is not None else None)
        elif self.kind in (bool, type(None)):
            node.SetParameter(name, "True" if value or value is None else "False")
        elif issubclass(self.kind, enum.Enum):
            node.SetParameter(name, value.name)
        elif self.kind is FloatRange:
            node.SetParameter(name, json.dumps([value.minimum, value.maximum]))
        else:
            node.SetParameter(name, str(value))

    def remove(self, node: slicer.vtkMRMLScriptedModuleNode, name: str) -> None:
        node.UnsetParameter(name)
        if self.is_node():
            node.RemoveNodeReferenceIDs(name)


@dataclass(frozen=True)
class Union:
    """Values of several types: the parameter's name with the number of the type tells which one it is."""

    kinds: tuple[Stored, ...]
    notes: tuple

    def is_node(self) -> bool:
        return all(kind.is_node() or kind.kind is type(None) for kind in self.kinds)

    def default(self) -> Any:
        return None if len(self.kinds) == 2 and self.kinds[1].kind is type(None) else self.kinds[0].default()

    def is_in(self, node, name):
        return any(kind.is_in(node, f"{name}.{number}") for number, kind in enumerate(self.kinds))

    def read(self, node, name):
        for number, kind in enumerate(self.kinds):
            if kind.is_in(node, f"{name}.{number}"):
                return kind.read(node, f"{name}.{number}")
        raise KeyError(name)

    def write(self, node, name, value):
        for note in self.notes:
            if isinstance(note, Validator):
                note.validate(value)
        problem: Exception = TypeError(f"parameter {name} has no type for {value!r}")
        for number, kind in enumerate(self.kinds):
            if not kind.takes(type(value)):
                continue
            try:
                kind.check(value, name)
            except (TypeError, ValueError) as error:
                problem = error
                continue
            modified = node.StartModify()
            self.remove(node, name)
            kind.write(node, f"{name}.{number}", value)
            node.EndModify(modified)
            return
        raise problem

    def remove(self, node, name):
        for number, kind in enumerate(self.kinds):
            kind.remove(node, f"{name}.{number}")


@dataclass(frozen=True)
class Parameter:
    """What is known of one parameter."""

    name: str
    stored: Stored | Union
    notes: tuple
    default: Any

    @property
    def kind(self) -> Any:
        """Its type; None for a union."""
        return self.stored.kind if isinstance(self.stored, Stored) else None

    def read(self, node: slicer.vtkMRMLScriptedModuleNode) -> Any:
        if not self.stored.is_in(node, self.name):
            self.write(node, self.default)
        return self.stored.read(node, self.name)

    def write(self, node: slicer.vtkMRMLScriptedModuleNode, value: Any) -> None:
        self.stored.write(node, self.name, value)

    def node_types(self) -> list[str]:
        """The node classes, for which Slicer makes an object of each.

        Raises:
            TypeError: If one of them is abstract.
        """
        kinds = self.stored.kinds if isinstance(self.stored, Union) else (self.stored,)
        return [kind.kind().GetClassName() for kind in kinds if kind.is_node()]


class Value:
    """One parameter of one wrapper, kept until the node says that it was modified."""

    def __init__(self, parameter: Parameter, node: slicer.vtkMRMLScriptedModuleNode):
        self.parameter, self._node = parameter, node
        self._value = parameter.read(node)
        self._writing = False
        # A strong reference would keep the wrapper alive as long as the node.
        own = weakref.ref(self)
        self._tag = node.AddObserver(vtk.vtkCommand.ModifiedEvent, lambda caller, event: own()._on_modified())

    def __del__(self):
        if hasattr(self, "_tag"):
            self._node.RemoveObserver(self._tag)

    def _on_modified(self) -> None:
        if not self._writing:
            self._value = self.parameter.read(self._node)

    def read(self) -> Any:
        return self._value

    def write(self, value: Any) -> None:
        self._writing = True
        modified = self._node.StartModify()
        try:
            self.parameter.write(self._node, value)
            self._value = self.parameter.read(self._node)
        finally:
            self._node.EndModify(modified)
            self._writing = False


def _stored(name: str, hint: Any, notes: tuple = ()) -> Stored | Union:
    if typing.get_origin(hint) is typing.Annotated:
        hint, *more = typing.get_args(hint)
        notes = (*more, *notes)
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        return Union(tuple(_stored(name, kind) for kind in typing.get_args(hint)), notes)
    known = hint in (bool, int, float, str, FloatRange, type(None), *PATHS)
    if not known and not (isinstance(hint, type) and issubclass(hint, (enum.Enum, slicer.vtkMRMLNode))):
        raise ValueError(f"parameter {name}: the fake Slicer has no {hint}")
    return Stored(hint, notes)


def _parameter(name: str, hint: Any, wrapped: type) -> Parameter:
    notes = typing.get_args(hint)[1:] if typing.get_origin(hint) is typing.Annotated else ()
    stored = _stored(name, hint)
    defaults = [note.value for note in notes if isinstance(note, Default)]
    if hasattr(wrapped, name):
        return Parameter(name, stored, notes, getattr(wrapped, name))
    return Parameter(name, stored, notes, defaults[0] if defaults else stored.default())


class _Wrapper:
    """What every wrapped class gets; its instances allow no attribute that is no parameter."""

    def __init__(self, parameterNode: slicer.vtkMRMLScriptedModuleNode):
        if not isinstance(parameterNode, slicer.vtkMRMLScriptedModuleNode):
            raise TypeError("a parameter node wrapper needs a vtkMRMLScriptedModuleNode")
        object.__setattr__(self, "parameterNode", parameterNode)
        object.__setattr__(self, "_bindings", {})
        object.__setattr__(self, "_next_tag", 0)
        object.__setattr__(self, "_updating", False)
        values = {name: Value(parameter, parameterNode) for name, parameter in self.allParameters.items()}
        object.__setattr__(self, "_values", values)

    def __setattr__(self, name: str, value: Any) -> None:
        if not isinstance(getattr(type(self), name, None), property):
            raise AttributeError(f"{type(self).__name__} has no parameter {name}")
        object.__setattr__(self, name, value)

    def _parameter(self, name: str) -> Value:
        if name not in self._values:
            raise ValueError(f"{type(self).__name__} has no parameter {name}")
        return self._values[name]

    def getValue(self, name: str) -> Any:
        return self._parameter(name).read()

    def setValue(self, name: str, value: Any) -> None:
        self._parameter(name).write(value)

    def default(self, name: str) -> Default:
        return Default(self._parameter(name).parameter.default)

    def connectGui(self, gui: Any) -> int:
        """Bind every widget that has the property SlicerParameterName; returns a tag for `disconnectGui`."""
        return self.connectParametersToGui(connectors.named_widgets(gui))

    def connectParametersToGui(self, mapping: dict[str, Any]) -> int:
        """Bind widgets by parameter name."""
        unknown = sorted(set(mapping) - set(self.allParameters))
        if unknown:
            raise ValueError(f"{type(self).__name__} has no parameter {', '.join(unknown)}, which the panel names")
        tag = self._next_tag
        object.__setattr__(self, "_next_tag", tag + 1)
        self._bindings[tag] = connectors.Binding(self, {self.allParameters[n]: w for n, w in mapping.items()})
        return tag

    def disconnectGui(self, tag: int) -> None:
        """Undo `connectGui`."""
        self._bindings.pop(tag).close()

    def AddObserver(self, event, callback, priority=0.0):
        return self.parameterNode.AddObserver(event, callback, priority)

    def RemoveObserver(self, tag):
        self.parameterNode.RemoveObserver(tag)

    def Modified(self):
        self.parameterNode.Modified()

    def StartModify(self):
        return self.parameterNode.StartModify()

    def EndModify(self, before):
        return self.parameterNode.EndModify(before)


def _accessor(name: str) -> property:
    return property(lambda self: self.getValue(name), lambda self, value: self.setValue(name, value))


def parameterNodeWrapper(wrapped: type) -> type:
    """Turn a class of type hints into a wrapper of a parameter node.

    Raises:
        ValueError: If it uses a name that every wrapper has.
    """
    hints = typing.get_type_hints(wrapped, include_extras=True)
    parameters = {name: _parameter(name, hint, wrapped) for name, hint in hints.items()}
    own = {name: value for name, value in vars(wrapped).items() if name not in ("__dict__", "__weakref__")}
    if taken := sorted(RESERVED & {*own, *parameters}):
        raise ValueError(f"a parameterNodeWrapper must not use the reserved name {', '.join(taken)}")
    own.update({name: _accessor(name) for name in parameters})
    own["allParameters"] = parameters
    return type(wrapped.__name__, (_Wrapper,), own)


PUBLIC = (
    *(Choice, Decimals, Default, Exclude, FloatRange, Maximum, Minimum, NotNone, RangeBounds, SingleStep),
    *(Validator, WithinRange, parameterNodeWrapper),
)
