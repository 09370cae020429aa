"""The figure: right is on the left and labelled, aspect is true, nothing is cut off, for any scan."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import SimpleITK as sitk
from support.references import in_z_scores
from support.synthetic import GEOMETRIES, brain_volume, synthetic_detection

from MedADLib.results import figure as results_figure
from MedADLib.results.figure import Scene, draw
from MedADLib.scoring.regions import find_regions
from MedADLib.volume import Volume

pytest.importorskip("matplotlib")


@pytest.fixture
def drawn(monkeypatch, tmp_path):
    """Draws a detection; gives the figure and its pixels (rows, columns, RGB)."""
    from matplotlib.figure import Figure

    figures, save = [], Figure.savefig
    monkeypatch.setattr(Figure, "savefig", lambda self, *args, **kw: (figures.append(self), save(self, *args, **kw))[1])

    def call(detection):
        path = tmp_path / "case.png"
        draw(detection, path)
        return figures[-1], sitk.GetArrayFromImage(sitk.ReadImage(str(path)))[..., :3].astype(int)

    return call


def spot_at(ras, volume):
    """A detection with one anomaly near a point in RAS mm."""
    detection = synthetic_detection(volume, spots=0)
    grid = np.stack(np.meshgrid(*[np.arange(n) for n in volume.array.shape], indexing="ij"), axis=-1)
    distance = np.linalg.norm(volume.ras_from_voxels(grid.reshape(-1, 3)) - ras, axis=1).reshape(volume.array.shape)
    anomaly = np.where(distance < 12, 9, np.where(volume.array > 0, 0.5, 0)).astype(np.float32)
    field = volume.with_array(anomaly)
    labels, regions = find_regions(field, 3.0, lambda peak: 0.1)
    assert len(regions) == 1
    return replace(detection, anomaly=field, labels=volume.with_array(labels), regions=regions)


def reoriented(volume, code):
    return Volume.from_sitk(sitk.DICOMOrient(volume.to_sitk(), code), volume.name)


def test_a_finding_on_the_right_is_drawn_on_the_left_in_front_at_the_top(drawn):
    volume = brain_volume()
    figure, pixels = drawn(spot_at((40, 30, 20), volume))
    colourful = pixels.max(axis=2) - pixels.min(axis=2) > 80
    height, width = colourful.shape[:2]
    for axes in figure.axes[:9]:
        title = [text.get_text() for text in axes.texts]
        x0, y0, w, h = axes.get_position().bounds
        rows = slice(round((1 - y0 - h) * height), round((1 - y0) * height))
        columns = slice(round(x0 * width), round((x0 + w) * width))
        # The letters at the edges are coloured too; the middle holds the slice alone.
        panel = colourful[rows, columns].copy()
        margin = [n // 10 for n in panel.shape]
        panel[: margin[0]] = panel[-margin[0] :] = False
        panel[:, : margin[1]] = panel[:, -margin[1] :] = False
        if not panel.any():
            continue
        row, column = np.argwhere(panel).mean(axis=0) / panel.shape
        left, right, top, bottom = title
        assert column < 0.45 and (left, right) in (("R", "L"), ("A", "P"))
        assert row < 0.48 and (top, bottom) in (("A", "P"), ("S", "I"))
    with_overlay = [axes for axes in figure.axes[:9] if len(axes.images) == 2]
    assert len(with_overlay) == 3


@pytest.mark.parametrize("code", ["RAS", "LAS", "PSR", "IRP"])
def test_the_same_head_looks_the_same_in_every_orientation(drawn, code):
    volume = brain_volume()
    _, expected = drawn(spot_at((40, 30, 20), volume))
    _, pixels = drawn(spot_at((40, 30, 20), reoriented(volume, code)))
    assert pixels.shape == expected.shape
    assert np.abs(pixels - expected).mean() < 1


@pytest.mark.parametrize("geometry", GEOMETRIES)
def test_a_slice_is_as_wide_and_high_as_it_is_in_mm(drawn, geometry):
    affine = GEOMETRIES[geometry].copy()
    volume = brain_volume((20, 24, 22), affine=affine)
    scene = Scene.of(synthetic_detection(volume))
    figure, _ = drawn(synthetic_detection(volume))
    extent = np.array(scene.scan.array.shape) * scene.scan.spacing[::-1]
    for number, axes in enumerate(figure.axes[:9]):
        plane = results_figure.PLANES[number // 3]
        left, right, bottom, top = axes.images[0].get_extent()
        assert abs(right - left) == pytest.approx(extent[plane.horizontal])
        assert abs(top - bottom) == pytest.approx(extent[plane.vertical])
        assert axes.get_aspect() == 1


LONG = "this scan differs from the training data of the model in every way that was measured. Do not rely on the result"


@pytest.mark.parametrize(
    "detection",
    [
        synthetic_detection(),
        synthetic_detection(spots=0),
        synthetic_detection(
            brain_volume(name="very_long_name_of_a_scan_" * 8), spots=4, warnings=(LONG, LONG + "!") * 4
        ),
        synthetic_detection(brain_volume(name="cost $5 and $6 a^2 \\frac")),
        synthetic_detection(brain_volume((40, 10, 10), (2, 2, 30))),
        synthetic_detection(brain_volume((6, 60, 60), (1, 1, 20))),
        replace(synthetic_detection(), score=123456789.123, healthy_count=1000, p_value=1 / 1001),
    ],
    ids=["usual", "no region", "long texts", "dollar signs", "tall", "flat", "large numbers"],
)
def test_nothing_is_cut_off(drawn, detection):
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    figure, pixels = drawn(detection)
    renderer = FigureCanvasAgg(figure).get_renderer()
    page = figure.bbox
    texts = [*figure.texts, *[text for axes in figure.axes for text in (*axes.texts, axes.title, axes.xaxis.label)]]
    texts += [label for axes in figure.axes for label in axes.get_yticklabels()]
    shown = [text for text in texts if text.get_text() and text.get_visible()]
    assert len(shown) > 40
    for text in shown:
        box = text.get_window_extent(renderer)
        inside = box.x0 >= page.x0 and box.y0 >= page.y0 and box.x1 <= page.x1 and box.y1 <= page.y1
        assert inside, f"{text.get_text()!r} is cut off"
    assert pixels[:3].max() == pixels[-3:].max() == pixels[:, :3].max() == pixels[:, -3:].max() == 0


def test_score_chance_and_warnings_are_stated(drawn):
    figure, _ = drawn(synthetic_detection(warnings=(LONG,)))
    printed = "\n".join(text.get_text() for text in figure.texts)
    for words in (
        "scan",
        "Scan score 12.5: anomaly score of the method",
        "p = 0.14, the smallest possible against 6 healthy scans",
        "p = 0.05 needs 19 healthy scans",
        "2 regions",
        "differs from the training data",
        "brain-t1",
    ):
        assert words in printed


def bar_of(figure):
    """The axes of the colour scale."""
    (bar,) = (axes for axes in figure.axes if axes.get_title())
    return bar


@pytest.mark.parametrize("height", [0.4, 1.0])
def test_a_rarity_has_the_same_colour_in_every_figure(drawn, height):
    found = synthetic_detection()
    faint = replace(found, anomaly=found.anomaly.with_array(found.anomaly.array * height))
    bar = bar_of(drawn(faint)[0])
    assert bar.get_ylim() == (0, 6) and bar.get_title() == "Rarity\n(3 = 1\nhealthy\nvoxel in\n1,000)"
    assert [label.get_text() for label in bar.get_yticklabels()] == ["0", "1", "2", "3", "4", "5", "≥ 6"]
    scenes = [Scene.of(detection) for detection in (found, faint)]
    values = np.linspace(0, 8, 9)
    colours = [scene.overlay(values) for scene in scenes]
    assert np.array_equal(*colours) and np.array_equal(colours[0][:, 3] > 0, values >= 3), "from the threshold on"


def test_a_result_of_an_earlier_version_keeps_its_unit_and_scale(drawn):
    found = synthetic_detection()
    figure, _ = drawn(in_z_scores(found))
    bar = bar_of(figure)
    assert bar.get_title() == "z-score\n(SD above\nthe healthy\nmean)"
    assert bar.get_ylim() == (0, 9), "the largest peak, between twice and four times the threshold"
    printed = [text.get_text() for axes in figure.axes for text in axes.texts]
    assert any("peak z-score 9" in text for text in printed)


def test_each_healthy_scan_has_its_circle_and_the_scan_its_diamond(drawn):
    from matplotlib.patches import Circle, Polygon

    figure, _ = drawn(synthetic_detection())
    (strip,) = (axes for axes in figure.axes if any(isinstance(patch, Circle) for patch in axes.patches))
    kinds = [type(patch) for patch in strip.patches]
    assert kinds.count(Circle) == 6 and kinds.count(Polygon) == 1
    texts = {text.get_text() for text in strip.texts}
    assert {"◆ this scan: 12.5", "○ 6 healthy scans", "1", "12.5"} <= texts


def test_an_image_that_cannot_be_written_is_an_error_of_the_system(tmp_path):
    with pytest.raises(OSError):
        draw(synthetic_detection(), tmp_path / "missing" / "case.png")
