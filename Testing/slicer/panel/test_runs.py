"""Runs by a real worker process that go as users and computers make them go: cancelled, killed, hung, out of disk."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from fake_slicer.panel_fixtures import (
    behave,
    column,
    results,
    run,
    scan,
    slicer,
    snapshot,
    wait_for_end,
    wait_for_stage,
)
from support.raised import raises
from support.synthetic import brain_volume

NAME, P_VALUE = 1, 4


@pytest.fixture
def stub_client(stub_process):
    """Runs are done by a process, as in Slicer."""


def worker_of(app):
    return app.widget.logic.client


def temporary_files(app) -> list[str]:
    return [path.name for path in Path(app.folder).rglob("MedAD-*")]


def assert_untouched(app, before):
    assert snapshot(app) == before and not results(app)
    assert not temporary_files(app)
    assert app.ui.runButton.enabled and not app.ui.progressBar.visible


def cancel(app) -> float:
    started = time.monotonic()
    app.click("cancelButton")
    wait_for_end(app, 5)
    return time.monotonic() - started


def test_a_run_shows_how_far_it_is_and_ends_in_a_result(panel):
    behave("slowly")
    panel.click("runButton")
    wait_for_stage(panel, "slice")
    assert panel.ui.cancelButton.visible and not panel.ui.runButton.visible
    first = panel.ui.progressBar.value

    def it_moves_and_says_how_long():
        return panel.ui.progressBar.value > first and "left" in panel.ui.stageLabel.text

    panel.wait(it_moves_and_says_how_long)
    assert "restoration" in panel.ui.logText.toPlainText()
    cancel(panel)


def test_the_second_run_uses_the_same_process(panel):
    run(panel)
    assert column(panel, NAME) == ["Region 1", "Region 2"] and not temporary_files(panel)
    connection = worker_of(panel)._connection
    run(panel)
    assert worker_of(panel)._connection is connection and connection is not None


def test_slicer_stays_usable_while_it_computes(panel):
    behave("slowly")
    panel.click("runButton")
    wait_for_stage(panel, "slice")
    started = time.monotonic()
    panel.click("logCheckBox")
    panel.click("advancedSection")
    panel.type("seedBox", "7")
    assert panel.widget._parameterNode.seed == 7
    assert time.monotonic() - started < 2.0 and panel.ui.logText.visible
    assert "examining scan" in panel.ui.logText.toPlainText()
    cancel(panel)


def test_cancelled_before_the_process_is_ready(panel):
    before = snapshot(panel)
    behave("slowly")
    panel.click("runButton")
    assert cancel(panel) < 2.0
    assert_untouched(panel, before)
    assert panel.ui.statusLabel.text == "Cancelled"


def test_cancelled_in_the_middle_the_process_stays_warm(panel):
    before = snapshot(panel)
    behave("slowly")
    panel.click("runButton")
    wait_for_stage(panel, "slice")
    connection = worker_of(panel)._connection
    assert cancel(panel) < 2.0
    assert_untouched(panel, before)
    assert worker_of(panel)._connection is connection


def test_a_computation_that_does_not_listen_is_ended(panel):
    before = snapshot(panel)
    behave("stubbornly")
    panel.click("runButton")
    wait_for_stage(panel, "restoring")
    assert cancel(panel) < 2.0
    assert_untouched(panel, before)
    behave("quickly")
    run(panel)
    assert len(column(panel, NAME)) == 2


def test_a_cancelled_second_run_leaves_the_first_result(panel):
    run(panel)
    panel.drag("thresholdSlider", 950)
    names, before = column(panel, NAME), snapshot(panel)
    behave("slowly")
    worker_of(panel).stop()
    panel.click("runButton")
    wait_for_stage(panel, "slice")
    cancel(panel)
    assert snapshot(panel) == before and column(panel, NAME) == names


def test_a_worker_that_the_system_kills_is_explained(panel):
    before = snapshot(panel)
    behave("dying")
    run(panel)
    assert_untouched(panel, before)
    assert "memory" in panel.ui.errorLabel.text
    behave("quickly")
    run(panel)
    assert len(column(panel, NAME)) == 2


@pytest.mark.slow
def test_a_worker_that_hangs_is_ended_and_explained(panel):
    before = snapshot(panel)
    behave("stubbornly")
    panel.click("runButton")
    wait_for_stage(panel, "restoring")
    worker_of(panel)._watch.seconds = 0.5
    wait_for_end(panel)
    assert_untouched(panel, before)
    assert "has not moved" in panel.ui.errorLabel.text


@pytest.mark.parametrize(
    ("behaviour", "words"), [("refusing", "brain extraction needs deepbet"), ("without_disk_space", "disk space")]
)
def test_what_goes_wrong_in_the_worker_is_stated_in_the_panel(panel, behaviour, words):
    before = snapshot(panel)
    behave(behaviour)
    run(panel)
    assert_untouched(panel, before)
    assert words in panel.ui.errorLabel.text


def test_a_scan_that_does_not_fit_is_refused_until_the_user_insists(panel):
    behave("unfitting")
    assert not panel.ui.forceButton.visible
    run(panel)
    assert not results(panel) and not panel.ui.runButton.enabled and panel.ui.forceButton.visible
    assert "does not fit" in panel.ui.errorLabel.text and "✗" in panel.ui.reportLabel.text
    panel.click("forceButton")
    assert not panel.ui.forceButton.visible
    wait_for_end(panel)
    assert results(panel) and not panel.ui.runButton.enabled and panel.ui.forceButton.visible
    assert "NOT INTERPRETABLE" in panel.ui.verdictLabel.text
    assert panel.ui.warningsLabel.text.startswith("NOT INTERPRETABLE")
    assert "healthy" not in panel.ui.meaningLabel.text
    assert set(column(panel, P_VALUE)) == {"n/a"}


def test_a_refusal_ends_with_the_scan_that_it_is_about(panel):
    behave("unfitting")
    run(panel)
    panel.select_node("inputSelector", panel.load_volume(scan("another")))
    assert panel.ui.runButton.enabled and not panel.ui.forceButton.visible


def test_a_full_disk_here_is_stated_too(panel, monkeypatch):
    from MedADLib.slicer import run as run_file

    def full(*arguments):
        raise OSError(28, "No space left on device")

    before = snapshot(panel)
    monkeypatch.setattr(run_file, "write_volume", full)
    run(panel)
    assert_untouched(panel, before)
    assert "No space left" in panel.ui.errorLabel.text


def test_the_scan_is_deleted_during_a_run(panel):
    behave("slowly")
    panel.click("runButton")
    wait_for_stage(panel, "slice")
    panel.scene.RemoveNode(panel.scan)
    wait_for_end(panel, 5)
    assert not results(panel) and not temporary_files(panel)
    assert "removed" in panel.ui.errorLabel.text
    assert not panel.ui.runButton.enabled and panel.tip("runButton") == "Select a scan to examine."


def test_the_scene_is_closed_during_a_run(panel):
    behave("slowly")
    panel.click("runButton")
    wait_for_stage(panel, "slice")
    panel.close_scene()
    wait_for_end(panel, 5)
    assert not results(panel) and not temporary_files(panel)
    behave("quickly")
    worker_of(panel).stop()
    panel.select_node("inputSelector", panel.load_volume(scan("next")))
    run(panel)
    assert len(column(panel, NAME)) == 2


def test_the_user_goes_to_another_module_during_a_run_and_comes_back(panel):
    panel.click("runButton")
    panel.leave_module()
    wait_for_end(panel)
    assert results(panel)
    panel.enter_module()
    assert len(column(panel, NAME)) == 2 and panel.ui.resultSection.visible


def test_slicer_quits_during_a_run_and_nothing_stays(panel):
    behave("slowly")
    panel.click("runButton")
    wait_for_stage(panel, "slice")
    pid = worker_of(panel)._connection._process.pid
    panel.quit()
    deadline = time.monotonic() + 3
    while time.monotonic() < deadline and _alive(pid):
        time.sleep(0.05)
    assert not _alive(pid) and not temporary_files(panel)


def test_two_clicks_are_one_run(panel):
    behave("slowly")
    panel.click("runButton")
    with pytest.raises(AssertionError, match="not visible|disabled"):
        panel.click("runButton")
    panel.widget.panel.run()
    assert len(temporary_files(panel)) == 1
    cancel(panel)


def test_another_model_is_chosen_during_a_run(panel):
    panel.click("runButton")
    other = panel.ui.modelSelector.itemText(1)
    panel.choose("modelSelector", other)
    wait_for_end(panel)
    assert panel.widget.panel.result_panel.detection.provenance["model"]["name"].endswith("brain-t1.medad")


def test_scripts_need_not_wait(panel):
    outcomes = []
    started = panel.widget.logic.process(panel.scan, waitForCompletion=False, finished=outcomes.append)
    assert not outcomes and not started.ended
    panel.wait(lambda: bool(outcomes))
    assert outcomes[0].state == "done" and outcomes[0].result.table.GetNumberOfRows() == 2


def test_scripts_get_clear_errors(panel, planted_installer):
    from MedADLib.errors import Cancelled, MedADError

    logic = panel.widget.logic
    constant = panel.load_volume(brain_volume(name="grey"))
    slicer.util.arrayFromVolume(constant)[:] = 7
    huge = panel.load_volume(brain_volume(name="huge"))
    huge.SetSpacing(80, 80, 80)
    table = panel.scene.AddNewNodeByClass("vtkMRMLTableNode", "a table")
    for code, words, examined, settings in (
        ("model_unknown", ("brain-t9", "brain-t1-atlas"), panel.scan, {"model": "brain-t9"}),
        ("no_volume", (), None, {}),
        ("unknown_setting", ("colour",), panel.scan, {"colour": "red"}),
        ("not_scalar_volume", ("'MRHead'",), "MRHead", {}),
        ("mask_node_kind", (), panel.scan, {"mask": table}),
        ("bad_threshold", ("5 potatoes",), panel.scan, {"threshold": "5 potatoes"}),
        ("bad_seed", ("'abc'",), panel.scan, {"seed": "abc"}),
        ("volume_constant", ("grey", "7"), constant, {}),
        ("volume_too_large", ("huge",), huge, {}),
    ):
        with raises(MedADError, code) as caught:
            logic.process(examined, **settings)
        assert all(word in str(caught.value.parameters) for word in words), caught.value.parameters
    behave("slowly")
    with pytest.raises(Cancelled):
        logic.process(panel.scan, progress=lambda *printed: logic.client.cancel())
    planted_installer.packages = list(_packages())
    with raises(MedADError, "packages_missing"):
        logic.process(panel.scan)


def _packages():
    from MedADLib.slicer.install.packages import Package

    return [Package("safetensors", "reads model files", 1, "safetensors>=0.4")]


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except OSError:
        return False
    return Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z" if Path("/proc").is_dir() else True


def test_a_panel_deleted_without_cleanup_receives_no_events(panel):
    """As tests and scripts delete one; observers of the scene would raise at every later change."""
    run(panel)
    widget, parent = panel.widgets.pop("MedAD"), panel._panels.pop("MedAD")
    panel.selected = ""
    panel.window.takeWidget()
    parent._panel._object.deleteLater()
    panel.run_events(0.1)
    assert widget.logic.client._connection is None, "the worker was asked to end"
    other = panel.standalone.add_volume(scan("other"))
    view = panel.scene.GetFirstNodeByClass("vtkMRMLSliceCompositeNode")
    view.SetBackgroundVolumeID(other.GetID())
    panel.scene.RemoveNode(other)
    panel.close_scene()
    panel.run_events(0.3)
    assert not panel.slot_errors
