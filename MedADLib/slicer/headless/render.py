"""Image of a result in Slicer's four views, rendered off-screen."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import slicer
import vtk
from vtkmodules.util.numpy_support import numpy_to_vtk

from ...errors import OutputError
from ...results.colours import region_colour
from ...runtime.atomic_files import write_bytes
from ..scene.nodes import SceneResult, to_world
from ..scene.viewing import show_in_slices
from ..scene.volumes import image_from_array
from .scene import StandaloneScene
from .views import SliceView, SpaceView, body_box, look_at, mm_per_pixel

SLICES = (("Red", "Axial"), ("Green", "Coronal"), ("Yellow", "Sagittal"))
MARGIN = 1.14
GAP = 4
GAP_GREY = 60
LISTED_REGIONS = 5


def render_views(
    standalone: StandaloneScene,
    result: SceneResult,
    centre_ras: Sequence[float],
    path: str | os.PathLike,
    size: tuple[int, int] = (1600, 1200),
) -> None:
    """Render axial, 3-D, coronal and sagittal views through a point and write them as one PNG.

    The views' nodes (Red, Green, Yellow, 1) stay in the scene with their content, so a scene saved afterwards opens
    in Slicer at the same place.

    Args:
        standalone: The scene.
        result: The nodes of a detection in it.
        centre_ras: Point to show, in the input's own RAS mm; usually the peak of the top region.
        path: The PNG to write.
        size: Width and height of the image in pixels.

    Raises:
        OutputError: If the image cannot be written.
    """
    image = draw_views(standalone, result, centre_ras, size)
    data = image_from_array(np.zeros((1, *image.shape[:2]), dtype=np.uint8))
    data.GetPointData().SetScalars(numpy_to_vtk(image[::-1].reshape(-1, 3), deep=True))
    writer = vtk.vtkPNGWriter()
    writer.SetInputData(data)
    writer.WriteToMemoryOn()
    writer.Write()
    try:
        write_bytes(Path(path), memoryview(writer.GetResult()))
    except OSError as error:
        raise OutputError("not_written", path=Path(path)) from error


def draw_views(
    standalone: StandaloneScene, result: SceneResult, centre_ras: Sequence[float], size: tuple[int, int]
) -> np.ndarray:
    """As `render_views`, but return the image: (height, width, 3), uint8, first row on top."""
    view_size = ((size[0] - GAP) // 2, (size[1] - GAP) // 2)
    point = to_world(result.input).TransformPoint(centre_ras)
    centre, extent = body_box(result)
    extent = extent * MARGIN
    with ExitStack() as cleanup:
        slices = [SliceView(standalone, *names, view_size, legend=names[0] == "Red") for names in SLICES]
        space = SpaceView(standalone, view_size)
        for view in (*slices, space):
            cleanup.callback(view.close)
        crosshair = standalone.scene.GetFirstNodeByClass("vtkMRMLCrosshairNode")
        cleanup.callback(crosshair.SetCrosshairMode, crosshair.GetCrosshairMode())
        crosshair.SetCrosshairMode(crosshair.ShowBasic)
        crosshair.SetCrosshairRAS(*point)
        show_in_slices(result, standalone.scene)
        scale = max(mm_per_pixel(view.node, view_size, extent) for view in slices)
        for view in slices:
            look_at(view.node, view_size, centre, point, scale)
            view.write_orientation()
        space.node.SetOrientationMarkerType(slicer.vtkMRMLAbstractViewNode.OrientationMarkerTypeCube)
        side = np.where(np.asarray(point) < centre, -1.0, 1.0)
        space.look_at(centre, side * (0.9, 0.8, 0.0) + (0.0, 0.0, 0.45), extent)
        _write_regions(space, result)
        axial, coronal, sagittal = (view.pixels() for view in slices)
        return _compose([[axial, space.pixels()], [coronal, sagittal]], size)


def _write_regions(view: SpaceView, result: SceneResult) -> None:
    """List the first regions in their colours."""
    table = result.table.GetTable()
    count = table.GetNumberOfRows()
    view.write(f"{count} region{'' if count == 1 else 's'}", 0.015, 0.98)
    for row in range(min(count, LISTED_REGIONS)):
        rank, size, peak = (table.GetValueByName(row, name).ToDouble() for name in ("rank", "volume_ml", "peak"))
        text = f"Region {rank:.0f}   {size:.1f} mL   peak {peak:.1f}"
        view.write(text, 0.015, 0.935 - 0.038 * row, colour=region_colour(int(rank)))


def _compose(views: list[list[np.ndarray]], size: tuple[int, int]) -> np.ndarray:
    """Arrange four images in an image of `size`, separated by a thin line."""
    image = np.full((size[1], size[0], 3), GAP_GREY, dtype=np.uint8)
    for row, line in enumerate(views):
        for column, view in enumerate(line):
            height, width = view.shape[:2]
            top, left = row * (size[1] - height), column * (size[0] - width)
            image[top : top + height, left : left + width] = view
    return image
