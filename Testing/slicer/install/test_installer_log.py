"""What is printed reaches both the log and the console."""

from __future__ import annotations

import sys

import pytest

from MedADLib.slicer.install.installer import printed_lines


def test_lines_are_heard_as_they_come_and_download_progress_in_steps(capsys):
    lines = []
    with printed_lines(lines.append):
        print("Collecting torch\nDownloading", end="")
        print(" torch.whl")
        for done in range(0, 2_000_000_001, 10_000_000):
            print(f"Progress {done} of 2000000000")
        print("Progress 5000 of 10000")
        sys.stdout.flush()
        print("the end", end="")
    assert lines[:2] == ["Collecting torch", "Downloading torch.whl"] and lines[-1] == "the end"
    assert lines[2:-1] == [f"  {5 * step} % of 2000 MB" for step in range(21)]
    assert "Progress 10000000 of 2000000000" in capsys.readouterr().out


def test_the_console_comes_back_after_an_error():
    console = sys.stdout
    with pytest.raises(ValueError), printed_lines(print):
        raise ValueError
    assert sys.stdout is console
