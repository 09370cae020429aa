"""The command line with a quick stand-in for the detection."""

from __future__ import annotations

from MedADLib.cli import main
from support.synthetic import synthetic_detection


def fake_detect(volume, model, settings, progress):
    """Finds two places in any scan; remembers how it was called."""
    progress.stage("brain mask", 0.0, 0.2, "finding the brain")
    progress.stage("restoration", 0.2, 1.0)
    progress.update(0.5, "halfway")
    fake_detect.called = (volume, model, settings)
    return synthetic_detection(volume, warnings=("unlike the training data",))


def run(*words, detect=fake_detect):
    return main.main([str(word) for word in words], detect=detect, load_model=lambda name: f"model {name}")


def one_line(capsys):
    """The only line on stderr, after its prefix; nothing may be on stdout."""
    said = capsys.readouterr()
    assert said.out == ""
    assert len(said.err.splitlines()) == 1, said.err
    assert said.err.startswith("medad: error: ")
    return said.err[len("medad: error: ") :].strip()
