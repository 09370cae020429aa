"""The panel in another language: messages of the library are translated where they are shown, and only there."""

from __future__ import annotations

import json

import pytest
from fake_slicer.panel_fixtures import (
    InlineClient,
    app,
    done,
    no_drawing,
    own_home,
    panel,
    planted_installer,
    results,
    run,
    scan,
    stub_client,
)

from MedADLib.messages import Message, set_translator
from MedADLib.slicer.install.packages import InstallError, Package

__all__ = ["app", "done", "no_drawing", "own_home", "panel", "planted_installer", "stub_client"]

MARK = "«"


@pytest.fixture(autouse=True)
def translation():
    """A language in which every sentence stands between « and »."""
    yield
    set_translator(None)


def speak(context, text):
    assert context.startswith("messages.")
    return f"«{text}»"


def plant(monkeypatch, *events):
    """Let the worker send these events before its result, each as (method of the listener, arguments)."""
    detect = InlineClient.detect

    def with_events(client, job, listener):
        for method, *arguments in events:
            getattr(listener, method)(*arguments)
            if method == "failed":
                return
        detect(client, job, listener)

    monkeypatch.setattr(InlineClient, "detect", with_events)


def test_the_module_translates_by_slicers_own_translation(app, monkeypatch):
    from slicer import i18n

    monkeypatch.setattr(i18n, "translate", lambda context, text: speak("messages.", text))
    app.scan = app.load_volume(scan())
    app.open_module("MedAD")
    plant(monkeypatch, ("failed", "WorkerHung", Message("worker_hung", seconds=300.0)))
    run(app)
    assert app.ui.errorLabel.text.startswith("«the computation has not moved for 300 s and was ended». «Run again;")


def test_a_failed_run_is_explained_in_the_users_language(panel, monkeypatch):
    plant(monkeypatch, ("failed", "WorkerDied", Message("worker_died", exit_code=9)))
    set_translator(speak)
    run(panel)
    assert panel.ui.errorLabel.text.startswith("«the computation ended unexpectedly (code 9)")
    plant(monkeypatch, ("failed", "Unheard", "a text without a code"))
    run(panel)
    assert panel.ui.errorLabel.text == "A text without a code"


def test_a_run_that_cannot_begin_is_explained_in_the_users_language(panel):
    set_translator(speak)
    panel.widget.logic.client.busy = True
    run(panel)
    assert panel.ui.errorLabel.text == "«a detection is running». «Wait for its end or cancel it.»"


def test_an_installation_is_planned_and_explained_in_the_users_language(panel, planted_installer):
    set_translator(speak)
    package = Package("monai", Message("purpose_monai"), 10, "monai>=1.4", Message("package_file_missing", file="a.py"))
    planted_installer.packages = [package]
    planted_installer.answer = InstallError("install_disk_full", packages="monai")
    panel.answers.append(True)
    run(panel)
    question = panel.messages[-1][1]
    assert "• monai (10 MB): «losses of trainings, overlap measures»" in question
    assert "«The monai that is there cannot be used («a.py is missing»)». «It is deleted" in question
    assert "nothing is uploaded" in question and question.count(MARK) == 8
    assert panel.ui.errorLabel.text.startswith("«monai could not be installed: the disk is full». «Free some space")


def test_warnings_are_shown_translated_and_stored_in_english_with_their_codes(panel, monkeypatch):
    plant(monkeypatch, ("warning", Message("scan_changed")), ("warning", "a warning of a newer worker"))
    set_translator(speak)
    run(panel)
    shown = panel.ui.warningsLabel.text.split("\n")
    assert "«the scan's voxels changed while it was examined». «Run again to examine them as they are now.»" in shown
    assert "A warning of a newer worker" in shown
    for node in results(panel):
        if node.GetAttribute("MedAD.warnings"):
            texts = json.loads(node.GetAttribute("MedAD.warnings"))
            codes = json.loads(node.GetAttribute("MedAD.warning_codes"))
            assert MARK not in "".join(texts) and len(texts) == len(codes) == 3
            assert codes[texts.index("a warning of a newer worker")] is None
            assert {"code": "scan_changed", "parameters": {}} in codes


def test_a_result_that_was_changed_elsewhere_is_explained_in_the_users_language(done):
    set_translator(speak)
    result = done.widget.panel.result
    result.labels.GetImageData().SetScalarComponentFromDouble(1, 1, 1, 0, 1)
    image = type(result.anomaly.GetImageData())()
    image.DeepCopy(result.anomaly.GetImageData())
    result.anomaly.SetAndObserveImageData(image)
    done.wait(lambda: done.ui.errorLabel.text, 5)
    said = "«the anomaly map or the region labels of scan were edited». «Run the detection again.»"
    assert done.ui.errorLabel.text == said


def test_the_check_of_a_scan_and_the_verdict_are_in_the_users_language(panel):
    set_translator(speak)
    panel.ui.modelSelector.setCurrentIndex(1 - panel.ui.modelSelector.currentIndex)
    for line in panel.ui.reportLabel.text.split("\n"):
        assert MARK in line, line
    run(panel)
    assert MARK in panel.ui.verdictLabel.text.split("\n")[0]


@pytest.mark.parametrize(
    ("message", "text", "logged"),
    [
        (Message("progress_slice", number=2, count=9), "«slice 2 of 9»", "restoration: slice 2 of 9"),
        ("", "«restoration»", "restoration"),
        ("a step of a newer worker", "A step of a newer worker", "restoration: a step of a newer worker"),
    ],
)
def test_progress_is_in_the_users_language_and_its_log_in_english(panel, monkeypatch, message, text, logged):
    plant(monkeypatch, ("progress", "restoration", 0.5, message), ("failed", "Planted", "a planted failure"))
    set_translator(speak)
    run(panel)
    assert panel.ui.stageLabel.text == text
    assert panel.ui.logText.toPlainText().split("\n")[-1] == f" 50 % {logged}"


def test_exported_files_stay_in_english(panel, monkeypatch, tmp_path, no_drawing):
    plant(monkeypatch, ("warning", Message("scan_changed")))
    set_translator(speak)
    run(panel)
    panel.answers.append(str(tmp_path / "out"))
    (tmp_path / "out").mkdir()
    panel.click("exportButton")
    texts = [path for path in (tmp_path / "out").iterdir() if path.suffix not in (".png", ".gz")]
    assert len(texts) >= 3
    for path in texts:
        assert MARK.encode() not in path.read_bytes(), path.name
    assert "the scan's voxels changed" in (tmp_path / "out" / "scan.json").read_text("utf-8")
