"""The whole panel: its parts, and what passes between them, the parameters and the logic."""

from __future__ import annotations

from typing import Any

import qt
import slicer
from slicer.i18n import tr as _

from ..errors import InputError, MedADError
from ..provenance_text import provenance_text
from .decisions import ATTRIBUTE as DECISIONS
from .panel_hand_on import ask_and_export, hand_to_segment_editor
from .panel_height import PanelHeight
from .panel_input import InputPanel
from .panel_install import InstallPanel, reopen
from .panel_models import ModelsPanel, show_text
from .panel_regions import RegionsPanel
from .panel_result import ResultPanel
from .panel_run import RunPanel
from .preferences import Preferences
from .recall import recall
from .request import Request, again
from .result_watch import ResultWatch
from .roles import ROLE
from .run import Outcome, Run
from .scene import SceneResult, find_result
from .sequences import follow_frame, shows_another_frame
from .undo import can_undo, forget, undo_detection

PAUSE_MS = 100


class Panel:
    """What the user sees and does.

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
        self._stale = False
        self._judged = False
        self._later = qt.QTimer()
        self._later.setSingleShot(True)
        self._later.setInterval(PAUSE_MS)
        self._later.connect("timeout()", self.refresh)
        scene = slicer.mrmlScene
        self._added = scene.AddObserver(scene.NodeAddedEvent, self._node_added)
        self._preferences = Preferences()
        self._watch = ResultWatch(self._frame_changed)
        self.run_panel = RunPanel(ui, self.run, self.cancel)
        self._installation = InstallPanel(ui, self.run_panel)
        self.models_panel = ModelsPanel(ui, self._models_changed, self.run_panel.say)
        self.input_panel = InputPanel(ui, self._choose_model, self.models_panel.show_card)
        self.result_panel = ResultPanel(ui, self._threshold_changed)
        self.regions_panel = RegionsPanel(ui, self._edit, self._export)
        ui.provenanceButton.connect("clicked(bool)", self._provenance)
        ui.repeatButton.connect("clicked(bool)", self._repeat)
        ui.undoButton.connect("clicked(bool)", self._undo)
        self._height = PanelHeight(ui.MedAD)
        self._preferences.bind(ui, logic.client)
        logic.client.on_log = self.run_panel.log

    @property
    def running(self) -> bool:
        """Whether a detection is running."""
        return self._run is not None

    def set_parameters(self, parameters: Any) -> None:
        """Work on these parameters, or on none."""
        self._parameters = parameters
        self.refresh()

    def refresh(self) -> None:
        """Show what the parameters and the scene say now."""
        parameters = self._parameters
        if parameters is None:
            self.run_panel.enable(_("There is no scene."))
            self.show_result()
            return
        self.input_panel.refresh(parameters.inputVolume, parameters.modelName, parameters.maskNode is not None)
        obstacle = self.input_panel.obstacle(parameters.inputVolume, parameters.modelName)
        self.run_panel.enable(_("Wait until everything is installed.") if self._installation.busy else obstacle)
        self.show_result()

    def first_scan(self) -> slicer.vtkMRMLScalarVolumeNode | None:
        """The first volume in the scene that is no result of MedAD; None if there is none."""
        for node in slicer.mrmlScene.GetNodes():
            if node.GetClassName() == "vtkMRMLScalarVolumeNode" and node.GetAttribute(ROLE) is None:
                return node
        return None

    def show_result(self, anew: bool = False) -> None:
        """Show the result of the chosen scan, if the scene holds one.

        Args:
            anew: Whether its nodes hold something new.
        """
        volume = None if self._parameters is None else self._parameters.inputVolume
        result = None if volume is None else find_result(volume, slicer.mrmlScene)
        another = volume is not None and self._volume not in (None, volume)
        self._volume = volume
        if not anew and _same(result, self._shown):
            return
        detection = None
        if result is not None:
            try:
                detection = recall(result)
            except MedADError as error:
                self.run_panel.say(str(error))
                result = None
        self._shown = result
        self._watch.follow(result)
        self.result_panel.refresh(result, detection)
        self.regions_panel.refresh(result, detection)
        if result is None:
            return
        self._ui.undoButton.enabled = can_undo(result)
        stale, before = shows_another_frame(result), self._stale
        self._stale = stale
        if stale:
            self.result_panel.hide()
            self.run_panel.say(_("The result below is of another frame. Run again to examine this one."))
        elif another or before:
            self.result_panel.show_again()
            self.run_panel.say("")

    def run(self) -> None:
        """Examine the chosen scan."""
        parameters = self._parameters
        if parameters is None or parameters.inputVolume is None:
            return
        settings = {
            "device": self._preferences.device,
            "seed": parameters.seed,
            "smallest_region_ml": parameters.smallestRegionMl,
            "fast": parameters.fast,
        }
        self.start(
            Request(parameters.inputVolume, parameters.modelName, parameters.maskNode, parameters.allFrames, settings)
        )

    def start(self, request: Request) -> None:
        """Begin a run, after what it needs is installed."""
        if self._busy:
            return
        former = None if request.volume is None else find_result(request.volume, slicer.mrmlScene)
        self._judged = former is not None and former.table.GetAttribute(DECISIONS) is not None
        try:
            if self._installation.ready(self._logic.installer, request):
                self.run_panel.begin()
                run = self._logic.start(request, self.run_panel.progress, self._finished)
                # It may have ended before it was known here.
                self._run = None if run.ended else run
        except MedADError as error:
            self.run_panel.end(str(error))
        except BaseException:
            self.run_panel.end(_("The detection could not begin; Slicer's Python console says why."))
            raise
        finally:
            self.refresh()

    def cancel(self) -> None:
        """Stop the run."""
        if self._run is not None:
            self.run_panel.cancelling()
            self._run.cancel()

    def resume(self) -> None:
        """Show what changed while another panel was shown, and offer to go on with a run that waited for a restart."""
        self._look_for_models()
        pending = None if self._parameters is None or self._busy else self._installation.continued()
        if pending is None:
            return
        try:
            whole = reopen(pending, lambda: self._parameters)
        except (MedADError, RuntimeError, OSError) as error:
            self.run_panel.say(_("The scan could not be opened ({problem}).").format(problem=error))
            return
        if not whole:
            self.run_panel.say(_("Choose scan and brain mask again, then click Run Detection."))
            return
        self.run()

    def scene_closes(self) -> None:
        """Stop, and let go of everything of the scene."""
        self.cancel()
        forget()
        self.set_parameters(None)

    def close(self) -> None:
        """Let go of everything before the panel is destroyed."""
        self._logic.client.on_log = None
        self._later.stop()
        self._height.close()
        slicer.mrmlScene.RemoveObserver(self._added)
        self.result_panel.close()
        self._watch.follow(None)
        forget()
        self._parameters = None
        self._shown = None

    def _finished(self, outcome: Outcome) -> None:
        self._run = None
        self.run_panel.end(outcome.message)
        if outcome.state == "failed":
            # The model may be what is gone or damaged.
            self._look_for_models()
        if outcome.result is not None and self._parameters is not None:
            if self._parameters.inputVolume is not outcome.result.input:
                name = outcome.result.input.GetName()
                self.run_panel.say(_("{name} was examined; choose it above to see the result.").format(name=name))
            elif self._judged:
                self.run_panel.say(_("Names and rejections of the former result are gone; Take back restores them."))
            self.show_result(anew=True)
            self.result_panel.show_again()
        self.refresh()

    def _node_added(self, caller: Any, event: Any) -> None:
        # It may be the last node of a result that a script makes.
        if self._parameters is not None:
            self._later.start()

    def _frame_changed(self) -> None:
        """The scan's sequence shows another frame, or the result was replaced elsewhere."""
        if self._shown is not None and find_result(self._shown.input, slicer.mrmlScene) is not None:
            follow_frame(self._shown)
            self.show_result(anew=True)

    def _threshold_changed(self, detection: Any) -> None:
        self.regions_panel.refresh(self._shown, detection)

    @property
    def _busy(self) -> bool:
        return self._run is not None or self._installation.busy

    def _look_for_models(self) -> None:
        """List the models anew, which may have been changed behind the panel's back."""
        self.models_panel.refresh()
        self.input_panel.refresh_models("" if self._parameters is None else self._parameters.modelName)
        self.refresh()

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
        # Another module's panel takes the place of this one, which then shows no result any more.
        hand_to_segment_editor(self._shown, self.result_panel.detection, self.regions_panel.decisions)

    def _export(self) -> None:
        ask_and_export(self._shown, self._preferences, self.run_panel.say)

    def _provenance(self, checked: bool = False) -> None:
        show_text(_("How this result was made"), provenance_text(self.result_panel.detection))

    def _repeat(self, checked: bool = False) -> None:
        try:
            request = again(self._shown, self.result_panel.detection)
        except InputError as error:
            self.run_panel.say(str(error))
            return
        self.start(request)

    def _undo(self, checked: bool = False) -> None:
        with slicer.util.tryWithErrorDisplay(_("The run could not be taken back.")):
            undo_detection(self._shown)
        self.run_panel.say(_("The last run was taken back."))
        self.show_result(anew=True)


def _same(first: SceneResult | None, second: SceneResult | None) -> bool:
    if first is None or second is None:
        return first is second
    return all(getattr(first, name) is getattr(second, name) for name in ("input", "anomaly", "table", "segmentation"))
