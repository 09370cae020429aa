"""The result as a whole: verdict, what lies over the scan, and the threshold."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import qt
import slicer
from slicer.i18n import tr as _

from ..errors import InputError
from ..summary import panel_verdict
from .live import LiveThreshold
from .panel_input import take_keys
from .panel_words import breakable, sentence
from .viewing import cross_fade, set_opacity, show, show_3d

if TYPE_CHECKING:
    from ..detection import Detection
    from .scene import SceneResult

STEPS = 1000
REST_MS = 250


class ResultPanel:
    """Shows a result and lets the user look at it in different ways.

    Args:
        ui: The panel's widgets.
        on_threshold: Told the detection at a new threshold.
    """

    def __init__(self, ui: Any, on_threshold: Callable[[Detection], None]):
        self._ui = ui
        self._on_threshold = on_threshold
        self._result: SceneResult | None = None
        self._live: LiveThreshold | None = None
        for what, text in (
            ("anomaly", _("What is unusual, over the scan")),
            ("restored", _("The healthy version that the model expected")),
            ("residual", _("Difference between scan and healthy version")),
            ("scan", _("The scan alone")),
        ):
            ui.viewSelector.addItem(text, what)
        self._rest = qt.QTimer()
        self._rest.setSingleShot(True)
        self._rest.setInterval(REST_MS)
        self._rest.connect("timeout()", self._finish)
        ui.viewSelector.connect("currentIndexChanged(int)", self._view)
        ui.opacitySlider.connect("valueChanged(double)", self._opacity)
        ui.fadeSlider.connect("valueChanged(double)", self._fade)
        ui.thresholdSlider.connect("valueChanged(int)", self._slid)
        ui.thresholdBox.connect("valueChanged(double)", self._typed)
        ui.surfacesCheckBox.connect("toggled(bool)", self._surfaces)
        for slider in (ui.opacitySlider, ui.fadeSlider):
            take_keys(slider, "QSlider")
        self.refresh(None, None)

    @property
    def detection(self) -> Detection | None:
        """The detection at the present threshold."""
        return None if self._live is None else self._live.detection

    def refresh(self, result: SceneResult | None, detection: Detection | None) -> None:
        """Show this result, or none.

        Args:
            result: Its nodes.
            detection: What they hold.
        """
        self._rest.stop()
        self._result = result
        self._live = None if result is None else LiveThreshold(result, detection)
        self._ui.resultSection.visible = result is not None
        if self._live is None:
            return
        self._show_threshold()
        self._ui.surfacesCheckBox.checked = bool(result.segmentation.GetDisplayNode().GetVisibility3D())
        self._rest.start()
        warnings = "\n".join(f"⚠ {sentence(text)}" for text in detection.warnings)
        self._ui.warningsLabel.text = breakable(warnings)
        self._ui.warningsLabel.visible = bool(warnings)

    def show_again(self) -> None:
        """Lay the result over the scan, as right after a run."""
        self._set(self._ui.viewSelector, 0)
        self._set(self._ui.fadeSlider, 0.0)
        self._view(0)

    def hide(self) -> None:
        """Show the scan alone, for the result does not belong to what is shown of it."""
        show(self._result, slicer.mrmlScene, "scan")

    def close(self) -> None:
        """Stop what would still happen later."""
        self._rest.stop()
        self._result = self._live = None

    def _show_threshold(self) -> None:
        live, detection = self._live, self._live.detection
        self._ui.verdictLabel.text = panel_verdict(detection)
        self._set(self._ui.thresholdSlider, round(STEPS * live.ml_to_slider(live.false_positive_ml)))
        self._set(self._ui.thresholdBox, live.false_positive_ml)
        text = _("Above {value:.3g} healthy spreads. In a healthy scan, {ml:.3g} ml lie above by mistake on average.")
        self._ui.meaningLabel.text = text.format(value=detection.threshold, ml=detection.expected_false_positive_ml)

    def _set(self, widget: Any, value: float) -> None:
        """Show a value without answering to it."""
        blocked = widget.blockSignals(True)
        if widget is self._ui.viewSelector:
            widget.setCurrentIndex(value)
        else:
            widget.setValue(value)
        widget.blockSignals(blocked)

    def _slid(self, position: int) -> None:
        if self._live is not None:
            self._set_threshold(self._live.slider_to_ml(position / STEPS))

    def _typed(self, ml: float) -> None:
        if self._live is not None:
            self._set_threshold(ml)

    def _set_threshold(self, ml: float) -> None:
        try:
            detection = self._live.set(ml)
        except InputError as error:
            self._gone(error)
            return
        self._show_threshold()
        self._on_threshold(detection)
        self._rest.start()

    def _gone(self, error: InputError) -> None:
        """Say that the result cannot be followed any more, for the user changed or deleted parts of it."""
        self._live = None
        self._ui.meaningLabel.text = sentence(str(error))

    def _finish(self) -> None:
        """While the user looks at the result, do what the next move of the slider would wait for."""
        if self._live is None:
            return
        try:
            self._live.prepare()
            if not self._live.finish():
                self._rest.start()
        except InputError as error:
            self._gone(error)

    def _view(self, index: int) -> None:
        if self._result is not None:
            self._set(self._ui.fadeSlider, 0.0)
            show(self._result, slicer.mrmlScene, self._ui.viewSelector.itemData(index))
            self._opacity(self._ui.opacitySlider.value)

    def _opacity(self, opacity: float) -> None:
        if self._result is not None:
            set_opacity(self._result, slicer.mrmlScene, opacity)

    def _fade(self, percent: float) -> None:
        if self._result is None:
            return
        if percent > 0:
            cross_fade(self._result, slicer.mrmlScene, percent / 100.0)
        else:
            self._view(self._ui.viewSelector.currentIndex)

    def _surfaces(self, checked: bool) -> None:
        if self._result is not None:
            show_3d(self._result, checked)
