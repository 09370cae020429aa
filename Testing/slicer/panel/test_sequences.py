"""Sequences and single slices in the panel: every frame with its own result, and 2-D models for what is flat."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from fake_slicer import panel_fixtures
from fake_slicer.panel_fixtures import (
    InlineClient,
    app,
    catch_up,
    column,
    overlay,
    own_home,
    panel,
    planted_installer,
    results,
    run,
    scan,
    snapshot,
    stub_client,
    wait_for_end,
)
from support.mrml import slicer, table_rows, voxels
from support.radiograph_phantoms import radiograph, toy_plane_model
from support.two_blobs import two_blobs

from MedADLib.modelfile import store
from MedADLib.scoring.regions import find_regions
from MedADLib.slicer.scene.nodes import find_result
from MedADLib.slicer.scene.reading import read_detection
from MedADLib.slicer.scene.volumes import image_from_array, matrix_from_array
from MedADLib.slicer.worker import client

__all__ = ["app", "own_home", "panel", "planted_installer", "stub_client"]

NAME, ML = 1, 2
FRAMES = 3


def blobs_by_frame(volume, settings, model):
    """Frame n (from 1) is n times as unusual, so that each has a verdict, regions and a map of its own."""
    found = two_blobs(volume, settings, model)
    if " frame " not in volume.name:
        return found
    number = int(volume.name.rpartition(" ")[2])
    anomaly = found.anomaly.with_array(found.anomaly.array * np.float32(0.5 * number))
    labels, regions = find_regions(anomaly, found.threshold, found.reference.region_p_value, 0.05)
    provenance = found.provenance | {"seconds": {"restoration": float(number)}}
    return replace(
        found,
        anomaly=anomaly,
        labels=volume.with_array(labels),
        regions=regions,
        score=float(number),
        p_value=found.reference.sample_p_value(float(number)),
        provenance=provenance,
    )


def add_cine(scene, name="cine"):
    sequence = scene.AddNewNodeByClass("vtkMRMLSequenceNode", name)
    for number in range(FRAMES):
        frame = scan()
        node = slicer.vtkMRMLScalarVolumeNode()
        node.SetIJKToRASMatrix(matrix_from_array(frame.affine))
        node.SetAndObserveImageData(image_from_array(frame.array * np.float32(1 + 0.1 * number)))
        sequence.SetDataNodeAtValue(node, str(number))
    browser = scene.AddNewNodeByClass("vtkMRMLSequenceBrowserNode", f"{name} browser")
    browser.SetAndObserveMasterSequenceNodeID(sequence.GetID())
    volume = browser.GetProxyNode(sequence)
    volume.CreateDefaultDisplayNodes()
    return volume, browser


@pytest.fixture
def cine(app, monkeypatch):
    """The open panel with a sequence, of which the first frame is shown."""
    monkeypatch.setattr(panel_fixtures, "two_blobs", blobs_by_frame)
    app.proxy, app.browser = add_cine(app.scene)
    app.open_module("MedAD")
    app.select_node("inputSelector", app.proxy)
    return app


@pytest.fixture
def examined(cine):
    cine.click("framesCheckBox")
    run(cine)
    catch_up(cine)
    return cine


def scrub(app, number):
    app.browser.SetSelectedItemNumber(number)
    catch_up(app)


def shown(app):
    return app.widget.panel.result_panel.detection


def heard(app, monkeypatch):
    """The texts of the stage line from now on."""
    texts, run_panel = [], app.widget.panel.run_panel
    progress = run_panel.progress

    def note(stage, fraction, message):
        progress(stage, fraction, message)
        texts.append(app.ui.stageLabel.text)

    monkeypatch.setattr(run_panel, "progress", note)
    return texts


def test_a_result_of_one_frame_is_not_shown_over_another(cine):
    run(cine)
    assert overlay(cine)[1].GetAttribute("MedAD.role") == "anomaly" and overlay(cine)[2] > 0
    scrub(cine, 1)
    assert "of another frame" in cine.ui.statusLabel.text
    assert overlay(cine)[1] is None
    scrub(cine, 0)
    assert cine.ui.statusLabel.text == "" and overlay(cine)[2] > 0


def test_in_a_sequence_the_views_show_the_map_itself(examined):
    """The browser replaces the map at every frame; a copy without rejected regions would be that of another frame."""
    examined.cell("regionsTable", 0, 0).tick()
    assert overlay(examined)[1].GetAttribute("MedAD.role") == "anomaly"
    display = examined.widget.panel._shown.segmentation.GetDisplayNode()
    assert not display.GetSegmentVisibility("Region_1")


def test_only_frames_of_a_sequence_are_offered(cine):
    assert cine.ui.framesCheckBox.visible and "(3 frames)" in cine.ui.framesCheckBox.text
    assert not cine.ui.framesCheckBox.checked
    cine.select_node("inputSelector", cine.load_volume(scan()))
    assert not cine.ui.framesCheckBox.visible


def test_without_the_tick_only_the_shown_frame_is_examined(cine):
    run(cine)
    assert cine.browser.GetNumberOfSynchronizedSequenceNodes(True) == 1 and len(column(cine, NAME)) == 2


def test_every_frame_is_examined_and_the_progress_counts_them(cine, monkeypatch):
    texts = heard(cine, monkeypatch)
    cine.click("framesCheckBox")
    run(cine)
    for number in range(1, FRAMES + 1):
        assert any(f"Frame {number} of 3: restoring" in text for text in texts)
    assert cine.browser.GetNumberOfSynchronizedSequenceNodes(True) > 1
    assert cine.browser.GetSelectedItemNumber() == 0 and shown(cine).score == 1.0


def test_scrubbing_shows_each_frame_with_its_own_result(examined):
    for number in (2, 0, 1):
        scrub(examined, number)
        expected = number + 1
        assert shown(examined).score == expected
        assert len(column(examined, NAME)) == len(shown(examined).regions) == (1 if number == 0 else 2 + (number == 2))
        volumes = [round(region.volume_ml, 2) for region in shown(examined).regions]
        assert [float(text) for text in column(examined, ML)] == pytest.approx(volumes)
        assert f"More anomalous than {expected - 1} of 6" in examined.ui.verdictLabel.text or number == 0
        background, foreground, _ = overlay(examined)
        assert background is examined.proxy
        assert voxels(foreground).max() == pytest.approx(shown(examined).anomaly.array.max())
        display = foreground.GetDisplayNode()
        assert display.GetLowerThreshold() == pytest.approx(shown(examined).threshold)


def test_a_threshold_and_a_decision_stay_with_their_frame(examined):
    scrub(examined, 2)
    examined.type("thresholdBox", "0.1")
    strict = shown(examined).threshold
    examined.cell("regionsTable", 0, 0).tick()
    scrub(examined, 1)
    assert shown(examined).threshold < strict and examined.ui.thresholdBox.value == pytest.approx(1.0)
    assert examined.cell("regionsTable", 0, 0).checked
    scrub(examined, 2)
    assert shown(examined).threshold == pytest.approx(strict) and examined.ui.thresholdBox.value < 0.5
    assert not examined.cell("regionsTable", 0, 0).checked
    assert overlay(examined)[1].GetDisplayNode().GetLowerThreshold() == pytest.approx(strict)


def test_one_click_repeats_all_frames(examined, monkeypatch):
    texts = heard(examined, monkeypatch)
    examined.click("repeatButton")
    wait_for_end(examined)
    assert any("Frame 3 of 3" in text for text in texts)
    scrub(examined, 2)
    assert shown(examined).score == 3.0


def test_a_run_on_a_sequence_is_taken_back(cine):
    before = snapshot(cine)
    cine.click("framesCheckBox")
    run(cine)
    cine.click("undoButton")
    assert snapshot(cine) == before and not cine.ui.resultSection.visible
    scrub(cine, 2)
    assert np.allclose(voxels(cine.proxy).max(), scan().array.max() * 1.2)


class StopsAtTheSecond(InlineClient):
    """Works on the second job until it is cancelled."""

    def detect(self, job, listener):
        if not hasattr(self, "first"):
            self.first = job
            super().detect(job, listener)
            return
        self.busy, self.listener = True, listener
        listener.progress("restoration", 0.5, "restoring")

    def cancel(self):
        self.busy = False
        self.listener.cancelled()


def test_cancelled_in_the_second_frame_the_scene_is_as_before(app, monkeypatch):
    monkeypatch.setattr(client, "WorkerClient", StopsAtTheSecond)
    app.proxy, app.browser = add_cine(app.scene)
    app.open_module("MedAD")
    app.select_node("inputSelector", app.proxy)
    before, items = snapshot(app), app.browser.GetNumberOfSynchronizedSequenceNodes(True)
    app.click("framesCheckBox")
    app.click("runButton")
    assert "Frame 2 of 3: restoring" in app.ui.stageLabel.text and app.ui.progressBar.value == 500
    scrub(app, 1)
    app.click("cancelButton")
    wait_for_end(app)
    assert app.ui.statusLabel.text == "Cancelled" and not results(app)
    assert snapshot(app) == before and app.browser.GetNumberOfSynchronizedSequenceNodes(True) == items
    assert not list(app.folder.rglob("MedAD-*"))


def test_a_saved_scene_brings_every_frame_back_alive(examined, tmp_path):
    scrub(examined, 2)
    examined.save_scene(tmp_path / "cine.mrb")
    examined.open_scene(tmp_path / "cine.mrb")
    examined.browser = examined.scene.GetFirstNodeByName("cine browser")
    assert examined.ui.inputSelector.currentNode().GetName() == "cine" and examined.ui.framesCheckBox.checked
    assert shown(examined).score == 3.0
    scrub(examined, 0)
    assert shown(examined).score == 1.0 and len(column(examined, NAME)) == 1
    examined.type("thresholdBox", "10")
    assert shown(examined).threshold < 3.0
    scrub(examined, 1)
    assert shown(examined).score == 2.0 and shown(examined).threshold == 3.0


def test_the_sequence_may_be_deleted_with_its_result_shown(examined):
    examined.scene.RemoveNode(examined.browser)
    catch_up(examined)
    assert not examined.ui.framesCheckBox.visible or "frames" in examined.ui.framesCheckBox.text
    run(examined)
    assert examined.ui.resultSection.visible


# Single slices.


@pytest.fixture
def flat(own_home):
    """A 2-D model of the user's own."""
    return store.add(toy_plane_model()).name


