"""Write files atomically: prepared aside, then put in place.

Files that appear together or not at all: prepared aside, then put in place; a failed run leaves no trace.

Whether the place of a trained model takes it, asked before the training, which may last for days.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..errors import OutputError

PREFIX = ".medad-"

_lock = threading.RLock()
_created: list[Path] = []
_staged: list[Path] = []

# What a model may take that ships; the write itself asks for what it needs.
ROOM_FOR_MODEL = 20e6


def check_writable(folder: Path) -> list[Path]:
    """Create a folder if need be and write a little to it.

    Returns:
        The folders that were created, innermost first.

    Raises:
        OutputError: If it cannot be created or written; what was created is removed again.
    """
    missing = [path for path in (folder, *folder.parents) if not os.path.lexists(path)]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(prefix=PREFIX, dir=folder) as probe:
            probe.write(bytes(4096))
            probe.flush()
    except OSError as error:
        _remove_empty(missing)
        if isinstance(error, FileExistsError):
            raise OutputError("folder_is_file", folder=folder) from error
        raise OutputError("folder_not_writable", folder=folder, reason=error.strerror or error) from error
    return missing


@contextmanager
def writable_folder(folder: Path) -> Iterator[None]:
    """Prove that a folder can be written before anything is computed.

    Folders that had to be created are removed again if the block fails and nothing was put into them.

    Raises:
        OutputError: If the folder cannot be created or written.
    """
    created = check_writable(folder)
    with _lock:
        _created.extend(created)
    try:
        yield
    except BaseException:
        _remove_empty(created)
        raise
    finally:
        with _lock:
            _created[:] = [path for path in _created if path not in created]


@contextmanager
def staging_folder(folder: Path) -> Iterator[Path]:
    """A hidden folder inside `folder`, removed at the end.

    It is on the same disk, so that moving files out of it takes no space and cannot stop halfway through a file.
    """
    staging = Path(tempfile.mkdtemp(prefix=PREFIX, dir=folder))
    with _lock:
        _staged.append(staging)
    try:
        yield staging
    finally:
        shutil.rmtree(staging, ignore_errors=True)
        with _lock:
            _staged.remove(staging)


def put_in_place(staging: Path, folder: Path, names: list[str], obsolete: list[str]) -> list[Path]:
    """Move finished files to their places; earlier ones come back if a move fails.

    Args:
        staging: Where the files were prepared, see `staging_folder`.
        folder: Where they go.
        names: The files to move.
        obsolete: Files of an earlier run that these replace, whether or not they come again.

    Returns:
        The files in their places.

    Raises:
        OSError: If a file cannot be moved; everything is as it was.
    """
    earlier = staging / "earlier"
    saved: list[str] = []
    moved: list[Path] = []
    with _lock:
        earlier.mkdir()
        try:
            for name in dict.fromkeys([*names, *obsolete]):
                if os.path.lexists(folder / name):
                    os.replace(folder / name, earlier / name)
                    saved.append(name)
                if name in names:
                    os.replace(staging / name, folder / name)
                    moved.append(folder / name)
        except OSError:
            for path in moved:
                path.unlink(missing_ok=True)
            for name in saved:
                os.replace(earlier / name, folder / name)
            raise
    return moved


def abandon() -> None:
    """Remove what unfinished runs of this process have on disk; for a process about to be ended from outside.

    Files already put in place are complete and stay.
    """
    with _lock:
        for path in _staged:
            shutil.rmtree(path, ignore_errors=True)
        _remove_empty(_created)


def _remove_empty(folders: list[Path]) -> None:
    """Remove folders, innermost first, as far as they are there and empty."""
    for path in folders:
        try:
            path.rmdir()
        except OSError:
            continue


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
        raise OutputError("file_is_folder", path=path)
    with writable_folder(path.parent):
        free = shutil.disk_usage(path.parent).free
        if free < ROOM_FOR_MODEL:
            needed = ROOM_FOR_MODEL / 1e6
            raise OutputError("no_space_for_model", folder=path.parent, free=free / 1e6, needed=needed)
        yield
