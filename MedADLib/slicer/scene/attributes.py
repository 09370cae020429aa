"""Attributes of a result's nodes: how the result was made, kept with a saved scene."""

from __future__ import annotations

import hashlib
import json
from datetime import datetime, timezone
from typing import TYPE_CHECKING

import numpy as np

from ...detection import SMALLEST_REGION_ML
from ...messages import as_json
from ...runtime.strict_json import plain

if TYPE_CHECKING:
    import slicer

    from ...detection import Detection
    from ...volume import Volume

PREFIX = "MedAD."
KEPT = (PREFIX + "role",)
PROVENANCE = PREFIX + "provenance"
REFERENCE = PREFIX + "reference"
SCAN = PREFIX + "scan.sha256"
# Codes and parameters of the warnings, in their order; null for one without a code.
WARNING_CODES = PREFIX + "warning_codes"
AXIS_DIGITS = 4
# Set if the reader filters small regions afterwards; the setting of the run is in its settings.
SMALLEST = "smallest_region_ml"


def attributes_of(detection: Detection) -> dict[str, str]:
    """Make the attributes of a detection, by full name.

    The result's own numbers come under fixed names (`MedAD.score`, `MedAD.p_value`, `MedAD.threshold`,
    `MedAD.expected_false_positive_ml`, `MedAD.healthy_count`, `MedAD.regions`, `MedAD.time`, `MedAD.warnings` in
    English, `MedAD.warning_codes`); every entry of the detection's provenance comes under its own (`MedAD.seed`,
    `MedAD.model.sha256`, …): text as it is, all else as JSON; and the provenance as a whole, for programs, as JSON
    under `MedAD.provenance`.
    """
    facts: dict[str, object] = {}
    for key, value in detection.provenance.items():
        if isinstance(value, dict):
            facts.update({f"{key}.{inner}": item for inner, item in value.items()})
        else:
            facts[key] = value
    facts.update(
        score=detection.score,
        p_value=detection.p_value,
        healthy_count=detection.healthy_count,
        time=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        warnings=list(detection.warnings),
    )
    attributes = {PREFIX + key: value if isinstance(value, str) else _json(value) for key, value in facts.items()}
    codes = {WARNING_CODES: _json([as_json(message) for message in detection.warnings])}
    return {**attributes, **codes, **threshold_attributes(detection), PROVENANCE: _json(detection.provenance)}


def threshold_attributes(detection: Detection) -> dict[str, str]:
    """Make the attributes that change with threshold or smallest region, by full name."""
    facts = {
        "threshold": detection.threshold,
        "expected_false_positive_ml": detection.expected_false_positive_ml,
        "regions": len(detection.regions),
    }
    if SMALLEST in detection.provenance:
        facts[SMALLEST] = detection.provenance[SMALLEST]
    return {PREFIX + key: _json(value) for key, value in facts.items()}


def smallest_region_ml(provenance: dict) -> float:
    """Return the volume (mL) below which regions are not listed.

    Args:
        provenance: Of a detection; a value that the reader set afterwards comes before the setting of the run.
    """
    settings = provenance.get("settings")
    value = provenance.get(SMALLEST, settings.get(SMALLEST) if isinstance(settings, dict) else None)
    return float(value) if type(value) in (int, float) and 0 <= value < 1e4 else SMALLEST_REGION_ML


def reference_attribute(detection: Detection) -> dict[str, str]:
    """Make the attribute with the scores of the healthy scans; long, so for one node only."""
    return {REFERENCE: _json(detection.reference.as_json())}


def scan_attribute(volume: Volume) -> dict[str, str]:
    """Make the attribute that identifies the examined scan; for one node only."""
    return {SCAN: fingerprint(volume)}


def fingerprint(volume: Volume) -> str:
    """Compute the sha256 of a volume's values, independent of the order of the grid's axes and of the number type.

    Slicer may flip or permute the axes of a grid when it opens a saved scene.
    """
    # Unit vectors of the array's axes in RAS, of which each points to its largest component's positive side.
    directions = np.round((volume.affine[:3, :3] / volume.spacing).T[::-1], AXIS_DIGITS)
    largest = np.abs(directions).argmax(axis=1)
    backwards = directions[np.arange(3), largest] < 0
    directions[backwards] *= -1
    array = volume.array[tuple(slice(None, None, -1) if flip else slice(None) for flip in backwards)]
    array = array.transpose(np.lexsort(directions.T))
    digest = hashlib.sha256(str(array.shape).encode())
    # Slab by slab, so that a large scan is not in memory twice.
    for slab in array:
        digest.update(np.ascontiguousarray(slab, dtype=np.float32).data)
    return digest.hexdigest()


def write_attributes(node: slicer.vtkMRMLNode, attributes: dict[str, str]) -> None:
    """Replace the node's attributes of `attributes_of`; those of an earlier run are removed."""
    for name in node.GetAttributeNames():
        if name.startswith(PREFIX) and name not in KEPT:
            node.RemoveAttribute(name)
    for name, value in attributes.items():
        node.SetAttribute(name, value)


def _json(value: object) -> str:
    return json.dumps(plain(value), allow_nan=False)
