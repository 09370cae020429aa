"""The models that the worker holds in memory."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from .modelfile import find_model

MODELS_KEPT = 3


class Models:
    """The models used last, each loaded once as long as its file stays the same.

    Args:
        load_model: None for `MedADLib.load_model`.
    """

    def __init__(self, load_model: Callable[..., Any] | None):
        self._load_model = load_model
        self._kept: OrderedDict[tuple, Any] = OrderedDict()

    def get(self, name: str) -> tuple[Any, bool]:
        """The model, and whether it was there already.

        Raises:
            ModelError: If it is missing or cannot be used.
        """
        path = find_model(name)
        try:
            facts = path.stat()
            key = (str(path.resolve()), facts.st_mtime_ns, facts.st_size)
        except OSError:
            key = None  # loading says what is wrong with it
        if key in self._kept:
            self._kept.move_to_end(key)
            return self._kept[key], True
        load_model = self._load_model
        if load_model is None:
            from .modelfile import load_model
        model = load_model(path)
        if key is not None:
            self._kept[key] = model
        while len(self._kept) > MODELS_KEPT:
            self._kept.popitem(last=False)
        return model, False
