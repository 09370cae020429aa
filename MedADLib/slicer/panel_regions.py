"""The table of regions: look at each, keep or reject it, name it, and hand the kept ones on."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import qt
import slicer
from slicer.i18n import tr as _

from .decisions import Decisions
from .panel_region_rows import NAME, NUMBER, RegionRows
from .scene import jump_to

if TYPE_CHECKING:
    from ..detection import Detection
    from ..regions import Region
    from .scene import SceneResult

MOST_ROWS = 200


class RegionsPanel:
    """The table and its buttons.

    Args:
        ui: The panel's widgets.
        on_edit: Called when the kept regions shall go to the Segment Editor.
        on_export: Called when they shall be written to files.
    """

    def __init__(self, ui: Any, on_edit: Callable[[], None], on_export: Callable[[], None]):
        self._ui = ui
        self._on_edit, self._on_export = on_edit, on_export
        self._result: SceneResult | None = None
        self._regions: dict[int, Region] = {}
        self._smallest_p = ""
        self.decisions: Decisions | None = None
        headers = [_("#"), _("Name"), _("mL"), _("Peak"), _("p"), _("Side"), _("Peak at (mm)")]
        tips = [
            _("Rank by peak; tick to keep, untick to reject"),
            _("Double-click to change"),
            _("Volume in millilitres"),
            _("Largest z-score in the region: SD above the healthy mean"),
            _("How often a healthy scan holds a region with such a peak"),
            _("R or L of the middle of the examined part; bilateral if at least a fifth lies on each side"),
            _("Position of the peak in the patient: left or right, anterior or posterior, superior or inferior"),
        ]
        table = ui.regionsTable
        table.setColumnCount(len(headers))
        for column, (header, tip) in enumerate(zip(headers, tips)):
            item = qt.QTableWidgetItem(header)
            item.setToolTip(tip)
            table.setHorizontalHeaderItem(column, item)
        table.verticalHeader().setVisible(False)
        self._rows = RegionRows(table)
        table.connect("itemSelectionChanged()", self._selected)
        table.connect("cellClicked(int,int)", self._clicked)
        table.connect("cellDoubleClicked(int,int)", self._double_clicked)
        table.connect("itemChanged(QTableWidgetItem*)", self._changed)
        table.connect("itemActivated(QTableWidgetItem*)", self._activated)
        self._space = qt.QShortcut(qt.QKeySequence("Space"), table)
        self._space.setContext(qt.Qt.WidgetShortcut)
        self._space.connect("activated()", self._tick)
        ui.editButton.connect("clicked(bool)", self._edit)
        ui.exportButton.connect("clicked(bool)", self._export)
        self.refresh(None, None)

    def refresh(self, result: SceneResult | None, detection: Detection | None) -> None:
        """Show the regions of this result, or none."""
        another, self._result = result is not self._result, result
        self._ui.regionsSection.visible = result is not None
        regions = () if detection is None else detection.regions
        self._regions = {region.rank: region for region in regions}
        self.decisions = None if result is None else Decisions(result, detection)
        if self.decisions is not None and another:
            self.decisions.show_overlay()
        listed = regions[:MOST_ROWS]
        smallest_p = 1.0 if detection is None else detection.reference.smallest_p
        self._smallest_p = _("; smallest possible p is {smallest:.2g}").format(smallest=smallest_p)
        self._rows.show(listed, [self.decisions.of(region) for region in listed], smallest_p)
        self._ui.regionsTable.visible = bool(regions)
        self._enable()

    def _region_of(self, row: int) -> Region | None:
        return self._regions.get(self._rows.rank(row))

    def _selected(self) -> None:
        self._jump(self._ui.regionsTable.currentRow())

    def _clicked(self, row: int, column: int) -> None:
        # A click on the row that is selected already brings the views back to it; one on a tick only ticks.
        if column != NUMBER:
            self._jump(row)

    def _jump(self, row: int) -> None:
        region = self._region_of(row)
        if region is not None and self._result is not None:
            jump_to(self._result, region, slicer.mrmlScene)

    def _activated(self, item: Any) -> None:
        self._jump(item.row())

    def _tick(self) -> None:
        """Keep or reject the chosen region, whichever of its cells is chosen."""
        item = self._ui.regionsTable.item(self._ui.regionsTable.currentRow(), NUMBER)
        if item is not None:
            item.setCheckState(qt.Qt.Unchecked if item.checkState() == qt.Qt.Checked else qt.Qt.Checked)

    def _double_clicked(self, row: int, column: int) -> None:
        if column > NAME:
            table = self._ui.regionsTable
            table.setCurrentCell(row, NAME)
            table.editItem(table.item(row, NAME))

    def _changed(self, item: Any) -> None:
        region = self._region_of(item.row())
        if region is None or self.decisions is None:
            return
        if item.column() == NUMBER:
            self.decisions.keep(region, item.checkState() == qt.Qt.Checked)
            self._enable()
        elif item.column() == NAME and item.text().strip():
            self.decisions.rename(region, item.text())
        self._rows.show_one(region, self.decisions.of(region))

    def _enable(self) -> None:
        kept = sum(self.decisions.of(region).kept for region in self._regions.values()) if self.decisions else 0
        count = len(self._regions)
        text = _("{kept} of 1 region kept") if count == 1 else _("{kept} of {count} regions kept")
        notes = [text.format(kept=kept, count=count) + self._smallest_p]
        if count == 0:
            notes = [_("No region lies above the threshold. Move it to the right to see less anomalous regions.")]
        if count > MOST_ROWS:
            text = _("{count} more regions are not listed. A stricter threshold leaves fewer.")
            notes.append(text.format(count=count - MOST_ROWS))
        self._ui.regionsNote.text = "\n".join(notes)
        self._ui.editButton.enabled = kept > 0
        self._ui.editButton.toolTip = (
            _("Continue with the {count} kept regions as an ordinary segmentation.").format(count=kept)
            if kept
            else _("Keep at least one region first.")
        )

    def _edit(self, checked: bool = False) -> None:
        self._on_edit()

    def _export(self, checked: bool = False) -> None:
        self._on_export()
