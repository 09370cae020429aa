"""The table of regions as a MRML table node."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

import slicer
import vtk

if TYPE_CHECKING:
    from ..regions import Region


class Column(NamedTuple):
    """A column: its name, the type of its cells, its unit, what it means, and its value for a region."""

    name: str
    kind: type
    unit: str
    meaning: str
    value: Callable[[Region], float]


COLUMNS = (
    Column("rank", int, "", "1 is the most unusual region", lambda region: region.rank),
    Column("label", int, "", "voxel value in the label volume", lambda region: region.label),
    Column("volume_ml", float, "ml", "volume", lambda region: region.volume_ml),
    Column("peak", float, "healthy spreads", "largest anomaly", lambda region: region.peak),
    Column("mean", float, "healthy spreads", "mean anomaly", lambda region: region.mean),
    Column("p_value", float, "", "how often healthy scans hold such a peak", lambda region: region.p_value),
    Column("q_value", float, "", "p value after Benjamini and Hochberg", lambda region: region.q_value),
    Column("R", float, "mm", "centre, towards the right", lambda region: region.centroid_ras[0]),
    Column("A", float, "mm", "centre, towards the front", lambda region: region.centroid_ras[1]),
    Column("S", float, "mm", "centre, towards the head", lambda region: region.centroid_ras[2]),
)


def table_of(regions: Sequence[Region]) -> vtk.vtkTable:
    """One row per region, in their order.

    Centres are in the scan's own RAS mm, as in files: a transform above the volume in the scene is not applied.
    """
    table = vtk.vtkTable()
    for column in COLUMNS:
        cells = vtk.vtkIntArray() if column.kind is int else vtk.vtkDoubleArray()
        cells.SetName(column.name)
        for region in regions:
            cells.InsertNextValue(column.kind(column.value(region)))
        table.AddColumn(cells)
    return table


def describe_columns(node: slicer.vtkMRMLTableNode) -> None:
    """Give a table node the units and meanings of its columns."""
    node.SetUseColumnTitleAsColumnHeader(True)
    for column in COLUMNS:
        node.SetColumnDescription(column.name, column.meaning)
        if column.unit:
            node.SetColumnUnitLabel(column.name, column.unit)
