"""Record of a detection outside memory: all but its volumes, as JSON holds it.

The exchange with the worker stores it as it is. ``STEM.json`` stores the entries of the provenance beside the other
keys. Nodes of a Slicer scene store each key as an attribute (`slicer.scene.attributes`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from ..detection import Detection, interpretable, no_p_value
from ..errors import ModelError
from ..runtime.progress import rounded
from ..runtime.strict_json import from_json, plain
from ..scoring.healthy_reference import HealthyReference
from ..scoring.regions import Region
from ..volume import Volume
from .text import restored_warnings, warning_codes


@dataclass(frozen=True, eq=False)
class Record:
    """The fields of a `Detection` that are no volumes.

    Raises:
        ModelError: If the number of healthy scans is not that of the reference.
    """

    score: float
    p_value: float
    healthy_count: int
    threshold: float
    expected_false_positive_ml: float
    warnings: tuple[str, ...]
    provenance: dict
    regions: tuple[Region, ...]
    reference: HealthyReference

    def __post_init__(self) -> None:
        if self.healthy_count != self.reference.count:
            raise ModelError("record_counts", count=self.healthy_count, found=self.reference.count)

    def region_p_value(self, peak: float) -> float:
        """Return the p-value of a region with this peak; NaN if the result is not interpretable."""
        return self.reference.region_p_value(peak) if interpretable(self.provenance) else no_p_value(peak)

    @classmethod
    def names(cls) -> list[str]:
        """Return the names of the fields."""
        return [entry.name for entry in fields(cls)]

    @classmethod
    def of(cls, detection: Detection, profile: Mapping[str, float] | None = None) -> Record:
        """Take the record of a detection.

        Args:
            detection: The detection.
            profile: Seconds to add to those of its provenance, such as the seconds of writing.
        """
        record = cls(**{name: getattr(detection, name) for name in cls.names()})
        seconds = {**record.provenance.get("seconds", {}), **rounded(profile or {})}
        return replace(record, provenance={**record.provenance, "seconds": seconds}) if seconds else record

    @classmethod
    def from_json(cls, document: Mapping[str, Any], anomaly: Volume | None = None) -> Record:
        """Build the record from `as_json()`.

        Args:
            document: By name. Earlier versions wrote no codes of warnings, and regions as `region_of` says.
            anomaly: The anomaly map, for regions of earlier versions.

        Raises:
            KeyError: If an entry is missing.
            ModelError: If an entry is malformed.
            TypeError: If the regions are no sequence of objects.
            ValueError: If a region of an earlier version lies outside its map.
        """
        found = {name: document[name] for name in cls.names()}
        # JSON holds null for the p-values of a result that is not interpretable.
        record = from_json(cls, {**found, "regions": [], "p_value": _number(found["p_value"])}, "the record")
        return replace(
            record,
            p_value=float("nan") if found["p_value"] is None else record.p_value,
            warnings=restored_warnings(record.warnings, document.get("warning_codes")),
            regions=tuple(region_of(values, anomaly) for values in document["regions"]),
        )

    def as_json(self) -> dict[str, Any]:
        """Return the record as plain JSON values, with the codes of the warnings beside their texts."""
        texts = [str(warning) for warning in self.warnings]
        return plain({**vars(self), "warnings": texts, "warning_codes": warning_codes(self.warnings)})

    def detection(self, volume: Volume, **maps: Volume) -> Detection:
        """Join the record with its volumes: the scan, and mask, anomaly, restored and labels."""
        return Detection(volume=volume, **maps, **vars(self))


def _number(value: Any) -> Any:
    """Return a stand-in for a missing number, so that all others are checked."""
    return 0.0 if value is None else value


def region_of(values: Mapping[str, Any], anomaly: Volume | None) -> Region:
    """Build a region from its fields.

    Args:
        values: By field. Earlier versions wrote neither the position of the peak, which is then found in the map, nor
            the side, which stays empty.
        anomaly: The anomaly map.

    Raises:
        ModelError: If a field is missing or malformed.
        TypeError: If the values are no mapping.
        ValueError: If the position of the peak is missing and the region lies outside the map.
    """
    empty = {name: float("nan") for name in ("p_value", "q_value") if name in values and values[name] is None}
    known = {**values, **dict.fromkeys(empty, 0.0)}
    region = replace(from_json(Region, {"peak_ras": [0, 0, 0], "side": "", **known}, "a region"), **empty)
    if "peak_ras" in values:
        return region
    x0, x1, y0, y1, z0, z1 = region.bounding_box
    box = anomaly.array[z0:z1, y0:y1, x0:x1]
    if not box.size:
        raise ValueError("a region lies outside its map")
    voxel = np.unravel_index(np.abs(box - region.peak).argmin(), box.shape) + np.array((z0, y0, x0))
    return replace(region, peak_ras=tuple(anomaly.ras_from_voxels(voxel[None])[0].tolist()))
