"""Where a training keeps its checkpoints: a folder for each set of settings, so that none takes another's weights."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path


def training_folder(
    work: Path, name: str, extra: Mapping[str, object], latent: int | None = None, augmentation: bool = True
) -> Path:
    """``NAME`` for the settings that a method has by itself, ``NAME-1a2b3c4d`` for others.

    What only ends a training sooner or later, such as its steps, is no setting: a checkpoint knows its plan.

    Args:
        work: The work folder.
        name: Of the method.
        extra: The method's own settings, as the user gave them.
        latent: Latent size, if the user gave one.
        augmentation: Whether slices are changed at random.
    """
    chosen = {"extra": dict(extra), "latent": latent, "augmentation": augmentation}
    if chosen == {"extra": {}, "latent": None, "augmentation": True}:
        return work / name
    digest = hashlib.sha256(json.dumps(chosen, sort_keys=True).encode()).hexdigest()[:8]
    return work / f"{name}-{digest}"
