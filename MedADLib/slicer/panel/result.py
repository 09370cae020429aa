"""Two sections of the panel: warnings, verdict and score; view controls, threshold and smallest region."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import qt
import slicer
import vtk
from slicer.i18n import tr as _

from ...detection import PIXELS_IN_ML
from ...errors import InputError
from ...messages import say, translated
from ...results.strip import score_lines
from ...results.text import (
    false_positives,
    in_pixels,
    limit_text,
    millilitres,
    out_of_distribution,
    panel_verdict,
    unfit_reason,
)
from ...results.units import explanation, meaning, value_text
from ..scene.decisions import ATTRIBUTE as DECISIONS
from ..scene.decisions import Decisions
from ..scene.live_threshold import LiveThreshold
from ..scene.observers import Observers
from ..scene.viewing import cross_fade, set_opacity, show, show_3d, shown_now
from .input import take_keys
from .notices import NoticeBox
from .strip import StripLabel
from .texts import breakable, reason, sentence, tooltip

if TYPE_CHECKING:
    from ...detection import Detection
    from ..scene.nodes import SceneResult

STEPS = 1000
REST_MS = 250
BLEND = "blend"
OVERLAYS = ("anomaly", "residual")

PAUSE_MS = 60


class ResultPanel:
    """Shows a result, with controls of the views, the threshold and the smallest region.

    `on_threshold` is called with the detection at a new threshold.
    """

    def __init__(self, ui: Any, on_threshold: Callable[[Detection], None]):
        self._ui = ui
        self._on_threshold = on_threshold
        self._result: SceneResult | None = None
        self._live: LiveThreshold | None = None
        self._typed = False
        self._observers = Observers()
        self._decided: str | None = None
        self._threshold_label = ui.thresholdLabel.text
        self._strip = StripLabel(ui.stripLabel)
        self._warnings = NoticeBox(ui.warningsBox, ui.warningsIcon, ui.warningsLabel)
        for what, text in (
            ("anomaly", _("Anomaly map")),
            ("residual", _("Residual (scan minus pseudo-healthy)")),
            (BLEND, _("Blend of scan and pseudo-healthy")),
            ("scan", _("Scan only")),
        ):
            ui.viewSelector.addItem(text, what)
        self._rest = qt.QTimer()
        self._rest.setSingleShot(True)
        self._rest.setInterval(REST_MS)
        self._rest.connect("timeout()", self._finish)
        ui.viewSelector.connect("currentIndexChanged(int)", self._view)
        ui.opacitySlider.connect("valueChanged(double)", self._opacity)
        ui.fadeSlider.connect("valueChanged(int)", self._fade)
        ui.thresholdSlider.connect("valueChanged(int)", self._slid)
        ui.thresholdBox.connect("valueChanged(double)", self._entered)
        # Arrows change the value without editing the text.
        ui.thresholdBox.findChild(qt.QLineEdit).connect("textEdited(QString)", self._typing)
        ui.smallestBox.connect("valueChanged(double)", self._filter)
        ui.smallestPixelsBox.connect("valueChanged(int)", self._filter_pixels)
        ui.surfacesCheckBox.connect("toggled(bool)", self._surfaces)
        take_keys(ui.opacitySlider, "QSlider")
        self._chosen_model = ""
        self._show_controls()
        self.refresh(None, None)

    @property
    def detection(self) -> Detection | None:
        """The detection at the present threshold."""
        return None if self._live is None else self._live.detection

    @property
    def scan_only(self) -> bool:
        """Whether the reader looks at the scan alone."""
        return self._what == "scan"

    @property
    def _what(self) -> str:
        """Content of the views, as chosen in `viewSelector`."""
        return self._ui.viewSelector.itemData(self._ui.viewSelector.currentIndex)

    def refresh(self, result: SceneResult | None, detection: Detection | None) -> None:
        """Show a result, or none."""
        self._rest.stop()
        self._observers.clear()
        self._result = result
        self._live = None
        for section in (self._ui.resultSection, self._ui.viewsSection):
            section.visible = result is not None
        if result is None:
            return
        live = LiveThreshold(result, detection)
        self._name_units(detection)
        # The parameters follow the box, and the box the result that it filters.
        pixels = round(live.smallest_ml / detection.volume.voxel_ml)
        self._set(self._ui.smallestPixelsBox, pixels)
        self._ui.smallestBox.setValue(pixels / PIXELS_IN_ML if in_pixels(detection) else live.smallest_ml)
        self._live = live
        self._observers.add(result.table, "ModifiedEvent", self._judged)
        self._show_threshold()
        self._ui.surfacesCheckBox.checked = bool(result.segmentation.GetDisplayNode().GetVisibility3D())
        self._rest.start()
        self._show_warnings(detection)
        self._show_score(detection)
        self._follow_views()

    def compare_model(self, chosen: str) -> None:
        """Show which model made the result, and whether it differs from the chosen one."""
        if chosen != self._chosen_model:
            self._chosen_model = chosen
            if self._live is not None:
                self._show_verdict()

    def show_again(self) -> None:
        """Lay the result over the scan, as after a run."""
        self._choose("anomaly")

    def hide(self) -> None:
        """Show the scan alone, such as another frame than that of the result."""
        self._choose("scan")

    def close(self) -> None:
        """Stop the timer and release the result."""
        self._rest.stop()
        self._observers.clear()
        self._result = self._live = None

    def _show_warnings(self, detection: Detection) -> None:
        """Show the warnings above the verdict; what makes the result unreliable comes first, as an error."""
        unfit = not detection.interpretable
        first = unfit_reason(detection) if unfit else out_of_distribution(detection)
        warnings = sorted(detection.warnings, key=lambda text: text != first)
        lines = [sentence(translated(text)) for text in warnings]
        if unfit:
            # The verdict names the reason.
            lines[: int(first in warnings)] = [sentence(panel_verdict(detection))]
        if lines:
            self._warnings.show("\n".join(lines), "error" if first or unfit else "warning")
        else:
            self._warnings.clear()

    def _show_verdict(self) -> None:
        detection = self._live.detection
        model = detection.provenance.get("model", {})
        name, version = model.get("name", ""), model.get("version", "")
        if name == self._chosen_model:
            made_by = _("Found by {name} {version}.")
        else:
            made_by = _("Found by {name} {version}, not by the model chosen above.")
        made_by = made_by.format(name=name, version=version)
        kept, self._decided = None, self._result.table.GetAttribute(DECISIONS)
        if self._decided is not None:
            kept = sum(decision.kept for decision in Decisions(self._result, detection).by_rank().values())
        smaller = self._limit() if self._live.smaller else ""
        self._ui.verdictLabel.text = breakable(f"{panel_verdict(detection, kept, smaller)}\n{made_by}")

    def _show_score(self, detection: Detection) -> None:
        """Show the score of the scan among those of the healthy scans."""
        self._strip.show(detection)
        self._ui.scoreLabel.text = "\n".join(f"{translated(line)}." for line in score_lines(detection))

    def _judged(self, caller: object, event: str) -> None:
        """Show the verdict again after a decision of the reader."""
        if self._live is not None and self._result.table.GetAttribute(DECISIONS) != self._decided:
            self._show_verdict()

    def _show_threshold(self) -> None:
        live, detection, ui = self._live, self._live.detection, self._ui
        self._show_verdict()
        self._set(ui.thresholdSlider, round(STEPS * live.scale.position(live.false_positive_ml)))
        reached = detection.expected_false_positive_ml
        self._set(ui.thresholdBox, self._percent(reached) if in_pixels(detection) else reached)
        value, meant = (translated(text(detection, detection.threshold)) for text in (value_text, meaning))
        if not detection.interpretable:
            text = _("Threshold: {value}").format(value=value)
        elif in_pixels(detection):
            text = _("Threshold: {value} ({meaning}), reached by {share}")
            text = text.format(value=value, meaning=meant, share=translated(false_positives(detection)))
        else:
            text = _("Threshold: {value} ({meaning}), reached by {volume} per healthy scan")
            text = text.format(value=value, meaning=meant, volume=millilitres(reached))
        smaller = live.smaller
        if smaller:
            code = "smaller_one" if smaller == 1 else "smaller_many"
            text = f"{text}. {say(code, count=smaller, volume=self._limit())}"
        ui.meaningLabel.text = text
        ui.meaningLabel.toolTip = tooltip(translated(explanation(detection)))

    def _name_units(self, detection: Detection) -> None:
        """Show the boxes in the units of the result: mL, or for an image pixels and the share of a healthy image."""
        ui, image = self._ui, in_pixels(detection)
        ui.smallestBox.visible, ui.smallestPixelsBox.visible = not image, image
        # The parameter, in mL, then holds every number of pixels.
        ui.smallestBox.decimals = 3 if image else 2
        ui.smallestLabel.setBuddy(ui.smallestPixelsBox if image else ui.smallestBox)
        blocked = ui.thresholdBox.blockSignals(True)
        ui.thresholdBox.decimals = 3 if image else 2
        ui.thresholdBox.blockSignals(blocked)
        text = _("Expected false positives (% of a healthy image):")
        ui.thresholdLabel.text = text if image else self._threshold_label

    def _percent(self, ml: float) -> float:
        """Convert a volume to the share of a healthy image, %."""
        return 100.0 * ml / self._live.detection.reference.brain_ml

    def _limit(self) -> str:
        """Return the size of the smallest region, in mL or pixels."""
        return translated(limit_text(self._live.detection, self._live.smallest_ml))

    def _set(self, widget: Any, value: float) -> None:
        """Set the value of a widget without its signals."""
        blocked = widget.blockSignals(True)
        widget.setValue(value)
        widget.blockSignals(blocked)

    def _slid(self, position: int) -> None:
        if self._live is not None:
            self._change(lambda: self._live.set(self._live.scale.ml(position / STEPS)))

    def _typing(self, text: str = "") -> None:
        self._typed = True

    def _entered(self, value: float) -> None:
        """Apply the box: the typed volume or share of an image, or the next threshold for an arrow."""
        live, typed = self._live, self._typed
        self._typed = False
        if live is not None:
            ml = value / self._percent(1.0) if in_pixels(live.detection) else value
            laxer = ml > live.detection.expected_false_positive_ml
            self._change(lambda: live.set(min(ml, live.scale.most_ml) if typed else live.next_ml(laxer)))

    def _filter(self, ml: float) -> None:
        if self._live is None:
            return
        if in_pixels(self._live.detection):
            self._ui.smallestPixelsBox.setValue(round(ml * PIXELS_IN_ML))
        else:
            self._change(lambda: self._live.filter(ml))

    def _filter_pixels(self, pixels: int) -> None:
        if self._live is None:
            return
        # The next run has the parameter, which is in mL.
        self._ui.smallestBox.setValue(pixels / PIXELS_IN_ML)
        self._change(lambda: self._live.filter(pixels * self._live.detection.volume.voxel_ml))

    def _change(self, make: Callable[[], Detection]) -> None:
        try:
            detection = make()
        except InputError as error:
            self._gone(error)
            return
        self._show_threshold()
        self._on_threshold(detection)
        self._rest.start()

    def _gone(self, error: InputError) -> None:
        """Show that the result cannot be changed any more, because parts of it were changed or deleted."""
        self._live = None
        self._warnings.show(sentence(reason(error)), "error")

    def _finish(self) -> None:
        """Prepare the next move of the slider and make surfaces, while the user looks at the result."""
        if self._live is None:
            return
        try:
            self._live.prepare()
            if not self._live.finish():
                self._rest.start()
        except InputError as error:
            self._gone(error)

    def _choose(self, what: str) -> None:
        """Set the controls and the views."""
        self._select(what)
        self._view()

    def _select(self, what: str) -> None:
        """Set the controls."""
        selector = self._ui.viewSelector
        blocked = selector.blockSignals(True)
        selector.setCurrentIndex(selector.findData(what))
        selector.blockSignals(blocked)
        self._show_controls()

    def _view(self, index: int = 0) -> None:
        """Set the views by the controls."""
        self._show_controls()
        if self._result is None:
            return
        if self._what == BLEND:
            self._fade(self._ui.fadeSlider.value)
        else:
            show(self._result, slicer.mrmlScene, self._what)
            self._opacity(self._ui.opacitySlider.value)

    def _follow_views(self) -> None:
        """Set the controls by the views, as after a scene was opened or another scan was chosen."""
        shown = shown_now(self._result, slicer.mrmlScene)
        if shown is None:
            return
        what, part = shown
        self._select(what)
        if what == BLEND:
            self._set(self._ui.fadeSlider, round(100 * part))
        # The opacity of overlays is a parameter, so it is set by the control.
        self._opacity(self._ui.opacitySlider.value)

    def _show_controls(self) -> None:
        """Show only the controls that apply to the content of the views."""
        ui = self._ui
        for widget in (ui.opacityLabel, ui.opacitySlider):
            widget.visible = self._what in OVERLAYS
        ui.surfacesCheckBox.enabled = self._what != "scan"
        for widget in (ui.fadeLabel, ui.scanEndLabel, ui.fadeSlider, ui.healthyEndLabel):
            widget.visible = self._what == BLEND

    def _opacity(self, opacity: float) -> None:
        if self._result is not None and self._what in OVERLAYS:
            set_opacity(self._result, slicer.mrmlScene, opacity)

    def _fade(self, percent: int) -> None:
        if self._result is not None and self._what == BLEND:
            cross_fade(self._result, slicer.mrmlScene, percent / 100.0)

    def _surfaces(self, checked: bool) -> None:
        if self._result is not None:
            show_3d(self._result, checked)


class ResultWatch:
    """Observer of one result: detects that its map or scan changes its voxels, place or name, or loses a segment.

    Another frame of a sequence gives other voxels, and so does a script that writes into them.

    Args:
        on_changed: Called after a change; once for changes in quick succession, as in playing a sequence.
    """

    def __init__(self, on_changed: Callable[[], None]):
        self._observers = Observers()
        self._followed: dict[slicer.vtkMRMLVolumeNode, tuple] = {}
        self._timer = qt.QTimer()
        self._timer.setSingleShot(True)
        self._timer.setInterval(PAUSE_MS)
        self._timer.connect("timeout()", on_changed)

    def follow(self, result: SceneResult | None) -> None:
        """Observe a result, or none."""
        self._timer.stop()
        self._observers.clear()
        if result is not None:
            self._observers.add(result.segmentation, slicer.vtkSegmentation.SegmentRemoved, self._on_removed)
        nodes = () if result is None else (result.anomaly, result.input)
        self._followed = {node: _state(node) for node in nodes}
        for node in nodes:
            for event in (node.ImageDataModifiedEvent, node.TransformModifiedEvent, "ModifiedEvent"):
                self._observers.add(node, event, self._on_event)

    def _on_event(self, caller: object, event: str) -> None:
        if any(_state(node) != state for node, state in self._followed.items()):
            self._timer.start()

    def _on_removed(self, caller: object, event: str) -> None:
        self._timer.start()


def _state(node: slicer.vtkMRMLVolumeNode) -> tuple:
    """Return what changes with the voxels, the place and the name of a volume."""
    image, matrix = node.GetImageData(), vtk.vtkMatrix4x4()
    node.GetIJKToRASMatrix(matrix)
    place = tuple(matrix.GetElement(row, column) for row in range(3) for column in range(4))
    scalars = None if image is None else image.GetPointData().GetScalars()
    return image, scalars and scalars.GetMTime(), place, node.GetTransformNodeID(), node.GetName()
