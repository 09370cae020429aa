"""PySide6 objects and classes under PythonQt's rules.

Qt properties are attributes and cannot be called; other members are methods; nothing else can be read, and nothing
that is no property can be set.
"""

from __future__ import annotations

import enum
from typing import Any
from weakref import WeakValueDictionary

from PySide6 import QtCore
from shiboken6 import Shiboken

from . import signals
from .conversion import Wrapped, set_wrapper, to_python, to_qt

# Members that PySide6 adds to Qt's.
ONLY_PYSIDE = {"staticMetaObject", "emit", "tr", "receivers", "sender", "senderSignalIndex", "isSignalConnected"}
# (class, member) -> what to call in place of Qt's own; instance members get the PySide6 object first.
static_replacements: dict[tuple[str, str], Any] = {}
member_replacements: dict[tuple[str, str], Any] = {}
# (class, property) -> what to call with the PySide6 object after a script has set it.
after_setting: dict[tuple[str, str], Any] = {}
# Class -> what makes an object of it in place of Qt's own constructor.
constructors: dict[str, Any] = {}
_alive: WeakValueDictionary[int, Object] = WeakValueDictionary()
_properties: dict[type, dict[str, QtCore.QMetaProperty]] = {}
_classes: dict[type, Class] = {}


class Object(Wrapped):
    """An object of Qt as a script in Slicer sees it."""

    __slots__ = ()

    def __new__(cls, obj):
        known = _alive.get(id(obj)) if isinstance(obj, QtCore.QObject) else None
        if known is not None and known._object is obj:
            return known
        self = Wrapped.__new__(cls)
        object.__setattr__(self, "_object", obj)
        if isinstance(obj, QtCore.QObject):
            _alive[id(obj)] = self
        return self

    def __getattr__(self, name: str) -> Any:
        obj = object.__getattribute__(self, "_object")
        if not Shiboken.isValid(obj):
            raise ValueError(f"Trying to use '{name}' of a destroyed {type(obj).__name__} object")
        if name in properties_of(obj):
            return to_python(obj.property(name))
        replacement = _replacement(member_replacements, type(obj), name)
        if replacement is not None:
            return _method(lambda *arguments: replacement(obj, *arguments), name, convert=False)
        if isinstance(obj, QtCore.QObject) and name.encode() in [bytes(n.data()) for n in obj.dynamicPropertyNames()]:
            return to_python(obj.property(name))
        if name.startswith("_") or name in ONLY_PYSIDE or not hasattr(type(obj), name):
            raise AttributeError(f"{self!r} has no attribute named '{name}'")
        value = getattr(type(obj), name)
        if isinstance(value, QtCore.Signal):
            return lambda *arguments: signals.emit(obj, name, tuple(to_qt(argument) for argument in arguments))
        if isinstance(value, (enum.Enum, enum.EnumMeta, int)):
            return value
        return _method(getattr(obj, name), name)

    def __setattr__(self, name: str, value: Any) -> None:
        obj = self._object
        if not Shiboken.isValid(obj):
            raise ValueError(f"Trying to set '{name}' of a destroyed {type(obj).__name__} object")
        known = properties_of(obj)
        if name not in known:
            problem = f"Attribute '{name}' does not exist on {self!r} and can't be set"
            raise AttributeError(f"{problem}; is it a method?" if hasattr(type(obj), name) else problem)
        if not known[name].isWritable():
            raise AttributeError(f"Property '{name}' of {self!r} is read-only")
        if value is None or not obj.setProperty(name, to_qt(value)):
            kind = known[name].typeName()
            raise ValueError(f"Property '{name}' of type '{kind}' does not accept {value!r}")
        followed = _replacement(after_setting, type(obj), name)
        if followed is not None:
            followed(obj)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Wrapped):
            return NotImplemented
        if isinstance(self._object, QtCore.QObject):
            return self._object is other._object
        return bool(self._object == other._object)

    def __hash__(self) -> int:
        return id(self._object) if isinstance(self._object, QtCore.QObject) else hash(self._object)

    def __repr__(self) -> str:
        return f"{type(self._object).__name__} (C++ object)"

    def connect(self, signal: str, *receiver: Any) -> bool:
        """Connect to a Python callable, or to a slot of another object given as (object, "slot()")."""
        if len(receiver) == 2:
            signals.connect_slot(self._object, signal, to_qt(receiver[0]), receiver[1])
            return True
        return signals.connect(self._object, signal, *receiver)

    def disconnect(self, signal: str, *function: Any) -> bool:
        """Undo `connect`."""
        return signals.disconnect(self._object, signal, *function)

    def className(self) -> str:
        """The C++ class."""
        return type(self._object).__name__

    def delete(self) -> None:
        """Destroy the object now."""
        Shiboken.delete(self._object)

    def findChild(self, kind: Any, name: str = "") -> Any:
        """The first child of a class, given as class or name, and of a name if there is one."""
        return next(iter(self.findChildren(kind, name)), None)

    def findChildren(self, kind: Any, name: str = "") -> tuple:
        """All children of a class, given as class or name, and of a name if there is one."""
        wanted = kind if isinstance(kind, str) else kind._object.__name__
        children = self._object.findChildren(QtCore.QObject)
        chosen = [c for c in children if wanted in [b.__name__ for b in type(c).__mro__] or c.inherits(wanted)]
        return tuple(Object(child) for child in chosen if not name or child.objectName() == name)


