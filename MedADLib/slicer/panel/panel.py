"""The panel: connects its sections with the parameters, the scene and the logic."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import qt
import slicer
import vtk
from slicer.i18n import tr as _

from ...errors import InputError, MedADError
from ...messages import translated
from ...results.text import provenance_text
from ..judgement import Judge
from ..request import Request, again, settings_of
from ..run import Outcome, Run
from ..scene.decisions import ATTRIBUTE as DECISIONS
from ..scene.export import export, send_to_segment_editor
from ..scene.nodes import SceneResult, find_result, nodes_of, rename_after_scan, to_world
from ..scene.observers import Observers
from ..scene.ownership import has_blank_view, is_scan, show_scan, shown_scan
from ..scene.reading import read_detection
from ..scene.sequences import follow_frame, shows_another_frame
from ..scene.undo import can_undo, forget, undo_detection
from ..scene.view_guard import ViewGuard
from ..scene.viewing import follow_input, is_laid, stand_inside
from .input import InputPanel
from .install import InstallPanel, reopen
from .models import ModelsPanel, show_text
from .preferences import Preferences
from .regions import RegionsPanel
from .result import ResultPanel, ResultWatch
from .run import RunPanel
from .sample import SamplePanel
from .texts import reason

if TYPE_CHECKING:
    from ...detection import Detection, Settings

PAUSE_MS = 100


class Panel:
    """The whole panel.

    Args:
        ui: The widgets of the panel's form.
        logic: The module's logic: ``start(request, on_progress, on_finished) -> Run``, ``cancel()``, ``installer``,
            ``client``.
    """

    def __init__(self, ui: Any, logic: Any):
        self._ui = ui
        self._logic = logic
        self._parameters: Any = None
        self._run: Run | None = None
        self._shown: SceneResult | None = None
        self._volume: slicer.vtkMRMLVolumeNode | None = None
        # The scan that the views showed last, and one added to the scene since.
        self._seen: slicer.vtkMRMLVolumeNode | None = None
        self._arrived: slicer.vtkMRMLNode | None = None
        self._stale = False
        self._judged = False
        self._later = qt.QTimer()
        self._later.setSingleShot(True)
        self._later.setInterval(PAUSE_MS)
        self._later.connect("timeout()", self._catch_up)
        scene = slicer.mrmlScene
        self._observers = Observers()
        self._observers.add(scene, scene.NodeAddedEvent, self._node_added)
        self._guard = ViewGuard(scene, self._later.start, lambda: self._chosen)
        self._preferences = Preferences()
        self._watch = ResultWatch(self._frame_changed)
        self.run_panel = RunPanel(ui, self.run, self.cancel, self._force)
        self._installation = InstallPanel(ui, self.run_panel)
        self._judge = Judge(logic, self.refresh)
        self.models_panel = ModelsPanel(ui, self._models_changed, self.run_panel.say, self.run_panel.fail)
        self.input_panel = InputPanel(ui, self._choose_model, self.models_panel.show_card)
        self.sample_panel = SamplePanel(ui, self._choose_scan, self.run_panel.fail)
        self.result_panel = ResultPanel(ui, lambda detection: self.regions_panel.refresh(self._shown, detection))
        self.regions_panel = RegionsPanel(ui, self._edit, self._export)
        ui.provenanceButton.connect("clicked(bool)", self._provenance)
        ui.repeatButton.connect("clicked(bool)", self._repeat)
        ui.undoButton.connect("clicked(bool)", self._undo)
        self._preferences.bind(ui, logic.client)
        logic.client.on_log = self.run_panel.log

    @property
    def running(self) -> bool:
        """Whether a detection is running."""
        return self._run is not None

    @property
    def result(self) -> SceneResult | None:
        """The result that is shown; None if the chosen scan has none."""
        return self._shown

    def set_parameters(self, parameters: Any) -> None:
        """Work on these parameters, or on none."""
        self._parameters = parameters
        if parameters is not None:
            self._seen = None
            self._follow_views()
            if parameters.inputVolume is None:
                parameters.inputVolume = self.first_scan()
        self.refresh()

    def refresh(self) -> None:
        """Show the present parameters and scene."""
        parameters = self._parameters
        self.sample_panel.refresh(self.first_scan())
        if parameters is None:
            self._judge.follow(None, None, False)
            self.run_panel.enable(_("There is no scene."))
            self.show_result()
            return
        self.input_panel.refresh(parameters.inputVolume, parameters.modelName, parameters.maskNode is not None)
        self.result_panel.compare_model(parameters.modelName)
        self._judge.follow(parameters.inputVolume, self.input_panel.to_judge(parameters.modelName), idle=not self._busy)
        self.input_panel.show_fit(self._judge)
        obstacle = self.input_panel.obstacle(parameters.inputVolume, parameters.modelName)
        if self._installation.busy:
            self.run_panel.enable(_("Wait until everything is installed."))
        else:
            self.run_panel.enable(obstacle, self.input_panel.forcible)
        self.show_result()

    def first_scan(self) -> slicer.vtkMRMLScalarVolumeNode | None:
        """The scan that the slice views show, else the first in the scene; None if there is none."""
        shown = shown_scan(slicer.mrmlScene)
        if shown is not None:
            return shown
        return next((node for node in slicer.mrmlScene.GetNodes() if is_scan(node)), None)

    def show_result(self, reload: bool = False) -> None:
        """Show the result of the chosen scan, if the scene holds one, and no other; `reload` reads its nodes again."""
        volume = None if self._parameters is None else self._parameters.inputVolume
        result = None if volume is None else find_result(volume, slicer.mrmlScene)
        # While another module is shown, no scan is chosen and the views stay.
        another = self._parameters is not None and volume is not self._volume
        if another:
            self._volume = volume
            self.run_panel.clear()
        if not reload and not another and _same(result, self._shown):
            return
        detection = None
        if result is not None:
            try:
                detection = read_detection(result)
            except MedADError as error:
                self.run_panel.fail(reason(error))
                result = None
        elif volume is not None and nodes_of(volume, slicer.mrmlScene):
            self.run_panel.fail(_("A part of the result of this scan was deleted. Run the detection again."))
        scan_only = self.result_panel.scan_only
        self._shown = result
        self._watch.follow(result)
        self.result_panel.refresh(result, detection)
        self.regions_panel.refresh(result, detection)
        self.input_panel.show_run(detection)
        if self._parameters is None:
            return
        if result is None:
            show_scan(volume, slicer.mrmlScene)
        else:
            self._ui.undoButton.enabled = can_undo(result)
            stale, before = shows_another_frame(result), self._stale
            self._stale = stale
            if stale:
                self.result_panel.hide()
                self.run_panel.say(_("The result below is of another frame. Run again to examine this one."))
            elif scan_only and not another and not before:
                if not is_laid(result, slicer.mrmlScene, alone=True):
                    self.result_panel.hide()
            elif another or before or not is_laid(result, slicer.mrmlScene):
                self.result_panel.show_again()
                if before:
                    self.run_panel.say("")
        if another and volume is not None:
            self._stand_inside(volume, result, detection)

    def _stand_inside(
        self, volume: slicer.vtkMRMLVolumeNode, result: SceneResult | None, detection: Detection | None
    ) -> None:
        """Move the views into the chosen scan, to its first region if it has one."""
        point = None
        if detection is not None and detection.regions:
            point = to_world(volume).TransformPoint(detection.regions[0].peak_ras)
        if stand_inside(volume, slicer.mrmlScene, point) and slicer.app.layoutManager() is not None:
            slicer.util.resetSliceViews()
            if point is not None:
                stand_inside(volume, slicer.mrmlScene, point)

    def _follow_views(self) -> None:
        """Choose the scan that the views show, or one that was added while none was chosen."""
        shown, arrived = shown_scan(slicer.mrmlScene), self._arrived
        chosen = self._parameters.inputVolume
        if shown is not None and shown is not self._seen and shown is not chosen:
            self._parameters.inputVolume = shown
        elif chosen is None and is_scan(arrived) and slicer.mrmlScene.IsNodePresent(arrived):
            self._parameters.inputVolume = arrived
        self._seen, self._arrived = shown, None

    def run(self, settings: Settings | None = None) -> None:
        """Examine the chosen scan.

        Args:
            settings: None for those that the panel shows.
        """
        parameters = self._parameters
        if parameters is None or parameters.inputVolume is None:
            return
        settings = settings or settings_of(parameters, device=self._preferences.device)
        self.start(
            Request(parameters.inputVolume, parameters.modelName, parameters.maskNode, parameters.allFrames, settings)
        )

    def start(self, request: Request) -> None:
        """Begin a run, after installing what it needs."""
        if self._busy:
            return
        former = None if request.volume is None else find_result(request.volume, slicer.mrmlScene)
        self._judged = former is not None and former.table.GetAttribute(DECISIONS) is not None
        try:
            if self._installation.ready(self._logic.installer, request):
                self._judge.make_way(request)
                self.run_panel.begin()
                run = self._logic.start(
                    request,
                    self.run_panel.progress,
                    lambda outcome: self._finished(outcome, request),
                    lambda: self._chosen in (None, request.volume),
                )
                # It may have ended already.
                self._run = None if run.ended else run
        except MedADError as error:
            self.run_panel.end(reason(error), failed=True)
        except BaseException:
            self.run_panel.end(_("The detection could not begin; see Slicer's Python console."), failed=True)
            raise
        finally:
            self.refresh()

    def _force(self) -> None:
        """Examine the chosen scan although it does not fit the model; the result is marked as not interpretable."""
        if self._parameters is not None:
            self.run(settings_of(self._parameters, device=self._preferences.device, force=True))

    def cancel(self) -> None:
        """Stop the run."""
        if self._run is not None:
            self.run_panel.cancelling()
            self._run.cancel()

    def resume(self) -> None:
        """Show changes made while another panel was shown, and offer to go on with a run that waited for a restart."""
        self._look_for_models()
        pending = None if self._parameters is None or self._busy else self._installation.continued()
        if pending is None:
            return
        try:
            whole = reopen(pending, lambda: self._parameters)
        except (MedADError, RuntimeError, OSError) as error:
            self.run_panel.fail(_("The scan could not be opened ({problem}).").format(problem=reason(error)))
            return
        if not whole:
            self.run_panel.say(_("Choose scan and brain mask again, then click Run Detection."))
            return
        self.run(pending.settings)

    def scene_closes(self) -> None:
        """Cancel the run, and release all references to the scene."""
        self.cancel()
        forget()
        self.set_parameters(None)
        self._volume = self._seen = self._arrived = None
        self.run_panel.say("")

    def close(self) -> None:
        """Release all references, without access to widgets, which may be destroyed already."""
        self._logic.client.on_log = None
        self._judge.close()
        self._later.stop()
        self._observers.clear()
        self._guard.close()
        self.result_panel.close()
        self._watch.follow(None)
        forget()
        self._parameters = None
        self._shown = None

    def _finished(self, outcome: Outcome, request: Request) -> None:
        if outcome.unfit:
            self.input_panel.refuse(request, outcome.message)
        self._run = None
        # The end of a run that ended with its scene needs no word.
        closed = outcome.state == "cancelled" and self._volume is None
        self.run_panel.end("" if closed else translated(outcome.message), outcome.state == "failed")
        if outcome.state == "failed":
            # The model may be what is gone or damaged.
            self._look_for_models()
        if outcome.result is not None and self._parameters is not None:
            if self._parameters.inputVolume is not outcome.result.input:
                name = outcome.result.input.GetName()
                self.run_panel.say(_("Examined {name}; choose it above to see the result.").format(name=name))
            elif self._judged:
                self.run_panel.say(_("Names and rejections of the former result are gone; Undo restores them."))
            self.show_result(reload=True)
            self.result_panel.show_again()
        self.refresh()

    @property
    def _chosen(self) -> slicer.vtkMRMLVolumeNode | None:
        """The scan that the panel shows, or showed before another module was selected."""
        return self._volume if self._parameters is None else self._parameters.inputVolume

    @vtk.calldata_type(vtk.VTK_OBJECT)
    def _node_added(self, caller: Any, event: Any, node: Any) -> None:
        # A scan, or the last node of a result that a script makes.
        if node.IsA("vtkMRMLScalarVolumeNode"):
            self._arrived = node
        if self._parameters is not None:
            self._later.start()

    def _catch_up(self) -> None:
        """Show changes of the scene."""
        if self._parameters is not None:
            self._follow_views()
            self.refresh()
            if self._volume is not None and has_blank_view(slicer.mrmlScene):
                self.show_result(reload=True)

    def _frame_changed(self) -> None:
        """Show the result of another frame of the sequence, or of a scan or result that was changed elsewhere."""
        if self._shown is not None and find_result(self._shown.input, slicer.mrmlScene) is not None:
            follow_input(self._shown)
            rename_after_scan(self._shown)
            follow_frame(self._shown)
            self.show_result(reload=True)

    @property
    def _busy(self) -> bool:
        return self._run is not None or self._installation.busy

    def _look_for_models(self) -> None:
        """List the models again, which may have changed on disk."""
        self.models_panel.refresh()
        self.input_panel.refresh_models("" if self._parameters is None else self._parameters.modelName)
        self.refresh()

    def _choose_scan(self, node: Any) -> None:
        if self._parameters is not None:
            self._parameters.inputVolume = node

    def _choose_model(self, name: str) -> None:
        if self._parameters is not None:
            self._parameters.modelName = name

    def _models_changed(self, name: str) -> None:
        chosen = name or (self._parameters.modelName if self._parameters is not None else "")
        self.input_panel.refresh_models(chosen)
        if self._parameters is not None:
            self._parameters.modelName = chosen
            self.refresh()

    def _edit(self) -> None:
        """Open the kept regions in the Segment Editor, over the scan."""
        # The panel shows no result any more once another module is selected.
        scan, detection, decisions = self._shown.input, self.result_panel.detection, self.regions_panel.decisions
        with slicer.util.tryWithErrorDisplay(_("The regions could not be handed on.")):
            try:
                node = send_to_segment_editor(detection, decisions, self._shown, slicer.mrmlScene)
            except MedADError as error:
                self.run_panel.fail(reason(error))
                return
            if slicer.util.mainWindow() is not None:
                slicer.util.selectModule("SegmentEditor")
                editor = slicer.util.getModuleWidget("SegmentEditor").editor
                editor.setSegmentationNode(node)
                editor.setSourceVolumeNode(scan)

    def _export(self) -> None:
        """Write the result's files to a folder that the user chooses, which is stored for the next time."""
        window, title = slicer.util.mainWindow(), _("Where to write the result")
        folder = qt.QFileDialog.getExistingDirectory(window, title, self._preferences.export_folder)
        if not folder:
            return
        self._preferences.export_folder = folder
        try:
            paths = export(self._shown, Path(folder), self._shown.input.GetName())
            self.run_panel.say(_("Written to {folder}: {count} files.").format(folder=folder, count=len(paths)))
        except MedADError as error:
            self.run_panel.fail(reason(error))

    def _provenance(self, checked: bool = False) -> None:
        show_text(_("How this result was made"), provenance_text(self.result_panel.detection))

    def _repeat(self, checked: bool = False) -> None:
        try:
            request = again(self._shown, self.result_panel.detection)
        except InputError as error:
            self.run_panel.fail(reason(error))
            return
        self.start(request)

    def _undo(self, checked: bool = False) -> None:
        volume = self._volume
        with slicer.util.tryWithErrorDisplay(_("The run could not be undone.")):
            try:
                undo_detection(self._shown)
            except MedADError as error:
                self.run_panel.fail(reason(error))
                return
        self.run_panel.say(_("The last run was undone."))
        self.show_result(reload=True)
        if find_result(volume, slicer.mrmlScene) is None:
            show_scan(volume, slicer.mrmlScene)


def _same(first: SceneResult | None, second: SceneResult | None) -> bool:
    if first is None or second is None:
        return first is second
    return all(getattr(first, name) is getattr(second, name) for name in ("input", "anomaly", "table", "segmentation"))
