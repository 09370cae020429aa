"""Folders with the result of a detection."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np

from MedADLib.detection import content_hash
from MedADLib.io.reading import read_image
from MedADLib.results.writing import write_detection
from support.synthetic import brain_volume, synthetic_detection


def store(
    folder: Path,
    name: str = "scan",
    spots: int = 2,
    suffix: str = ".nii.gz",
    seed: int = 0,
    brighter: float = 0.5,
    **changes,
):
    """Write a scan to folder/in and its result to folder/out, as `medad detect` does.

    Args:
        folder: Of both.
        name: Of the scan.
        spots: Unusual places in it.
        suffix: Of its file.
        seed: Of its noise.
        brighter: How much larger the restored values are.
        changes: Of the detection.

    Returns:
        The detection.
    """
    source = folder / "in" / f"{name}{suffix}"
    source.parent.mkdir(parents=True, exist_ok=True)
    (folder / "out").mkdir(exist_ok=True)
    volume = brain_volume(name=name)
    noise = np.random.default_rng(seed).normal(0, 1, volume.array.shape)
    volume.with_array(np.where(volume.array > 0, volume.array + noise, 0).astype(np.float32)).write(source)
    volume = read_image(source)
    detection = synthetic_detection(volume, spots, warnings=("unlike the training data",))
    # A method restores every voxel that it examines, and none that it does not.
    restored = np.where(detection.mask.array > 0, detection.restored.array + brighter, volume.array).astype(np.float32)
    provenance = {**detection.provenance, "input": {"name": name, "sha256": content_hash(volume)}}
    detection = replace(detection, restored=detection.restored.with_array(restored), provenance=provenance, **changes)
    write_detection(detection, folder / "out", name, figure=False, source=source)
    return detection


def edit(path: Path, change) -> None:
    facts = json.loads(path.read_text("utf-8"))
    change(facts)
    path.write_text(json.dumps(facts), encoding="utf-8")
