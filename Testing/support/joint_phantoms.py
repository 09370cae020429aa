"""Healthy toy joints, each one different: two bright bones with a dark gap in grey tissue, no air around them."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from MedADLib.cli import train as cli_train
from MedADLib.volume import Volume

SHAPE, SPACING = (20, 22, 18), (2.0, 2.0, 2.5)


def joint(
    seed: int, shape: tuple[int, int, int] = SHAPE, spacing: tuple[float, float, float] = SPACING, lesion: bool = False
) -> Volume:
    """A toy joint, (Z, Y, X), 12 bits; the seed changes shape, place, noise and gain.

    Args:
        seed: Of the patient.
        shape: The joint keeps its size in mm: more voxels show more of what is around it.
        spacing: Along (x, y, z), in mm.
        lesion: Whether a dark spot is in the upper bone.
    """
    random = np.random.default_rng(seed)
    affine = np.diag([*spacing, 1.0])
    affine[:3, 3] = -0.5 * (np.array(shape[::-1]) - 1) * spacing + random.uniform(-1, 1, 3)
    grid = Volume(np.zeros(shape, np.float32), affine, f"joint-{seed}")
    x, y, z = (grid.ras_from_voxels(np.argwhere(np.ones(shape, bool))) / random.uniform(0.95, 1.05)).T
    values = np.full(x.shape, 0.4)
    for height in (14.0, -14.0):
        values = np.where((x / 11) ** 2 + (y / 13) ** 2 + ((z - height) / 11) ** 2 < 1, 0.8, values)
    values = np.where(np.abs(z) < 2, 0.2, values)
    if lesion:
        values = np.where(x**2 + y**2 + (z - 12) ** 2 < 6**2, 0.1, values)
    values = (values + random.normal(0, 0.02, values.shape)) * random.uniform(0.8, 1.2)
    return grid.with_array(np.round(values * 3000).reshape(shape).astype(np.float32))


def folder_of_joints(folder: Path, count: int = 10) -> Path:
    """Write toy joints of slightly different fields of view."""
    folder.mkdir()
    for seed in range(count):
        image = joint(seed, tuple(n + (seed + axis) % 3 for axis, n in enumerate(SHAPE)))
        image.write(folder / f"{image.name}.nii.gz")
    return folder


def train(method: str, healthy: Path, output: Path, *more: object) -> int:
    """Run ``medad train`` with few steps."""
    parser = argparse.ArgumentParser()
    cli_train.add_arguments(parser)
    arguments = [method, "--healthy", healthy, "-o", output, "--full-precision", "--device", "cpu", *more]
    return cli_train.run(parser.parse_args([str(argument) for argument in arguments]))
