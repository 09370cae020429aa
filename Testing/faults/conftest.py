"""What the tests of faults share: a sound scan, a short judgement, and a check that a bad file fails alone."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from support.command_line import run
from support.phantoms import head

from MedADLib import detection
from MedADLib.preprocessing.fit import Fit


@pytest.fixture(scope="session")
def sound(tmp_path_factory) -> Path:
    """A scan without any fault."""
    path = tmp_path_factory.mktemp("sound") / "sound.nii.gz"
    head(4, (8.0, 8.0, 8.0), 26)[0].write(path)
    return path


@pytest.fixture
def checked(monkeypatch, capsys) -> Callable[..., list[tuple[str, str]]]:
    """Return a function that runs ``medad check`` on scans: verdict and code of each; the judgement itself is short."""
    monkeypatch.setattr(detection, "fit_of", lambda *_, **__: Fit())

    def check(*paths: Path) -> list[tuple[str, str]]:
        capsys.readouterr()
        code = run("check", *paths)
        rows = [line.split("\t") for line in capsys.readouterr().out.splitlines()[1:]]
        assert code == (1 if "error" in [row[1] for row in rows] else 0)
        return [(row[1], row[-1]) for row in rows]

    return check


@pytest.fixture
def alone(checked, sound, tmp_path, capsys) -> Callable[..., None]:
    """Return a function that asserts that a scan is refused with a code, alone, and that nothing is left of it."""

    def fails(path: Path, code: str, *words: str) -> None:
        assert checked(path, sound) == [("error", code), ("fits", "")]
        out = tmp_path / "out" / "results"
        assert run("detect", path, "-o", out, "--json-log", *words) == 1
        printed = capsys.readouterr()
        event = json.loads(printed.out.splitlines()[-1])
        assert (event["event"], event["code"]) == ("error", code), event
        assert len(printed.err.splitlines()) <= 1 and "Traceback" not in printed.err
        assert not out.parent.exists()

    return fails
