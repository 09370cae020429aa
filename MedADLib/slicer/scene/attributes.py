"""Attributes of a result's nodes: how the result was made, kept with a saved scene."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from ...errors import InputError, ModelError
from ...results.record import Record
from ...results.text import SMALLEST
from ...runtime.strict_json import finite_number, plain
from ...volume import fingerprint
from .nodes import NODES

if TYPE_CHECKING:
    import slicer

    from ...detection import Detection

PREFIX = "MedAD."
KEPT = (PREFIX + "role",)
SCAN = PREFIX + "scan.sha256"


def attributes_of(detection: Detection) -> dict[str, dict[str, str]]:
    """Make the attributes of the nodes of a detection, by role and full name.

    Every key of the detection's `Record` is an attribute (`MedAD.score`, `MedAD.threshold`, ...): text as it is, all
    else as JSON. `MedAD.regions` is only their number. Every entry of the provenance also has its own attribute
    (`MedAD.seed`, `MedAD.model.sha256`, ...). `MedAD.time` is the time of the call. The anomaly map alone has the
    scores of the healthy scans, which are long, and the fingerprint of the scan.
    """
    document = Record.of(detection).as_json()
    own = {**_texts({"reference": document.pop("reference")}), SCAN: fingerprint(detection.volume)}
    del document["regions"]
    facts: dict[str, object] = {}
    for key, value in document["provenance"].items():
        if isinstance(value, dict):
            facts.update({f"{key}.{inner}": item for inner, item in value.items()})
        else:
            facts[key] = value
    facts.update(document, time=datetime.now(timezone.utc).isoformat(timespec="seconds"))
    common = {**_texts(facts), **threshold_attributes(detection)}
    return {role: {**common, **own} if role == "anomaly" else common for role in NODES}


def threshold_attributes(detection: Detection) -> dict[str, str]:
    """Make the attributes that change with threshold or smallest region, by full name."""
    facts = {name: getattr(detection, name) for name in ("threshold", "expected_false_positive_ml")}
    if SMALLEST in detection.provenance:
        facts[SMALLEST] = detection.provenance[SMALLEST]
    return _texts({**facts, "regions": len(detection.regions)})


def read_record(node: slicer.vtkMRMLNode) -> Record:
    """Read the record of a detection, without its regions, from the attributes of its anomaly map.

    Raises:
        InputError: If an attribute is missing or damaged.
    """
    document = {key: _parsed(node, key) for key in (*Record.names(), "warning_codes", SMALLEST)}
    smallest = document.pop(SMALLEST)
    try:
        record = Record.from_json({**document, "regions": []})
        if smallest is not None:
            record.provenance[SMALLEST] = finite_number(smallest, SMALLEST)
    except ModelError as error:
        raise InputError("result_record_damaged", name=node.GetName(), reason=error.problem) from error
    return record


def write_attributes(node: slicer.vtkMRMLNode, attributes: dict[str, str]) -> None:
    """Replace the node's attributes of `attributes_of`; those of an earlier run are removed."""
    for name in node.GetAttributeNames():
        if name.startswith(PREFIX) and name not in KEPT:
            node.RemoveAttribute(name)
    for name, value in attributes.items():
        node.SetAttribute(name, value)


def _texts(facts: Mapping[str, object]) -> dict[str, str]:
    return {
        PREFIX + key: value if isinstance(value, str) else json.dumps(plain(value), allow_nan=False)
        for key, value in facts.items()
    }


def _parsed(node: slicer.vtkMRMLNode, key: str) -> Any:
    """Parse the JSON value of an attribute; None if it is missing or damaged."""
    try:
        return json.loads(node.GetAttribute(PREFIX + key) or "null")
    except ValueError:
        return None
