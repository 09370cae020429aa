"""Connecting signals as PythonQt does: by the signal's C++ signature, which must exist, with arguments trimmed."""

from __future__ import annotations

import types
from typing import Any
from weakref import ReferenceType, ref

from PySide6 import QtCore
from shiboken6 import Shiboken

from .conversion import Wrapped, to_python
from .errors import guarded, report

# Signals of Qt 6 that Qt 5.15, which Slicer is built with, does not have.
ONLY_QT6 = {"checkStateChanged(Qt::CheckState)"}
# Connections of objects that belong to Qt, whose PySide6 wrappers would otherwise be forgotten with their lists.
_kept: dict[int, Any] = {}
# The signals of each class.
_offered: dict[type, dict[str, str]] = {}
# All objects with connections.
_connected: dict[int, ReferenceType[QtCore.QObject]] = {}


def aliases(cls: type, kind: str) -> dict[str, str]:
    """C++ signatures that a stand-in offers in place of those PySide6 gave it, gathered from its base classes too."""
    merged: dict[str, str] = {}
    for base in reversed(cls.__mro__):
        merged.update(vars(base).get(kind, {}))
    return merged


def signal_signatures(obj: QtCore.QObject) -> dict[str, str]:
    """The signatures of all signals of an object and what PySide6 calls them."""
    if type(obj) not in _offered:
        own, meta = aliases(type(obj), "_signal_aliases"), obj.metaObject()
        methods = [meta.method(index) for index in range(meta.methodCount())]
        names = [bytes(m.methodSignature().data()).decode() for m in methods if m.methodType() == m.MethodType.Signal]
        offered = {name: name for name in names if name not in ONLY_QT6 and "PyObject" not in name and name[0] != "_"}
        _offered[type(obj)] = {**offered, **own}
    return _offered[type(obj)]


def find_signal(obj: QtCore.QObject, signature: str) -> str:
    """What PySide6 calls a signal.

    Raises:
        ValueError: If the object has no such signal.
    """
    normalised = bytes(QtCore.QMetaObject.normalizedSignature(signature).data()).decode()
    known = signal_signatures(obj)
    if normalised not in known:
        name = normalised.partition("(")[0]
        similar = ", ".join(sorted(other for other in known if other.partition("(")[0] == name)) or "none of this name"
        problem = f"QObject::connect() signal '{signature}' does not exist on {class_name(obj)}"
        raise ValueError(f"{problem} ({obj.objectName()}); there is: {similar}")
    return known[normalised]


def class_name(obj: QtCore.QObject) -> str:
    """The C++ class name of an object."""
    return obj.metaObject().className()


def wanted_arguments(function: Any) -> int | None:
    """How many positional arguments PythonQt passes to a callable at most; None for all."""
    bound = isinstance(function, types.MethodType)
    function = function.__func__ if bound else function
    if not isinstance(function, types.FunctionType) or function.__code__.co_flags & 0x04:
        return None
    return function.__code__.co_argcount - bound


def connect(obj: QtCore.QObject, signature: str, function: Any) -> bool:
    """Call a function whenever a signal is emitted; True.

    Raises:
        ValueError: If the object has no such signal.
        TypeError: If there is nothing to call.
    """
    native = find_signal(obj, signature)
    if isinstance(function, Wrapped) or not callable(function):
        raise TypeError(f"connect('{signature}', …) needs a Python callable, not {function!r}")
    count = wanted_arguments(function)
    call = guarded(lambda *arguments: function(*(to_python(value) for value in arguments[:count])))

    def receive(*arguments):
        call(*arguments)

    QtCore.QObject.connect(obj, QtCore.SIGNAL(native), receive)
    _connections(obj).append((native, function, receive))
    return True


def disconnect(obj: QtCore.QObject, signature: str, function: Any = None) -> bool:
    """Undo `connect`, for one function or for all; True if there was anything to undo."""
    if not Shiboken.isValid(obj):
        # PySide6 gives the children of a widget up before it says that the widget is destroyed; in Slicer they are
        # still there at that time.
        return False
    native = find_signal(obj, signature)
    entries = _connections(obj)
    chosen = [entry for entry in entries if entry[0] == native and (function is None or entry[1] == function)]
    for entry in chosen:
        QtCore.QObject.disconnect(obj, QtCore.SIGNAL(native), entry[2])
        entries.remove(entry)
    return bool(chosen)


def emit(obj: QtCore.QObject, name: str, arguments: tuple) -> None:
    """Emit a signal by name, as calling it in PythonQt does."""
    getattr(obj, name).emit(*arguments)


def connect_slot(sender: QtCore.QObject, signature: str, receiver: QtCore.QObject, slot: str) -> None:
    """Connect a signal to a slot of another object, as a .ui file's <connections> do.

    Raises:
        ValueError: If signal or slot do not exist, or do not fit together.
    """
    native = find_signal(sender, signature)
    if not QtCore.QMetaObject.checkConnectArgs(signature, slot):
        raise ValueError(f"slot {slot} of {receiver.objectName()} does not take what {signature} gives")
    offered = aliases(type(receiver), "_slot_aliases")
    normalised = bytes(QtCore.QMetaObject.normalizedSignature(slot).data()).decode()
    if normalised in offered:
        method = getattr(receiver, offered[normalised])
    elif receiver.metaObject().indexOfMethod(normalised) >= 0:
        method = getattr(receiver, normalised.partition("(")[0])
    else:
        raise ValueError(f"slot '{slot}' does not exist on {class_name(receiver)} ({receiver.objectName()})")
    count = 0 if normalised.endswith("()") else normalised.count(",") + 1

    def receive(*arguments):
        try:
            method(*arguments[:count])
        except Exception as error:
            report(error)

    QtCore.QObject.connect(sender, QtCore.SIGNAL(native), receive)
    _connections(sender).append((native, method, receive))


def forget_all() -> None:
    """Undo all connections: through one, Qt holds a function and all that it belongs to, unseen by Python."""
    for reference in list(_connected.values()):
        obj = reference()
        if obj is None:
            continue
        for native, _function, receive in obj._fake_connections:
            if Shiboken.isValid(obj):
                QtCore.QObject.disconnect(obj, QtCore.SIGNAL(native), receive)
        obj._fake_connections.clear()
    _connected.clear()
    _kept.clear()


def _connections(obj: QtCore.QObject) -> list:
    if not Shiboken.ownedByPython(obj):
        _kept[id(obj)] = obj
    if not hasattr(obj, "_fake_connections"):
        obj._fake_connections = []
        _connected[id(obj)] = ref(obj)
    return obj._fake_connections
