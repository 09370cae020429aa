"""What the fake Slicer has around the module: dialogs, settings, processes, packages."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
pytest.importorskip("PySide6", reason="PySide6 is not installed (pip install PySide6_Essentials)")
pytest.importorskip("slicer.util", reason="slicer-core is not installed (pip install trame-slicer[standalone])")
import slicer

from fake_slicer import FakeSlicer
from fake_slicer.fixtures import app
from fake_slicer.small_module import write_module

__all__ = ["app"]


def test_dialogs_are_recorded_and_answered(app, tmp_path):
    import qt

    util = slicer.util
    app.answers.extend([True, "no", tmp_path / "a.nii", None, "Keep", True])
    assert util.confirmOkCancelDisplay("Sure?", detailedText="all of it") is True
    assert qt.QMessageBox.question(None, "title", "Really?") == qt.QMessageBox.No
    assert qt.QFileDialog.getOpenFileName(None, "Model") == str(tmp_path / "a.nii")
    assert qt.QFileDialog.getExistingDirectory(None, "Folder") == ""
    box = qt.QMessageBox()
    box.setText("Two ways")
    keep, drop = box.addButton("Keep", qt.QMessageBox.AcceptRole), box.addButton("Drop", qt.QMessageBox.RejectRole)
    box.exec_()
    assert box.clickedButton() == keep != drop
    assert util.confirmYesNoDisplay("Last?")
    util.warningDisplay("Careful")
    qt.QDesktopServices.openUrl(qt.QUrl("https://example.org"))
    assert app.messages == [
        ("question", "Sure?\nall of it"),
        ("question", "Really?"),
        ("file", "Model"),
        ("file", "Folder"),
        ("info", "Two ways"),
        ("question", "Last?"),
        ("warning", "Careful"),
    ]
    assert app.dialogs.opened_urls == ["https://example.org"]


def test_values_are_asked_for(app):
    import qt

    app.answers.extend(["a name", 7, "#ff0000", None])
    assert qt.QInputDialog.getText(None, "title", "Name") == "a name"
    assert qt.QInputDialog.getInt(None, "title", "Number", 3) == 7
    assert qt.QColorDialog.getColor().red() == 255 and not qt.QColorDialog.getColor().isValid()


def test_a_dialog_of_the_modules_own(app):
    import qt

    dialog = qt.QDialog()
    edit = qt.QLineEdit(dialog)
    app.answers.append(lambda shown: bool(app.type(edit, "name") or shown == dialog))
    assert dialog.exec_() == qt.QDialog.Accepted and edit.text == "name"


def test_questions_answer_themselves_under_test(tmp_path):
    with FakeSlicer(tmp_path, testing=True) as app:
        assert slicer.app.testingEnabled() and slicer.util.confirmYesNoDisplay("Go?")
        app.packages.missing = {"safetensors"}
        slicer.packaging.pip_ensure(["safetensors>=0.4"], requester="MedAD")
        assert app.packages.installs == []


def test_settings_outlive_a_restart_as_text_and_are_nobody_elses(tmp_path):
    with FakeSlicer(tmp_path):
        import qt

        qt.QSettings().setValue("MedAD/on", True)
        slicer.app.settings().setValue("MedAD/number", 5)
        assert qt.QSettings().fileName().startswith(str(tmp_path))
    with FakeSlicer(tmp_path):
        assert slicer.app.userSettings().value("MedAD/on") == "true"
        assert slicer.util.settingsValue("MedAD/on", False, converter=slicer.util.toBool) is True
        assert slicer.util.settingsValue("MedAD/number", 0, converter=int) == 5
        assert slicer.util.settingsValue("MedAD/none", 3, converter=int) == 3


def test_a_process_talks_through_its_signals(app):
    import qt

    process, said, ended = qt.QProcess(), [], []
    process.connect("readyReadStandardOutput()", lambda: said.append(process.readAllStandardOutput().data()))
    process.connect("finished(int,QProcess::ExitStatus)", lambda code, status: ended.append((code, status)))
    program = Path(slicer.app.slicerHome) / "bin" / "PythonSlicer"
    process.start(str(program), ["-c", "import sys; print(sys.stdin.readline().upper()); sys.exit(3)"])
    assert process.waitForStarted()
    process.write(b"hello\n")
    app.wait(lambda: ended)
    assert b"".join(said) == b"HELLO\n\n" and ended == [(3, qt.QProcess.NormalExit)]


def test_a_process_that_was_told_to_end_may_take_until_a_timer_ends_it(tmp_path):
    with FakeSlicer(tmp_path) as app:
        import qt

        process = qt.QProcess()
        process.start("sleep", ["30"])
        app.wait(lambda: process.state() == qt.QProcess.Running)
        process.closeWriteChannel()
        qt.QTimer.singleShot(200, process.kill)


def test_waiting_in_vain_says_so(app):
    with pytest.raises(AssertionError, match="waited 0.05 s in vain"):
        app.wait(lambda: False, seconds=0.05)


def test_installing_is_recorded_and_may_fail(app):
    from PyTorchUtils import PyTorchUtilsLogic

    app.packages.missing = {"torch", "monai", "safetensors"}
    app.answers.extend([True, False, True])
    assert PyTorchUtilsLogic().installTorch(askConfirmation=True) is not None
    with pytest.raises(RuntimeError, match="declined"):
        slicer.packaging.pip_ensure(["safetensors>=0.4"], requester="MedAD")
    slicer.packaging.pip_ensure(["safetensors>=0.4"], requester="MedAD")
    assert app.packages.missing == {"monai"} and slicer.packaging.pip_check("safetensors")
    app.packages.outcome = app.packages.failure()
    with pytest.raises(type(app.packages.outcome)):
        slicer.util.pip_install("--no-deps monai")
    assert [kind for kind, *_ in app.packages.installs] == ["torch", "pip", "pip"]


def test_without_the_pytorch_extension_its_module_is_missing(tmp_path):
    with FakeSlicer(tmp_path, pytorch_extension=False), pytest.raises(ImportError):
        import PyTorchUtils  # noqa: F401


def test_an_older_slicer_has_no_packaging(tmp_path):
    with FakeSlicer(tmp_path, packaging=False), pytest.raises(ImportError):
        import slicer.packaging  # noqa: F401


def test_quitting_is_announced_before_the_panel_goes(app, tmp_path):
    heard = []
    widget = app.open_module("Small", write_module(tmp_path))
    slicer.app.connect("aboutToQuit()", lambda: heard.append((widget._parameterNode, widget.ui.labelEdit.text)))
    app.quit()
    # Slicer leaves the module when its window closes, and destroys the panel after the announcement.
    assert heard == [(None, "spot")]


def test_restarting_is_noted(app):
    slicer.app.restart()
    assert app.restarts == 1
