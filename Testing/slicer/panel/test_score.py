"""The score of the scan as a strip in the panel, and the unit of the map in its words."""

from __future__ import annotations

import numpy as np
import pytest
from fake_slicer import FakeSlicer, panel_fixtures
from fake_slicer.panel_fixtures import run, scan
from PySide6 import QtGui
from support.references import in_z_scores
from support.two_blobs import two_blobs

from MedADLib.results.strip import HEIGHT, OWN_ON_DARK, OWN_ON_LIGHT

PEAK = 3


def earlier(volume, settings, model):
    """A result in z-scores."""
    return in_z_scores(two_blobs(volume, settings, model))


def heading(app):
    return app.ui.regionsTable.horizontalHeaderItem(PEAK)


def test_the_score_of_the_scan_is_shown_among_those_of_the_healthy_scans(done):
    label = done.ui.stripLabel._object
    assert label.pixmap().height() == HEIGHT and label.pixmap().width() > 200
    assert "higher than 6 of 6 healthy scans; they score 1 to 6" in label.accessibleName()
    assert "higher than 6 of 6 healthy scans" in done.ui.stripLabel.toolTip
    assert done.ui.scoreLabel.text.split("\n") == [
        "Scan score 7.5: anomaly score of the method.",
        "p = 0.14, the smallest possible against 6 healthy scans.",
        "p = 0.05 needs 19 healthy scans or more.",
    ]


def test_the_strip_fits_into_the_narrowest_panel(done):
    margins = done.ui.resultSection._object.layout().contentsMargins()
    assert done.ui.stripLabel._object.pixmap().width() + margins.left() + margins.right() <= 256


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_the_strip_has_the_colours_of_the_theme(tmp_path, stub_client, planted_installer, dark):
    (tmp_path / "slicer").mkdir()
    with FakeSlicer(tmp_path / "slicer", dark=dark) as app:
        app.scan = app.load_volume(scan())
        app.open_module("MedAD")
        run(app)
        image = app.ui.stripLabel._object.pixmap().toImage()
        pixels = [image.pixelColor(x, y) for x in range(image.width()) for y in range(image.height())]
        opaque = [colour for colour in pixels if colour.alpha() == 255]
        own = QtGui.QColor(OWN_ON_DARK if dark else OWN_ON_LIGHT)
        assert sum(colour == own for colour in opaque) > 30, "the mark of the scan"
        grey = [c.lightness() for c in opaque if abs(c.red() - c.blue()) < 8]
        assert np.median(grey) > 200 if dark else np.median(grey) < 60, "circles and numbers"


def test_the_table_names_the_unit_of_peaks(done):
    assert heading(done).text() == "Rarity" and "3 = 1 healthy voxel in 1,000" in heading(done).toolTip()
    assert "Above the largest value of the healthy scans it only ranks voxels" in heading(done).toolTip()
    assert done.ui.regionsTable.item(0, PEAK).toolTip() == "above all voxels of the healthy scans"
    assert done.ui.regionsTable.item(1, PEAK).toolTip() == "1 healthy voxel in 33,000"


def test_results_of_both_units_in_one_scene_keep_their_own(done, monkeypatch):
    monkeypatch.setattr(panel_fixtures, "two_blobs", earlier)
    new, old = done.scan, done.load_volume(scan("old"))
    done.select_node("inputSelector", old)
    run(done)
    for _ in range(2):
        assert heading(done).text() == "Peak" and "SD above the healthy mean" in heading(done).toolTip()
        assert "Threshold: z-score 3 (SD above the healthy mean)" in done.ui.meaningLabel.text
        assert done.ui.regionsTable.item(0, PEAK).toolTip() == "SD above the healthy mean"
        done.select_node("inputSelector", new)
        assert heading(done).text() == "Rarity"
        assert "Threshold: rarity 3 (1 healthy voxel in 1,000)" in done.ui.meaningLabel.text
        assert "above all voxels of the healthy scans" in done.ui.regionsTable.item(0, PEAK).toolTip()
        done.select_node("inputSelector", old)
