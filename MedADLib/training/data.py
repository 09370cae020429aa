"""Prepare healthy scans for training: build a template, map the scans to it, and store them for all methods.

Single slices give a 2-D template, volumes with brains a template of the brain, and other volumes a template of the
whole field of view.
"""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save

from ..dataset.space_choice import chosen_space
from ..dataset.split import Split
from ..errors import InputError, ModelError
from ..io.reading import read_image
from ..io.reading_options import ReadingOptions
from ..io.sources import Source
from ..messages import Message
from ..preprocessing.brain_extraction import brain_or_foreground
from ..preprocessing.grids import BRAIN_VOXELS, LARGEST_SIDE, VOLUME_VOXELS
from ..preprocessing.space import BRAIN, SLICE, VOLUME, PreparedScan, ReferenceSpace
from ..preprocessing.spaces import template_from_tensors
from ..preprocessing.template_building import build_slice_template, build_template, build_volume_template
from ..runtime.atomic_files import write_bytes, write_json
from ..runtime.progress import Progress
from ..volume import Volume, is_single_slice
from .slices import Slices

if TYPE_CHECKING:
    from ..modelfile.model import Model

log = logging.getLogger(__name__)

Scan = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True, eq=False)
class HealthyData:
    """Healthy scans in the space of the model.

    Attributes:
        template: Space of the model.
        train: Training scans: pairs of image (standard intensities) and mask, each (Z, Y, X).
        validation: Validation scans of the same form.
        why: Why this kind of space was chosen, for display.
        varied: Whether the training may augment its slices.
    """

    template: ReferenceSpace
    train: list[Scan]
    validation: list[Scan]
    why: str = ""
    varied: bool = True

    def slices(self) -> tuple[Slices, Slices]:
        """Collect the training slices and the validation slices."""
        train, validation = (Slices.of(scans, self.template.symmetric) for scans in (self.train, self.validation))
        return replace(train, varied=self.varied), validation


def read_scan(scan: Source | Path) -> tuple[Volume, np.ndarray]:
    """Read a scan and extract its brain mask (Z, Y, X)."""
    volume = scan.read() if isinstance(scan, Source) else read_image(scan)
    return volume, brain_or_foreground(volume)


def healthy_data(
    scans: dict[str, Source],
    split: Split,
    work: Path,
    progress: Progress | None = None,
    longest: int | None = None,
    like: Model | None = None,
    prepare: str = "auto",
) -> HealthyData:
    """Build the template and prepare the scans of a split; files of an earlier run in `work` are used again.

    Args:
        scans: Scans by name.
        split: The split of the scans.
        work: Folder for template and prepared scans.
        progress: Receives each scan; may cancel.
        longest: Pixels along the longer side of the grid of single slices; None chooses.
        like: Model that provides the template; None builds a new one.
        prepare: See `chosen_space`.

    Raises:
        InputError: If a scan of the split is missing or has changed since it was prepared, if `work` belongs to another
            split, size, template or kind of space, or if only some of the scans are single slices.
    """
    progress = progress or Progress()
    split.check_found(scans)
    work.mkdir(parents=True, exist_ok=True)
    record = work / "split.json"
    if record.is_file():
        try:
            if Split.read(record) != split:
                raise InputError("work_of_other_split", work=work)
        except InputError as error:
            if error.code != "not_a_split":
                raise
            _make_again(record)
    if not record.is_file():
        write_json(record, split.to_json(), indent=1, durable=True)
    if like is not None and like.template.kind != SLICE:
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
    """Estimate the largest size of prepared scans on the disk in bytes.

    Args:
        count: Number of training and validation scans.
        kind: Kind of their space.
        longest: Pixels along the longer side of single slices; None for the largest possible.
    """
    voxels = {SLICE: (longest or LARGEST_SIDE) ** 2, VOLUME: VOLUME_VOXELS}.get(kind, BRAIN_VOXELS)
    return count * voxels * (np.dtype(np.float16).itemsize + np.dtype(np.uint8).itemsize)


def prepared_scans(
    scans: dict[str, Source], names: Sequence[str], template: ReferenceSpace, progress: Progress
) -> list[PreparedScan]:
    """Prepare scans by name, and keep what maps them back to their own grids."""
    found = []
    for name in names:
        progress.update(len(found) / max(len(names), 1), f"preparing {name}")
        found.append(prepared_scan(scans[name], template))
    return found


def _template(
    scans: dict[str, Source],
    split: Split,
    work: Path,
    progress: Progress,
    longest: int | None,
    kind: str,
    like: Model | None,
) -> ReferenceSpace:
    tensors, parameters = work / "template.safetensors", work / "template.json"
    if (kept := _kept_template(tensors, parameters)) is not None:
        if longest is not None and max(kept.image.array.shape[1:]) != longest:
            raise InputError("work_of_other_size", work=work)
        if like is not None and not kept.same_as(like.template):
            raise InputError("work_of_other_template", work=work, model=like.name)
        return kept
    if like is not None:
        built = like.template
    elif kind == SLICE:
        built = build_slice_template(split.train, lambda name: _single_slice(scans[name]), longest, progress)
    elif longest is not None:
        raise InputError("size_for_slices")
    elif kind == VOLUME:
        built = build_volume_template(split.train, lambda name: _whole_volume(scans[name]), progress)
    else:
        built, _ = build_template([_whole_brain(scans[name]) for name in split.train], progress=progress)
    write_bytes(tensors, save(built.tensors()), durable=True)
    write_json(parameters, built.parameters(), durable=True)
    # The stored template has half precision: read it back, so that the first run uses the same one as later runs.
    return template_from_tensors(built.parameters(), load_file(tensors))


