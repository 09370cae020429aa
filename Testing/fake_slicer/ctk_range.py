"""Stand-in for CTK's widget of a range of real numbers."""

from __future__ import annotations

from PySide6 import QtWidgets
from PySide6.QtCore import Property, Signal


class ctkRangeWidget(QtWidgets.QWidget):
    """Two numbers, the lower never above the upper."""

    valuesChanged = Signal(float, float)
    minimumValueChanged = Signal(float)
    maximumValueChanged = Signal(float)

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self._boxes = QtWidgets.QDoubleSpinBox(self), QtWidgets.QDoubleSpinBox(self)
        layout = QtWidgets.QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        for box in self._boxes:
            layout.addWidget(box, 1)
            box.setRange(0.0, 99.0)
        self._boxes[1].setValue(99.0)
        self._boxes[0].valueChanged.connect(lambda value: self.setValues(value, max(value, self._values()[1])))
        self._boxes[1].valueChanged.connect(lambda value: self.setValues(min(value, self._values()[0]), value))
        self._known = self._values()

    def _values(self):
        return tuple(box.value() for box in self._boxes)

    def setValues(self, low, high):
        for box, value in zip(self._boxes, (low, high)):
            blocked = box.blockSignals(True)
            box.setValue(value)
            box.blockSignals(blocked)
        values, before = self._values(), self._known
        self._known = values
        if values != before:
            self.valuesChanged.emit(*values)
            for index, signal in enumerate((self.minimumValueChanged, self.maximumValueChanged)):
                if values[index] != before[index]:
                    signal.emit(values[index])

    def setRange(self, low, high):
        for box in self._boxes:
            blocked = box.blockSignals(True)
            box.setRange(low, high)
            box.blockSignals(blocked)
        self.setValues(*self._values())

    def _get_minimum_value(self):
        return self._values()[0]

    def setMinimumValue(self, value):
        self.setValues(value, max(value, self._values()[1]))

    minimumValue = Property(float, _get_minimum_value, setMinimumValue)

    def _get_maximum_value(self):
        return self._values()[1]

    def setMaximumValue(self, value):
        self.setValues(min(value, self._values()[0]), value)

    maximumValue = Property(float, _get_maximum_value, setMaximumValue)

    def _get_minimum(self):
        return self._boxes[0].minimum()

    def setMinimum(self, low):
        self.setRange(low, max(low, self._get_maximum()))

    minimum = Property(float, _get_minimum, setMinimum)

    def _get_maximum(self):
        return self._boxes[0].maximum()

    def setMaximum(self, high):
        self.setRange(min(high, self._get_minimum()), high)

    maximum = Property(float, _get_maximum, setMaximum)

    def _get_decimals(self):
        return self._boxes[0].decimals()

    def setDecimals(self, decimals):
        for box in self._boxes:
            box.setDecimals(decimals)

    decimals = Property(int, _get_decimals, setDecimals)

    def _get_single_step(self):
        return self._boxes[0].singleStep()

    def setSingleStep(self, step):
        for box in self._boxes:
            box.setSingleStep(step)

    singleStep = Property(float, _get_single_step, setSingleStep)

    def _get_suffix(self):
        return self._boxes[0].suffix()

    def setSuffix(self, suffix):
        for box in self._boxes:
            box.setSuffix(suffix)

    suffix = Property(str, _get_suffix, setSuffix)
