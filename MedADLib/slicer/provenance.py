"""Where a result comes from, as attributes of its nodes, so that a saved scene can answer for itself."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import slicer

    from ..detection import Detection

PREFIX = "MedAD."
KEPT = (PREFIX + "role",)


def attributes_of(detection: Detection) -> dict[str, str]:
    """Attribute values by full name.

    The result's own numbers come under fixed names (`MedAD.score`, `MedAD.p_value`, `MedAD.threshold`,
    `MedAD.healthy_count`, `MedAD.regions`, `MedAD.time`, `MedAD.warnings`); every entry of the detection's
    provenance comes under its own (`MedAD.seed`, `MedAD.model.sha256`, …): text as it is, all else as JSON.
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
        threshold=detection.threshold,
        healthy_count=detection.healthy_count,
        regions=len(detection.regions),
        time=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        warnings=list(detection.warnings),
    )
    return {PREFIX + key: value if isinstance(value, str) else json.dumps(value) for key, value in facts.items()}


def write_attributes(node: slicer.vtkMRMLNode, attributes: dict[str, str]) -> None:
    """Replace the node's provenance; nothing of an earlier run stays."""
    for name in node.GetAttributeNames():
        if name.startswith(PREFIX) and name not in KEPT:
            node.RemoveAttribute(name)
    for name, value in attributes.items():
        node.SetAttribute(name, value)
