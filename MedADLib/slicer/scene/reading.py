"""Reading of a detection from its nodes, also after the scene was saved and opened again."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np

from ...detection import Detection
from ...errors import InputError, ModelError
from ...results.text import restored_warnings
from ...scoring.healthy_reference import HealthyReference
from ...scoring.regions import find_regions, midline_of
from .attributes import PREFIX, PROVENANCE, REFERENCE, SCAN, SMALLEST, WARNING_CODES, fingerprint, smallest_region_ml
from .sequences import shows_another_frame
from .volumes import volume_from_node

if TYPE_CHECKING:
    import slicer

    from ...volume import Volume
    from .nodes import SceneResult


def recall(result: SceneResult) -> Detection:
    """Read the detection of a result, at its present threshold.

    Args:
        result: Nodes of the result.

    Returns:
        The detection on the grid of the nodes, with a `Message` for each warning with a known code. Slicer makes
        left-handed grids right-handed when it loads them, so that the order of the axes may differ afterwards.

    Raises:
        InputError: If something is missing or was edited.
    """
    nodes = {"input": result.input, **result.nodes()}
    for role, node in nodes.items():
        if node.GetScene() is None or not node.GetScene().IsNodePresent(node):
            raise InputError("result_node_gone", role=role)
    volume = volume_from_node(result.input)
    anomaly, restored, mask, labels = (
        _on_grid(nodes[role], volume) for role in ("anomaly", "restored", "mask", "labels")
    )
    if not shows_another_frame(result):
        _check_same_scan(result.anomaly, volume)
    number = {
        name: _number(result.anomaly, name) for name in ("threshold", "expected_false_positive_ml", "score", "p_value")
    }
    reference, provenance = _reference(result.anomaly), _provenance(result.anomaly)
    found, regions = find_regions(
        anomaly, number["threshold"], reference.region_p_value, smallest_region_ml(provenance), midline_of(mask)
    )
    if not np.array_equal(found, labels.array):
        raise InputError("result_edited", name=volume.name)
    return Detection(
        volume=volume,
        mask=mask.with_array(mask.array.astype(np.uint8, copy=False)),
        anomaly=anomaly,
        restored=restored,
        labels=labels.with_array(found),
        regions=regions,
        healthy_count=reference.count,
        reference=reference,
        provenance=provenance,
        warnings=_warnings(result.anomaly),
        **number,
    )


def _check_same_scan(anomaly: slicer.vtkMRMLScalarVolumeNode, volume: Volume) -> None:
    """Refuse a result of other voxels than the scan holds now; scenes of early versions lack the fingerprint."""
    expected = anomaly.GetAttribute(SCAN)
    if expected and expected != fingerprint(volume):
        raise InputError("scan_replaced", name=volume.name)


def _on_grid(node: slicer.vtkMRMLVolumeNode, volume: Volume) -> Volume:
    read = volume_from_node(node)
    if not read.same_grid(volume):
        raise InputError("result_off_grid", name=node.GetName(), scan=volume.name)
    return volume.with_array(read.array, read.name)


def _reference(node: slicer.vtkMRMLNode) -> HealthyReference:
    try:
        return HealthyReference.from_json(_json(node, REFERENCE, dict))
    except ModelError as error:
        raise InputError("result_without_reference", name=node.GetName()) from error


def _provenance(node: slicer.vtkMRMLNode) -> dict:
    """Provenance of the run, with the smallest region that the reader has set since."""
    provenance = _json(node, PROVENANCE, dict)
    if node.GetAttribute(PREFIX + SMALLEST) is not None:
        provenance[SMALLEST] = _number(node, SMALLEST)
    return provenance


def _warnings(node: slicer.vtkMRMLNode) -> tuple[str, ...]:
    """Read the warnings, each a `Message` if its code is known; scenes of earlier versions have texts only."""
    texts = [str(text) for text in _json(node, PREFIX + "warnings", list)]
    try:
        codes = json.loads(node.GetAttribute(WARNING_CODES) or "[]")
    except ValueError:
        codes = None
    return restored_warnings(texts, codes)


def _number(node: slicer.vtkMRMLNode, name: str) -> float:
    value = _json(node, PREFIX + name, (int, float))
    if not np.isfinite(value):
        raise InputError("result_fact_not_finite", name=node.GetName(), value=str(value), entry=name)
    return float(value)


def _json(node: slicer.vtkMRMLNode, name: str, kind: type | tuple[type, ...]) -> Any:
    """Parse the JSON value of an attribute."""
    try:
        value = json.loads(node.GetAttribute(name) or "")
    except ValueError:
        value = None
    if not isinstance(value, kind):
        raise InputError("result_without_fact", name=node.GetName(), entry=name)
    return value
