"""Stand-ins for CTK's sliders of real numbers."""

from __future__ import annotations

import math

from PySide6 import QtWidgets
from PySide6.QtCore import Property, Qt, Signal

STEPS = 1_000_000


class ctkDoubleSpinBox(QtWidgets.QDoubleSpinBox):
    """A spin box of a real number."""


class ctkDoubleSlider(QtWidgets.QWidget):
    """A slider of a real number."""

    valueChanged = Signal(float)
    sliderMoved = Signal(float)
    sliderPressed = Signal()
    sliderReleased = Signal()
    rangeChanged = Signal(float, float)
    _signal_aliases = {
        "valueChanged(double)": "valueChanged(double)",
        "sliderMoved(double)": "sliderMoved(double)",
        "rangeChanged(double,double)": "rangeChanged(double,double)",
    }
    _slot_aliases = {"setValue(double)": "setValue", "setMinimum(double)": "setMinimum"}

    def __init__(self, *arguments):
        orientation = next((a for a in arguments if isinstance(a, Qt.Orientation)), Qt.Orientation.Vertical)
        super().__init__(*[argument for argument in arguments if argument is not orientation])
        self._minimum, self._maximum, self._value = 0.0, 99.0, 0.0
        self._single, self._page = 1.0, 10.0
        self._slider = QtWidgets.QSlider(orientation, self)
        self._slider.setRange(0, STEPS)
        layout = QtWidgets.QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._slider)
        self.setFocusProxy(self._slider)
        self._slider.valueChanged.connect(self._from_slider)
        self._slider.sliderMoved.connect(lambda position: self.sliderMoved.emit(self._to_value(position)))
        self._slider.sliderPressed.connect(self.sliderPressed)
        self._slider.sliderReleased.connect(self.sliderReleased)
        self._show_steps()

    def _to_value(self, position):
        return self._minimum + (self._maximum - self._minimum) * position / STEPS

    def _to_position(self, value):
        span = self._maximum - self._minimum
        return round(STEPS * (value - self._minimum) / span) if span > 0 else 0

    def _from_slider(self, position):
        if position != self._to_position(self._value):
            self._value = self._to_value(position)
            self.valueChanged.emit(self._value)

    def _get_value(self):
        return self._value

    def setValue(self, value):
        value = min(max(float(value), self._minimum), self._maximum)
        if value != self._value:
            self._value = value
            self._slider.setValue(self._to_position(value))
            self.valueChanged.emit(value)

    value = Property(float, _get_value, setValue)

    def _get_minimum(self):
        return self._minimum

    def setMinimum(self, minimum):
        self.setRange(minimum, max(minimum, self._maximum))

    minimum = Property(float, _get_minimum, setMinimum)

    def _get_maximum(self):
        return self._maximum

    def setMaximum(self, maximum):
        self.setRange(min(self._minimum, maximum), maximum)

    maximum = Property(float, _get_maximum, setMaximum)

    def setRange(self, minimum, maximum):
        if not (math.isfinite(minimum) and math.isfinite(maximum)):
            raise ValueError("a slider's range must be finite")
        changed = (minimum, maximum) != (self._minimum, self._maximum)
        self._minimum, self._maximum = float(minimum), float(maximum)
        self._show_steps()
        before = self._value
        self._value = min(max(self._value, self._minimum), self._maximum)
        blocked = self._slider.blockSignals(True)
        self._slider.setValue(self._to_position(self._value))
        self._slider.blockSignals(blocked)
        if changed:
            self.rangeChanged.emit(self._minimum, self._maximum)
        if self._value != before:
            self.valueChanged.emit(self._value)

    def _get_single_step(self):
        return self._single

    def setSingleStep(self, step):
        self._single = step
        self._show_steps()

    singleStep = Property(float, _get_single_step, setSingleStep)

    def _get_page_step(self):
        return self._page

    def setPageStep(self, step):
        self._page = step
        self._show_steps()

    pageStep = Property(float, _get_page_step, setPageStep)

    def _show_steps(self):
        span = self._maximum - self._minimum
        for step, setter in ((self._single, self._slider.setSingleStep), (self._page, self._slider.setPageStep)):
            setter(max(1, round(STEPS * step / span)) if span > 0 else 1)

    def _get_orientation(self):
        return self._slider.orientation()

    def setOrientation(self, orientation):
        self._slider.setOrientation(orientation)

    orientation = Property(Qt.Orientation, _get_orientation, setOrientation)

    def _get_tracking(self):
        return self._slider.hasTracking()

    def hasTracking(self):
        return self._slider.hasTracking()

    def setTracking(self, enable):
        self._slider.setTracking(enable)

    tracking = Property(bool, _get_tracking, setTracking)

    def _get_slider_position(self):
        return self._to_value(self._slider.sliderPosition())

    def setSliderPosition(self, position):
        self._slider.setSliderPosition(self._to_position(position))

    sliderPosition = Property(float, _get_slider_position, setSliderPosition)


