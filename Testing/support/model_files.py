"""Model files of a toy method, and forged ones."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import pytest

from MedADLib.methods.atlas import Atlas
from MedADLib.methods.base import require_tensors
from MedADLib.modelfile.archive import read_archive, write_archive
from MedADLib.modelfile.model import Model
from MedADLib.preprocessing.brain_space import BrainSpace
from MedADLib.preprocessing.intensity import HISTOGRAM_EDGES, PERCENTILES
from MedADLib.scoring.calibration import Calibration, Pooling, Scale
from MedADLib.scoring.healthy_reference import HealthyReference, Threshold
from MedADLib.scoring.healthy_tail import HealthyTail
from MedADLib.scoring.voxelwise import VoxelStatistics
from MedADLib.volume import Volume

SHAPE = (4, 5, 6)


MANIFEST, METADATA = "configs/medad.json", "configs/metadata.json"


@dataclass(frozen=True)
class FakeParameters:
    width: int = 3
    sharpness: float = 2.0
    kind: Literal["plain", "fine"] = "plain"
    channels: tuple[int, ...] = (8, 16)
    limit: float | None = None

    def __post_init__(self):
        if not 0 < self.width < 100:
            raise ValueError("width must be 1 to 99")


class Fake:
    """A method with settings of several types; its weights are one matrix."""

    name = "fake"
    Parameters = FakeParameters
    members = ()

    def __init__(self, parameters, weights):
        self.parameters, self.weights = parameters, weights

    def tensors(self):
        return {"weights": self.weights}

    @classmethod
    def from_tensors(cls, parameters, tensors):
        require_tensors(cls.name, tensors, {"weights": (parameters.width, 2)})
        return cls(parameters, tensors["weights"])

    fits = staticmethod(SHAPE.__eq__)


REGISTRY = {"fake": Fake, "atlas": Atlas}


def model(**changes) -> Model:
    """A small model that can be saved."""
    voxels = np.random.default_rng(0).random(SHAPE).astype(np.float16).astype(np.float32)
    image = Volume(voxels, np.diag([2.0, 2.0, 3.0, 1.0]), "template")
    histogram = np.full(len(HISTOGRAM_EDGES) - 1, 0.01)
    limits = {"histogram": 0.1, "correlation": 0.8, "overlap": 0.9}
    voxelwise = VoxelStatistics(np.zeros(SHAPE, np.float32), np.ones(SHAPE, np.float32))
    numbers, threshold = np.arange(1.0, 4.0), Threshold.parse("1ml")
    scale = Scale(Pooling(), voxelwise, HealthyTail(np.arange(4.0), np.arange(4.0), 0.5, 0.1, 4.0))
    settings = {
        "name": "brain-t1",
        "version": "1.2.0",
        "created": "2031-02-03",
        "description": "Healthy brains, grün",
        "modality": "T1 MR",
        "method": Fake(FakeParameters(), np.arange(6, dtype=np.float32).reshape(2, 3).T),  # a view
        "template": BrainSpace(image, image.array > 0.2, histogram, limits, np.linspace(0.1, 0.9, len(PERCENTILES))),
        "calibration": Calibration((scale,), None, HealthyReference(*[numbers] * 4, 1200.0, threshold)),
        "training": {"data": ["ds002748"], "split": {"train": ["sub-01"]}, "anything": [1, 2.5, None, True]},
        "authors": "Us",
        "card": "# Card\n\nHealthy only.\n",
        "licence": "Apache-2.0\n",
    }
    return Model(**settings | changes)


def forge(path, changed: dict | None = None, drop=(), **manifest) -> Path:
    """Change entries or manifest of a saved model and put the hashes right, as a forger would."""
    files = read_archive(path) | (changed or {})
    files = {name: content for name, content in files.items() if name not in drop}
    if MANIFEST not in (changed or {}):
        document = json.loads(files[MANIFEST])
        document["files"] = {n: hashlib.sha256(c).hexdigest() for n, c in files.items() if n != MANIFEST}
        files[MANIFEST] = json.dumps(document | manifest).encode()
    write_archive(path, files)
    return path


@pytest.fixture
def folders(tmp_path, monkeypatch):
    """Two folders of ``MEDAD_MODELS``, an empty home and nothing shipped."""
    made = [tmp_path / "first", tmp_path / "second"]
    for folder in made:
        folder.mkdir()
    monkeypatch.setenv("MEDAD_MODELS", os.pathsep.join(["", *map(str, made), str(tmp_path / "missing")]))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("USERPROFILE", str(tmp_path / "home"))
    monkeypatch.setattr(
        "MedADLib.modelfile.store.__file__", str(tmp_path / "root" / "MedADLib" / "modelfile" / "store.py")
    )
    return made
