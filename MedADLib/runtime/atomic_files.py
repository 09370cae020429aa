"""Write files atomically: complete or not at all, one file or several together; a failed run leaves nothing.

A process that is killed leaves its staging folder. The next run that writes into the same folder removes it or, if the
moving of finished files had begun, moves the rest.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import secrets
import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from types import ModuleType
from typing import Any

from ..errors import OutputError

PREFIX = ".medad-"
# A staging folder, as `tempfile.mkdtemp` names it.
STAGING = re.compile(re.escape(PREFIX) + "[a-z0-9_]{8}")
# In a staging folder: the lock of the process that owns it, the files that it replaces, and the list of what to move
# and to delete, from the moment on when all files are finished or, after an error, when they go back.
OWNER, EARLIER, MOVING, MOVING_BACK = "owner.lock", "earlier", "moving.json", "moving-back.json"
# Seconds to wait for another process that moves its files, which takes far less.
PATIENCE = 60.0
# Folders share so many locks, so that their number does not grow.
LOCKS = 256

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


def write_text(path: Path, text: str, durable: bool = False) -> None:
    """Write a text file in UTF-8 atomically, see `replacing`."""
    write_bytes(path, text.encode("utf-8"), durable)


def write_json(path: Path, content: Any, indent: int | None = None, durable: bool = False) -> None:
    """Write a JSON file atomically, see `replacing`."""
    write_text(path, json.dumps(content, indent=indent), durable)


def remove_partial(path: Path) -> None:
    """Remove what killed processes left of a file, in a folder to which no other process writes this file now."""
    beside = re.compile(re.escape(PARTIAL) + "[0-9a-f]{8}-" + re.escape(path.name))
    for partial in path.parent.glob(f"{PARTIAL}*"):
        if beside.fullmatch(partial.name):
            with suppress(OSError):
                partial.unlink()


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
def locked(folder: Path) -> Iterator[None]:
    """Keep other processes that use this lock out of a folder for the short time of the block.

    The lock lies in the user's home, or else in the folder for temporary files, so that none stays among results.
    Blocks of different folders must not be nested.

    Raises:
        OutputError: If another process keeps the lock for a minute.
    """
    if (filelock := _filelock()) is None:
        yield
        return
    real = os.path.normcase(os.path.realpath(folder))
    number = int.from_bytes(hashlib.sha256(os.fsencode(real)).digest()[:4], "big") % LOCKS
    lock = filelock.FileLock(_folder_of_locks() / f"{number}.lock")
    try:
        lock.acquire(timeout=PATIENCE)
    except filelock.Timeout as error:
        raise OutputError("folder_busy", folder=folder, seconds=PATIENCE) from error
    try:
        yield
    finally:
        lock.release()


def _filelock() -> ModuleType | None:
    """Return the package of locks.

    Slicer lacks it until MedAD has installed torch, which needs it. Models can be added and removed there already.
    """
    try:
        import filelock
    except ImportError:
        return None
    return filelock


def _folder_of_locks() -> Path:
    """Return the folder of the locks of this user."""
    for place in (Path(os.path.expanduser("~")) / ".medad", Path(tempfile.gettempdir()) / f"medad-{_user()}"):
        with suppress(OSError):
            (place / "locks").mkdir(parents=True, exist_ok=True)
            if os.access(place / "locks", os.W_OK):
                return place / "locks"
    return Path(tempfile.gettempdir())


def _user() -> str:
    return str(os.getuid()) if hasattr(os, "getuid") else os.environ.get("USERNAME", "user")


@contextmanager
def owned(path: Path) -> Iterator[bool]:
    """Own a lock file during the block if no other process does; the end of the process releases it.

    The file stays, because another process may have opened it already.

    Yields:
        Whether this process owns it.

    Raises:
        OSError: If the file cannot be opened.
    """
    filelock = _filelock()
    lock = filelock and filelock.FileLock(path)
    try:
        if lock is None:
            raise TimeoutError
        lock.acquire(timeout=0)
    except TimeoutError:
        yield False
        return
    try:
        yield True
    finally:
        lock.release()


@contextmanager
def staging_folder(folder: Path) -> Iterator[Path]:
    """Make a hidden folder inside `folder` and remove it at the end, as well as those of dead processes.

    It is on the same disk, so that moving a file out of it needs no space and cannot leave half a file.

    Raises:
        OutputError: See `locked`.
    """
    with ExitStack() as until_removed:
        with locked(folder):
            _sweep(folder)
            staging = Path(tempfile.mkdtemp(prefix=PREFIX, dir=folder))
            owner = ExitStack()
            owner.enter_context(owned(staging / OWNER))
        with _lock:
            _staged.append(staging)
        until_removed.callback(_forget, staging)
        # Windows removes no file that is in use, so the lock goes first.
        until_removed.callback(owner.close)
        yield staging


def _forget(staging: Path) -> None:
    shutil.rmtree(staging, ignore_errors=True)
    with _lock:
        _staged.remove(staging)


def sweep(folder: Path) -> None:
    """Remove what killed processes left in a folder, and complete a result of which they had moved a part.

    Raises:
        OutputError: See `locked`.
        OSError: If a file of such a result cannot be moved.
    """
    if any(STAGING.fullmatch(path.name) for path in folder.glob(f"{PREFIX}*")):
        with locked(folder):
            _sweep(folder)


def _sweep(folder: Path) -> None:
    """Sweep a folder that is locked."""
    for path in sorted(folder.glob(f"{PREFIX}*")):
        if not STAGING.fullmatch(path.name) or path.is_symlink() or not path.is_dir():
            continue
        with ExitStack() as until_completed:
            try:
                dead = until_completed.enter_context(owned(path / OWNER))
            except OSError:
                # It is of another user, or its owner has removed it.
                dead = False
            if dead:
                _complete(path, folder)
        if dead:
            shutil.rmtree(path, ignore_errors=True)


def _complete(staging: Path, folder: Path) -> None:
    """Go on with the moves of a process that was killed while it moved its files."""
    for record, move in ((MOVING, _move), (MOVING_BACK, _move_back)):
        if (staging / record).is_file():
            listed = json.loads((staging / record).read_text(encoding="utf-8"))
            move(staging, folder, listed["names"], listed["obsolete"])
            (staging / record).unlink()


def put_in_place(
    staging: Path, folder: Path, names: list[str], obsolete: list[str], check: Callable[[], None] = lambda: None
) -> list[Path]:
    """Move finished files to their folder together; if a move fails, restore the earlier files.

    A record of the moves is written first. If the process is killed then, the next run completes them, see `sweep`.
    The last file is a marker: it is there only if all others are.

    Args:
        staging: Folder of the finished files, see `staging_folder`.
        folder: Folder to move them to.
        names: Names of the files to move, the marker last.
        obsolete: Names of files of an earlier run to delete or replace.
        check: Called while no other process can write to the folder, before anything is moved; may raise.

    Returns:
        The moved files.

    Raises:
        OSError: If a file cannot be moved; the folder is then as before.
        OutputError: See `locked`.
    """
    with locked(folder), _lock:
        _sweep(folder)
        check()
        (staging / EARLIER).mkdir()
        write_json(staging / MOVING, {"names": names, "obsolete": obsolete})
        try:
            _move(staging, folder, names, obsolete)
        except OSError:
            os.rename(staging / MOVING, staging / MOVING_BACK)
            _move_back(staging, folder, names, obsolete)
            (staging / MOVING_BACK).unlink()
            raise
        (staging / MOVING).unlink()
    return [folder / name for name in names]


def _move(staging: Path, folder: Path, names: list[str], obsolete: list[str]) -> None:
    """Move files in, and earlier ones aside, the marker of the earlier ones first; may be repeated."""
    for name in dict.fromkeys([*names[::-1], *obsolete]):
        # A file that is not in the staging folder any more has been moved to its place.
        if os.path.lexists(folder / name) and (name not in names or os.path.lexists(staging / name)):
            os.replace(folder / name, staging / EARLIER / name)
    for name in names:
        if os.path.lexists(staging / name):
            os.replace(staging / name, folder / name)


def _move_back(staging: Path, folder: Path, names: list[str], obsolete: list[str]) -> None:
    """Undo `_move`, the marker of the earlier files last; may be repeated."""
    for name in names[::-1]:
        if not os.path.lexists(staging / name) and os.path.lexists(folder / name):
            os.replace(folder / name, staging / name)
    for name in dict.fromkeys([*obsolete, *names]):
        if os.path.lexists(staging / EARLIER / name):
            os.replace(staging / EARLIER / name, folder / name)


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
