"""Reading of a detection from its nodes, also after the scene was saved and opened again."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from ...detection import midline_between
from ...errors import InputError
from ...results.text import smallest_region_ml
from ...scoring.regions import find_regions
from ...volume import fingerprint
from .attributes import SCAN, read_record
from .sequences import shows_another_frame
from .volumes import volume_from_node

if TYPE_CHECKING:
    import slicer

    from ...detection import Detection
    from ...volume import Volume
    from .nodes import SceneResult


def read_detection(result: SceneResult) -> Detection:
    """Read the detection of a result from its nodes, at its present threshold.

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
    record = read_record(result.anomaly)
    p_value, smallest = record.region_p_value, smallest_region_ml(record.provenance)
    midline = midline_between(mask, record.warnings)
    found, regions = find_regions(anomaly, record.threshold, p_value, smallest, midline)
    if not np.array_equal(found, labels.array):
        raise InputError("result_edited", name=volume.name)
    return replace(record, regions=regions).detection(
        volume,
        mask=mask.with_array(mask.array.astype(np.uint8, copy=False)),
        anomaly=anomaly,
        restored=restored,
        labels=labels.with_array(found),
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
