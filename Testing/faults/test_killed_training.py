"""A training that is killed or stopped at any point goes on with the same command, and gives the same bits."""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from safetensors import safe_open
from support.killed import KILLED, Commands, Ended, commands

from MedADLib.modelfile.archive import read_archive

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="a process is forked for each command")

STEPS, EVERY = 30, 6
# Checkpoints are as frequent, measured in the length of the training, as in a real one. Figures take longest.
PREPARE = f"""
import torch
from MedADLib.training import config, model_training, outliers
from MedADLib.training.recipes import autoencoder
torch.set_num_threads(1)
config.EVERY = {EVERY}
model_training.draw_all_curves = model_training.write_figures = lambda *_: None
"""


@pytest.fixture(scope="module")
def medad(tmp_path_factory) -> Iterator[Commands]:
    with commands(tmp_path_factory.mktemp("commands"), PREPARE) as started:
        yield started


@pytest.fixture(scope="module")
def healthy(tmp_path_factory) -> Path:
    """Eight images of 32 × 32 pixels: a bright disc of another place and size in each."""
    y, x = np.mgrid[:32, :32]
    images = []
    for seed in range(8):
        random = np.random.default_rng(seed)
        row, column, radius = random.uniform((14, 14, 9), (18, 18, 12))
        inside = (y - row) ** 2 + (x - column) ** 2 < radius**2
        images.append(1000 * inside + random.normal(100, 20, (32, 32)))
    path = tmp_path_factory.mktemp("healthy") / "discs.npz"
    np.savez(path, images=np.stack(images).clip(0).astype(np.uint16))
    return path


def train(medad: Commands, healthy: Path, folder: Path, steps: int = STEPS, **signal_: float) -> Ended:
    size = ("--size", 32, "--latent", 4, "--steps", steps, "--device", "cpu", "--full-precision")
    places = ("--healthy", healthy, "-o", folder / "discs.medad")
    return medad.run("train", "autoencoder", *places, *size, **signal_)


def content(folder: Path) -> dict[str, bytes]:
    """What is in the model file, but the seconds of the training."""
    files = read_archive(folder / "discs.medad")
    found = {name: part for name, part in files.items() if name.endswith((".safetensors", ".pt"))}
    assert found
    return found


@pytest.fixture(scope="module")
def unbroken(medad, healthy, tmp_path_factory) -> tuple[dict[str, bytes], float]:
    folder = tmp_path_factory.mktemp("unbroken")
    done = train(medad, healthy, folder)
    assert done.code == 0, done.printed
    again = train(medad, healthy, tmp_path_factory.mktemp("warm"))
    return content(folder), again.seconds


def step_of(folder: Path) -> int:
    """The step of the last checkpoint."""
    (path,) = folder.rglob("checkpoint.safetensors")
    with safe_open(path, "pt") as file:
        return json.loads(file.metadata()["state"])["step"]


def test_a_stopped_training_goes_on_from_the_step_that_it_names(medad, healthy, unbroken, tmp_path):
    expected, seconds = unbroken
    for part in (0.5, 0.6, 0.4, 0.7, 0.8, 0.3):
        ended = train(medad, healthy, tmp_path, after=part * seconds, number=signal.SIGINT)
        if named := re.search(
            r"^medad: cancelled after step (\d+) of 30. The same command", ended.printed, re.MULTILINE
        ):
            break
        assert ended.code == 0 or "The same command continues" in ended.printed, ended.printed
        shutil.rmtree(tmp_path / "discs.work")
    assert ended.code == 130 and step_of(tmp_path) == int(named[1])
    other = train(medad, healthy, tmp_path, steps=STEPS + 1)
    assert other.code == 1 and "steps = 30; this command has steps = 31" in other.printed
    assert train(medad, healthy, tmp_path).code == 0
    assert content(tmp_path) == expected


@pytest.mark.parametrize("kills", [10, pytest.param(30, marks=pytest.mark.slow)])
def test_a_training_killed_at_random_points_gives_the_bits_of_an_unbroken_one(
    medad, healthy, unbroken, tmp_path, kills
):
    expected, seconds = unbroken
    draw, done, broken, folder = random.Random(kills), 0, False, tmp_path / "0"
    while True:
        after = draw.uniform(0, seconds) if done < kills else None
        ended = train(medad, healthy, folder, after=after) if after else train(medad, healthy, folder)
        if ended.code == KILLED:
            done, broken = done + 1, True
            assert not (folder / "discs.medad").exists() or content(folder) == expected
            continue
        assert ended.code == 0, ended.printed
        assert content(folder) == expected
        assert not broken or sorted(path.name for path in folder.iterdir()) == ["discs.medad", "discs.work"]
        left = [path for path in folder.rglob("*") if path.name.startswith((".partial-", ".medad-"))]
        assert left == []
        if done >= kills:
            return
        shutil.rmtree(folder)
        folder, broken = tmp_path / str(done), False
