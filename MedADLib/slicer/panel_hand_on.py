"""Handing a result on: its kept regions to the Segment Editor, all of it to a folder that the user chooses."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import qt
import slicer
from slicer.i18n import tr as _

from ..errors import MedADError
from .regions_out import export, send_to_segment_editor

if TYPE_CHECKING:
    from ..detection import Detection
    from .decisions import Decisions
    from .preferences import Preferences
    from .scene import SceneResult


def hand_to_segment_editor(result: SceneResult, detection: Detection, decisions: Decisions) -> None:
    """Open the kept regions in the Segment Editor, over the scan.

    Args:
        result: Nodes of the result.
        detection: What they hold.
        decisions: Which regions the reader keeps.
    """
    with slicer.util.tryWithErrorDisplay(_("The regions could not be handed on.")):
        node = send_to_segment_editor(detection, decisions, result, slicer.mrmlScene)
        if slicer.util.mainWindow() is not None:
            slicer.util.selectModule("SegmentEditor")
            editor = slicer.util.getModuleWidget("SegmentEditor").editor
            editor.setSegmentationNode(node)
            editor.setSourceVolumeNode(result.input)


def ask_and_export(
    result: SceneResult, preferences: Preferences, say: Callable[[str], None], fail: Callable[[str], None]
) -> None:
    """Write the result's files to a folder that the user chooses.

    Args:
        result: Nodes of the result.
        preferences: Keep the folder for the next time.
        say: Called with where the files are.
        fail: Called with what went wrong.
    """
    folder = qt.QFileDialog.getExistingDirectory(
        slicer.util.mainWindow(), _("Where to write the result"), preferences.export_folder
    )
    if not folder:
        return
    preferences.export_folder = folder
    try:
        paths = export(result, Path(folder), result.input.GetName())
        say(_("Written to {folder}: {count} files.").format(folder=folder, count=len(paths)))
    except MedADError as error:
        fail(str(error))
