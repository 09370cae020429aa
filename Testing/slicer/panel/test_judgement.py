"""The fit of the chosen scan to the model, judged in the background before a run, by a real worker process."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from fake_slicer.panel_fixtures import behave, column, results, run, scan, slicer, wait_for_end

P_VALUE = 4


@pytest.fixture
def stub_client(stub_process, planted_installer):
    """Runs and judgements are done by a process, as in Slicer with all packages."""
    planted_installer.judges = True


@pytest.fixture
def open_panel(app):
    """Open the panel with a scan, with a worker that behaves so."""

    def opened(behaviour: str):
        behave(behaviour)
        app.scan = app.load_volume(scan())
        app.open_module("MedAD")
        return app

    return opened


def judge_of(app):
    return app.widget.panel._judge


def wait_for(app, text: str, seconds: float = 20) -> None:
    def the_panel_says_so():
        return text in app.ui.reportLabel.text

    app.wait(the_panel_says_so, seconds)


def wait_for_refusal(app) -> None:
    def the_scan_is_refused():
        return not app.ui.runButton.enabled and app.ui.fitBox.visible

    app.wait(the_scan_is_refused)


def log_of(app) -> str:
    return "\n".join(app.widget.logic.client.log)


def temporary_files(app) -> list[str]:
    return [path.name for path in Path(app.folder).rglob("MedAD-*")]


def test_a_scan_that_does_not_fit_cannot_be_run_but_by_force(open_panel):
    panel = open_panel("unfitting")
    assert panel.ui.runButton.enabled and not panel.ui.forceButton.visible
    wait_for_refusal(panel)
    assert not panel.ui.runButton.enabled and panel.ui.forceButton.visible
    assert "seems to be a FLAIR MR" in panel.ui.fitLabel.text and panel.ui.fitBox.visible
    assert "scan does not fit" in panel.tip("runButton") and "contrast 0.00" in panel.tip("runButton")
    assert not results(panel) and not temporary_files(panel) and not panel.ui.errorBox.visible
    panel.click("forceButton")
    wait_for_end(panel)
    assert results(panel) and set(column(panel, P_VALUE)) == {"n/a"}
    assert "NOT INTERPRETABLE" in panel.ui.verdictLabel.text
    assert not panel.ui.runButton.enabled and panel.ui.forceButton.visible


def test_a_scan_that_fits_gets_a_quiet_line(open_panel):
    panel = open_panel("quickly")
    wait_for(panel, "✓ fits brain-t1")
    assert not panel.ui.fitBox.visible and "Judging" not in panel.ui.reportLabel.text
    assert panel.ui.runButton.enabled and not panel.ui.forceButton.visible
    run(panel)
    assert results(panel) and "judged before" in log_of(panel), "the run uses the judgement"


def test_a_doubt_is_stated_and_the_run_is_left_to_the_user(open_panel):
    panel = open_panel("doubting")
    panel.wait(lambda: panel.ui.fitBox.visible)
    assert "weaker" in panel.ui.fitLabel.text and "fits" not in panel.ui.reportLabel.text.lower()
    assert panel.ui.runButton.enabled and not panel.ui.forceButton.visible


def test_a_scan_without_an_alignment_cannot_be_forced(open_panel):
    panel = open_panel("unalignable")
    panel.wait(lambda: "could not be aligned" in panel.ui.fitLabel.text)
    assert not panel.ui.runButton.enabled and not panel.ui.forceButton.visible


def test_a_run_may_begin_during_the_judgement_which_goes_on_for_it(open_panel):
    panel = open_panel("judging_slowly")
    wait_for(panel, "Judging the scan")
    assert panel.ui.runButton.enabled
    panel.wait(lambda: "judging scan" in log_of(panel))
    pid = panel.widget.logic.client._connection._process.pid
    panel.click("runButton")

    def the_run_shows_the_progress_of_the_judgement():
        return "slice" in panel.ui.stageLabel.text.lower()

    panel.wait(the_run_shows_the_progress_of_the_judgement)
    panel.click("cancelButton")
    started = time.monotonic()
    wait_for_end(panel, 5)
    assert time.monotonic() - started < 1.0 and not results(panel)
    assert panel.widget.logic.client._connection._process.pid == pid, "nothing had to be killed"
    assert "Judging" in panel.ui.reportLabel.text


def test_another_scan_ends_the_judgement_and_is_judged_itself(open_panel):
    panel = open_panel("judging_slowly")
    panel.wait(lambda: "judging scan" in log_of(panel))
    panel.select_node("inputSelector", panel.load_volume(scan("another")))
    assert "Judging" not in panel.ui.reportLabel.text and not temporary_files(panel)
    panel.wait(lambda: "judging another" in log_of(panel), 10)
    assert len(temporary_files(panel)) == 1


def test_another_model_is_another_judgement(open_panel):
    panel = open_panel("quickly")
    wait_for(panel, "✓ fits brain-t1")
    panel.choose("modelSelector", panel.ui.modelSelector.itemText(1))
    assert "✓" not in panel.ui.reportLabel.text
    wait_for(panel, "✓ fits")
    assert log_of(panel).count("judging scan") == 2


def test_the_same_content_is_judged_once(open_panel):
    panel = open_panel("unfitting")
    wait_for_refusal(panel)
    first = panel.scan
    panel.select_node("inputSelector", panel.load_volume(scan("copy")))
    assert panel.ui.runButton.enabled
    wait_for_refusal(panel)
    assert "copy does not fit" in panel.tip("runButton")
    assert log_of(panel).count("judging") == 1
    panel.select_node("inputSelector", first)
    assert "scan does not fit" in panel.tip("runButton") and not panel.ui.runButton.enabled, "at once"
    slicer.util.arrayFromVolume(first)[5, 5, 5] += 1
    slicer.util.arrayFromVolumeModified(first)
    panel.widget.panel.refresh()
    assert panel.ui.runButton.enabled and not panel.ui.fitBox.visible
    wait_for_refusal(panel)
    assert log_of(panel).count("judging") == 2


def test_a_large_scan_is_handed_over_in_steps_and_a_run_need_not_wait(open_panel, monkeypatch):
    from MedADLib.results import exchange

    monkeypatch.setattr(exchange, "PART_BYTES", 50)
    panel = open_panel("quickly")

    def steps_are_taken():
        return judge_of(panel)._steps is not None

    panel.wait(steps_are_taken)
    panel.click("runButton")
    assert not judge_of(panel).judging and len(temporary_files(panel)) == 1, "that of the run"
    wait_for_end(panel)
    assert results(panel) and "judging" not in log_of(panel)
    panel.select_node("inputSelector", panel.load_volume(scan("another")))
    wait_for(panel, "✓ fits")
    assert log_of(panel).count("judging another") == 1


def test_a_closed_scene_leaves_no_judgement(open_panel):
    panel = open_panel("judging_slowly")
    wait_for(panel, "Judging the scan")
    panel.close_scene()
    assert not temporary_files(panel) and not judge_of(panel).judging
    assert not panel.widget.logic.client._jobs


def test_nothing_begins_without_the_packages(open_panel, planted_installer):
    planted_installer.judges = False
    panel = open_panel("quickly")
    panel.run_events(1.0)
    assert panel.widget.logic.client._connection is None and "Judging" not in panel.ui.reportLabel.text


def test_nothing_begins_for_a_scan_that_no_run_can_take(open_panel):
    behave("quickly")
    panel = open_panel("quickly")
    wait_for(panel, "✓")
    flat = panel.load_volume(scan("flat"))
    slicer.util.arrayFromVolume(flat)[:] = 7
    panel.select_node("inputSelector", flat)
    panel.run_events(1.0)
    assert "judging flat" not in log_of(panel) and not panel.ui.runButton.enabled


@pytest.mark.parametrize(("behaviour", "words"), [("refusing", "brain extraction"), ("dying", "memory")])
def test_a_failure_is_stated_and_leaves_the_run_to_the_user(open_panel, behaviour, words):
    panel = open_panel(behaviour)
    wait_for(panel, "⚠ not judged")
    assert words in panel.ui.reportLabel.text and panel.ui.runButton.enabled and not temporary_files(panel)


def test_slicer_quits_during_a_judgement_and_nothing_stays(open_panel):
    from support.workers import gone

    panel = open_panel("stubbornly")
    wait_for(panel, "Judging the scan")
    panel.wait(lambda: "judging scan" in log_of(panel))
    pid = panel.widget.logic.client._connection._process.pid
    panel.quit()
    assert gone(pid, 3) and not temporary_files(panel)


def test_a_judgement_that_does_not_listen_ends_with_the_run_that_waits_for_it(open_panel):
    panel = open_panel("stubbornly")
    panel.wait(lambda: "judging scan" in log_of(panel))
    panel.click("runButton")
    panel.click("cancelButton")
    wait_for_end(panel, 3)
    assert panel.ui.runButton.enabled and not panel.ui.forceButton.visible
