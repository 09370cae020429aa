"""Stand-in for slicer.parameterNodeWrapper: typed parameters in a scripted module node, after its documentation.

Kept to bool, int, float, str, Enum, paths, FloatRange and nodes, with the documented validators and annotations.
"""

from __future__ import annotations

import enum
import json
import pathlib
import types
import typing
from dataclasses import dataclass
from typing import Any

import slicer

from . import connectors

TAKES_NODE = "a node of class {}"


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
        ends = (value.minimum, value.maximum) if isinstance(value, FloatRange) else (value,)
        if not all(self.minimum <= end <= self.maximum for end in ends):
            raise ValueError(f"{value} is not within [{self.minimum}, {self.maximum}]")


class Choice(Validator):
    def __init__(self, choices):
        self.choices = tuple(choices)

    def validate(self, value):
        if value not in self.choices:
            raise ValueError(f"{value!r} is none of {self.choices}")


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
class Parameter:
    """What is known of one parameter."""

    name: str
    kind: type
    notes: tuple
    default: Any

    def is_node(self) -> bool:
        return isinstance(self.kind, type) and issubclass(self.kind, slicer.vtkMRMLNode)

    def check(self, value: Any) -> Any:
        """The value to store.

        Raises:
            TypeError: If it is of another kind.
            ValueError: If a validator refuses it.
        """
        if self.is_node():
            fits = value is None or isinstance(value, self.kind)
        elif self.kind is float:
            fits = isinstance(value, (int, float)) and not isinstance(value, bool)
            value = float(value) if fits else value
        elif self.kind is int:
            fits = isinstance(value, int) and not isinstance(value, bool)
        else:
            fits = isinstance(value, self.kind)
        if not fits:
            raise TypeError(f"parameter {self.name} takes {self.kind.__name__}, not {value!r}")
        for note in self.notes:
            if isinstance(note, Validator):
                note.validate(value)
        return value

    def read(self, node: slicer.vtkMRMLScriptedModuleNode) -> Any:
        if self.is_node():
            return node.GetNodeReference(self.name)
        text = node.GetParameter(self.name)
        if self.kind is bool:
            return text == "true"
        if issubclass(self.kind, enum.Enum):
            return self.kind[text]
        return FloatRange(*json.loads(text)) if self.kind is FloatRange else self.kind(text)

    def write(self, node: slicer.vtkMRMLScriptedModuleNode, value: Any) -> None:
        if self.is_node():
            node.SetNodeReferenceID(self.name, value.GetID() if value is not None else None)
        elif self.kind is bool:
            node.SetParameter(self.name, "true" if value else "false")
        elif issubclass(self.kind, enum.Enum):
            node.SetParameter(self.name, value.name)
        elif self.kind is FloatRange:
            node.SetParameter(self.name, json.dumps([value.minimum, value.maximum]))
        else:
            node.SetParameter(self.name, repr(value) if self.kind is float else str(value))


def _unspecified(kind: type) -> Any:
    if issubclass(kind, enum.Enum):
        return next(iter(kind))
    if issubclass(kind, slicer.vtkMRMLNode):
        return None
    if kind is FloatRange:
        raise ValueError("a FloatRange needs a default")
    return kind()


def _parameter(name: str, hint: Any, given: Any) -> Parameter:
    notes = ()
    if typing.get_origin(hint) is typing.Annotated:
        hint, *notes = typing.get_args(hint)
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        hint = next(kind for kind in typing.get_args(hint) if kind is not type(None))
    known = (bool, int, float, str, FloatRange, enum.Enum, pathlib.PurePath, slicer.vtkMRMLNode)
    if not isinstance(hint, type) or not issubclass(hint, known):
        raise ValueError(f"parameter {name}: the bench has no {hint}")
    defaults = [note.value for note in notes if isinstance(note, Default)] + ([] if given is None else [given])
    choice = next((note for note in notes if isinstance(note, Choice)), None)
    default = defaults[0] if defaults else choice.choices[0] if choice else _unspecified(hint)
    parameter = Parameter(name, hint, tuple(notes), default)
    if not (parameter.is_node() and default is None):
        parameter.check(default)
    return parameter


class _Wrapper:
    """What every wrapped class gets; its instances allow no attribute that is no parameter."""

    def __init__(self, parameterNode: slicer.vtkMRMLScriptedModuleNode):
        if not isinstance(parameterNode, slicer.vtkMRMLScriptedModuleNode):
            raise TypeError("a parameter node wrapper needs a vtkMRMLScriptedModuleNode")
        object.__setattr__(self, "parameterNode", parameterNode)
        object.__setattr__(self, "_bindings", {})
        modified = parameterNode.StartModify()
        there = (parameterNode.GetParameterNamesAsCommaSeparatedList() or "").split(",")
        for parameter in self.allParameters.values():
            if not parameter.is_node() and parameter.name not in there:
                parameter.write(parameterNode, parameter.default)
        parameterNode.EndModify(modified)

    def __setattr__(self, name: str, value: Any) -> None:
        if not isinstance(getattr(type(self), name, None), property):
            raise AttributeError(f"{type(self).__name__} has no parameter {name}")
        object.__setattr__(self, name, value)

    def connectGui(self, gui: Any) -> int:
        """Bind every widget that has the property SlicerParameterName; returns a tag for `disconnectGui`."""
        return self.connectParametersToGui(connectors.named_widgets(gui))

    def connectParametersToGui(self, mapping: dict[str, Any]) -> int:
        """Bind widgets by parameter name."""
        unknown = sorted(set(mapping) - set(self.allParameters))
        if unknown:
            raise ValueError(f"{type(self).__name__} has no parameter {', '.join(unknown)}, which the panel names")
        tag = max(self._bindings, default=0) + 1
        self._bindings[tag] = connectors.Binding(self, {self.allParameters[n]: w for n, w in mapping.items()})
        return tag

    def disconnectGui(self, tag: int) -> None:
        """Undo `connectGui`."""
        self._bindings.pop(tag).close()

    def AddObserver(self, event, callback, priority=0.0):
        return self.parameterNode.AddObserver(event, callback, priority)

    def RemoveObserver(self, tag):
        self.parameterNode.RemoveObserver(tag)

    def HasObserver(self, event, *more):
        return self.parameterNode.HasObserver(event, *more)

    def Modified(self):
        self.parameterNode.Modified()

    def StartModify(self):
        return self.parameterNode.StartModify()

    def EndModify(self, before):
        return self.parameterNode.EndModify(before)


def _accessor(parameter: Parameter) -> property:
    def get(self):
        return parameter.read(self.parameterNode)

    def put(self, value):
        value = parameter.check(value)
        if value != parameter.read(self.parameterNode):
            parameter.write(self.parameterNode, value)

    return property(get, put)


def parameterNodeWrapper(wrapped: type) -> type:
    """Turn a class of type hints into a wrapper of a parameter node."""
    hints = typing.get_type_hints(wrapped, include_extras=True)
    parameters = {name: _parameter(name, hint, wrapped.__dict__.get(name)) for name, hint in hints.items()}
    own = {name: value for name, value in vars(wrapped).items() if name not in ("__dict__", "__weakref__")}
    own.update({name: _accessor(parameter) for name, parameter in parameters.items()})
    own["allParameters"] = parameters
    return type(wrapped.__name__, (_Wrapper,), own)


PUBLIC = (
    *(Choice, Decimals, Default, FloatRange, Maximum, Minimum, NotNone, SingleStep, Validator, WithinRange),
    parameterNodeWrapper,
)
