"""Pending run: a run that continues after Slicer has restarted with PyTorch or its extension."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import Any

from ...detection import Settings
from ...errors import MedADError
from ...runtime.strict_json import from_json, plain

KEY = "MedAD/pendingRun"
# After a week the user no longer expects the question.
FORGOTTEN_AFTER_SECONDS = 7 * 24 * 3600


@dataclass(frozen=True)
class PendingRun:
    """The run that continues after the restart.

    Attributes:
        model: Name or file of the model.
        volume: File of the scan; empty if it was never saved.
        scene: File of the scene; empty if it was never saved.
        scan: Name of the scan.
        masked: Whether a mask limits the examined part.
        all_frames: Whether every frame of the scan's sequence is examined.
        settings: Settings without the mask.
    """

    model: str
    volume: str = ""
    scene: str = ""
    scan: str = ""
    masked: bool = False
    all_frames: bool = False
    settings: Settings = Settings()


class PendingRuns:
    """Storage of one run in Slicer's settings.

    Args:
        settings: With setValue, value and remove, as QSettings has; None for Slicer's own.
        now: Returns the seconds since 1970.
    """

    def __init__(self, settings: Any = None):
        if settings is None:
            import slicer

            settings = slicer.app.userSettings()
        self._settings = settings

    def remember(self, run: PendingRun) -> None:
        """Store a run, in place of any other."""
        self._settings.setValue(KEY, json.dumps({"when": time.time(), **plain(run)}))
        self._settings.sync()

    def take(self) -> PendingRun | None:
        """Remove and return the stored run; None if there is none, or it is too old."""
        text = self._settings.value(KEY)
        self.forget()
        try:
            document = json.loads(text)
            when = document.pop("when")
            run = from_json(PendingRun, document, "the stored run")
            return run if 0 <= time.time() - when < FORGOTTEN_AFTER_SECONDS else None
        except (MedADError, TypeError, ValueError, KeyError, AttributeError):
            return None

    def forget(self) -> None:
        """Remove the stored run."""
        self._settings.remove(KEY)
