"""Progress of long commands in a log file."""

from __future__ import annotations

import pytest

from MedADLib.cli import console
from MedADLib.cli.console import Console


@pytest.mark.parametrize(("settings", "lines"), [({}, 2), ({"quiet": True}, 0)])
def test_a_line_a_minute_where_no_bar_can_be_drawn(settings, lines, monkeypatch, capsys):
    now = [0.0]
    monkeypatch.setattr(console.time, "monotonic", lambda: now[0])
    with Console(**settings) as printed:
        for second in range(0, 150, 10):
            now[0] = float(second)
            printed.progress("training", second / 150, f"step {second} of 150")
    reported = capsys.readouterr().err.splitlines()
    assert len(reported) == lines
    if lines:
        assert reported[0] == " 40 %  training: step 60 of 150"


def test_progress_never_runs_backwards(monkeypatch, capsys):
    now = [0.0]
    monkeypatch.setattr(console.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(console, "SECONDS_BETWEEN_LINES", 0.0)
    with Console() as printed:
        for number, (stage, fraction) in enumerate((("restoration", 0.6), ("restoration", 0.3), ("writing", 0.9))):
            now[0] = 100.0 * number
            printed.progress(stage, fraction, "")
    shown = [int(line.split("%")[0]) for line in capsys.readouterr().err.splitlines()]
    assert shown == [60, 60, 90]
