"""Slicer's layout manager over real slice and 3-D view nodes, without windows."""

from __future__ import annotations

import slicer

from MedADLib.slicer.headless.scene import StandaloneScene

SLICES = {"Red": "Axial", "Yellow": "Sagittal", "Green": "Coronal"}
VIEW_SIZE = (560, 498)


class SliceView:
    """The picture in a slice widget."""

    def __init__(self, logic):
        self._logic = logic

    def mrmlSliceNode(self):
        return self._logic.GetSliceNode()

    def forceRender(self):
        """Nothing to draw on."""

    def scheduleRender(self):
        """Nothing to draw on."""


class SliceWidget:
    """A slice view with its controls."""

    def __init__(self, logic):
        self._logic = logic
        self._view = SliceView(logic)

    def sliceLogic(self):
        return self._logic

    def mrmlSliceNode(self):
        return self._logic.GetSliceNode()

    def mrmlSliceCompositeNode(self):
        return self._logic.GetSliceCompositeNode()

    def sliceView(self):
        return self._view

    def sliceController(self):
        return SliceController(self._logic)

    def fitSliceToBackground(self):
        self._logic.FitSliceToBackground()


class SliceController:
    """The bar above a slice view."""

    def __init__(self, logic):
        self._logic = logic

    def fitSliceToBackground(self):
        self._logic.FitSliceToBackground()

    def setSliceVisible(self, visible):
        self._logic.GetSliceNode().SetSliceVisible(visible)

    def setSliceOffsetValue(self, offset):
        self._logic.SetSliceOffset(offset)


class ThreeDView:
    """The picture in a 3-D widget.

    Its camera is placed when a picture is drawn; here is only counted what it was asked for.
    """

    def __init__(self, logic):
        self._logic = logic
        self._asked: list[str] = []

    def mrmlViewNode(self):
        return self._logic.GetViewNode()

    def resetFocalPoint(self):
        self._asked.append("resetFocalPoint")

    def resetCamera(self, *arguments):
        self._asked.append("resetCamera")

    def lookFromAxis(self, axis, *arguments):
        self._asked.append("lookFromAxis")

    def forceRender(self):
        self._asked.append("forceRender")

    def scheduleRender(self):
        self._asked.append("scheduleRender")


class ThreeDController:
    """The bar above a 3-D view, which can do less than the view itself."""

    def __init__(self, view):
        self._view = view

    def mrmlThreeDViewNode(self):
        return self._view.mrmlViewNode()

    def resetFocalPoint(self):
        self._view.resetFocalPoint()

    def lookFromAxis(self, axis):
        self._view.lookFromAxis(axis)


class ThreeDWidget:
    """A 3-D view with its controls."""

    def __init__(self, logic):
        self._view = ThreeDView(logic)
        self._controller = ThreeDController(self._view)

    def threeDView(self):
        return self._view

    def threeDController(self):
        return self._controller

    def mrmlViewNode(self):
        return self._view.mrmlViewNode()


class LayoutManager:
    """The arrangement of the views."""

    def __init__(self, standalone: StandaloneScene):
        self._application = standalone.application
        self._slices = {}
        for name, orientation in SLICES.items():
            logic = slicer.vtkMRMLSliceLogic()
            logic.SetMRMLApplicationLogic(standalone.application)
            logic.SetMRMLScene(standalone.scene)
            node = logic.AddSliceNode(name)
            node.SetOrientation(orientation)
            logic.ResizeSliceNode(*VIEW_SIZE)
            standalone.application.GetSliceLogics().AddItem(logic)
            self._slices[name] = SliceWidget(logic)
        view = slicer.vtkMRMLViewLogic()
        view.SetMRMLApplicationLogic(standalone.application)
        view.SetMRMLScene(standalone.scene)
        view.AddViewNode("1")
        standalone.application.GetViewLogics().AddItem(view)
        self._spaces = [ThreeDWidget(view)]
        self._view_logic = view
        self._layout = slicer.vtkMRMLLayoutNode.SlicerLayoutConventionalView

    @property
    def threeDViewCount(self):
        return len(self._spaces)

    @property
    def layout(self):
        return self._layout

    def sliceViewNames(self):
        return tuple(self._slices)

    def sliceWidget(self, name):
        return self._slices.get(name)

    def threeDWidget(self, index):
        return self._spaces[index] if 0 <= index < len(self._spaces) else None

    def setLayout(self, layout):
        if not isinstance(layout, int):
            raise ValueError(f"setLayout needs a number, not {layout!r}")
        self._layout = layout

    def mrmlSliceLogics(self):
        return self._application.GetSliceLogics()

    def mrmlViewLogics(self):
        return self._application.GetViewLogics()

    def resetSliceViews(self):
        for widget in self._slices.values():
            widget.sliceLogic().FitSliceToAll()

    def resetThreeDViews(self):
        for widget in self._spaces:
            widget.threeDView().resetFocalPoint()

    def setRenderPaused(self, paused):
        """Nothing to pause."""
