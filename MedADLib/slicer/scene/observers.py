"""Observers of VTK objects that end with their owner."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

import vtk


class Observers:
    """Observers that are removed together.

    Methods are referenced weakly: an owner deleted without `clear` is neither called nor kept alive.
    """

    def __init__(self) -> None:
        self._added: list[tuple[Any, int]] = []

    def add(self, observed: Any, event: Any, method: Callable[..., None]) -> None:
        """Call a bound method on an event of a VTK object.

        Args:
            observed: The object.
            event: Number or name of the event.
            method: Called with (caller, event name), and with the event's data if it is decorated by
                ``vtk.calldata_type``.
        """
        reference, tag = weakref.WeakMethod(method), 0

        def call(caller: Any, name: str, *data: Any) -> None:
            owner = reference()
            if owner is not None:
                owner(caller, name, *data)
            # VTK passes None while it destroys the object.
            elif caller is not None:
                caller.RemoveObserver(tag)

        kind = getattr(method, "CallDataType", None)
        call = call if kind is None else vtk.calldata_type(kind)(call)
        tag = observed.AddObserver(event, call)
        self._added.append((observed, tag))

    def clear(self, observed: Any = None) -> None:
        """Remove the observers of one object, or of all."""
        for other, tag in self._added:
            if observed is None or other is observed:
                other.RemoveObserver(tag)
        self._added = [] if observed is None else [pair for pair in self._added if pair[0] is not observed]
