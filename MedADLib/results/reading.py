"""Reading of a result folder: detections with their scans, and the decisions of a reader."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..detection import Detection, content_hash
from ..errors import InputError, ModelError
from ..io.reading import read_image
from ..io.reading_options import READING, ReadingOptions
from ..io.sources import in_file, named_scan
from ..masks import connected_components
from ..scoring.regions import Region
from ..volume import IMAGE_SUFFIXES, Volume
from .decisions import Decision, default_name
from .record import Record, region_of
from .writing import GENERATOR

if TYPE_CHECKING:
    from ..runtime.progress import Progress

# Keys of ``STEM.json`` that are neither of the record nor of the provenance.
OWN_KEYS = {"generated_by", "smallest_p_value", "verdict", "warning_codes", "rejected", "names", "summary"}
LARGEST_FACTS = 64 << 20


@dataclass(frozen=True, eq=False)
class StoredResult:
    """One result in a folder: `stem` begins the names of its files, and `facts` is the content of ``STEM.json``."""

    folder: Path
    stem: str
    facts: dict[str, Any]

    def file(self, suffix: str) -> Path:
        """Return the path of the file with this suffix."""
        return self.folder / f"{self.stem}{suffix}"


def stored_results(folder: Path) -> list[StoredResult]:
    """Find the results of MedAD in a folder, sorted by name.

    Raises:
        InputError: If the folder does not exist or holds no result.
    """
    if not folder.is_dir():
        raise InputError("result_folder_missing", folder=folder)
    found = []
    for path in sorted(folder.glob("*.json")):
        facts = _facts_of(path)
        if facts.get("generated_by") == GENERATOR and path.with_name(f"{path.stem}_anomaly.nii.gz").is_file():
            found.append(StoredResult(folder, path.stem, facts))
    if not found:
        raise InputError("no_results", folder=folder)
    return found


def of_scan(results: list[StoredResult], scan: Path) -> list[StoredResult]:
    """Select the results that were made from a scan.

    Raises:
        InputError: If there is none, or the scan cannot be read.
    """
    digests: dict[ReadingOptions, str] = {}
    found = []
    for stored in results:
        options = _reading(stored)
        if options not in digests:
            digests[options] = content_hash(named_scan(scan, options).read())
        if _scan_facts(stored).get("sha256") == digests[options]:
            found.append(stored)
    if not found:
        names = ", ".join(stored.stem for stored in results[:3]) + ", …" * (len(results) > 3)
        raise InputError("result_of_other_scan", path=scan, results=names)
    return found


def reopen(stored: StoredResult, scan: Path | None = None, progress: Progress | None = None) -> Detection:
    """Read a result without the regions that a reader rejected.

    Earlier versions did not write the examined part; it is then where the restored image differs from the scan or the
    map is positive, which is the same except for voxels beyond the template of the model.

    Args:
        stored: The result.
        scan: Path of its scan; None looks at the recorded path and beside the result.
        progress: Receives each file; may cancel.

    Returns:
        The detection as it was written; its volumes have exactly the grid of the scan.

    Raises:
        InputError: If a file is missing, damaged or does not belong to the others, or the scan is another one.
    """
    path = scan or _find_scan(stored)
    _report(progress, 0.0, path.name)
    volume = named_scan(path, _reading(stored)).read()
    _check_scan(stored, volume, path)
    maps = {}
    for number, role in enumerate(("anomaly", "restored", "regions"), start=1):
        path = stored.file(f"_{role}.nii.gz")
        _report(progress, number / 5, path.name)
        maps[role] = _read_map(path, volume)
    labels = maps["regions"].array.astype(np.int16)
    path = stored.file("_examined.nii.gz")
    if path.is_file():
        _report(progress, 4 / 5, path.name)
        examined = _read_map(path, volume).array > 0
    else:
        examined = (maps["restored"].array != volume.array) | (maps["anomaly"].array > 0) | (labels > 0)
    facts = stored.facts
    try:
        record = Record.from_json({**facts, "provenance": _provenance(facts)}, maps["anomaly"])
        # Rejected regions leave gaps in the ranks.
        if set(np.unique(labels).tolist()) != {0, *(region.label for region in record.regions)}:
            raise ValueError("its regions do not fit its labels")
        return record.detection(
            volume,
            mask=volume.with_array(examined.astype(np.uint8), f"{volume.name}_mask"),
            anomaly=maps["anomaly"],
            restored=maps["restored"],
            labels=volume.with_array(labels, maps["regions"].name),
        )
    except KeyError as error:
        raise InputError("result_incomplete", path=stored.file(".json"), key=error.args[0]) from error
    except ModelError as error:
        raise InputError("result_damaged", path=stored.file(".json"), detail=error.problem) from error
    except (TypeError, ValueError, AttributeError) as error:
        raise InputError("result_damaged", path=stored.file(".json"), detail=error) from error


def _read_map(path: Path, volume: Volume) -> Volume:
    read = read_image(path, uniform=True)
    if not read.same_grid(volume):
        raise InputError("result_map_not_on_grid", path=path)
    return volume.with_array(read.array, read.name)


def _facts_of(path: Path) -> dict[str, Any]:
    """Read a JSON object; an empty one if the file holds anything else."""
    try:
        facts = json.loads(path.read_bytes()) if path.stat().st_size <= LARGEST_FACTS else None
    except (OSError, ValueError, RecursionError):
        return {}
    return facts if isinstance(facts, dict) else {}


def _find_scan(stored: StoredResult) -> Path:
    recorded = _scan_facts(stored).get("path")
    paths = [Path(os.path.normpath(stored.folder / recorded))] if isinstance(recorded, str) else []
    paths += [stored.file(suffix) for suffix in IMAGE_SUFFIXES]
    for path in paths:
        if in_file(path)[0].exists():
            return path
    if isinstance(recorded, str):
        raise InputError("result_scan_moved", result=stored.stem, path=paths[0])
    raise InputError("result_scan_missing", path=stored.file(".json"))


def _check_scan(stored: StoredResult, volume: Volume, path: Path) -> None:
    expected = _scan_facts(stored).get("sha256")
    if not isinstance(expected, str):
        raise InputError("result_scan_not_recorded", path=stored.file(".json"))
    if content_hash(volume) != expected:
        raise InputError("result_of_other_scan", path=path, results=stored.stem)


def _scan_facts(stored: StoredResult) -> dict[str, Any]:
    facts = stored.facts.get("input")
    return facts if isinstance(facts, dict) else {}


def _reading(stored: StoredResult) -> ReadingOptions:
    """Return what the user said about the file of the scan."""
    return ReadingOptions.from_json(_scan_facts(stored).get(READING))


def _provenance(facts: dict[str, Any]) -> dict[str, Any]:
    """Return the provenance of the detection, without the path of its scan."""
    provenance = {key: value for key, value in facts.items() if key not in OWN_KEYS.union(Record.names())}
    if isinstance(provenance.get("input"), dict):
        provenance["input"] = {key: value for key, value in provenance["input"].items() if key != "path"}
    return provenance


def _report(progress: Progress | None, fraction: float, name: str) -> None:
    if progress is not None:
        progress.update(fraction, f"reading {name}")


def reopen_decided(
    stored: StoredResult, scan: Path | None = None, progress: Progress | None = None
) -> tuple[Detection, dict[int, Decision]]:
    """Read a result with its rejected regions and the decisions of the reader.

    Args:
        stored: The result.
        scan: Path of its scan; None looks at the recorded path and beside the result.
        progress: Receives each file; may cancel.

    Returns:
        The detection with all regions, and the decisions by rank, one for each rejected or renamed region.

    Raises:
        InputError: If a file is missing, damaged or does not belong to the others, or the scan is another one.
    """
    detection = reopen(stored, scan, progress)
    try:
        rejected = [region_of(values, detection.anomaly) for values in stored.facts.get("rejected", ())]
        names = _names(stored.facts.get("names", {}))
        detection = _with_rejected(detection, rejected)
    except ModelError as error:
        raise InputError("result_damaged", path=stored.file(".json"), detail=error.problem) from error
    except (TypeError, ValueError, AttributeError) as error:
        raise InputError("result_damaged", path=stored.file(".json"), detail=error) from error
    rejected_ranks = {region.rank for region in rejected}
    decisions = {
        region.rank: Decision(region.rank not in rejected_ranks, names.get(region.rank) or default_name(region))
        for region in detection.regions
        if region.rank in rejected_ranks or region.rank in names
    }
    return detection, decisions


def _names(document: Any) -> dict[int, str]:
    if not isinstance(document, dict) or not all(isinstance(name, str) for name in document.values()):
        raise ValueError("its names of regions are not texts")
    return {int(rank): " ".join(name.split()) for rank, name in document.items()}


def _with_rejected(detection: Detection, rejected: list[Region]) -> Detection:
    """Restore rejected regions, which only the facts record, with their voxels."""
    if not rejected:
        return detection
    labels = detection.labels.array.copy()
    for region in rejected:
        x0, x1, y0, y1, z0, z1 = region.bounding_box
        if not all(0 <= low < high <= size for low, high, size in zip((z0, y0, x0), (z1, y1, x1), labels.shape)):
            raise ValueError("its rejected regions are not in the scan")
        box = np.s_[z0:z1, y0:y1, x0:x1]
        values = detection.anomaly.array[box]
        components = connected_components((values >= detection.threshold) & (values > 0) & (labels[box] == 0))
        own = components == components[np.unravel_index(np.abs(values - region.peak).argmin(), values.shape)]
        own &= components > 0
        if not np.isclose(own.sum() * detection.volume.voxel_ml, region.volume_ml, rtol=1e-4):
            raise ValueError("its rejected regions do not fit its map")
        labels[box][own] = region.label
    regions = tuple(sorted((*detection.regions, *rejected), key=lambda region: region.rank))
    if len({region.rank for region in regions}) < len(regions):
        raise ValueError("two of its regions have one rank")
    return replace(detection, labels=detection.labels.with_array(labels), regions=regions)