class ctkSliderWidget(QtWidgets.QWidget):
    """A slider of a real number with a spin box beside it."""

    valueChanged = Signal(float)
    valueIsChanging = Signal(float)
    _slot_aliases = {"setValue(double)": "setValue"}

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self._slider = ctkDoubleSlider(Qt.Orientation.Horizontal, self)
        self._spin_box = ctkDoubleSpinBox(self)
        self._tracking = True
        self._inside = False
        layout = QtWidgets.QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._slider, 1)
        layout.addWidget(self._spin_box)
        self._slider._slider.sliderReleased.connect(self._released)
        self._slider.valueChanged.connect(self._from_slider)
        self._spin_box.valueChanged.connect(self.setValue)
        self.setRange(0.0, 99.0)
        self._last = self._slider._get_value()

    def _from_slider(self, value):
        blocked = self._spin_box.blockSignals(True)
        self._spin_box.setValue(value)
        self._spin_box.blockSignals(blocked)
        if self._slider._slider.isSliderDown():
            self.valueIsChanging.emit(value)
            if not self._tracking:
                return
        self._announce()

    def _released(self):
        self._announce()

    def _announce(self):
        value = self._slider._get_value()
        if value != self._last:
            self._last = value
            self.valueChanged.emit(value)

    def _get_value(self):
        return self._slider._get_value()

    def setValue(self, value):
        self._slider.setValue(round(float(value), self._spin_box.decimals()))

    value = Property(float, _get_value, setValue)

    def _get_minimum(self):
        return self._slider._get_minimum()

    def setMinimum(self, minimum):
        self.setRange(minimum, max(minimum, self._slider._get_maximum()))

    minimum = Property(float, _get_minimum, setMinimum)

    def _get_maximum(self):
        return self._slider._get_maximum()

    def setMaximum(self, maximum):
        self.setRange(min(self._slider._get_minimum(), maximum), maximum)

    maximum = Property(float, _get_maximum, setMaximum)

    def setRange(self, minimum, maximum):
        blocked = self._spin_box.blockSignals(True)
        self._spin_box.setRange(minimum, maximum)
        self._spin_box.blockSignals(blocked)
        self._slider.setRange(minimum, maximum)

    def _get_decimals(self):
        return self._spin_box.decimals()

    def setDecimals(self, decimals):
        self._spin_box.setDecimals(decimals)

    decimals = Property(int, _get_decimals, setDecimals)

    def _get_single_step(self):
        return self._slider._get_single_step()

    def setSingleStep(self, step):
        self._slider.setSingleStep(step)
        self._spin_box.setSingleStep(step)

    singleStep = Property(float, _get_single_step, setSingleStep)

    def _get_page_step(self):
        return self._slider._get_page_step()

    def setPageStep(self, step):
        self._slider.setPageStep(step)

    pageStep = Property(float, _get_page_step, setPageStep)

    def _get_suffix(self):
        return self._spin_box.suffix()

    def setSuffix(self, suffix):
        self._spin_box.setSuffix(suffix)

    suffix = Property(str, _get_suffix, setSuffix)

    def _get_prefix(self):
        return self._spin_box.prefix()

    def setPrefix(self, prefix):
        self._spin_box.setPrefix(prefix)

    prefix = Property(str, _get_prefix, setPrefix)

    def hasTracking(self):
        return self._tracking

    def setTracking(self, enable):
        self._tracking = enable

    tracking = Property(bool, hasTracking, setTracking)

    def isSpinBoxVisible(self):
        return not self._spin_box.isHidden()

    def setSpinBoxVisible(self, visible):
        self._spin_box.setVisible(visible)

    spinBoxVisible = Property(bool, isSpinBoxVisible, setSpinBoxVisible)
