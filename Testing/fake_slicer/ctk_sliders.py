"""Stand-ins for CTK's sliders of real numbers."""

from __future__ import annotations

import math
import sys

from PySide6 import QtWidgets
from PySide6.QtCore import Property, QEvent, QSignalBlocker, Qt, Signal

LOWEST, HIGHEST = -(2**31), 2**31 - 1
SIMILAR = 1e-9
SPIN_BOX_RANGE = 0.0, 99.99


class ctkDoubleSpinBox(QtWidgets.QWidget):
    """A spin box of a real number, which keeps more decimals than it shows; it contains one of Qt and is none."""

    valueChanged = Signal(float)
    decimalsChanged = Signal(int)
    editingFinished = Signal()
    _signal_aliases = {"valueChanged(double)": "valueChanged(double)"}
    _slot_aliases = {"setValue(double)": "setValue"}

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self._box = QtWidgets.QDoubleSpinBox(self)
        self._value = self._box.value()
        self._low, self._high = SPIN_BOX_RANGE
        layout = QtWidgets.QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._box)
        policy = QtWidgets.QSizePolicy.Policy
        control = QtWidgets.QSizePolicy.ControlType.ButtonBox
        self.setSizePolicy(QtWidgets.QSizePolicy(policy.Minimum, policy.Fixed, control))
        self._box.valueChanged.connect(self._typed)
        self._box.editingFinished.connect(self.editingFinished)

    def _typed(self, value):
        if round(self._value, self._box.decimals()) == value:
            return
        ends = {round(end, self._box.decimals()): end for end in (self._high, self._low)}
        self._value = ends.get(value, value)
        self.valueChanged.emit(self._value)

    def _get_value(self):
        return self._value

    def setValue(self, value):
        value = min(max(float(value), self._low), self._high)
        if value != self._value:
            self._value = value
            blocker = QSignalBlocker(self._box)
            self._box.setValue(value)
            blocker.unblock()
            self.valueChanged.emit(value)

    value = Property(float, _get_value, setValue, notify=valueChanged)

    def _get_minimum(self):
        return self._low

    def setMinimum(self, minimum):
        self.setRange(minimum, max(minimum, self._high))

    minimum = Property(float, _get_minimum, setMinimum)

    def _get_maximum(self):
        return self._high

    def setMaximum(self, maximum):
        self.setRange(min(self._low, maximum), maximum)

    maximum = Property(float, _get_maximum, setMaximum)

    def setRange(self, minimum, maximum):
        self._low, self._high = float(minimum), float(maximum)
        most = sys.float_info.max
        blocker = QSignalBlocker(self._box)
        self._box.setRange(max(self._low, -most), min(self._high, most))
        blocker.unblock()
        self.setValue(self._value)

    def _get_decimals(self):
        return self._box.decimals()

    def setDecimals(self, decimals):
        blocker = QSignalBlocker(self._box)
        self._box.setDecimals(decimals)
        self._box.setValue(self._value)
        blocker.unblock()
        self.decimalsChanged.emit(decimals)

    decimals = Property(int, _get_decimals, setDecimals, notify=decimalsChanged)

    def _get_single_step(self):
        return self._box.singleStep()

    def setSingleStep(self, step):
        self._box.setSingleStep(step)

    singleStep = Property(float, _get_single_step, setSingleStep)

    def _get_suffix(self):
        return self._box.suffix()

    def setSuffix(self, suffix):
        self._box.setSuffix(suffix)

    suffix = Property(str, _get_suffix, setSuffix)

    def _get_prefix(self):
        return self._box.prefix()

    def setPrefix(self, prefix):
        self._box.setPrefix(prefix)

    prefix = Property(str, _get_prefix, setPrefix)


