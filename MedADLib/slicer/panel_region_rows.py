"""The rows of the table of regions, which are reused: the threshold slider changes hundreds of them at once."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import qt

from ..colours import region_colour
from ..summary import location, short_place
from .panel_words import tooltip

if TYPE_CHECKING:
    from ..decision import Decision
    from ..regions import Region

NUMBER, NAME, VOLUME, PEAK, P_VALUE, SIDE, LOCATION = COLUMNS = range(7)
NUMBERS = (VOLUME, PEAK, P_VALUE)
NAME_LETTERS = 30


class RegionRows:
    """Fills a table with one row for each region, wherever the user's sorting puts the rows.

    Args:
        table: A QTableWidget with the columns above.
    """

    def __init__(self, table: Any):
        self._table = table
        # The cells of each rank in turn, and what they show.
        self._cells: list[list[Any]] = []
        self._shown: list[list[Any]] = []
        # Looking them up in Qt takes longer than setting a cell.
        self._number, self._tick = qt.Qt.DisplayRole, qt.Qt.CheckStateRole
        self._ticked, self._unticked = qt.Qt.Checked, qt.Qt.Unchecked
        table.horizontalHeader().setSortIndicator(NUMBER, qt.Qt.AscendingOrder)
        table.horizontalHeader().setHighlightSections(False)

    def show(self, regions: tuple[Region, ...], decisions: list[Decision], smallest_p: float) -> None:
        """Show these regions and what was decided on them.

        Args:
            regions: In the order of their ranks, which begin at 1.
            decisions: One for each.
            smallest_p: No p-value is below this.
        """
        table = self._table
        blocked = table.blockSignals(True)
        # Rows that sort themselves while they are filled end up with each other's cells.
        table.setSortingEnabled(False)
        while len(self._cells) > len(regions):
            table.removeRow(table.row(self._cells.pop()[NUMBER]))
            self._shown.pop()
        table.setRowCount(len(regions))
        for row in range(len(self._cells), len(regions)):
            self._add(row)
        digits = (2, 2 if max((region.peak for region in regions), default=0.0) < 10 else 1, p_digits(smallest_p))
        measures = [[region.volume_ml, region.peak, region.p_value] for region in regions]
        numbers = zip(*(_aligned(column, places) for column, places in zip(zip(*measures), digits)))
        for cells, shown, region, decision, texts in zip(self._cells, self._shown, regions, decisions, numbers):
            values = [decision.kept, decision.name, *texts, region.side, region]
            for column in COLUMNS:
                if values[column] != shown[column]:
                    self._set(cells[column], column, values[column])
            shown[:] = values
        table.setSortingEnabled(True)
        self.fit()
        table.blockSignals(blocked)

    def fit(self) -> None:
        """Make the columns as wide as they need to be; by themselves they would measure again at every cell."""
        self._table.resizeColumnsToContents()
        widest = NAME_LETTERS * self._table.fontMetrics().averageCharWidth()
        self._table.setColumnWidth(NAME, min(self._table.columnWidth(NAME), widest))

    def rank(self, row: int) -> int | None:
        """The rank of the region that stands in a row of the table; None if there is no such row."""
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
            cell.setText(value)
            cell.setToolTip(tooltip(value))
        elif column == LOCATION:
            cell.setText(short_place(value.peak_ras))
            cell.setToolTip(location(value))
        else:
            cell.setText(value)


def p_digits(smallest_p: float) -> int:
    """How many decimals tell the smallest p-values apart."""
    return max(2, math.ceil(-math.log10(smallest_p)) + 1)


def _aligned(numbers: Sequence[float], digits: int) -> list[str]:
    """Numbers of one column as texts of one length, so that the order of the texts is that of the numbers."""
    texts = [f"{number:.{digits}f}" for number in numbers]
    width = max(map(len, texts))
    return [text.rjust(width) for text in texts]
