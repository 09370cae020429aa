"""Healthy scans of a folder, brought to a common template once and kept for all methods that train on them.

Scans of one slice each make a template of single slices; volumes that hold brains, a template of the brain; all others,
a template of the whole field of view.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from ..dataset.space_choice import FIELD, PLANE, chosen_space
from ..dataset.split import Split
from ..errors import InputError
from ..io.reading import read_image
from ..io.sources import Source
from ..preprocessing.brain_extraction import brain_mask
from ..preprocessing.brain_space import Template
from ..preprocessing.grids import BRAIN_VOXELS, FIELD_VOXELS, LARGEST_SIDE
from ..preprocessing.spaces import PreparedScan, Space, same_space, template_from_tensors
from ..preprocessing.template_building import build_field_template, build_plane_template, build_template
from ..runtime.progress import Progress
from ..volume import Volume, is_single_slice
from .slices import Slices

if TYPE_CHECKING:
    from ..modelfile.model import Model

Scan = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True, eq=False)
class HealthyData:
    """Healthy scans in model space.

    Attributes:
        template: The model's space.
        train: Pairs of image (standard intensities) and mask, each (Z, Y, X).
        validation: The same, for watching the training.
        why: Why this kind of space was chosen, in words.
        varied: Whether the training may change its slices at random.
    """

    template: Space
    train: list[Scan]
    validation: list[Scan]
    why: str = ""
    varied: bool = True

    def slices(self) -> tuple[Slices, Slices]:
        """The slices for training, and those for watching it."""
        train, validation = (Slices.of(scans, self.template.symmetric) for scans in (self.train, self.validation))
        return replace(train, varied=self.varied), validation


def read_scan(scan: Source | Path, progress: Progress | None = None) -> tuple[Volume, np.ndarray]:
    """A scan and its brain."""
    volume = scan.read() if isinstance(scan, Source) else read_image(scan)
    return volume, brain_mask(volume, None, progress)[0]


def healthy_data(
    scans: dict[str, Source],
    split: Split,
    work: Path,
    progress: Progress | None = None,
    longest: int | None = None,
    like: Model | None = None,
    prepare: str = "auto",
) -> HealthyData:
    """Template and prepared scans of a split; what an earlier run left in `work` is used again.

    Args:
        scans: By name.
        split: Which scans to use for what.
        work: Folder for the prepared scans.
        progress: Told before each scan.
        longest: Pixels along the longer side of the grid, for single slices; None chooses.
        like: A model whose template is taken instead of a new one.
        prepare: See `chosen_space`.

    Raises:
        InputError: If a scan of the split is missing or has changed since it was prepared, `work` belongs to another
            split, size, template or kind of space, or only some of the scans are single slices.
    """
    progress = progress or Progress()
    split.check_found(scans)
    work.mkdir(parents=True, exist_ok=True)
    record = work / "split.json"
    if record.is_file() and Split.read(record) != split:
        raise InputError("work_of_other_split", work=work)
    if not record.is_file():
        record.write_text(json.dumps(split.to_json(), indent=1), encoding="utf-8")
    if like is not None and like.template.kind != PLANE:
        prepare = like.template.kind
    _refuse_changed(scans, split, work)
    kind, why = chosen_space({name: scans[name] for name in split.train}, prepare, work, progress)
    template = _template(scans, split, work, progress, longest, kind, like)
    names, found = split.train + split.validation, []
    for number, name in enumerate(names):
        progress.update(number / len(names), f"preparing {name}, {number + 1} of {len(names)}")
        found.append(_prepared(name, scans[name], template, work))
    return HealthyData(template, found[: len(split.train)], found[len(split.train) :], why)


def bytes_to_prepare(count: int, kind: str, longest: int | None = None) -> int:
    """At most how much room that many prepared scans take on the disk.

    Args:
        count: Of scans to train and validate on.
        kind: Of their space.
        longest: Pixels along the longer side of single slices, if chosen.
    """
    voxels = {PLANE: (longest or LARGEST_SIDE) ** 2, FIELD: FIELD_VOXELS}.get(kind, BRAIN_VOXELS)
    return count * voxels * (np.dtype(np.float16).itemsize + np.dtype(np.uint8).itemsize)


def prepared_scans(
    scans: dict[str, Source], names: Sequence[str], template: Space, progress: Progress
) -> list[PreparedScan]:
    """Scans with everything needed to go back to their own grids."""
    found = []
    for name in names:
        progress.update(len(found) / max(len(names), 1), f"preparing {name}")
        found.append(brought(scans[name], template))
    return found


def _template(
    scans: dict[str, Source],
    split: Split,
    work: Path,
    progress: Progress,
    longest: int | None,
    kind: str,
    like: Model | None,
) -> Space:
    tensors, parameters = work / "template.safetensors", work / "template.json"
    if tensors.is_file() and parameters.is_file():
        kept = template_from_tensors(json.loads(parameters.read_text(encoding="utf-8")), load_file(tensors))
        if longest is not None and max(kept.image.array.shape[1:]) != longest:
            raise InputError("work_of_other_size", work=work)
        if like is not None and not same_space(kept, like.template):
            raise InputError("work_of_other_template", work=work, model=like.name)
        return kept
    if like is not None:
        built = like.template
    elif kind == PLANE:
        built = build_plane_template(split.train, lambda name: _single_slice(scans[name]), longest, progress)
    elif longest is not None:
        raise InputError("size_for_slices")
    elif kind == FIELD:
        built = build_field_template(split.train, lambda name: _whole_volume(scans[name]), progress)
    else:
        built, _ = build_template([_whole_brain(scans[name]) for name in split.train], progress=progress)
    save_file(built.tensors(), tensors)
    parameters.write_text(json.dumps(built.parameters()), encoding="utf-8")
    # The saved template is half precision: everybody, also the first run, works with the same one.
    return template_from_tensors(built.parameters(), load_file(tensors))


def _refuse_changed(scans: dict[str, Source], split: Split, work: Path) -> None:
    """Refuse to go on with scans that are not those that `work` keeps in prepared form."""
    record, found = work / "sources.json", {name: scans[name].fingerprint() for name in split.train + split.validation}
    kept = json.loads(record.read_text(encoding="utf-8")) if record.is_file() else {}
    changed = [name for name, value in found.items() if kept.get(name, value) != value]
    if changed:
        raise InputError("work_of_changed_scans", count=len(changed), work=work, example=changed[0])
    record.write_text(json.dumps(found), encoding="utf-8")


def _single_slice(source: Source) -> Volume:
    """A scan among single slices."""
    volume = source.read()
    if not is_single_slice(volume):
        raise InputError("volume_among_slices", path=source.path)
    return volume


def _whole_volume(source: Source, volume: Volume | None = None) -> Volume:
    """A scan among volumes, read unless it was."""
    volume = volume or source.read()
    if is_single_slice(volume):
        raise InputError("slice_among_volumes", path=source.path)
    return volume


def _whole_brain(source: Source) -> tuple[Volume, np.ndarray]:
    """A scan among volumes, and its brain."""
    volume, brain = read_scan(source)
    return _whole_volume(source, volume), brain


def brought(source: Source, template: Space) -> PreparedScan:
    """A scan in the template's space; raises InputError if it is of another kind."""
    if isinstance(template, Template):
        return template.prepared(*_whole_brain(source))
    volume = _single_slice(source) if template.kind == PLANE else _whole_volume(source)
    return template.prepared(volume, template.examined(volume)[0])


def _prepared(name: str, source: Source, template: Space, work: Path) -> Scan:
    file = work / "prepared" / f"{name}.safetensors"
    try:
        kept = load_file(file)
    except (OSError, SafetensorError):
        scan = brought(source, template)
        kept = {"image": scan.image.astype(np.float16), "mask": scan.mask.astype(np.uint8)}
        file.parent.mkdir(exist_ok=True)
        save_file(kept, file)
    return kept["image"].astype(np.float32), kept["mask"] > 0
