"""Healthy scans of a folder, brought to a common template once and kept for all methods that train on them.

Scans of one slice each make a template of single slices; all others, a template of the brain.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from .brainmask import brain_mask
from .errors import InputError
from .plane import PlaneTemplate, PreparedPlane
from .plane_grid import is_single_slice
from .plane_template import build_plane_template
from .preparation import Prepared, Template
from .progress import Progress
from .spaces import template_from_tensors
from .split import Split
from .template import build_template
from .volume import IMAGE_SUFFIXES, Volume, stem

Scan = tuple[np.ndarray, np.ndarray]
MIXED = "Train on single slices or on volumes, not on both."


@dataclass(frozen=True, eq=False)
class HealthyData:
    """Healthy scans in model space.

    Attributes:
        template: The model's space.
        train: Pairs of image (standard intensities) and mask, each (Z, Y, X).
        validation: The same, for watching the training.
    """

    template: Template | PlaneTemplate
    train: list[Scan]
    validation: list[Scan]


def find_scans(folder: Path) -> dict[str, Path]:
    """The image files of a folder by stem.

    Raises:
        InputError: If the folder is missing or holds no images, or two images of one name.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(f"{folder} is not a folder", "Give the folder with the healthy scans.")
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        # Names with a leading dot are no scans: macOS leaves such files beside copied ones.
        if path.name.lower().endswith(IMAGE_SUFFIXES) and not path.name.startswith("."):
            if stem(path) in found:
                raise InputError(f"{folder} has two images named {stem(path)}", "Keep one of them.")
            found[stem(path)] = path
    if not found:
        raise InputError(f"{folder} holds no images", f"Expected files ending in {', '.join(IMAGE_SUFFIXES)}.")
    return found


def read_scan(path: Path, progress: Progress | None = None) -> tuple[Volume, np.ndarray]:
    """A scan and its brain."""
    volume = Volume.read(path)
    return volume, brain_mask(volume, None, progress)[0]


def healthy_data(
    scans: dict[str, Path], split: Split, work: Path, progress: Progress | None = None, longest: int | None = None
) -> HealthyData:
    """Template and prepared scans of a split; what an earlier run left in `work` is used again.

    Args:
        scans: Path of each scan by name.
        split: Which scans to use for what.
        work: Folder for the prepared scans.
        progress: Told after each scan.
        longest: Pixels along the longer side of the grid, for single slices; None chooses.

    Raises:
        InputError: If a scan of the split is missing, `work` belongs to another split or size, or only some of the
            scans are single slices.
    """
    progress = progress or Progress()
    missing = sorted(set(split.names()) - set(scans))
    if missing:
        raise InputError(f"the split names {missing[0]}, which is not in the folder", "Check the split file.")
    work.mkdir(parents=True, exist_ok=True)
    record = work / "split.json"
    if record.is_file() and Split.read(record) != split:
        raise InputError(f"{work} was made with another split", "Give another --work folder, or empty this one.")
    record.write_text(json.dumps(split.to_json(), indent=1), encoding="utf-8")
    template = _template(scans, split, work, progress, longest)
    train = [_prepared(name, scans[name], template, work, progress) for name in split.train]
    validation = [_prepared(name, scans[name], template, work, progress) for name in split.validation]
    return HealthyData(template, train, validation)


def prepared_scans(
    scans: dict[str, Path], names: Sequence[str], template: Template | PlaneTemplate, progress: Progress
) -> list[Prepared] | list[PreparedPlane]:
    """Scans with everything needed to go back to their own grids."""
    found = []
    for name in names:
        progress.update(len(found) / max(len(names), 1), f"preparing {name}")
        found.append(_brought(scans[name], template))
    return found


def _template(
    scans: dict[str, Path], split: Split, work: Path, progress: Progress, longest: int | None
) -> Template | PlaneTemplate:
    tensors, parameters = work / "template.safetensors", work / "template.json"
    if tensors.is_file() and parameters.is_file():
        kept = template_from_tensors(json.loads(parameters.read_text(encoding="utf-8")), load_file(tensors))
        if longest is not None and max(kept.image.array.shape[1:]) != longest:
            raise InputError(f"{work} was made with another size", "Give another --work folder, or empty this one.")
        return kept
    if is_single_slice(Volume.read(scans[split.train[0]])):
        built = build_plane_template(split.train, lambda name: _single_slice(scans[name]), longest, progress)
    elif longest is not None:
        raise InputError("--size is for single slices, and these scans are volumes", "Leave it out.")
    else:
        built, _ = build_template([_whole_volume(scans[name]) for name in split.train], progress=progress)
    save_file(built.tensors(), tensors)
    parameters.write_text(json.dumps(built.parameters()), encoding="utf-8")
    # The saved template is half precision: everybody, also the first run, works with the same one.
    return template_from_tensors(built.parameters(), load_file(tensors))


def _single_slice(path: Path) -> Volume:
    """A scan among single slices."""
    volume = Volume.read(path)
    if not is_single_slice(volume):
        raise InputError(f"{path} has more than one slice, others of its folder have one", MIXED)
    return volume


def _whole_volume(path: Path) -> tuple[Volume, np.ndarray]:
    """A scan among volumes, and its brain."""
    volume, brain = read_scan(path)
    if is_single_slice(volume):
        raise InputError(f"{path} is a single slice, others of its folder are volumes", MIXED)
    return volume, brain


def _brought(path: Path, template: Template | PlaneTemplate) -> Prepared | PreparedPlane:
    """A scan in the template's space."""
    if isinstance(template, Template):
        return template.prepared(*_whole_volume(path))
    volume = _single_slice(path)
    return template.prepared(volume, template.examined(volume)[0])


def _prepared(name: str, path: Path, template: Template | PlaneTemplate, work: Path, progress: Progress) -> Scan:
    file = work / "prepared" / f"{name}.safetensors"
    try:
        kept = load_file(file)
    except (OSError, SafetensorError):
        progress.update(0.0, f"preparing {name}")
        scan = _brought(path, template)
        kept = {"image": scan.image.astype(np.float16), "mask": scan.mask.astype(np.uint8)}
        file.parent.mkdir(exist_ok=True)
        save_file(kept, file)
    return kept["image"].astype(np.float32), kept["mask"] > 0
