"""Whether the place of a trained model takes it, asked before the training, which may last for days."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .errors import OutputError
from .staging import writable_folder

# What a model may take that ships; the write itself asks for what it needs.
ROOM_FOR_MODEL = 20e6


@contextmanager
def place_for_model(path: Path) -> Iterator[None]:
    """Prove that a model can be written before the block is entered.

    A folder that had to be created is removed again if the block fails and nothing was put into it.

    Args:
        path: The model file to be written.

    Raises:
        OutputError: If a folder is there, its own folder cannot be written, or the disk is full.
    """
    if path.is_dir():
        raise OutputError(f"{path} is a folder", "Give the name of a file.")
    with writable_folder(path.parent):
        free = shutil.disk_usage(path.parent).free
        if free < ROOM_FOR_MODEL:
            problem = f"the disk of {path.parent} has {free / 1e6:.0f} MB left, and a model takes up to "
            raise OutputError(f"{problem}{ROOM_FOR_MODEL / 1e6:.0f} MB", "Make room, or give -o on another disk.")
        yield
