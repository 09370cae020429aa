"""Healthy toy heads, each one different: an ellipsoid of white matter, a folded grey rim, two dark ventricles."""

from __future__ import annotations

import argparse
import functools
import hashlib
import json
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

import numpy as np
import pytest

from MedADLib.preprocessing import brain_space, template_building
from MedADLib.preprocessing.brain_space import BrainSpace, PreparedBrain
from MedADLib.preprocessing.registration import affine_to_native
from MedADLib.preprocessing.template_building import build_template
from MedADLib.volume import Volume
from support.made_once import made_once

SHAPE, SPACING = (32, 48, 48), (4.0, 4.0, 5.0)
# Slices that can be halved five times, as the shipped methods' networks do.
MODEL_SHAPE, MODEL_SPACING = (18, 64, 64), (3.0, 3.0, 8.0)
METHODS = ("atlas", "autoencoder", "latent_restoration")
# Small networks, where the size of those that ship makes no difference to what is tested.
SMALL = {"latent_restoration": ("channels=[8,16,32]", "codes=32", "width=16", "prior_width=32", "prior_layers=2")}
PARTS = {"train": range(4), "validation": range(4, 5), "calibration": range(5, 7), "benchmark": range(8, 9)}


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    """Networks of toy size take longer on several threads than on one; for modules that import it."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


_alignments: dict[bytes, np.ndarray] = {}


def aligned_once(template: Volume, template_mask, native: Volume, native_mask, progress=None) -> np.ndarray:
    """Register as `affine_to_native` does, which gives equal matrices for equal scans, but each scan only once."""
    parts = (template.array, template.affine, template_mask, native.array, native.affine, native_mask)
    key = hashlib.sha256(b"".join(np.ascontiguousarray(part).tobytes() for part in parts)).digest()
    if key not in _alignments:
        _alignments[key] = affine_to_native(template, template_mask, native, native_mask, progress)
    return _alignments[key].copy()


@pytest.fixture(autouse=True, scope="module")
def one_alignment() -> Iterator[None]:
    """Align each scan once; for modules that import it and examine the same heads many times."""
    with (
        mock.patch.object(brain_space, "affine_to_native", aligned_once),
        mock.patch.object(template_building, "affine_to_native", aligned_once),
    ):
        yield


def head(seed: int, spacing: tuple[float, float, float] = (4.0, 4.0, 4.0), size: int = 50) -> tuple[Volume, np.ndarray]:
    """A toy brain and its mask; the seed changes shape, place, folds, noise and gain."""
    random = np.random.default_rng(seed)
    affine = np.diag([*spacing, 1.0])
    affine[:3, 3] = -0.5 * (size - 1) * np.array(spacing) + random.uniform(-5, 5, 3)
    grid = Volume(np.zeros((size, size, size), np.float32), affine, f"head-{seed}")
    points = grid.ras_from_voxels(np.argwhere(np.ones(grid.array.shape, bool))) - random.uniform(-4, 4, 3)
    x, y, z = (points / (np.array([66, 84, 60]) * random.uniform(0.94, 1.06, 3))).T
    angle = np.arctan2(y, np.abs(x)) * 3 + 4 * z
    radius = np.sqrt(x**2 + y**2 + z**2)
    ventricle = ((np.abs(x) - 0.14) / 0.09) ** 2 + ((y + 0.05) / 0.35) ** 2 + (z / 0.2) ** 2 < 1
    values = np.select(
        [radius > 1, ventricle, radius > 0.82 + 0.05 * np.sin(angle + random.uniform(0, 1))], [0.0, 150.0, 550.0], 900.0
    )
    values = values * random.uniform(0.8, 1.2) + (radius <= 1) * random.normal(0, 15, len(values))
    array = np.maximum(values, 0).reshape(grid.array.shape).astype(np.float32)
    return grid.with_array(array), (radius <= 1).reshape(grid.array.shape)


def toy_template(count: int = 4, first: int = 0) -> tuple[BrainSpace, list[PreparedBrain]]:
    """A template of toy heads on a coarse grid."""
    return build_template([head(first + n) for n in range(count)], SHAPE, SPACING)


def with_lesion(volume: Volume, centre_ras: tuple[float, float, float], radius_mm: float) -> tuple[Volume, np.ndarray]:
    """A dark ball in a toy head, and where it is."""
    points = volume.ras_from_voxels(np.argwhere(np.ones(volume.array.shape, bool)))
    ball = (np.linalg.norm(points - centre_ras, axis=1) < radius_mm).reshape(volume.array.shape)
    return volume.with_array(np.where(ball, volume.array * 0.35, volume.array).astype(np.float32)), ball


@dataclass(frozen=True)
class ToyModels:
    """Models that ``medad train`` made of toy heads, with a few steps only.

    Attributes:
        healthy: Folder of the scans.
        split: Which scan was for what.
        work: Folder of checkpoints and prepared scans.
        models: Model file of each method.
    """

    healthy: Path
    split: Path
    work: Path
    models: dict[str, Path]

    def train(self, method: str, output: Path, *more: str) -> int:
        """Run ``medad train`` for a method on the toy heads, on a coarse grid."""
        from MedADLib.cli import train
        from MedADLib.training import data

        parser = argparse.ArgumentParser()
        train.add_arguments(parser)
        steps = [
            "--steps",
            "3",
            "--prior-steps",
            "3",
            "--sweep-steps",
            "1",
            "--full-precision",
            "--device",
            "cpu",
            "--named-scans",
        ]
        places = ["--healthy", self.healthy, "--split", self.split, "--work", self.work, "-o", output]
        small = [word for setting in SMALL.get(method, ()) for word in ("--set", setting)]
        arguments = [method, *places, *steps, *small, "--data-note", "toy heads", *more]
        with mock.patch.object(data, "build_template", coarse_template):
            return train.run(parser.parse_args([str(argument) for argument in arguments]))


def coarse_template(scans, progress=None) -> tuple[BrainSpace, list[PreparedBrain]]:
    """A template on the grid of the toy models."""
    return build_template(scans, MODEL_SHAPE, MODEL_SPACING, progress)


def toy_heads(folder: Path) -> ToyModels:
    """Where toy heads, their models and the work folder lie in a folder."""
    models = {method: folder / "models" / f"toy-{method.replace('_', '-')}.medad" for method in METHODS}
    return ToyModels(folder / "healthy", folder / "split.json", folder / "work", models)


def train_toys(folder: Path) -> None:
    """Write toy heads into a folder, and train a model of each of three methods on them."""
    from MedADLib.training import model_training, plots
    from MedADLib.training.data import prepared_scans
    from MedADLib.training.plots import draw_curves

    toy = toy_heads(folder)
    toy.healthy.mkdir()
    split = {part: [f"head-{number}" for number in numbers] for part, numbers in PARTS.items()}
    for number in (n for numbers in PARTS.values() for n in numbers):
        volume, _ = head(number)
        volume.write(toy.healthy / f"{volume.name}.nii.gz")
    toy.split.write_text(json.dumps(split))

    def draw_some(log: Path, target: Path) -> None:
        # The autoencoders of a sweep log the same columns, and each figure takes a second.
        if log.parent.name not in ("sweep-1", "sweep-2", "sweep-8", "sweep-16", "sweep-32", "sweep-64"):
            draw_curves(log, target)

    prepared: dict[tuple[str, ...], list[PreparedBrain]] = {}

    def prepare_once(scans, names, template, progress=None) -> list[PreparedBrain]:
        # The methods have one template, and each alignment takes half a second.
        if tuple(names) not in prepared:
            prepared[tuple(names)] = prepared_scans(scans, names, template, progress)
        return prepared[tuple(names)]

    with (
        mock.patch.object(plots, "draw_curves", draw_some),
        mock.patch.object(model_training, "prepared_scans", prepare_once),
        mock.patch.object(brain_space, "affine_to_native", aligned_once),
    ):
        for method, output in toy.models.items():
            toy.train(method, output)


@functools.cache
def toy_models() -> ToyModels:
    """The toy models, trained once in a test run and copied for each process; read only."""
    keep = tempfile.TemporaryDirectory(prefix="toy-models-")
    toy_models.keep = keep
    made_once("toy-models", train_toys, Path(keep.name))
    return toy_heads(Path(keep.name))
