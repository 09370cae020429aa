"""Write files atomically: complete or not at all, one file or several together; a failed run leaves nothing."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from ..errors import OutputError

PREFIX = ".medad-"

_lock = threading.RLock()
_created: list[Path] = []
_staged: list[Path] = []

# Prefix of a single file before it has its name.
PARTIAL = ".partial-"

# Bytes allowed for a model that ships with MedAD.
MODEL_BYTES = 20e6


@contextmanager
def replacing(path: Path, durable: bool = False) -> Iterator[Path]:
    """Give the path to write a file to, and move the file to its name after the block; an older file is replaced.

    Args:
        path: The file. The temporary one lies beside it and has the same suffix.
        durable: Whether the content must reach the disk before the move, so that it survives a crash of the computer.

    Raises:
        OSError: If the file cannot be written or moved. No partial file remains and an older file stays, as after any
            error of the block.
    """
    path = Path(path)
    partial = path.with_name(f"{PARTIAL}{secrets.token_hex(4)}-{path.name}")
    try:
        yield partial
        if durable:
            with partial.open("rb+") as stream:
                os.fsync(stream.fileno())
        os.replace(partial, path)
    finally:
        with suppress(OSError):
            partial.unlink()


def write_bytes(path: Path, content: bytes, durable: bool = False) -> None:
    """Write a file atomically, see `replacing`."""
    with replacing(path, durable) as partial:
        partial.write_bytes(content)


def write_text(path: Path, text: str) -> None:
    """Write a text file in UTF-8 atomically, see `replacing`."""
    write_bytes(path, text.encode("utf-8"))


def write_json(path: Path, content: Any, indent: int | None = None) -> None:
    """Write a JSON file atomically, see `replacing`."""
    write_text(path, json.dumps(content, indent=indent))


def check_writable(folder: Path) -> list[Path]:
    """Create a folder if it is missing, and test that it can be written.

    Returns:
        The folders that were created, innermost first.

    Raises:
        OutputError: If it cannot be created or written; folders created on the way are removed again.
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
    """Test that a folder can be written before the block computes anything.

    Folders created for it are removed again if the block fails and they are empty.

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
    """Make a hidden folder inside `folder` and remove it at the end.

    It is on the same disk, so that moving a file out of it needs no space and cannot leave half a file.
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
    """Move finished files to their folder; if a move fails, restore the earlier files.

    Args:
        staging: Folder of the finished files, see `staging_folder`.
        folder: Folder to move them to.
        names: Names of the files to move.
        obsolete: Names of files of an earlier run to delete or replace.

    Returns:
        The moved files.

    Raises:
        OSError: If a file cannot be moved; the folder is then as before.
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
    """Remove the staging folders and new empty folders of this process, just before it is ended.

    Files already moved to their folder are complete and stay.
    """
    with _lock:
        for path in _staged:
            shutil.rmtree(path, ignore_errors=True)
        _remove_empty(_created)


def _remove_empty(folders: list[Path]) -> None:
    """Remove the folders, innermost first, that exist and are empty."""
    for path in folders:
        with suppress(OSError):
            path.rmdir()


@contextmanager
def place_for_model(path: Path) -> Iterator[None]:
    """Test that a model can be written before the block, which may train for days.

    Folders created for it are removed again if the block fails and they are empty.

    Raises:
        OutputError: If the path is a folder, its folder cannot be written, or the disk is full.
    """
    if path.is_dir():
        raise OutputError("file_is_folder", path=path)
    with writable_folder(path.parent):
        free = shutil.disk_usage(path.parent).free
        if free < MODEL_BYTES:
            needed = MODEL_BYTES / 1e6
            raise OutputError("no_space_for_model", folder=path.parent, free=free / 1e6, needed=needed)
        yield
