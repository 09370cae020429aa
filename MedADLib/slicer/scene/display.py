"""Display of a result's nodes, with the colour nodes that all results of a scene share."""

from __future__ import annotations

import math
from collections.abc import Iterable
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
import slicer

from ...messages import say
from ...results.colours import heat_colours, region_colour
from ...results.units import is_rarity, scale_top
from ...results.units import legend as legend_title
from .ownership import ROLE

if TYPE_CHECKING:
    from ...detection import Detection

REGION_COLOURS = 256
DARKER, BRIGHTER = (0.1, 0.35, 1.0), (1.0, 0.15, 0.1)
PALE = 0.5
CLEAR_BELOW = 0.15
# The conversion from CIELAB takes most of the time for a region.
rank_colour = cache(region_colour)

RESIDUAL_TITLE = "scan minus\npseudo-healthy"
LEGEND_SIZE = (0.035, 0.34)
LEGEND_POSITION = (0.98, 0.05)
LEGEND_COLUMNS = 16
LEGEND_LABELS = 5
# One label at each whole rarity.
RARITY_LABELS = 7
TITLE_SIZE, LABEL_SIZE = 12, 12
# Dark behind the white letters, which may lie on bright fat.
LEGEND_BACKGROUND = 0.55
ROUND_STEPS = (1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0)
OUTLINE_PIXELS = 2
BODY_COLOUR = (0.88, 0.84, 0.80)
BODY_OPACITY = 0.2


def heat_node(scene: slicer.vtkMRMLScene) -> slicer.vtkMRMLColorTableNode:
    """Return the colour node of anomaly maps; added if the scene has none yet."""
    heat = [(f"{100 * n / 255:.0f} %", colour) for n, colour in enumerate(heat_colours().tolist())]
    return _table(scene, "heat", "MedAD heat", heat)


def difference_node(scene: slicer.vtkMRMLScene) -> slicer.vtkMRMLColorTableNode:
    """Return the colour node of residuals: blue below zero, red above, clear around zero; added if the scene has none.

    Slice views do not support half-transparent colours, so small differences are pale.
    """
    colours = []
    for place in np.linspace(-1.0, 1.0, 256).tolist():
        strength = abs(place)
        full = DARKER if place < 0 else BRIGHTER
        colour = [PALE + (part - PALE) * strength for part in full]
        colours.append((f"{100 * place:+.0f} %", (*colour, float(strength > CLEAR_BELOW))))
    return _table(scene, "difference colours", "MedAD difference", colours)


def region_node(scene: slicer.vtkMRMLScene, largest: int) -> slicer.vtkMRMLColorTableNode:
    """Return the colour node of region labels up to at least `largest`; added or extended as needed."""
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
    if not _ends_alike(node, colours):
        node.SetNumberOfColors(len(colours))
        for index, (label, rgba) in enumerate(colours):
            node.SetColor(index, label, *rgba)
        node.GetLookupTable().SetRange(0, len(colours) - 1)
    return node if node.GetScene() is scene else scene.AddNode(node)


def _ends_alike(node: slicer.vtkMRMLColorTableNode, colours: list[tuple[str, Iterable[float]]]) -> bool:
    """Return whether a node has the last of the colours, unlike one that is shorter or of an earlier version."""
    last = len(colours) - 1
    if node.GetNumberOfColors() <= last:
        return False
    found = [0.0] * 4
    node.GetColor(last, found)
    return np.allclose(found, colours[last][1], atol=0.01)


def show_anomaly(node: slicer.vtkMRMLScalarVolumeNode, detection: Detection, fresh: bool) -> None:
    """Show the anomaly map from the detection's threshold on, in the colour scale of its unit, which begins at 0.

    That of rarity is the same for all scans and models; that of z-scores ends at a round value.
    """
    display = node.GetDisplayNode()
    top, rarity = scale_top(detection), is_rarity(detection)
    if not rarity:
        top = _round_top(top)
    display.SetAutoWindowLevel(False)
    display.SetWindowLevelMinMax(0.0, top)
    show_threshold(node, detection)
    if fresh:
        display.SetAndObserveColorNodeID(heat_node(node.GetScene()).GetID())
        add_legend(node)
    legend = legend_of(node)
    if legend is not None:
        title = legend_title(detection, LEGEND_COLUMNS)
        beyond = rarity or float(detection.anomaly.array.max(initial=0.0)) > top
        legend.SetTitleText(f"{title}\n{say('legend_top', top=top)}" if beyond else title)
        legend.SetNumberOfLabels(RARITY_LABELS if rarity else LEGEND_LABELS)


