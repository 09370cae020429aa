"""Images of the fake Slicer show what a user would see."""

from __future__ import annotations

import os

import numpy as np
import pytest

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
pytest.importorskip("PySide6", reason="PySide6 is not installed (pip install PySide6_Essentials)")
pytest.importorskip("slicer.util", reason="slicer-core is not installed (pip install trame-slicer[standalone])")
import slicer
from support.synthetic import brain_volume

from fake_slicer import FakeSlicer
from fake_slicer.fixtures import app
from fake_slicer.small_module import write_module

__all__ = ["app"]


def test_views_are_real_and_stay_where_they_are(app):
    node = app.load_volume(brain_volume())
    manager = slicer.app.layoutManager()
    assert manager.sliceViewNames() == ("Red", "Yellow", "Green") and manager.threeDViewCount == 1
    red = manager.sliceWidget("Red").mrmlSliceNode()
    composite = manager.sliceWidget("Red").sliceLogic().GetSliceCompositeNode()
    assert composite.GetBackgroundVolumeID() == node.GetID()
    red.JumpSliceByCentering(5.0, -8.0, 12.0)
    before = [red.GetSliceToRAS().GetElement(row, column) for row in range(4) for column in range(4)]
    picture = app.views_picture((420, 320))
    after = [red.GetSliceToRAS().GetElement(row, column) for row in range(4) for column in range(4)]
    assert picture.shape == (320, 420, 3) and before == after and red.GetDimensions()[:2] == (560, 498)
    quarters = [picture[:150, :200], picture[170:, :200], picture[170:, 220:]]
    assert all((quarter.max(axis=2) > 60).mean() > 0.2 for quarter in quarters)
    slicer.util.resetSliceViews()
    slicer.util.resetThreeDViews()


def test_pictures_of_the_panel(tmp_path):
    pictures = []
    for number, looks in enumerate([{}, {"dark": True}, {"font_points": 16}]):
        with FakeSlicer(tmp_path / str(number), **looks) as app:
            app.load_volume(brain_volume())
            app.open_module("Small", write_module(tmp_path / str(number)))
            pictures.append(app.grab(tmp_path / "panel.png"))
            if not looks:
                screen = app.screenshot(tmp_path / "screen.png", "A caption")
                assert (tmp_path / "screen.png").stat().st_size > 10_000 and screen.shape[1] == 1600
                assert np.array_equal(screen[:200, :470], pictures[0][:200, :470])
                assert app.sideways_cut() == []
    light, dark, large = pictures
    assert (tmp_path / "panel.png").is_file() and light.shape[1] == 480
    assert light.mean() > 180 > 90 > dark.mean() and large.shape[0] > 1.2 * light.shape[0]
    # Letters are drawn: there are dark pixels on light ground.
    assert (light.max(axis=2) < 80).sum() > 300
