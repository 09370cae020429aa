"""Standard scan of the benchmark: a T1 brain of usual size with one lesion at a known position."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import InputError
from ..evaluation.simulation.insertion import LesionSpec, insert_lesion
from ..io.reading import read_image
from ..preprocessing.brain_extraction import is_skull_stripped
from ..preprocessing.brain_space import BrainSpace, PreparedBrain
from ..preprocessing.registration import resample
from ..volume import Volume

LESION = LesionSpec("tumour", "strong", radius_mm=12.0)
SEED = 4
# Grid of the scans of ds002748: array shape (Z, Y, X), and voxel spacing (x, y, z) in mm.
SHAPE, SPACING = (181, 288, 288), (0.868, 0.868, 1.0)


def mni152_brain() -> Volume:
    """Load the MNI152 T1 template of nilearn, 1 mm, brain only (an average of 152 people).

    Raises:
        InputError: If nilearn is not installed.
    """
    try:
        from nilearn.datasets import load_mni152_template
    except ImportError as error:
        raise InputError("nilearn_missing") from error
    image = load_mni152_template(resolution=1)
    array = np.ascontiguousarray(np.asarray(image.dataobj, np.float32).T) * 1000
    return Volume(array, image.affine, "mni152")


@dataclass(frozen=True, eq=False)
class StandardScan:
    """A scan with its lesion, on its own grid and in the space of a model.

    Attributes:
        volume: The scan.
        brain: Its brain mask, uint8.
        prepared: The scan in the space of the model.
        lesion: The lesion in that space, bool (Z, Y, X).
        name: Description of the scan.
    """

    volume: Volume
    brain: Volume
    prepared: PreparedBrain
    lesion: np.ndarray
    name: str


def standard_scan(template: BrainSpace, path: Path | None = None) -> StandardScan:
    """Insert a lesion into a skull-stripped scan.

    Args:
        template: Template of the model.
        path: A scan without its skull; None takes the MNI152 brain of nilearn on a grid of 288×288×181.

    Raises:
        InputError: If the scan cannot be read, or nilearn is missing.
    """
    if path is None:
        scan, name = on_usual_grid(mni152_brain()), "the MNI152 brain"
    else:
        scan, name = read_image(path), path.name.split(".")[0]
    brain = scan.array > 0.05 * np.percentile(scan.array[scan.array > 0], 99) if path is None else scan.array > 0
    if path is not None and not is_skull_stripped(scan):
        raise InputError("not_skull_stripped", name=name)
    lesion = insert_lesion(scan, brain, LESION, SEED)
    prepared = template.prepared(lesion.volume, brain)
    inside = resample(lesion.mask.with_array(lesion.mask.array.astype(np.float32)), template.image, prepared.to_native)
    mask = scan.with_array(brain.astype(np.uint8))
    grid = "×".join(str(n) for n in scan.array.shape[::-1])
    return StandardScan(lesion.volume, mask, prepared, (inside > 0.5) & prepared.mask, f"{name}, {grid}, with a lesion")


def on_usual_grid(scan: Volume) -> Volume:
    """Resample a scan to a grid of 288×288×181 with the same centre."""
    affine = np.diag([*SPACING, 1.0])
    centre = scan.ras_from_voxels((np.array(scan.array.shape)[None] - 1) / 2)[0]
    affine[:3, 3] = centre - affine[:3, :3] @ ((np.array(SHAPE[::-1]) - 1) / 2)
    grid = Volume(np.zeros(SHAPE, np.float32), affine, scan.name)
    return grid.with_array(resample(scan, grid, np.eye(4)))
