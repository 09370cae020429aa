"""Real MRML for tests: a synthetic detection on an awkward grid, scenes to put it in, and an eye on MRML's errors."""

from __future__ import annotations

import os

import numpy as np
import pytest

from support.references import healthy_reference

os.environ.setdefault("VTK_DEFAULT_OPENGL_WINDOW", "vtkEGLRenderWindow")
pytest.importorskip("slicer.util", reason="slicer-core is not installed (pip install trame-slicer[standalone])")
import slicer
from vtkmodules.util.numpy_support import vtk_to_numpy
from vtkmodules.vtkCommonCore import reference
from vtkmodules.vtkCommonDataModel import vtkPolyData
from vtkmodules.vtkFiltersCore import vtkFeatureEdges

from MedADLib.detection import Detection
from MedADLib.scoring.regions import find_regions
from MedADLib.slicer.headless.scene import StandaloneScene
from MedADLib.slicer.scene.volumes import matrix_from_array, node_affine
from MedADLib.volume import Volume

SHAPE = (26, 34, 30)
SPACING = (1.5, 1.0, 2.5)
THRESHOLD = 3.0
NAME_TO_ESCAPE = 'odd; na:me %3B {"q"}'
PROVENANCE = {
    "model": {"name": "brain-t1", "version": "1.2.3", "sha256": "ab" * 32},
    "method": "atlas",
    "seed": 7,
    "settings": {"threshold": "1ml", "smallest_region_ml": 0.0},
    "input": {"name": NAME_TO_ESCAPE, "sha256": "cd" * 32},
}


def turn(degrees_about_rsa: tuple[float, float, float]) -> np.ndarray:
    """A 3×3 rotation, about R, then A, then S."""
    result = np.eye(3)
    for axis, degrees in enumerate(degrees_about_rsa):
        cosine, sine = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
        first, second = [(1, 2), (2, 0), (0, 1)][axis]
        step = np.eye(3)
        step[[first, second], [first, second]] = cosine
        step[first, second], step[second, first] = -sine, sine
        result = step @ result
    return result


def oblique_affine(shape=SHAPE, spacing=SPACING) -> np.ndarray:
    """An oblique, anisotropic, left-handed grid with its middle near the origin."""
    affine = np.eye(4)
    affine[:3, :3] = turn((12.0, -20.0, 35.0)) @ np.diag([-1.0, 1.0, 1.0]) * spacing
    affine[:3, 3] = (4.0, -3.0, 7.0) - affine[:3, :3] @ ((np.array(shape[::-1]) - 1) / 2.0)
    return affine


def straight_affine(shape=SHAPE, spacing=SPACING) -> np.ndarray:
    """A grid along R, A and S with its middle at the origin."""
    affine = np.diag([*spacing, 1.0])
    affine[:3, 3] = -affine[:3, :3] @ ((np.array(shape[::-1]) - 1) / 2.0)
    return affine


def make_detection(
    affine: np.ndarray | None = None,
    blobs: tuple[tuple[float, float, float, float, float], ...] = ((-9, 6, 8, 9.0, 6), (8, -7, -10, 6.0, 5)),
    name: str = "head",
    shape: tuple[int, int, int] = SHAPE,
    threshold: float = THRESHOLD,
) -> Detection:
    """A detection in a round head.

    Args:
        affine: Grid; None for the oblique one.
        blobs: Centre R, A, S in mm from the middle of the grid, height in healthy spreads, radius in mm at which the
            map reaches zero.
        name: Of the volume.
        shape: (Z, Y, X).
        threshold: Of the regions.
    """
    grid = Volume(np.zeros(shape, dtype=np.float32), oblique_affine(shape) if affine is None else affine, name)
    places = grid.ras_from_voxels(np.indices(shape).reshape(3, -1).T)
    places = (places - places.mean(axis=0)).reshape(*shape, 3)
    radius = np.linalg.norm(places, axis=-1)
    mask = radius < 0.46 * min(np.array(shape[::-1]) * grid.spacing)
    image = np.where(mask, 500 + 200 * np.cos(radius / 3.0), 0.0)
    anomaly = np.zeros(shape, dtype=np.float32)
    for *centre, height, size in blobs:
        distance = np.linalg.norm(places - np.array(centre), axis=-1)
        anomaly = np.maximum(anomaly, height * np.maximum(0.0, 1.0 - (distance / size) ** 2))
    anomaly = grid.with_array((anomaly * mask).astype(np.float32), f"{name}_anomaly")
    reference = healthy_reference(0.5)
    labels, regions = find_regions(anomaly, threshold, reference.region_p_value, 0.0)
    return Detection(
        volume=grid.with_array((image + 30.0 * anomaly.array).astype(np.int16)),
        mask=grid.with_array(mask.astype(np.uint8)),
        anomaly=anomaly,
        restored=grid.with_array(image.astype(np.float32)),
        labels=grid.with_array(labels),
        regions=regions,
        threshold=threshold,
        expected_false_positive_ml=0.5,
        score=12.25,
        p_value=1.0 / 7.0,
        healthy_count=6,
        reference=reference,
        provenance=dict(PROVENANCE),
        warnings=("the scan looks odd; 5 % of it: {dark}",),
    )


