"""Modules of Slicer's own that a module under test may send the user to: names, and a segment editor's memory."""

from __future__ import annotations

from typing import Any

SELECTABLE = {
    *("Data", "DICOM", "ExtensionsManager", "Models", "SampleData", "SegmentEditor", "Segmentations", "Sequences"),
    *("SubjectHierarchy", "Tables", "Volumes", "VolumeRendering", "Welcome"),
}


class SegmentEditor:
    """What the segment editor was told to edit."""

    def __init__(self):
        self._segmentation = self._source = self._editor = None

    def setSegmentationNode(self, node: Any) -> None:
        self._segmentation = node

    def segmentationNode(self) -> Any:
        return self._segmentation

    def setSourceVolumeNode(self, node: Any) -> None:
        self._source = node

    def sourceVolumeNode(self) -> Any:
        return self._source

    def setMRMLSegmentEditorNode(self, node: Any) -> None:
        self._editor = node

    def mrmlSegmentEditorNode(self) -> Any:
        return self._editor


class SegmentEditorWidget:
    """The panel of the module Segment Editor."""

    def __init__(self):
        self.editor = SegmentEditor()


def make_widgets() -> dict[str, Any]:
    """The panels that can be asked for, by module name."""
    return {"SegmentEditor": SegmentEditorWidget()}
