"""Exchange of volumes and detections between processes of one computer through a folder, exact and without code.

A volume is one file: a raw ``.npy`` array, then one JSON object with its affine and its name. A detection is four
volumes and ``detection.json``, which is put in place last.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..errors import InputError, MedADError, OutputError
from ..runtime.atomic_files import PREFIX, put_in_place, staging_folder
from ..runtime.progress import Progress
from ..volume import Volume
from .record import Record

if TYPE_CHECKING:
    from ..detection import Detection
    from ..scoring.regions import Region

FORMAT = 1
PART_BYTES = 2**24
PHYSICAL = ("has_spacing", "has_orientation")
FACTS = "detection.json"
MAPS = {"mask": np.uint8, "anomaly": np.float32, "restored": np.float32, "labels": np.int16}
SUFFIX = ".npy"
FILES = (*(f"{name}{SUFFIX}" for name in MAPS), FACTS)


def write_volume(volume: Volume, path: str | os.PathLike) -> None:
    """Write a volume with its voxel type.

    Raises:
        OutputError: If it cannot be written; no file is left.
    """
    try:
        _dump(volume, Path(path))
    except OSError as error:
        with suppress(OSError):
            os.unlink(path)
        reason = error.strerror or error
        raise OutputError("exchange_unwritable", name=volume.name, path=path, reason=reason) from error


def read_volume(path: str | os.PathLike) -> Volume:
    """Read a volume that `write_volume` wrote.

    Raises:
        InputError: If it is missing or damaged, or holds values that are not finite.
    """
    try:
        with open(path, "rb") as stream:
            array = np.lib.format.read_array(stream, allow_pickle=False)
            place = json.loads(stream.read())
        if array.dtype.kind not in "biuf":
            raise ValueError(f"voxels of type {array.dtype}")
        volume = Volume(array, np.array(place["affine"], np.float64), str(place["name"]))
        physical = {fact: place.get(fact) is not False for fact in PHYSICAL}
        volume = replace(volume, **physical, described=str(place.get("described", "")))
    except OSError as error:
        raise InputError("exchange_unreadable", path=path, reason=error.strerror or error) from error
    except (ValueError, EOFError, KeyError, TypeError) as error:
        raise InputError("exchange_damaged", path=path, detail=f"{error!s:.200}") from error
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise InputError("exchange_not_finite", name=volume.name)
    return volume


def check_empty(folder: Path) -> None:
    """Refuse a folder that holds something, so that a cleanup after a failure removes only files of MedAD.

    Raises:
        OutputError: If it is a file or a folder with something in it.
    """
    try:
        if os.path.lexists(folder) and os.listdir(folder):
            raise OutputError("exchange_folder_not_empty", folder=folder)
    except OSError as error:
        raise OutputError("exchange_folder_unusable", folder=folder, reason=error.strerror or error) from error


def write_exchange(detection: Detection, folder: str | os.PathLike, progress: Progress | None = None) -> None:
    """Write a detection without its scan to an empty folder, completely or not at all; `progress` may cancel.

    Raises:
        OutputError: If it cannot be written, for example on a full disk; nothing is left behind.
        Cancelled: If the user asked to stop; nothing is left behind.
    """
    profile, progress = progress and progress.seconds, progress or Progress()
    folder = Path(folder)
    check_empty(folder)
    maps = {name: getattr(detection, name) for name in MAPS}
    try:
        with staging_folder(folder) as staging:
            for number, (name, kind) in enumerate(MAPS.items()):
                progress.update(number / len(MAPS))
                volume = maps[name]
                with progress.timed("write"):
                    _dump(volume.with_array(volume.array.astype(kind, copy=False)), staging / f"{name}{SUFFIX}")
            text = json.dumps({"format": FORMAT, **Record.of(detection, profile).as_json()}, allow_nan=False)
            (staging / FACTS).write_text(text, encoding="ascii")
            progress.update(1.0)
            put_in_place(staging, folder, list(FILES), [])
    except OSError as error:
        name, reason = detection.volume.name, error.strerror or error
        raise OutputError("exchange_result_unwritable", name=name, folder=folder, reason=reason) from error


def read_exchange(folder: str | os.PathLike, volume: Volume) -> Detection:
    """Read the detection of a scan that `write_exchange` wrote.

    Raises:
        OutputError: If it is missing, damaged or of another scan.
    """
    folder = Path(folder)
    try:
        document = json.loads((folder / FACTS).read_bytes(), parse_constant=_refuse)
        if document["format"] != FORMAT:
            raise OutputError("exchange_format", folder=folder, found=document["format"], expected=FORMAT)
        if not isinstance(document.get("warning_codes", []), list):
            raise ValueError("warning_codes is not a list")
        maps = {name: _map(folder, name, volume) for name in MAPS}
        record = Record.from_json(document, maps["anomaly"])
        _check_labels(record.regions, maps["labels"], folder)
    except OutputError:
        raise
    except (OSError, KeyError, TypeError, ValueError, MedADError) as error:
        reason = error.problem if isinstance(error, MedADError) else error
        raise OutputError("exchange_unusable", folder=folder, reason=reason) from error
    return record.detection(volume, **maps)


class Leftovers:
    """Files that a killed writer process may leave behind in its folder; its parent process removes them.

    Create it before the writer starts, while the folder is empty or missing.
    """

    def __init__(self, folder: str | os.PathLike):
        self._folder = Path(folder)
        self._missing = [path for path in (self._folder, *self._folder.parents) if not os.path.lexists(path)]

    def remove(self) -> None:
        """Remove files of the exchange and the folders that did not exist before; other files stay."""
        for name in FILES:
            with suppress(OSError):
                (self._folder / name).unlink()
        # A writer that was asked to end may remove its folder at the same moment.
        with suppress(FileNotFoundError):
            for staging in self._folder.glob(f"{PREFIX}*"):
                shutil.rmtree(staging, ignore_errors=True)
        for path in self._missing:
            with suppress(OSError):
                path.rmdir()


def volume_parts(volume: Volume, path: Path) -> Iterator[None]:
    """Write a volume as `write_volume` does, in parts of `PART_BYTES`, for a caller with other things to do meanwhile.

    Raises:
        OSError: If it cannot be written; the file stays as it is.
    """
    place = {
        "affine": volume.affine.tolist(),
        "name": volume.name,
        **{fact: getattr(volume, fact) for fact in PHYSICAL},
        "described": volume.described,
    }
    array = np.ascontiguousarray(volume.array)
    with path.open("wb") as stream:
        np.lib.format.write_array_header_1_0(stream, np.lib.format.header_data_from_array_1_0(array))
        for part in byte_parts(array):
            stream.write(part)
            yield
        stream.write(json.dumps(place).encode("ascii"))


def byte_parts(array: np.ndarray) -> Iterator[memoryview]:
    """Iterate over the bytes of a contiguous array, in parts of `PART_BYTES` (views, no copy)."""
    data = memoryview(array.reshape(-1).view(np.uint8))
    return (data[start : start + PART_BYTES] for start in range(0, len(data), PART_BYTES))


def _dump(volume: Volume, path: Path) -> None:
    for _ in volume_parts(volume, path):
        pass


def _map(folder: Path, name: str, volume: Volume) -> Volume:
    path = folder / f"{name}{SUFFIX}"
    found = read_volume(path)
    if found.array.dtype != MAPS[name]:
        raise OutputError("exchange_type", path=path, type=found.array.dtype)
    if not found.same_grid(volume):
        raise OutputError("exchange_not_on_grid", path=path, scan=volume.name)
    return volume.with_array(found.array, found.name)


def _check_labels(regions: tuple[Region, ...], labels: Volume, folder: Path) -> None:
    ranks = list(range(1, len(regions) + 1))
    if [region.rank for region in regions] != ranks or [region.label for region in regions] != ranks:
        raise OutputError("exchange_ranks", folder=folder)
    if labels.array.min() < 0 or labels.array.max() != len(regions):
        raise OutputError("exchange_labels", folder=folder)


def _refuse(constant: str) -> float:
    raise ValueError(f"{constant} is not a number")
