"""Our colours as nodes of a scene, one of each kind however many results there are."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache

import numpy as np
import slicer

from ..colours import heat_colours, region_colour
from .roles import ROLE

REGION_COLOURS = 256
DARKER, BRIGHTER = (0.1, 0.35, 1.0), (1.0, 0.15, 0.1)
PALE = 0.5
CLEAR_BELOW = 0.15
# The conversion from CIELAB takes longer than all else about a region.
rank_colour = cache(region_colour)


def heat_node(scene: slicer.vtkMRMLScene) -> slicer.vtkMRMLColorTableNode:
    """The colours of anomaly maps; added if the scene has none yet."""
    heat = [(f"{100 * n / 255:.0f} %", colour) for n, colour in enumerate(heat_colours().tolist())]
    return _table(scene, "heat", "MedAD heat", heat)


def difference_node(scene: slicer.vtkMRMLScene) -> slicer.vtkMRMLColorTableNode:
    """Blue for less than expected, red for more, clear around zero; added if the scene has none yet.

    Slice views know no half-transparent colours, so small differences are pale.
    """
    colours = []
    for place in np.linspace(-1.0, 1.0, 256).tolist():
        strength = abs(place)
        full = DARKER if place < 0 else BRIGHTER
        colour = [PALE + (part - PALE) * strength for part in full]
        colours.append((f"{100 * place:+.0f} %", (*colour, float(strength > CLEAR_BELOW))))
    return _table(scene, "difference colours", "MedAD difference", colours)


def region_node(scene: slicer.vtkMRMLScene, largest: int) -> slicer.vtkMRMLColorTableNode:
    """The colours of region labels, for labels up to at least `largest`; added or lengthened as needed."""
    count = max(REGION_COLOURS, largest + 1)
    colours = [("background", (0.0, 0.0, 0.0, 0.0))]
    colours += [(f"Region {rank}", (*rank_colour(rank), 1.0)) for rank in range(1, count)]
    return _table(scene, "region colours", "MedAD regions", colours)


def _table(
    scene: slicer.vtkMRMLScene, role: str, name: str, colours: list[tuple[str, Iterable[float]]]
) -> slicer.vtkMRMLColorTableNode:
    for node in scene.GetNodes():
        if node.GetAttribute(ROLE) == role and node.IsA("vtkMRMLColorTableNode"):
            break
    else:
        node = slicer.vtkMRMLColorTableNode()
        node.SetName(name)
        node.SetTypeToUser()
        node.SetAttribute(ROLE, role)
    if node.GetNumberOfColors() < len(colours):
        node.SetNumberOfColors(len(colours))
        for index, (label, rgba) in enumerate(colours):
            node.SetColor(index, label, *rgba)
        node.GetLookupTable().SetRange(0, len(colours) - 1)
    return node if node.GetScene() is scene else scene.AddNode(node)
