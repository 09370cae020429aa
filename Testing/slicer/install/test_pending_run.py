"""A run that waits for a restart of Slicer is remembered in its settings, and taken once."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import pytest

from MedADLib.detection import Settings as Kept
from MedADLib.runtime.strict_json import plain
from MedADLib.scoring.healthy_reference import Threshold
from MedADLib.slicer.install.pending_run import KEY, PendingRun, PendingRuns


class Settings:
    def __init__(self):
        self.kept, self.synced = {}, 0

    def setValue(self, key, value):
        self.kept[key] = value

    def value(self, key, default=None):
        return self.kept.get(key, default)

    def remove(self, key):
        self.kept.pop(key, None)

    def sync(self):
        self.synced += 1


def test_a_run_is_remembered_over_a_restart_and_taken_once():
    settings = Settings()
    run = PendingRun("brain-t1", volume="/scans/ä.nii.gz", settings=Kept(seed=3, threshold=Threshold(1.0, "ml")))
    PendingRuns(settings).remember(run)
    assert isinstance(settings.kept["MedAD/pendingRun"], str) and settings.synced
    assert plain(PendingRuns(settings).take()) == plain(run)
    assert PendingRuns(settings).take() is None and settings.kept == {}


@pytest.mark.parametrize("kept", [None, "", "nonsense", "[]", "{}", '{"when": 0, "model": "x"}', '{"when": "x"}', 7])
def test_what_is_no_pending_run_or_an_old_one_is_dropped(kept):
    settings = Settings()
    settings.setValue(KEY, kept)
    assert PendingRuns(settings).take() is None and settings.kept == {}


def test_pending_runs_are_in_slicers_settings(monkeypatch):
    settings = Settings()
    fake = SimpleNamespace(app=SimpleNamespace(userSettings=lambda: settings))
    monkeypatch.setitem(sys.modules, "slicer", fake)
    PendingRuns().remember(PendingRun("brain-t1"))
    assert list(settings.kept) == [KEY]
