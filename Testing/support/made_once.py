"""What takes long to make is made by one process of a test run, and copied by the others."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from filelock import FileLock

SHARED = "MEDAD_TESTS_SHARED"


def share(config) -> None:
    """Make the folder that all processes of a run know; its first process removes it at the end."""
    if not hasattr(config, "workerinput"):
        folder = tempfile.TemporaryDirectory(prefix="medad-tests-")
        config.add_cleanup(folder.cleanup)
        os.environ[SHARED] = folder.name


def made_once(name: str, make: Callable[[Path], None], folder: Path) -> None:
    """Fill a folder with a copy of what is made in another one, in this process or, before it, in another.

    Args:
        name: Of what is made.
        make: Called with an empty folder to make it in.
        folder: To copy it into; empty or new.
    """
    master = Path(os.environ[SHARED]) / name
    ready = master.with_suffix(".ready")
    with FileLock(f"{master}.lock"):
        if not ready.exists():
            shutil.rmtree(master, ignore_errors=True)
            master.mkdir()
            make(master)
            ready.touch()
    shutil.copytree(master, folder, dirs_exist_ok=True)