def show_threshold(node: slicer.vtkMRMLScalarVolumeNode, detection: Detection) -> None:
    """Show the anomaly map from the detection's threshold on; its colours stay."""
    display = node.GetScalarVolumeDisplayNode()
    if display is not None:
        _, high = node.GetImageData().GetScalarRange()
        display.SetAutoThreshold(False)
        display.SetThreshold(detection.threshold, max(high, detection.threshold) + 1.0)
        display.SetApplyThreshold(True)


def show_labels(node: slicer.vtkMRMLLabelMapVolumeNode, largest: int) -> None:
    """Show the labels in the colours of their segments."""
    if node.GetDisplayNode() is not None:
        node.GetDisplayNode().SetAndObserveColorNodeID(region_node(node.GetScene(), largest).GetID())


def show_restored(node: slicer.vtkMRMLScalarVolumeNode, like: slicer.vtkMRMLVolumeNode) -> None:
    """Show the restored volume with colours, window and level of the volume to compare it with."""
    display, model = node.GetDisplayNode(), like.GetDisplayNode()
    display.SetAndObserveColorNodeID(model.GetColorNodeID())
    if model.IsA("vtkMRMLScalarVolumeDisplayNode"):
        display.SetAutoWindowLevel(False)
        display.SetWindowLevel(model.GetWindow(), model.GetLevel())


def show_segments(node: slicer.vtkMRMLSegmentationNode, fresh: bool) -> None:
    """Show regions as outlines in slices, so that the map beneath stays visible, and as surfaces in 3-D."""
    display = node.GetDisplayNode()
    if display is None:
        return
    if fresh:
        display.SetVisibility2DFill(False)
        display.SetVisibility2DOutline(True)
        display.SetSliceIntersectionThickness(OUTLINE_PIXELS)
    converter = slicer.vtkSegmentationConverter
    surface = converter.GetClosedSurfaceRepresentationName()
    if node.GetSegmentation().ContainsRepresentation(surface):
        display.SetPreferredDisplayRepresentationName3D(surface)


def show_body(node: slicer.vtkMRMLModelNode) -> None:
    """Show the examined part as a transparent surface in 3-D only, which the mouse does not pick."""
    node.SetSelectable(False)
    display = node.GetDisplayNode()
    display.SetColor(*BODY_COLOUR)
    display.SetOpacity(BODY_OPACITY)
    display.SetBackfaceCulling(False)
    display.SetVisibility2D(False)


def _round_top(top: float) -> float:
    """Return the smallest end of a scale, at least `top`, that gives round labels."""
    step = top / (LEGEND_LABELS - 1)
    magnitude = 10.0 ** math.floor(math.log10(step))
    rounded = next(candidate for candidate in ROUND_STEPS if candidate >= (1 - 1e-9) * step / magnitude)
    return (LEGEND_LABELS - 1) * rounded * magnitude


def add_legend(node: slicer.vtkMRMLScalarVolumeNode, title: str = "") -> None:
    """Add a legend of a volume's colours to the views that show it."""
    scene = node.GetScene()
    legend = scene.AddNewNodeByClass("vtkMRMLColorLegendDisplayNode", f"{node.GetName()} legend")
    if legend is None:
        # Slicer's Colors module registers the class; without it the map has no legend.
        return
    legend.SetAndObservePrimaryDisplayNode(node.GetDisplayNode())
    legend.SetTitleText(title)
    legend.SetLabelFormat("%.3g")
    legend.SetNumberOfLabels(LEGEND_LABELS)
    legend.SetSize(*LEGEND_SIZE)
    legend.SetPosition(*LEGEND_POSITION)
    for style, size in ((legend.GetTitleTextProperty(), TITLE_SIZE), (legend.GetLabelTextProperty(), LABEL_SIZE)):
        style.SetFontFamilyToArial()
        style.SetFontSize(size)
        style.SetShadow(True)
        style.SetBackgroundColor(0.0, 0.0, 0.0)
        style.SetBackgroundOpacity(LEGEND_BACKGROUND)
    legend.SetVisibility(True)
    node.AddAndObserveDisplayNodeID(legend.GetID())


def legend_of(node: slicer.vtkMRMLScalarVolumeNode) -> slicer.vtkMRMLColorLegendDisplayNode | None:
    """Return the legend of a volume's colours; None if it has none."""
    displays = [node.GetNthDisplayNode(number) for number in range(node.GetNumberOfDisplayNodes())]
    return next((each for each in displays if each and each.IsA("vtkMRMLColorLegendDisplayNode")), None)
