"""A run that waits for Slicer to restart, because PyTorch or its extension was installed for it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

KEY = "MedAD/pendingRun"
# Who comes back after a week has forgotten the question.
FORGOTTEN_AFTER_SECONDS = 7 * 24 * 3600


@dataclass(frozen=True)
class PendingRun:
    """What to do once the installation is finished.

    Attributes:
        model: Name or file of the model.
        volume: File of the scan; empty if it was never saved.
        scene: File of the scene; empty if it was never saved.
        settings: Other settings of the run, JSON-able.
    """

    model: str
    volume: str = ""
    scene: str = ""
    settings: dict = field(default_factory=dict)


class PendingRuns:
    """Remembers one run in Slicer's settings.

    Args:
        settings: With setValue, value and remove, as QSettings has; None for Slicer's own.
        now: Seconds since 1970.
    """

    def __init__(self, settings: Any = None, now: Callable[[], float] = time.time):
        self._given, self._now = settings, now

    @property
    def _settings(self) -> Any:
        if self._given is None:
            import slicer

            self._given = slicer.app.userSettings()
        return self._given

    def remember(self, run: PendingRun) -> None:
        """Keep a run over the restart, in place of any other."""
        self._settings.setValue(KEY, json.dumps({"when": self._now(), **asdict(run)}))
        self._settings.sync()

    def take(self) -> PendingRun | None:
        """The run that was remembered, once; None if there is none, or it is too old to be wanted."""
        text = self._settings.value(KEY)
        self.forget()
        try:
            document = json.loads(text)
            when = document.pop("when")
            return PendingRun(**document) if 0 <= self._now() - when < FORGOTTEN_AFTER_SECONDS else None
        except (TypeError, ValueError, KeyError, AttributeError):
            return None

    def forget(self) -> None:
        """Remember none."""
        self._settings.remove(KEY)
