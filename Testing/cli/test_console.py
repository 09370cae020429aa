"""A long command tells in a log file, too, how far it is."""

from __future__ import annotations

import pytest

from MedADLib.cli import console
from MedADLib.cli.console import Console


@pytest.mark.parametrize(("settings", "lines"), [({}, 2), ({"quiet": True}, 0)])
def test_a_line_a_minute_where_no_bar_can_be_drawn(settings, lines, monkeypatch, capsys):
    now = [0.0]
    monkeypatch.setattr(console.time, "monotonic", lambda: now[0])
    with Console(**settings) as said:
        for second in range(0, 150, 10):
            now[0] = float(second)
            said.progress("training", second / 150, f"step {second} of 150")
    told = capsys.readouterr().err.splitlines()
    assert len(told) == lines
    if lines:
        assert told[0] == " 40 %  training: step 60 of 150"