def _kept_template(tensors: Path, parameters: Path) -> ReferenceSpace | None:
    """Read the template of an earlier run; None without an intact one."""
    if not (tensors.is_file() and parameters.is_file()):
        return None
    torn = parameters
    try:
        document = json.loads(parameters.read_text(encoding="utf-8"))
        if isinstance(document, dict):
            torn = tensors
            return template_from_tensors(document, load_file(tensors))
    except (ValueError, SafetensorError, ModelError) as error:
        # A later version of MedAD may have made it.
        if isinstance(error, ModelError) and error.code == "space_unknown":
            raise
    _make_again(torn)
    return None


def _make_again(torn: Path) -> None:
    """Remove a file that is cut short from a work folder, with the template and the prepared scans.

    What a record says about their origin is lost with it. Equal scans give an equal template and equal prepared scans,
    so checkpoints stay valid.
    """
    log.warning(Message("torn_file", path=str(torn)))
    for name in (torn.name, "template.json", "template.safetensors"):
        (torn.parent / name).unlink(missing_ok=True)
    shutil.rmtree(torn.parent / "prepared", ignore_errors=True)


def _refuse_changed(scans: dict[str, Source], split: Split, work: Path) -> None:
    """Refuse scans with files that have changed since `work` stored them in prepared form.

    ``sources.json`` keeps size, time of the last change and sha256 of each scan. Where only the time differs, as in a
    copied data set, the sha256 decides. Records of earlier versions lack it.
    """
    record = work / "sources.json"
    kept = {}
    if record.is_file():
        try:
            read = json.loads(record.read_text(encoding="utf-8"))
            kept = {name: (int(size), int(time), *rest) for name, (size, time, *rest) in read.items()}
        except (ValueError, TypeError, AttributeError):
            _make_again(record)
    # Images of one NPZ file share its hash.
    hashes: dict[Path, str] = {}

    def content_hash(source: Source) -> str:
        if source.path not in hashes:
            hashes[source.path] = source.content_hash()
        return hashes[source.path]

    found, changed, unknown = {}, [], []
    for name in split.train + split.validation:
        source = scans[name]
        size, time = source.fingerprint()
        before_size, before_time, *before_hash = kept.get(name, (size, time))
        if size != before_size:
            changed.append(name)
        elif time == before_time:
            found[name] = [size, time, *(before_hash or [content_hash(source)])]
        elif not before_hash:
            unknown.append(name)
        elif before_hash == [content_hash(source)]:
            found[name] = [size, time, *before_hash]
        else:
            changed.append(name)
    if changed:
        raise InputError("work_of_changed_scans", count=len(changed), work=work, example=changed[0])
    if unknown:
        raise InputError("work_of_unknown_scans", count=len(unknown), work=work, example=unknown[0], record=record)
    write_json(record, found, durable=True)


def check_reading(work: Path, options: ReadingOptions) -> None:
    """Record in a work folder how its scans are read, ``reading.json``; without what the user says there is none.

    Raises:
        InputError: If it holds a template of scans that were read in another way.
    """
    record, kept = work / "reading.json", {}
    with suppress(OSError, ValueError):
        kept = json.loads(record.read_text(encoding="utf-8"))
    if kept == options.as_json():
        return
    if (work / "template.safetensors").is_file():
        raise InputError("work_of_other_reading", work=work)
    work.mkdir(parents=True, exist_ok=True)
    # What was found out about the scans holds no longer.
    for name in ("checks.json", "space.json"):
        (work / name).unlink(missing_ok=True)
    write_json(record, options.as_json(), durable=True)


def _single_slice(source: Source) -> Volume:
    """Read a single slice."""
    volume = source.read()
    if not is_single_slice(volume):
        raise InputError("volume_among_slices", path=source.path)
    return volume


def _whole_volume(source: Source, volume: Volume | None = None) -> Volume:
    """Read a volume, or check the given one."""
    volume = volume or source.read()
    if is_single_slice(volume):
        raise InputError("slice_among_volumes", path=source.path)
    return volume


def _whole_brain(source: Source) -> tuple[Volume, np.ndarray]:
    """Read a volume and its brain mask."""
    volume, brain = read_scan(source)
    return _whole_volume(source, volume), brain


def prepared_scan(source: Source, template: ReferenceSpace) -> PreparedScan:
    """Map a scan to the space of the template.

    Raises:
        InputError: If the scan is a single slice and the template is not, or the reverse.
    """
    if template.kind == BRAIN:
        return template.prepared(*_whole_brain(source))
    volume = _single_slice(source) if template.kind == SLICE else _whole_volume(source)
    return template.prepared(volume, template.examined(volume)[0])


def _prepared(name: str, source: Source, template: ReferenceSpace, work: Path) -> Scan:
    file = work / "prepared" / f"{name}.safetensors"
    try:
        kept = load_file(file)
    except (OSError, SafetensorError):
        scan = prepared_scan(source, template)
        kept = {"image": scan.image.astype(np.float16), "mask": scan.mask.astype(np.uint8)}
        file.parent.mkdir(exist_ok=True)
        write_bytes(file, save(kept))
    return kept["image"].astype(np.float32), kept["mask"] > 0
