"""Healthy toy radiographs, each one different: a bright body, two dark lungs, a heart on one side, ribs; and models."""

from __future__ import annotations

import argparse
import functools
import tempfile
from pathlib import Path

import numpy as np

from MedADLib.cli import train
from MedADLib.volume import Volume

COUNT, SIZE, EXTENT_MM = 28, (72, 88), (288.0, 352.0)
FULL_SCALE = 4000.0
METHODS = ("atlas", "autoencoder", "latent_restoration")
# The autoencoder learns the toy images in a few seconds; latent restoration would take a minute and learns nothing.
STEPS = {"atlas": "1", "autoencoder": "150", "latent_restoration": "6"}
# Where the size of the networks makes no difference to what is tested.
SMALL = ("channels=[8,16,32]", "codes=32", "width=16", "prior_width=32", "prior_layers=2")


def coronal(size: tuple[int, int] = SIZE, thickness: float = 5.0) -> np.ndarray:
    """An affine that lays rows towards superior and columns towards right, whatever the number of pixels."""
    affine = np.zeros((4, 4))
    affine[0, 0], affine[2, 1], affine[1, 2] = EXTENT_MM[1] / size[1], EXTENT_MM[0] / size[0], thickness
    affine[:, 3] = (-EXTENT_MM[1] / 2, 12.0, -EXTENT_MM[0] / 2, 1.0)
    return affine


def radiograph(seed: int, size: tuple[int, int] = SIZE, lesion: tuple[float, float] | None = None) -> Volume:
    """A toy radiograph, (1, Y, X), 12 bits; the seed changes shape, place, noise and gain.

    Args:
        seed: Of the patient.
        size: Rows and columns of the same field of view.
        lesion: Place of a bright spot, (rightwards, upwards) in half fields of view; None for a healthy one.
    """
    random = np.random.default_rng(seed)
    rows, columns = ((np.arange(n) + 0.5) / n * 2 - 1 for n in size)
    y, x = np.meshgrid(rows - random.uniform(-0.04, 0.04), columns - random.uniform(-0.04, 0.04), indexing="ij")
    scale = random.uniform(0.95, 1.05)
    x, y = x / scale, y / scale
    values = np.where((x / 0.92) ** 2 + (y / 1.1) ** 4 < 1, 0.72, 0.05)
    lungs = ((np.abs(x) - 0.42) / 0.27) ** 2 + ((y - 0.1) / 0.62) ** 2 < 1
    values = np.where(lungs, 0.30 + 0.05 * np.sin(18 * y + random.uniform(-0.3, 0.3)), values)
    values = np.where(((x + 0.18) / 0.26) ** 2 + ((y + 0.2) / 0.3) ** 2 < 1, 0.80, values)
    if lesion is not None:
        values = np.where((x - lesion[0]) ** 2 + ((y - lesion[1]) * size[0] / size[1]) ** 2 < 0.13**2, 0.75, values)
    noise = np.random.default_rng([seed, *size]).normal(0, 0.015, size)
    array = np.clip(np.round((values * random.uniform(0.85, 1.1) + noise) * FULL_SCALE / 1.2), 0, FULL_SCALE)
    return Volume(array[None].astype(np.float32), coronal(size), f"chest-{seed}")


@functools.cache
def toy_plane_folder() -> Path:
    """A folder of healthy toy radiographs and of their models; read only."""
    keep = tempfile.TemporaryDirectory(prefix="toy-planes-")
    toy_plane_folder.keep = keep
    folder = Path(keep.name)
    (folder / "healthy").mkdir()
    for seed in range(COUNT):
        image = radiograph(seed)
        image.write(folder / "healthy" / f"{image.name}.nii.gz")
    return folder


@functools.cache
def toy_plane_model(method: str = "atlas") -> Path:
    """The file of a 2-D model that ``medad train`` made of toy radiographs in a few seconds, once in a test run."""
    folder = toy_plane_folder()
    output = folder / f"toy-plane-{method.replace('_', '-')}.medad"
    train_plane(method, folder / "healthy", output, "--work", folder / "work")
    return output


def train_plane(method: str, healthy: Path, output: Path, *more: object) -> None:
    """Run ``medad train`` with few steps."""
    parser = argparse.ArgumentParser()
    train.add_arguments(parser)
    fixed = [
        "--named-scans",
        "--full-precision",
        "--device",
        "cpu",
        "--size",
        "64",
        "--steps",
        STEPS[method],
        "--prior-steps",
        "6",
    ]
    fixed += ["--latent", "8"] if method == "autoencoder" else []
    fixed += [word for setting in SMALL for word in ("--set", setting)] if method == "latent_restoration" else []
    arguments = [method, "--healthy", healthy, "-o", output, *fixed, *more]
    assert train.run(parser.parse_args([str(argument) for argument in arguments])) == 0
