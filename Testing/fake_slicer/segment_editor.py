"""Stands for Slicer's Segment Editor: remembers what it is given to edit."""

from slicer.ScriptedLoadableModule import ScriptedLoadableModule, ScriptedLoadableModuleWidget


class Editor:
    """The widget that edits."""

    def __init__(self):
        self.segmentation = self.source = None

    def setSegmentationNode(self, node):
        self.segmentation = node

    def setSourceVolumeNode(self, node):
        self.source = node


class SegmentEditor(ScriptedLoadableModule):
    """The module."""


class SegmentEditorWidget(ScriptedLoadableModuleWidget):
    """The module's panel."""

    def setup(self):
        ScriptedLoadableModuleWidget.setup(self)
        self.editor = Editor()

    def enter(self):
        pass

    def exit(self):
        pass

    def cleanup(self):
        pass
