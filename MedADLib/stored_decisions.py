"""A result read back with what a reader had decided on its regions before it was written."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .decision import Decision, default_name
from .errors import InputError
from .regions import connected_components
from .reopening import AGAIN, StoredResult, region_of, reopen

if TYPE_CHECKING:
    from .detection import Detection
    from .progress import Progress
    from .regions import Region


def reopen_decided(
    stored: StoredResult, scan: Path | None = None, progress: Progress | None = None
) -> tuple[Detection, dict[int, Decision]]:
    """Read back a result, its rejected regions too, and the reader's decisions.

    Args:
        stored: Which one.
        scan: Where its scan is now; None looks where it was, and beside the result.
        progress: Told about each file.

    Returns:
        The detection as it was before anything was rejected, and the decisions by rank; there is one for each region
        that was rejected or named.

    Raises:
        InputError: If a file is missing, damaged or does not belong to the others, or the scan is another one.
    """
    detection = reopen(stored, scan, progress)
    try:
        rejected = [region_of(values, detection.anomaly) for values in stored.facts.get("rejected", ())]
        names = _names(stored.facts.get("names", {}))
        detection = _with_rejected(detection, rejected)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(f"{stored.file('.json')} is damaged: {error}", AGAIN) from error
    refused = {region.rank for region in rejected}
    decisions = {
        region.rank: Decision(region.rank not in refused, names.get(region.rank) or default_name(region))
        for region in detection.regions
        if region.rank in refused or region.rank in names
    }
    return detection, decisions


def _names(said: Any) -> dict[int, str]:
    if not isinstance(said, dict) or not all(isinstance(name, str) for name in said.values()):
        raise ValueError("its names are no names")
    return {int(rank): " ".join(name.split()) for rank, name in said.items()}


def _with_rejected(detection: Detection, rejected: list[Region]) -> Detection:
    """Put regions back that only the facts know, with the voxels that they had."""
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
