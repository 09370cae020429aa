"""Facts that Slicer's DICOM database has about a volume and its node has not: kind of scan, spacing and orientation.

Only one word for the kind and two truth values leave the header; it stays in the database with whom it names.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import slicer

from ...volume import Volume, is_single_slice

INSTANCES = "DICOM.instanceUIDs"
HEADERS_KEPT = 64


def described(volume: Volume, node: slicer.vtkMRMLVolumeNode) -> Volume:
    """Add to a volume what the header of its first DICOM instance says; the same volume if there is none.

    A volume of several slices keeps its spacing, which Slicer's reader or the user has set: see `lacks_spacing`.
    """
    file = instance_file(node)
    if file is None:
        return volume
    kind, physical = _facts(file, _changed(file))
    facts = dict(physical) if is_single_slice(volume) else {}
    if _spaced(volume):
        facts.pop("has_spacing", None)
    return replace(volume, described=kind, **facts)


def lacks_spacing(node: slicer.vtkMRMLVolumeNode, volume: Volume) -> bool:
    """Return whether the pixel spacing of a volume is a guess of Slicer, because its DICOM header has none."""
    file = instance_file(node)
    return (
        file is not None and not _spaced(volume) and dict(_facts(file, _changed(file))[1]).get("has_spacing") is False
    )


def instance_file(node: slicer.vtkMRMLVolumeNode) -> Path | None:
    """Return the file of the first DICOM instance of a volume; None if Slicer's database does not have it."""
    instances = (node.GetAttribute(INSTANCES) or "").split()
    database = getattr(slicer, "dicomDatabase", None)
    if not instances or database is None or not database.isOpen:
        return None
    name = database.fileForInstance(instances[0])
    return Path(name) if name and Path(name).is_file() else None


def _spaced(volume: Volume) -> bool:
    """Return whether pixels have another size than the 1 mm that Slicer assumes without a spacing."""
    return bool((abs(volume.spacing[:2] - 1) > 1e-6).any())


def _changed(file: Path) -> int:
    try:
        return file.stat().st_mtime_ns
    except OSError:
        return 0


@lru_cache(HEADERS_KEPT)
def _facts(file: Path, changed: int) -> tuple[str, tuple[tuple[str, bool], ...]]:
    """Return the kind of scan, and whether there are spacing and orientation, by the header of a file.

    Args:
        file: The file; one that cannot be read says nothing.
        changed: Time of its last change.
    """
    # Slicer's start-up need not load pydicom.
    from ...io.dicom import facts_of_file
    from ...io.dicom_contrast import described_kind

    try:
        return described_kind(file), tuple(facts_of_file(file).items())
    except OSError:
        return "", ()
