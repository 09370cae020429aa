"""A module's own file reader, called as Slicer calls it when a file is dropped on the application."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any


class ReaderParent:
    """What Slicer gives a scripted file reader."""

    def __init__(self):
        self.loadedNodes: list[str] = []
        self._messages: list[str] = []

    def supportedNameFilters(self, path: str) -> list[str]:
        return []

    def userMessages(self) -> ReaderParent:
        return self

    def addMessage(self, kind: Any, text: str, *more: Any) -> None:
        self._messages.append(text)


def matches(extensions: list[str], path: Path) -> bool:
    """Whether a reader's filters, such as "MedAD model (*.medad)", name the kind of a file."""
    patterns = [pattern for entry in extensions for pattern in re.findall(r"\*(\.[\w.]+)", entry)]
    return any(path.name.lower().endswith(pattern.lower()) for pattern in patterns)


def load_with_reader(modules: dict[str, Any], path: Path, file_type: str | None) -> bool:
    """Load a file with the first reader that takes it.

    Args:
        modules: Python modules by name; the reader of NAME is its class NAMEFileReader.
        path: The file.
        file_type: What the reader must call its files; None for anything.

    Returns:
        Whether a reader took it and says that it could load it.
    """
    for name, module in modules.items():
        kind = getattr(module, f"{name}FileReader", None)
        if kind is None:
            continue
        parent = ReaderParent()
        reader = kind(parent)
        if not isinstance(reader.description(), str) or not isinstance(reader.fileType(), str):
            raise TypeError(f"{name}FileReader: description() and fileType() must give texts")
        if not isinstance(reader.extensions(), list):
            raise TypeError(f"{name}FileReader: extensions() must give a list")
        if file_type not in (None, reader.fileType()) or not matches(reader.extensions(), path):
            continue
        if hasattr(reader, "canLoadFile") and not reader.canLoadFile(str(path)):
            continue
        loaded = reader.load({"fileName": str(path)})
        if not isinstance(loaded, bool):
            # Slicer takes anything else for a failure.
            raise TypeError(f"{name}FileReader: load() must give True or False, not {loaded!r}")
        return loaded
    return False
