"""MRML scene without the Slicer application: made, saved and loaded from plain Python with slicer-core."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import slicer
from vtkmodules.vtkCommonCore import vtkCollection, vtkOutputWindow, vtkStringOutputWindow

from ...errors import InputError, OutputError
from ...volume import Volume
from ..scene.volumes import image_from_array, matrix_from_array


class StandaloneScene:
    """A scene, and its application logic, as the application prepares them: colours, node types, view presets."""

    def __init__(self) -> None:
        self.scene = slicer.vtkMRMLScene()
        self.application = slicer.vtkSlicerApplicationLogic()
        self.application.SetMRMLScene(self.scene)
        self.application.GetColorLogic().SetMRMLScene(self.scene)
        self.application.GetColorLogic().AddDefaultColorNodes()
        # Other modules find it by the module's name.
        self.application.SetModuleLogic("Colors", self.application.GetColorLogic())
        self.application.SetSliceLogics(vtkCollection())
        self.application.SetViewLogics(vtkCollection())
        # The logic of Slicer's Colors module registers this class; its other parts need the application's files.
        self.scene.RegisterNodeClass(slicer.vtkMRMLColorLegendDisplayNode())
        modules = (slicer.vtkSlicerSubjectHierarchyModuleLogic, slicer.vtkSlicerSegmentationsModuleLogic)
        self._logics = [self._logic(kind()) for kind in (*modules, slicer.vtkSlicerSequencesLogic)]
        crosshair = slicer.vtkMRMLCrosshairNode()
        crosshair.SetCrosshairName("default")
        self.scene.AddNode(crosshair)
        slicer.vtkMRMLSliceNode.AddDefaultSliceOrientationPresets(self.scene, True)
        slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(self.scene)

    def add_volume(self, volume: Volume) -> slicer.vtkMRMLScalarVolumeNode:
        """Put any scalar volume into the scene as Slicer would on loading it: a grey display, an item in the subject
        hierarchy.
        """
        node = self.scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", volume.name)
        node.SetIJKToRASMatrix(matrix_from_array(volume.affine))
        node.SetAndObserveImageData(image_from_array(volume.array))
        node.CreateDefaultDisplayNodes()
        hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(self.scene)
        hierarchy.CreateItem(hierarchy.GetSceneItemID(), node)
        return node

    def save(self, path: str | os.PathLike) -> None:
        """Write the whole scene with its data to one .mrb file.

        Raises:
            OutputError: If it cannot be written; no partial file is left.
        """
        path = Path(path).resolve()
        try:
            # The bundle contains its file's name, so only the folder around it can be temporary.
            with tempfile.TemporaryDirectory(prefix=".partial-", dir=path.parent) as folder:
                if not _quietly(lambda: self.scene.WriteToMRB(str(Path(folder) / path.name), None)):
                    raise OSError("the scene could not be packed")
                os.replace(Path(folder) / path.name, path)
        except OSError as error:
            raise OutputError("not_written", path=path) from error

    def load(self, path: str | os.PathLike) -> None:
        """Add the content of a .mrb file to the scene.

        Raises:
            InputError: If the file is missing or not a scene.
        """
        # MRML refuses relative paths, and changes the working folder of the process if it cannot read the scene.
        path, folder = Path(path).resolve(), Path.cwd()
        with tempfile.TemporaryDirectory() as cache:
            files = self._logic(slicer.vtkMRMLRemoteIOLogic())
            files.GetCacheManager().SetRemoteCacheDirectory(cache)
            manager = self._logic(slicer.vtkDataIOManagerLogic())
            manager.SetAndObserveDataIOManager(files.GetDataIOManager())
            files.AddDataIOToScene()
            read = path.is_file() and _quietly(lambda: self.scene.ReadFromMRB(str(path), False))
            files.RemoveDataIOFromScene()
            os.chdir(folder)
        if not read:
            raise InputError("scene_unreadable", path=path)

    def _logic(self, logic: slicer.vtkMRMLAbstractLogic) -> slicer.vtkMRMLAbstractLogic:
        # In this order: a logic with a scene but without an application prints an error.
        logic.SetMRMLApplicationLogic(self.application)
        logic.SetMRMLScene(self.scene)
        return logic


def _quietly(work: Callable[[], bool]) -> bool:
    """Run work without VTK's message for each packed file; errors still reach stderr through VTK's log."""
    window = vtkOutputWindow.GetInstance()
    vtkOutputWindow.SetInstance(vtkStringOutputWindow())
    try:
        return work()
    finally:
        vtkOutputWindow.SetInstance(window)
