"""The table of regions as a MRML table node."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import slicer
import vtk

from ...results.decisions import Decision, default_name
from ...scoring.healthy_reference import RARITY, Z_SCORE

if TYPE_CHECKING:
    from ...scoring.regions import Region

# Unit and meaning of the columns that hold values of the map, by the unit of the map.
MAP_COLUMNS = {
    RARITY: {
        "peak": ("", "largest rarity: −log10 of the share of healthy voxels that reach the value"),
        "mean": ("", "mean rarity"),
    },
    Z_SCORE: {
        "peak": ("SD", "largest z-score: SD above the healthy mean"),
        "mean": ("SD", "mean z-score"),
    },
}
ARRAYS = {int: vtk.vtkIntArray, float: vtk.vtkDoubleArray, str: vtk.vtkStringArray}


class Column(NamedTuple):
    """A column: name, type of the cells, unit, meaning, and value for a region."""

    name: str
    kind: type
    unit: str
    meaning: str
    value: Callable[[Region, Decision], float | str]


COLUMNS = (
    Column("rank", int, "", "1 is the most anomalous region", lambda region, _: region.rank),
    Column("name", str, "", "what the region is called", lambda _, decision: decision.name),
    Column("kept", int, "", "1 for a finding, 0 for a region that was rejected", lambda _, decision: decision.kept),
    Column("label", int, "", "voxel value in the label volume", lambda region, _: region.label),
    Column("volume_ml", float, "mL", "volume", lambda region, _: region.volume_ml),
    Column("peak", float, "", "", lambda region, _: region.peak),
    Column("mean", float, "", "", lambda region, _: region.mean),
    Column("p_value", float, "", "how often healthy scans hold such a peak", lambda region, _: region.p_value),
    Column("q_value", float, "", "p value after Benjamini and Hochberg", lambda region, _: region.q_value),
    Column("R", float, "mm", "centroid, towards the right", lambda region, _: region.centroid_ras[0]),
    Column("A", float, "mm", "centroid, towards anterior", lambda region, _: region.centroid_ras[1]),
    Column("S", float, "mm", "centroid, towards superior", lambda region, _: region.centroid_ras[2]),
    Column("peak_R", float, "mm", "peak, towards the right", lambda region, _: region.peak_ras[0]),
    Column("peak_A", float, "mm", "peak, towards anterior", lambda region, _: region.peak_ras[1]),
    Column("peak_S", float, "mm", "peak, towards superior", lambda region, _: region.peak_ras[2]),
    Column("side", str, "", "R, L or bilateral; empty where no midline is known", lambda region, _: region.side),
)


def table_of(regions: Sequence[Region], decisions: Mapping[int, Decision] | None = None) -> vtk.vtkTable:
    """Make a table with one row per region, in their order; decisions are by rank, None for the defaults.

    Positions are in the scan's own RAS mm, as in files: a transform above the volume in the scene is not applied.
    """
    table = vtk.vtkTable()
    decided = decisions or {region.rank: Decision(True, default_name(region)) for region in regions}
    for column in COLUMNS:
        cells = ARRAYS[column.kind]()
        cells.SetName(column.name)
        for region in regions:
            cells.InsertNextValue(column.kind(column.value(region, decided[region.rank])))
        table.AddColumn(cells)
    return table


def describe_columns(node: slicer.vtkMRMLTableNode, unit: str) -> None:
    """Set units and meanings of the columns of a table node; the unit is that of the anomaly map."""
    node.SetUseColumnTitleAsColumnHeader(True)
    for column in COLUMNS:
        label, meaning = MAP_COLUMNS[unit].get(column.name, (column.unit, column.meaning))
        node.SetColumnDescription(column.name, meaning)
        node.SetColumnUnitLabel(column.name, label)