def add_transform(scene, node, degrees=(25.0, 10.0, -40.0), shift=(11.0, -6.0, 3.0)) -> np.ndarray:
    """Put a node under a rotating transform; returns its 4×4 matrix to world."""
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = turn(degrees), shift
    transform = scene.AddNewNodeByClass("vtkMRMLLinearTransformNode", "acquisition")
    transform.SetMatrixTransformToParent(matrix_from_array(matrix))
    node.SetAndObserveTransformNodeID(transform.GetID())
    return matrix


def voxels(volume_node) -> np.ndarray:
    """The voxels of a volume node, shape (Z, Y, X)."""
    image = volume_node.GetImageData()
    return vtk_to_numpy(image.GetPointData().GetScalars()).reshape(image.GetDimensions()[::-1])


def on_grid_of(node, volume: Volume) -> np.ndarray:
    """A volume's voxels on the grid of a node that covers the same voxels, be it in another order of axes.

    Slicer turns left-handed grids into right-handed ones when it loads them.
    """
    places = node_affine(node) @ np.vstack([voxel_numbers(voxels(node).shape), np.ones(voxels(node).size)])
    numbers = np.linalg.solve(volume.affine, places)[:3]
    assert np.abs(numbers - numbers.round()).max() < 1e-6
    x, y, z = numbers.round().astype(int)
    return volume.array[z, y, x].reshape(voxels(node).shape)


def voxel_numbers(shape) -> np.ndarray:
    """Indices (x, y, z) of all voxels in array order, shape (3, N)."""
    return np.indices(shape).reshape(3, -1)[::-1]


def node_ids(scene) -> list[str]:
    """The identifiers of all nodes, in order."""
    return [node.GetID() for node in scene.GetNodes()]


def exported_labels(segmentation_node, reference_node, scene) -> np.ndarray:
    """All segments on the grid of a volume, as Slicer exports them: the n-th segment has the value n."""
    labels = scene.AddNewNodeByClass("vtkMRMLLabelMapVolumeNode")
    ids = segmentation_node.GetSegmentation().GetSegmentIDs()
    done = slicer.vtkSlicerSegmentationsModuleLogic.ExportSegmentsToLabelmapNode(
        segmentation_node, list(ids), labels, reference_node
    )
    assert done
    array = voxels(labels).copy()
    scene.RemoveNode(labels)
    return array


def surface_points(result, region) -> np.ndarray:
    """Points of a region's surface in world RAS mm, shape (N, 3), as a 3-D view shows them."""
    surface = vtkPolyData()
    slicer.vtkSlicerSegmentationsModuleLogic.GetSegmentClosedSurfaceRepresentation(
        result.segmentation, f"Region_{region.rank}", surface, True
    )
    return vtk_to_numpy(surface.GetPoints().GetData())


def open_edges(surface) -> int:
    """How many edges of a surface belong to one triangle only; 0 if it is closed."""
    edges = vtkFeatureEdges()
    edges.SetInputData(surface)
    edges.FeatureEdgesOff()
    edges.ManifoldEdgesOff()
    edges.NonManifoldEdgesOff()
    edges.Update()
    return edges.GetOutput().GetNumberOfCells()


def table_rows(node) -> list[dict[str, float]]:
    """The rows of a table node by column name."""
    table = node.GetTable()
    names = [table.GetColumnName(column) for column in range(table.GetNumberOfColumns())]
    return [
        {name: table.GetValueByName(row, name).ToDouble() for name in names} for row in range(table.GetNumberOfRows())
    ]


def terminology(segment) -> list[str]:
    """The seven parts of a segment's coded meaning."""
    text = reference("")
    assert segment.GetTag(segment.GetTerminologyEntryTagName(), text)
    return text.get().split("~")


@pytest.fixture
def standalone():
    """An empty scene with what the application would have prepared."""
    return StandaloneScene()


@pytest.fixture(autouse=True)
def no_mrml_errors(capfd):
    """MRML reports its errors on stderr only; a test that provokes one without expecting it fails."""
    yield
    errors = [line for line in capfd.readouterr().err.splitlines() if "ERR|" in line]
    assert not errors, "\n".join(errors)