class Class(Wrapped):
    """A class of Qt as a script in Slicer sees it: constructor, enumerators and static functions."""

    __slots__ = ()

    def __new__(cls, wrapped: type):
        if wrapped not in _classes:
            self = Wrapped.__new__(cls)
            object.__setattr__(self, "_object", wrapped)
            _classes[wrapped] = self
        return _classes[wrapped]

    def __call__(self, *arguments: Any) -> Any:
        make = constructors.get(self._object.__name__, self._object)
        return to_python(make(*(to_qt(argument) for argument in arguments)))

    def __getattr__(self, name: str) -> Any:
        wrapped = self._object
        replacement = _replacement(static_replacements, wrapped, name)
        if replacement is not None:
            return _method(replacement, name, convert=False)
        if name.startswith("_") or name in ONLY_PYSIDE or not hasattr(wrapped, name):
            raise AttributeError(f"type object '{wrapped.__name__}' has no attribute '{name}'")
        value = getattr(wrapped, name)
        if isinstance(value, type) and issubclass(value, Shiboken.Object):
            return Class(value)
        return _method(value, name) if callable(value) and not isinstance(value, type) else value

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError(f"Attribute '{name}' of {self!r} can't be set")

    def __instancecheck__(self, instance: Any) -> bool:
        return isinstance(getattr(instance, "_object", None), self._object)

    def __mro_entries__(self, bases: tuple) -> tuple:
        raise TypeError(f"the fake Slicer offers no Python subclasses of {self._object.__name__}; compose instead")

    def __repr__(self) -> str:
        return f"<class '{self._object.__name__}' of Qt>"


def properties_of(obj: Any) -> dict[str, QtCore.QMetaProperty]:
    """The Qt properties of an object by name."""
    if not isinstance(obj, QtCore.QObject):
        return {}
    if type(obj) not in _properties:
        meta = obj.metaObject()
        entries = [meta.property(index) for index in range(meta.propertyCount())]
        _properties[type(obj)] = {entry.name(): entry for entry in entries}
    return _properties[type(obj)]


def _replacement(table: dict[tuple[str, str], Any], cls: type, name: str) -> Any:
    return next((table[base.__name__, name] for base in cls.__mro__ if (base.__name__, name) in table), None)


def _method(function: Any, name: str, convert: bool = True) -> Any:
    """A function of Qt with its arguments and result converted."""

    def call(*arguments):
        return to_python(function(*(to_qt(argument) if convert else argument for argument in arguments)))

    call.__name__ = call.__qualname__ = name
    return call


set_wrapper(Object)
