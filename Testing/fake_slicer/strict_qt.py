"""Qt as scripts in Slicer see it, without the rest of the fake Slicer, and a launcher as Slicer's."""

from __future__ import annotations

import sys
import time
from contextlib import contextmanager

import pytest

pytest.importorskip("PySide6.QtCore", reason="PySide6 is not installed (pip install PySide6_Essentials)")
pytest.importorskip("slicer.util", reason="slicer-core is not installed (pip install trame-slicer[standalone])")

from PySide6.QtCore import QCoreApplication
from PySide6.QtWidgets import QApplication

from fake_slicer import dialogs, errors, qt

# A launcher as Slicer's: its child does the work, and its own death is not the child's.
LAUNCHER = "import subprocess, sys; sys.exit(subprocess.call([sys.executable, *sys.argv[1:]]))"


@contextmanager
def strict_qt():
    """Qt as scripts in Slicer see it; gives the application, and fails if a slot did."""
    before, sys.modules["qt"] = sys.modules.get("qt"), qt.module
    dialogs.use(dialogs.Dialogs())
    collector = errors.Collector()
    errors.use(collector)
    try:
        # Other tests of the same process may need widgets.
        yield QCoreApplication.instance() or QApplication([])
        assert not collector.slot_errors, collector.slot_errors
    finally:
        errors.use(None)
        dialogs.use(None)
        sys.modules.pop("qt") if before is None else sys.modules.update(qt=before)


@pytest.fixture(name="application", autouse=True)
def strict_application():
    with strict_qt() as application:
        yield application


@pytest.fixture(name="pump")
def event_loop(application):
    def run(until, seconds=15.0):
        end = time.monotonic() + seconds
        while not until():
            assert time.monotonic() < end, "it took too long"
            application.processEvents()
            time.sleep(0.005)

    return run