class ctkDoubleSlider(QtWidgets.QWidget):
    """A slider of a real number; dragged, it stops at whole steps only."""

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
        self._minimum, self._maximum, self._value, self._offset = 0.0, 99.0, 0.0, 0.0
        self._single, self._page = 1.0, 10.0
        self._slider = QtWidgets.QSlider(orientation, self)
        layout = QtWidgets.QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._slider)
        self.setSizePolicy(self._slider.sizePolicy())
        self._slider.valueChanged.connect(self._from_slider)
        self._slider.sliderMoved.connect(lambda position: self.sliderMoved.emit(self._to_value(position)))
        self._slider.sliderPressed.connect(self.sliderPressed)
        self._slider.sliderReleased.connect(self.sliderReleased)

    def _exact(self, position):
        return self._single * (self._offset + position)

    def _to_value(self, position):
        return min(max(self._exact(position), self._minimum), self._maximum)

    def _to_position(self, value):
        steps = value / self._single
        return min(max(math.floor(steps + 0.5), LOWEST), HIGHEST) if math.isfinite(steps) else HIGHEST

    def _set_offset(self, value):
        self._offset = value / self._single - self._to_position(value)

    def _set_slider_range(self):
        low, high = self._to_position(self._minimum), self._to_position(self._maximum)
        low -= self._exact(low) > self._minimum and low > LOWEST
        high += self._exact(high) < self._maximum and high < HIGHEST
        self._slider.setRange(low, high)

    def _from_slider(self, position):
        value = self._to_value(position)
        if value != self._value:
            self._value = value
            self.valueChanged.emit(value)

    def _get_value(self):
        return self._value

    def setValue(self, value):
        value = min(max(float(value), self._minimum), self._maximum)
        self._set_offset(value)
        position = self._to_position(value)
        if position != self._slider.value():
            self._slider.setValue(position)
            return
        before, self._value = self._value, value
        if abs(value - before) > self._single * SIMILAR:
            self.valueChanged.emit(value)

    value = Property(float, _get_value, setValue, notify=valueChanged)

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
        if math.isnan(minimum) or math.isnan(maximum):
            raise ValueError("a slider's range must be numbers")
        before = self._minimum, self._maximum
        self._minimum, self._maximum = float(min(minimum, maximum)), float(max(minimum, maximum))
        if self._minimum >= self._value:
            self._set_offset(self._minimum)
        if self._maximum <= self._value:
            self._set_offset(self._maximum)
        self._set_slider_range()
        if (self._minimum, self._maximum) != before:
            self.rangeChanged.emit(self._minimum, self._maximum)
        self.setValue(self._value)

    def _get_single_step(self):
        return self._single

    def _takes_step(self, step):
        if self._minimum == self._maximum:
            return True
        least = max(self._maximum / sys.float_info.max, sys.float_info.epsilon)
        return least <= step <= min(self._maximum - self._minimum, HIGHEST)

    def setSingleStep(self, step):
        """Take a step that fits the range; another one is ignored, with a warning."""
        if not self._takes_step(step):
            return
        self._single = step
        self._set_offset(self._value)
        blocker = QSignalBlocker(self._slider)
        self._set_slider_range()
        self._slider.setValue(self._to_position(self._value))
        self._slider.setPageStep(self._to_position(self._page))
        blocker.unblock()

    singleStep = Property(float, _get_single_step, setSingleStep)

    def _get_page_step(self):
        return self._page

    def setPageStep(self, step):
        self._page = step
        self._slider.setPageStep(self._to_position(step))

    pageStep = Property(float, _get_page_step, setPageStep)

    def _get_orientation(self):
        return self._slider.orientation()

    def setOrientation(self, orientation):
        if orientation != self._slider.orientation():
            policy = self.sizePolicy()
            policy.transpose()
            self.setSizePolicy(policy)
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
    """A slider of a real number with a spin box beside it.

    Without tracking, `valueIsChanging` is emitted with every change and `valueChanged` when the mouse lets go; with
    tracking only `valueChanged`, every time.
    """

    valueChanged = Signal(float)
    valueIsChanging = Signal(float)
    decimalsChanged = Signal(int)
    _slot_aliases = {"setValue(double)": "setValue"}

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self._slider = ctkDoubleSlider(Qt.Orientation.Horizontal, self)
        self._spin_box = ctkDoubleSpinBox(self)
        self._tracking = True
        self._changing = False
        self._before = 0.0
        self._blocked = False
        layout = QtWidgets.QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._slider)
        layout.addWidget(self._spin_box)
        self.setSizePolicy(QtWidgets.QSizePolicy.Policy.Expanding, QtWidgets.QSizePolicy.Policy.Fixed)
        self._slider.setRange(self._spin_box.minimum, self._spin_box.maximum)
        self._spin_box.valueChanged.connect(self._from_spin_box)
        self._slider.sliderPressed.connect(self._start)
        self._slider.sliderReleased.connect(self._stop)
        self._slider.valueChanged.connect(self._from_slider)
        self._spin_box.installEventFilter(self)

    def eventFilter(self, watched, event):
        if event.type() == QEvent.Type.MouseButtonPress:
            self._start()
        elif event.type() == QEvent.Type.MouseButtonRelease:
            self._stop()
        return False

    def _start(self):
        if not self._tracking:
            self._before = self._get_value()
            self._changing = True

    def _stop(self):
        if not self._tracking:
            self._changing = False
            if abs(self._get_value() - self._before) > self._get_single_step() * SIMILAR:
                self.valueChanged.emit(self._get_value())

    def _from_spin_box(self, value):
        if not self._blocked:
            self._slider.setValue(value)

    def _from_slider(self, value):
        self._set_spin_box(self._spin_box.setValue, value)
        if not self._tracking:
            self.valueIsChanging.emit(value)
        if not self._changing:
            self.valueChanged.emit(value)

    def _set_spin_box(self, setter, *arguments):
        blocked, self._blocked = self._blocked, True
        setter(*arguments)
        self._blocked = blocked

    def _get_value(self):
        return self._before if self._changing else self._slider.value

    def setValue(self, value):
        changing, self._changing = self._changing, False
        self._spin_box.setValue(value)
        self._changing = changing

    value = Property(float, _get_value, setValue)

    def _get_minimum(self):
        return self._slider.minimum

    def setMinimum(self, minimum):
        self._set_spin_box(self._spin_box.setMinimum, minimum)
        self._slider.setMinimum(self._spin_box.minimum)
        self._synchronise()

    minimum = Property(float, _get_minimum, setMinimum)

    def _get_maximum(self):
        return self._slider.maximum

    def setMaximum(self, maximum):
        self._set_spin_box(self._spin_box.setMaximum, maximum)
        self._slider.setMaximum(self._spin_box.maximum)
        self._synchronise()

    maximum = Property(float, _get_maximum, setMaximum)

    def setRange(self, minimum, maximum):
        self._set_spin_box(self._spin_box.setRange, minimum, maximum)
        self._slider.setRange(self._spin_box.minimum, self._spin_box.maximum)
        self._synchronise()

    def _synchronise(self):
        """Sliders side by side have spin boxes of one width."""
        parent = self.parentWidget()
        siblings = [self] if parent is None else parent.findChildren(ctkSliderWidget) or [self]
        width = max(sibling._spin_box.sizeHint().width() for sibling in siblings)
        for sibling in siblings:
            sibling._spin_box.setMinimumWidth(width)

    def _get_decimals(self):
        return self._spin_box.decimals

    def setDecimals(self, decimals):
        self._spin_box.setDecimals(decimals)
        self._slider.setRange(self._spin_box.minimum, self._spin_box.maximum)
        self._from_slider(self._slider.value)
        self.decimalsChanged.emit(decimals)

    decimals = Property(int, _get_decimals, setDecimals, notify=decimalsChanged)

    def _get_single_step(self):
        return self._slider.singleStep

    def setSingleStep(self, step):
        """Take a step that fits the range; another one is ignored, with a warning."""
        if self._slider._takes_step(step):
            self._spin_box.setSingleStep(step)
            self._slider.setSingleStep(step)

    singleStep = Property(float, _get_single_step, setSingleStep)

    def _get_page_step(self):
        return self._slider.pageStep

    def setPageStep(self, step):
        self._slider.setPageStep(step)

    pageStep = Property(float, _get_page_step, setPageStep)

    def _get_suffix(self):
        return self._spin_box.suffix

    def setSuffix(self, suffix):
        self._spin_box.setSuffix(suffix)
        self._synchronise()

    suffix = Property(str, _get_suffix, setSuffix)

    def _get_prefix(self):
        return self._spin_box.prefix

    def setPrefix(self, prefix):
        self._spin_box.setPrefix(prefix)
        self._synchronise()

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
