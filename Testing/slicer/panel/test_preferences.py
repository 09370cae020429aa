"""Preferences are stored in the application's settings, parameters of a run in the scene."""

from __future__ import annotations

import pytest
from fake_slicer import FakeSlicer
from fake_slicer.panel_fixtures import run, scan, slicer

from MedADLib.detection import Settings
from MedADLib.slicer.request import settings_of, write_settings


def scene_text(app):
    """All that the scene's nodes say."""
    return "\n".join(str(node) for node in app.scene.GetNodes() if node.IsA("vtkMRMLScriptedModuleNode"))


def test_preferences_survive_a_restart_and_are_not_in_the_scene(panel, tmp_path, no_drawing):
    panel.click("advancedSection")
    panel.choose("deviceSelector", "CPU")
    panel.type("idleBox", "37")
    assert panel.widget.logic.client.idle_seconds == 37 * 60
    folder = tmp_path / "results"
    folder.mkdir()
    run(panel)
    assert panel.widget.panel.result_panel.detection is not None
    panel.answers.append(str(folder))
    panel.click("exportButton")
    text = scene_text(panel).lower()
    assert "seed" in text and not any(word in text for word in ("idle", "device", str(folder).lower()))
    panel.close()
    with FakeSlicer(tmp_path / "slicer") as again:
        again.open_module("MedAD")
        assert again.ui.deviceSelector.currentText == "CPU" and again.ui.idleBox.value == 37
        assert again.widget.logic.client.idle_seconds == 37 * 60
        assert again.widget.panel._preferences.export_folder == str(folder)


def test_a_new_scene_has_the_defaults_of_the_settings(panel):
    parameters = panel.widget.logic.getParameterNode()
    assert settings_of(parameters).as_json() == Settings().as_json()
    chosen = Settings(seed=7, smallest_region_ml=2.5, fast=True)
    write_settings(parameters, chosen)
    assert (parameters.seed, parameters.smallestRegionMl, parameters.fast) == (7, 2.5, True)
    assert settings_of(parameters, device="cpu").as_json() == {**chosen.as_json(), "device": "cpu"}


def test_the_chosen_device_is_used(panel, monkeypatch):
    devices, detect = [], type(panel.widget.logic.client).detect

    def note(client, job, listener):
        devices.append(job.settings.device)
        detect(client, job, listener)

    monkeypatch.setattr(type(panel.widget.logic.client), "detect", note)
    run(panel)
    panel.click("advancedSection")
    panel.choose("deviceSelector", "GPU (CUDA)")
    run(panel)
    assert devices == ["auto", "cuda"]


@pytest.mark.parametrize("value", ["many", "-3", "1e9", ""])
def test_settings_that_make_no_sense_are_passed_over(app, value):
    settings = slicer.app.userSettings()
    settings.setValue("MedAD/idleMinutes", value)
    settings.setValue("MedAD/device", "abacus")
    settings.sync()
    app.load_volume(scan())
    app.open_module("MedAD")
    assert app.ui.deviceSelector.currentIndex == 0 and app.widget.panel._preferences.device == "auto"
    assert 1 <= app.ui.idleBox.value <= 240
    assert app.widget.logic.client.idle_seconds == 60 * app.ui.idleBox.value
    run(app)


def set_parameters(panel):
    panel.click("advancedSection")
    panel.type("seedBox", "42")
    panel.widget._parameterNode.smallestRegionMl = 0.7
    panel.choose("modelSelector", panel.ui.modelSelector.itemText(1))


def test_parameters_are_saved_with_the_scene(done, tmp_path):
    set_parameters(done)
    done.drag("opacitySlider", 0.8)
    opacity = done.widget._parameterNode.opacity
    assert opacity == pytest.approx(0.8, abs=0.02)
    done.save_scene(tmp_path / "a.mrb")
    done.close_scene()
    assert done.ui.seedBox.value == 0 and done.ui.modelSelector.currentText.endswith("(recommended)")
    done.open_scene(tmp_path / "a.mrb")
    assert done.ui.seedBox.value == 42 and done.ui.smallestBox.value == pytest.approx(0.7)
    assert done.ui.modelSelector.currentText.startswith("Autoencoder")
    assert done.ui.opacitySlider.value == pytest.approx(opacity, abs=0.01)
    assert done.ui.inputSelector.currentNode().GetName() == "scan"


def test_two_scenes_have_their_own_parameters(panel, tmp_path):
    panel.save_scene(tmp_path / "plain.mrb")
    set_parameters(panel)
    panel.save_scene(tmp_path / "own.mrb")
    for _ in range(2):
        panel.open_scene(tmp_path / "plain.mrb")
        assert panel.ui.seedBox.value == 0 and panel.widget._parameterNode.modelName == "brain-t1"
        panel.open_scene(tmp_path / "own.mrb")
        assert panel.ui.seedBox.value == 42 and panel.widget._parameterNode.modelName == "brain-t1-ae"
