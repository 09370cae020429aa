"""A detection that is killed at any point leaves no partial result, and the same command then works."""

from __future__ import annotations

import json
import os
import random
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from support.killed import KILLED, Commands, Ended, commands
from support.phantoms import head
from support.source_code import ROOT

from MedADLib.results.reading import stored_results
from MedADLib.results.writing import RESULT_SUFFIXES
from MedADLib.runtime.atomic_files import STAGING

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="a process is forked for each command")

PREPARE = """
import torch
import MedADLib.detection, MedADLib.methods.atlas, MedADLib.modelfile.model, MedADLib.results.writing
import MedADLib.results.figure
torch.set_num_threads(1)
"""
NAMES = sorted(f"head-3{suffix}" for suffix in RESULT_SUFFIXES if suffix != ".png")


@pytest.fixture(scope="module")
def medad(tmp_path_factory) -> Iterator[Commands]:
    with commands(tmp_path_factory.mktemp("commands"), PREPARE) as started:
        yield started


@pytest.fixture(scope="module")
def scan(tmp_path_factory) -> tuple[Path, Path]:
    """A toy head and the mask of its brain, which saves the time to find it."""
    folder, (volume, brain) = tmp_path_factory.mktemp("scan"), head(3, (6.0, 6.0, 6.0), 34)
    volume.write(folder / "head-3.nii.gz")
    volume.with_array(brain.astype(np.float32)).write(folder / "mask.nii.gz")
    return folder / "head-3.nii.gz", folder / "mask.nii.gz"


def detect(medad: Commands, scan: tuple[Path, Path], out: Path, seed: int = 0, **signal: float) -> Ended:
    model, mask = ROOT / "MedAD" / "Resources" / "tiny.medad", scan[1]
    rest = ("--mask", mask, "--device", "cpu", "--seed", seed, "--no-picture")
    return medad.run("detect", scan[0], "-o", out, "--model", model, *rest, **signal)


def content(out: Path) -> dict[str, bytes]:
    """The files of a result without their seconds and paths; a staging folder, which the next run removes, is none."""
    found = {path.name: path.read_bytes() for path in out.iterdir() if path.is_file()}
    facts = json.loads(found["head-3.json"])
    return found | {"head-3.json": json.dumps({name: facts[name] for name in facts if name != "seconds"}).encode()}


@pytest.mark.parametrize("kills", [10, pytest.param(100, marks=pytest.mark.slow)])
def test_a_killed_detection_leaves_nothing_partial_and_its_rerun_is_clean(medad, scan, tmp_path, kills):
    detect(medad, scan, tmp_path / "first")
    whole = detect(medad, scan, tmp_path / "expected")
    assert whole.code == 0, whole.printed
    expected, draw, done, out = content(tmp_path / "expected"), random.Random(kills), 0, tmp_path / "out"
    assert sorted(expected) == NAMES
    while done < kills:
        # Most of the time passes before the first file is written.
        after = draw.choice([draw.uniform(0, whole.seconds), draw.uniform(0.8, 1) * whole.seconds])
        ended = detect(medad, scan, out, after=after)
        if ended.code != KILLED:
            assert ended.code == 0 and content(out) == expected
            shutil.rmtree(out)
            continue
        done += 1
        # Either there is a result, which is complete, or nothing that is taken for one.
        if (out / "head-3.json").exists():
            assert content(out).items() >= expected.items() and len(stored_results(out)) == 1
        if done % 5 == 0 or done == kills:
            again = detect(medad, scan, out)
            assert again.code == 0, again.printed
            assert content(out) == expected
            assert not [path for path in out.iterdir() if STAGING.fullmatch(path.name)]
