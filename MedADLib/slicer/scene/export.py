"""Export of the accepted regions: to Slicer's segment tools, or to files."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from typing import TYPE_CHECKING

import slicer

from ...errors import InputError
from ...results.decisions import accepted
from ...results.writing import check_ours, check_same_scan, write_detection
from ...runtime.atomic_files import writable_folder
from .decisions import Decisions
from .nodes import place_beside
from .ownership import HANDED_ON, INPUT
from .reading import read_detection
from .segments import replace_segmentation, segment_id, segmentation_of

if TYPE_CHECKING:
    from ...detection import Detection
    from .nodes import SceneResult

NOT_IN_FILE_NAMES = re.compile(r'[<>:"/\\|?*\x00-\x1f]+')
# Windows treats such a name as a device, with any suffix.
DEVICES = re.compile(r"con|prn|aux|nul|(com|lpt)\d", re.IGNORECASE)
LONGEST_NAME_BYTES = 120


def send_to_segment_editor(
    detection: Detection, decisions: Decisions, result: SceneResult, scene: slicer.vtkMRMLScene
) -> slicer.vtkMRMLSegmentationNode:
    """Copy the accepted regions into an ordinary segmentation, which runs and thresholds do not change.

    Returns:
        A new node on the scan's grid and under its transform, with names and colours as the result shows them.

    Raises:
        InputError: If no region is accepted, or the scan is no longer in the scene.
    """
    decisions.read_back()
    by_rank = decisions.by_rank()
    if not scene.IsNodePresent(result.input):
        raise InputError("scan_gone", name=result.input.GetName())
    kept = accepted(detection, by_rank)
    if not kept.regions:
        raise InputError("no_region_kept")
    segmentation = segmentation_of(kept, by_rank, surfaces=0)
    shown = result.segmentation.GetSegmentation()
    for region in kept.regions:
        like = shown.GetSegment(segment_id(region))
        if like is not None:
            segmentation.GetSegment(segment_id(region)).SetColor(*like.GetColor())
    name = scene.GenerateUniqueName(f"{result.input.GetName()} kept regions")
    node = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", name)
    node.SetAttribute(HANDED_ON, "1")
    node.SetNodeReferenceID(INPUT, result.input.GetID())
    node.CreateDefaultDisplayNodes()
    node.SetAndObserveTransformNodeID(result.input.GetTransformNodeID())
    replace_segmentation(node, segmentation, result.input)
    place_beside(node, result.input, scene)
    return node


def export(result: SceneResult, folder: Path, stem: str) -> list[Path]:
    """Write the files of ``medad detect`` with the reader's decisions, and return them; the figure needs matplotlib.

    Args:
        result: Nodes of the result.
        folder: Folder of the files; made if it is missing.
        stem: Start of their names; characters that file names cannot have are replaced.

    Raises:
        InputError: If the result is incomplete or was edited.
        OutputError: If a foreign file or the result of another scan would be replaced, or a file cannot be
            written; the folder is unchanged.
    """
    detection = read_detection(result)
    stem = _usable(stem)
    with writable_folder(folder):
        check_ours(folder, stem)
        check_same_scan(folder, stem, None, detection.provenance.get("input", {}).get("sha256"))
        decisions = Decisions(result, detection).by_rank()
        figure = importlib.util.find_spec("matplotlib") is not None
        return write_detection(detection, folder, stem, figure=figure, decisions=decisions)


def _usable(name: str) -> str:
    """Make a name that is valid for files on every system; never empty."""
    name = NOT_IN_FILE_NAMES.sub("_", name).encode(errors="ignore")[:LONGEST_NAME_BYTES].decode(errors="ignore")
    name = name.strip(" .") or "scan"
    return f"{name}_" if DEVICES.fullmatch(name) else name