def choose_model(app, name):
    app.choose("modelSelector", app.ui.modelSelector.itemText(app.ui.modelSelector.findData(name)))


def test_a_single_slice_and_a_model_of_volumes_do_not_fit(app, flat):
    app.load_volume(radiograph(101))
    app.open_module("MedAD")
    assert not app.ui.runButton.enabled
    assert "choose a 2-D model" in app.ui.runButton.toolTip and "choose a 2-D model" in app.ui.reportLabel.text
    assert "✗" in app.ui.reportLabel.text
    choose_model(app, flat)
    assert app.ui.runButton.enabled and "✗" not in app.ui.reportLabel.text
    assert "single slice, examined in its whole field of view" in app.ui.reportLabel.text


def test_a_volume_and_a_model_of_single_slices_do_not_fit(panel, flat):
    panel.leave_module()
    panel.enter_module()
    choose_model(panel, flat)
    assert not panel.ui.runButton.enabled
    assert "choose a 3-D model" in panel.ui.runButton.toolTip and "✗" in panel.ui.reportLabel.text
    assert ", single slices (compares each voxel" in panel.ui.modelSelector.toolTip


class RealEngine(InlineClient):
    """The library's own detection, in this process."""

    def detect(self, job, listener):
        from pathlib import Path

        from MedADLib import detect, load_model
        from MedADLib.results.exchange import read_volume, write_exchange

        found = detect(read_volume(job.input), load_model(job.model), job.settings)
        Path(job.output).mkdir()
        write_exchange(found, Path(job.output))
        listener.done(job.output, 0.1)


def test_a_radiograph_is_examined_by_a_model_of_single_slices(app, flat, monkeypatch):
    monkeypatch.setattr(client, "WorkerClient", RealEngine)
    node = app.load_volume(radiograph(101, lesion=(0.45, 0.2)))
    app.open_module("MedAD")
    choose_model(app, flat)
    run(app)
    result = find_result(node, app.scene)
    truth = np.abs(radiograph(101, lesion=(0.45, 0.2)).array - radiograph(101).array) > 300
    found = voxels(result.labels) == 1
    assert 2 * (found & truth).sum() / (found.sum() + truth.sum()) > 0.6
    assert column(app, NAME)[0] == "Region 1" and len(table_rows(result.table)) == len(read_detection(result).regions)
    app.drag("thresholdSlider", 100)
    assert app.ui.verdictLabel.text and app.ui.meaningLabel.text
    app.choose("viewSelector", "Blend of scan and pseudo-healthy")
    app.drag("fadeSlider", 100)
    assert overlay(app)[1].GetAttribute("MedAD.role") == "restored"
