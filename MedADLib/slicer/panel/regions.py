"""The regions section of the panel: a table to inspect, keep, reject and rename regions."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import qt
import slicer
from slicer.i18n import tr as _

from ...messages import say, translated, visible
from ...results.colours import region_colour
from ...results.text import limit_text, location, size_digits, size_number, size_unit, smallest_region_ml
from ...results.units import explanation, is_rarity, meaning
from ..scene.decisions import Decisions
from ..scene.show import jump_to
from .texts import tooltip

if TYPE_CHECKING:
    from ...detection import Detection
    from ...results.decisions import Decision
    from ...scoring.regions import Region
    from ..scene.nodes import SceneResult

NUMBER, NAME, VOLUME, PEAK, P_VALUE, SIDE = COLUMNS = range(6)
NUMBERS = (VOLUME, PEAK, P_VALUE)
# Pixels beside the text of a cell; Qt's own columns leave room for a sort arrow in each.
PADDING, TICK = 11, 20

MOST_ROWS = 200


class RegionRows:
    """Rows of the table, one for each region in any order; reused, because the slider changes hundreds at once."""

    def __init__(self, table: Any):
        self._table = table
        # The cells of each rank in turn, and their values.
        self._cells: list[list[Any]] = []
        self._shown: list[list[Any]] = []
        # A lookup in Qt takes longer than setting a cell.
        self._number, self._tick = qt.Qt.DisplayRole, qt.Qt.CheckStateRole
        self._ticked, self._unticked = qt.Qt.Checked, qt.Qt.Unchecked
        table.horizontalHeader().setSortIndicator(NUMBER, qt.Qt.AscendingOrder)
        table.horizontalHeader().setHighlightSections(False)
        mark = round(0.6 * table.fontMetrics().height())
        table.setIconSize(qt.QSize(mark, mark))
        # Names take what the other columns leave, so that a narrow panel shows all columns.
        table.horizontalHeader().setSectionResizeMode(NAME, qt.QHeaderView.Stretch)

    def show(self, regions: Sequence[Region], decisions: list[Decision], detection: Detection | None) -> None:
        """Show regions and the decisions on them.

        Args:
            regions: In the order of their ranks, which begin at 1.
            decisions: One for each.
            detection: That of the regions; None without regions.
        """
        smallest_p = 1.0 if detection is None else detection.reference.smallest_p
        table = self._table
        blocked = table.blockSignals(True)
        # Sorting while rows are filled would mix up their cells.
        table.setSortingEnabled(False)
        while len(self._cells) > len(regions):
            table.removeRow(table.row(self._cells.pop()[NUMBER]))
            self._shown.pop()
        table.setRowCount(len(regions))
        for row in range(len(self._cells), len(regions)):
            self._add(row)
        sizes = [size_number(detection, region) for region in regions]
        places = 2 if detection is None else size_digits(detection, max(sizes, default=0.0))
        peak = max((region.peak for region in regions), default=0.0)
        digits = (places, 2 if peak < 10 else 1, p_digits(smallest_p))
        measures = [[size, region.peak, region.p_value] for size, region in zip(sizes, regions)]
        numbers = zip(*(_aligned(column, places) for column, places in zip(zip(*measures), digits)))
        for cells, shown, region, decision, texts in zip(self._cells, self._shown, regions, decisions, numbers):
            volume, peak_text, p_text = texts
            meant = translated(meaning(detection, region.peak)) if detection.interpretable else ""
            peak_cell = peak_text, meant
            side = region.side, "" if detection is None else location(detection, region)
            values = [decision.kept, decision.name, volume, peak_cell, p_text, side]
            for column in COLUMNS:
                if values[column] != shown[column]:
                    self._set(cells[column], column, values[column])
            shown[:] = values
        table.setSortingEnabled(True)
        self.fit()
        table.blockSignals(blocked)

    def fit(self) -> None:
        """Fit the column widths to the longest texts; automatic resizing would measure at every cell."""
        metrics = self._table.fontMetrics()
        for column in COLUMNS:
            if column == NAME:
                continue
            texts = [self._table.horizontalHeaderItem(column).text(), *(cells[column].text() for cells in self._cells)]
            width = metrics.boundingRect(max(map(str.strip, texts), key=len)).width() + PADDING
            self._table.setColumnWidth(column, width + TICK if column == NUMBER else width)

    def rank(self, row: int) -> int | None:
        """Return the rank of the region in a row of the table; None if the row does not exist."""
        item = self._table.item(row, NUMBER) if row >= 0 else None
        return None if item is None else int(item.data(self._number))

    def show_one(self, region: Region, decision: Decision) -> None:
        """Show the new decision on a region."""
        cells, shown = self._cells[region.rank - 1], self._shown[region.rank - 1]
        blocked = self._table.blockSignals(True)
        for column, value in ((NUMBER, decision.kept), (NAME, decision.name)):
            self._set(cells[column], column, value)
            shown[column] = value
        self.fit()
        self._table.blockSignals(blocked)

    def _add(self, row: int) -> None:
        cells = [qt.QTableWidgetItem() for _ in COLUMNS]
        cells[NUMBER].setData(self._number, row + 1)
        red, green, blue = (round(255 * part) for part in region_colour(row + 1))
        cells[NAME].setData(qt.Qt.DecorationRole, qt.QColor(red, green, blue))
        extra = {NUMBER: qt.Qt.ItemIsUserCheckable, NAME: qt.Qt.ItemIsEditable}
        for column, cell in zip(COLUMNS, cells):
            flags = qt.Qt.ItemIsEnabled | qt.Qt.ItemIsSelectable
            cell.setFlags(flags | extra[column] if column in extra else flags)
            if column in NUMBERS:
                cell.setTextAlignment(qt.Qt.AlignRight | qt.Qt.AlignVCenter)
            self._table.setItem(row, column, cell)
        self._cells.append(cells)
        self._shown.append([None] * len(COLUMNS))

    def _set(self, cell: Any, column: int, value: Any) -> None:
        if column == NUMBER:
            cell.setData(self._tick, self._ticked if value else self._unticked)
        elif column == NAME:
            cell.setText(visible(value))
            cell.setToolTip(tooltip(value))
        elif column == PEAK:
            cell.setText(value[0])
            cell.setToolTip(tooltip(value[1]))
        elif column == SIDE:
            cell.setText(_("bil.") if value[0] == "bilateral" else value[0])
            cell.setToolTip(value[1])
        else:
            cell.setText(value)


def p_digits(smallest_p: float) -> int:
    """Return the number of decimals that distinguishes the smallest p-values."""
    return max(2, math.ceil(-math.log10(smallest_p)) + 1)


def _aligned(numbers: Sequence[float], digits: int) -> list[str]:
    """Format the numbers of a column as texts of one length, so that the texts sort like the numbers; NaN as n/a."""
    texts = [_("n/a") if math.isnan(number) else f"{number:.{digits}f}" for number in numbers]
    width = max(map(len, texts))
    return [text.rjust(width) for text in texts]


class RegionsPanel:
    """The table and its buttons.

    Args:
        ui: The panel's widgets.
        on_edit: Called to open the kept regions in the Segment Editor.
        on_export: Called to write them to files.
    """

    def __init__(self, ui: Any, on_edit: Callable[[], None], on_export: Callable[[], None]):
        self._ui = ui
        self._result: SceneResult | None = None
        self._regions: dict[int, Region] = {}
        self._smallest_p = self._none = ""
        self.decisions: Decisions | None = None
        headers = [_("#"), _("Name"), _("mL"), "", _("p"), _("Side")]
        tips = [
            _("Rank by peak; tick to keep, untick to reject"),
            _("Double-click to change"),
            _("Volume in millilitres"),
            "",
            _("How often a healthy scan holds a region with such a peak"),
            _(
                "R or L of the middle of the examined part; bil. (bilateral) if at least a fifth lies on each side. "
                "A cell's tooltip gives the position of the peak."
            ),
        ]
        table = ui.regionsTable
        table.setColumnCount(len(headers))
        for column, (header, tip) in enumerate(zip(headers, tips)):
            item = qt.QTableWidgetItem(header)
            item.setToolTip(tooltip(tip))
            table.setHorizontalHeaderItem(column, item)
        table.verticalHeader().setVisible(False)
        self._rows = RegionRows(table)
        table.connect("itemSelectionChanged()", lambda: self._jump(table.currentRow()))
        table.connect("cellClicked(int,int)", self._clicked)
        table.connect("cellDoubleClicked(int,int)", self._double_clicked)
        table.connect("itemChanged(QTableWidgetItem*)", self._changed)
        table.connect("itemActivated(QTableWidgetItem*)", lambda item: self._jump(item.row()))
        self._space = qt.QShortcut(qt.QKeySequence("Space"), table)
        self._space.setContext(qt.Qt.WidgetShortcut)
        self._space.connect("activated()", self._tick)
        ui.editButton.connect("clicked(bool)", lambda checked=False: on_edit())
        ui.exportButton.connect("clicked(bool)", lambda checked=False: on_export())
        self.refresh(None, None)

    def refresh(self, result: SceneResult | None, detection: Detection | None) -> None:
        """Show the regions of a result, or none."""
        another, self._result = result is not self._result, result
        self._ui.regionsSection.visible = result is not None
        regions = () if detection is None else detection.regions
        self._regions = {region.rank: region for region in regions}
        self.decisions = None if result is None else Decisions(result, detection)
        if self.decisions is not None:
            self.decisions.reject_removed()
            if another:
                self.decisions.show_overlay()
        listed = regions[:MOST_ROWS]
        smallest_p = 1.0 if detection is None else detection.reference.smallest_p
        self._smallest_p = _("; smallest possible p is {smallest:.2g}").format(smallest=smallest_p)
        if detection is not None:
            self._name_peaks(detection)
            self._name_sizes(detection)
        self._rows.show(listed, [self.decisions.of(region) for region in listed], detection)
        self._ui.regionsTable.visible = bool(regions)
        self._none = _("No region lies above the threshold. Move it to the right to see less anomalous regions.")
        if detection is not None and not regions and detection.anomaly.array.max(initial=0.0) >= detection.threshold:
            volume = translated(limit_text(detection, smallest_region_ml(detection.provenance)))
            text = _("All regions above the threshold are smaller than {volume}, the smallest region set below.")
            self._none = text.format(volume=volume)
        self._enable()

    def _name_peaks(self, detection: Detection) -> None:
        """Name the column of peaks by the unit of the map."""
        header = self._ui.regionsTable.horizontalHeaderItem(PEAK)
        header.setText(say("rarity_title") if is_rarity(detection) else say("peak_title"))
        text = _("Largest value in the region. {explanation}.")
        header.setToolTip(tooltip(text.format(explanation=translated(explanation(detection)))))

    def _name_sizes(self, detection: Detection) -> None:
        """Name the column of sizes by its unit."""
        header, unit = self._ui.regionsTable.horizontalHeaderItem(VOLUME), size_unit(detection)
        header.setText(unit)
        tips = {"mL": _("Volume in millilitres"), "px": _("Size in pixels"), "mm²": _("Area in square millimetres")}
        header.setToolTip(tooltip(tips[unit]))

    def _region_of(self, row: int) -> Region | None:
        return self._regions.get(self._rows.rank(row))

    def _clicked(self, row: int, column: int) -> None:
        # A click on the selected row moves the views to it again; a click on a tick only ticks.
        if column != NUMBER:
            self._jump(row)

    def _jump(self, row: int) -> None:
        region = self._region_of(row)
        if region is not None and self._result is not None:
            jump_to(self._result, region, slicer.mrmlScene)

    def _tick(self) -> None:
        """Keep or reject the selected region, whichever of its cells is selected."""
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
            notes = [self._none]
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
