"""The first Run on a computer without PyTorch: asked once, installed in sight, explained where it fails, resumed."""

from __future__ import annotations

import subprocess
import sys

import pytest
from fake_slicer.panel_fixtures import (
    app,
    column,
    own_home,
    panel,
    planted_installer,
    results,
    run,
    scan,
    slicer,
    snapshot,
    stub_client,
)
from support.slicer_install import OURS, SLICER_5_12
from support.source_code import ROOT

from MedADLib.slicer.install import installer as installer_module
from MedADLib.slicer.install.installer import SlicerInstaller
from MedADLib.slicer.install.packages import Computer, InstallError, Package

__all__ = ["app", "own_home", "panel", "planted_installer", "stub_client"]

NAME = 1
LACKING = [
    Package("torch", "runs the neural networks of the models", 700, "torch>=2.3"),
    Package("safetensors", "reads model files safely", 2, "safetensors>=0.4"),
]


@pytest.fixture
def lacking(planted_installer):
    planted_installer.packages = list(LACKING)
    return planted_installer


def questions(app):
    return [text for kind, text in app.messages if kind == "question"]


def said(app):
    return app.ui.statusLabel.text or app.ui.errorLabel.text


def restarted(tmp_path, **changes):
    """Slicer again on the same folder."""
    from fake_slicer import FakeSlicer

    return FakeSlicer(tmp_path / "slicer", **changes)


@pytest.fixture
def file(tmp_path):
    """A scan that can be opened again."""
    path = tmp_path / "patient.nii.gz"
    scan("patient").write(path)
    return path


def open_file(app, path):
    node = slicer.util.loadVolume(str(path))
    storage = app.scene.AddNewNodeByClass("vtkMRMLVolumeArchetypeStorageNode")
    storage.SetFileName(str(path))
    node.SetAndObserveStorageNodeID(storage.GetID())
    return node


def wait_for_restart(app, file, lacking, restart=False):
    """Run, install, and be told that Slicer has to restart."""
    node = open_file(app, file)
    app.open_module("MedAD")
    app.select_node("inputSelector", node)
    lacking.answer = False
    app.answers.extend([True, restart])
    app.click("runButton")
    assert "has to be restarted" in said(app) and not results(app)


def test_one_dialog_says_what_how_large_and_why_and_then_the_run_starts_by_itself(panel, lacking):
    panel.answers.append(True)
    run(panel)
    (question,) = questions(panel)
    assert "torch (700 MB): runs the neural networks" in question and "safetensors (2 MB)" in question
    assert "about 702 MB" in question and "nothing is uploaded" in question
    assert panel.ui.logText.visible and "Successfully installed safetensors" in panel.ui.logText.toPlainText()
    assert column(panel, NAME) == ["Region 1", "Region 2"] and not panel.ui.statusLabel.visible
    run(panel)
    assert len(questions(panel)) == 1


def test_refused_nothing_changes_and_the_panel_says_so(panel, lacking):
    before = snapshot(panel)
    panel.answers.append(False)
    run(panel)
    assert said(panel) == "Nothing was installed, and nothing was run."
    assert snapshot(panel) == before and panel.ui.runButton.enabled and lacking.packages == LACKING
    assert not panel.ui.logText.toPlainText()
    panel.answers.append(True)
    run(panel)
    assert results(panel)


def test_what_fails_is_explained_and_can_be_tried_again(panel, lacking):
    before = snapshot(panel)
    lacking.answer = InstallError("install_disk_full", packages="torch")
    lacking.said = ["Collecting torch", "No space left on device"]
    panel.answers.append(True)
    run(panel)
    assert said(panel).startswith("Torch could not be installed: the disk is full. Free some space")
    assert "No space left on device" in panel.ui.logText.toPlainText() and panel.ui.logText.visible
    assert panel.ui.runButton.enabled and snapshot(panel) == before
    lacking.answer = True
    panel.answers.append(True)
    run(panel)
    assert results(panel)


def test_a_slicer_that_can_never_run_it_is_told_without_a_question(panel, monkeypatch):
    def never():
        raise InstallError("install_no_torch_for_mac", numpy="2.4.6")

    monkeypatch.setattr(panel.widget.logic.installer, "missing", never)
    run(panel)
    assert said(panel).startswith("MedAD cannot run in this Slicer for Intel Macs")
    assert not questions(panel) and panel.ui.runButton.enabled and not results(panel)


def test_a_click_while_it_installs_does_not_begin_anything(panel, lacking):
    states = []
    install = lacking.install

    def busy(packages, log):
        states.append((panel.ui.runButton.enabled, panel.tip("runButton")))
        panel.widget.panel.run()
        panel.leave_module()
        panel.enter_module()
        states.append((panel.ui.runButton.enabled, panel.tip("runButton")))
        return install(packages, log)

    lacking.install = busy
    panel.answers.append(True)
    run(panel)
    assert states == [(False, "Wait until everything is installed.")] * 2
    assert len(questions(panel)) == 1 and len(column(panel, NAME)) == 2 and panel.ui.runButton.enabled


def test_the_scene_may_be_closed_while_it_installs(panel, lacking):
    install = lacking.install

    def close(packages, log):
        panel.close_scene()
        return install(packages, log)

    lacking.install = close
    panel.answers.append(True)
    run(panel)
    assert not results(panel) and not panel.ui.runButton.enabled
    assert panel.tip("runButton") == "Select a scan to examine."


def test_after_a_restart_the_scan_is_opened_and_the_run_goes_on_after_one_question(
    app, tmp_path, file, lacking, monkeypatch
):
    wait_for_restart(app, file, lacking, restart=True)
    assert app.restarts == 1
    app.close()
    with restarted(tmp_path) as again:
        again.answers.append(True)
        again.open_module("MedAD")
        assert questions(again) == ["Slicer has restarted. Open patient.nii.gz and go on with the detection?"]
        assert again.ui.inputSelector.currentNode().GetName().startswith("patient")
        assert len(column(again, NAME)) == 2
        again.leave_module()
        again.enter_module()
        assert len(questions(again)) == 1
    with restarted(tmp_path) as third:
        third.open_module("MedAD")
        assert not questions(third)


def test_the_settings_of_the_run_survive_the_restart(app, tmp_path, file, lacking):
    wait_for_restart(app, file, lacking)
    app.click("advancedSection")
    app.type("seedBox", "11")
    app.widget._parameterNode.smallestRegionMl = 0.5
    app.choose("modelSelector", app.ui.modelSelector.itemText(2))
    lacking.packages = list(LACKING)
    app.answers.extend([True, False])
    app.click("runButton")
    app.close()
    with restarted(tmp_path) as again:
        again.answers.append(True)
        again.open_module("MedAD")
        found = again.widget.panel.result_panel.detection.provenance
        assert found["seed"] == 11 and found["settings"]["smallest_region_ml"] == 0.5
        assert "atlas" in found["model"]["name"] and again.widget._parameterNode.modelName == "brain-t1-atlas"


def test_before_the_restart_nobody_is_asked_to_go_on(app, file, lacking):
    wait_for_restart(app, file, lacking)
    count = len(questions(app))
    app.leave_module()
    app.enter_module()
    assert len(questions(app)) == count


def test_who_does_not_want_to_go_on_is_not_asked_again(app, tmp_path, file, lacking):
    wait_for_restart(app, file, lacking)
    app.close()
    with restarted(tmp_path) as again:
        again.answers.append(False)
        again.open_module("MedAD")
        again.leave_module()
        again.enter_module()
        assert len(questions(again)) == 1 and not results(again)


def test_what_is_still_lacking_after_the_restart_is_asked_for_then(app, tmp_path, file, lacking):
    """As with the PyTorch extension, which installs PyTorch only after a restart."""
    wait_for_restart(app, file, lacking)
    app.close()
    lacking.packages, lacking.answer = list(LACKING), True
    with restarted(tmp_path) as again:
        again.answers.extend([True, True])
        again.open_module("MedAD")
        assert len(questions(again)) == 2 and len(column(again, NAME)) == 2


def test_a_scan_that_was_never_saved_or_is_gone_is_asked_for(app, tmp_path, file, lacking):
    wait_for_restart(app, file, lacking)
    app.close()
    file.unlink()
    with restarted(tmp_path) as again:
        again.open_module("MedAD")
        assert said(again) == "Slicer has restarted. Load your scan and click Run Detection to go on."
        assert not questions(again)


def test_a_scan_that_cannot_be_opened_any_more_is_told(app, tmp_path, file, lacking):
    wait_for_restart(app, file, lacking)
    app.close()
    file.write_bytes(b"nothing")
    with restarted(tmp_path) as again:
        again.answers.append(True)
        again.open_module("MedAD")
        assert "could not be opened" in said(again) and not results(again)


def test_a_run_within_a_mask_does_not_go_on_without_it(app, tmp_path, file, lacking):
    node = open_file(app, file)
    app.open_module("MedAD")
    app.select_node("inputSelector", node)
    mask = app.scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "my brain")
    app.select_node("maskSelector", mask)
    lacking.answer = False
    app.answers.extend([True, False])
    app.click("runButton")
    app.close()
    with restarted(tmp_path) as again:
        again.answers.append(True)
        again.open_module("MedAD")
        assert "brain mask again" in said(again) and not results(again)
        assert again.ui.inputSelector.currentNode() is not None


def test_a_saved_scene_is_opened_again(app, tmp_path, lacking):
    app.load_volume(scan("first"))
    node = app.load_volume(scan("second"))
    app.open_module("MedAD")
    app.select_node("inputSelector", node)
    app.save_scene(tmp_path / "study.mrb")
    app.scene.SetURL(str(tmp_path / "study.mrb"))
    lacking.answer = False
    app.answers.extend([True, False])
    app.click("runButton")
    app.close()
    with restarted(tmp_path) as again:
        again.answers.append(True)
        again.open_module("MedAD")
        assert again.ui.inputSelector.currentNode().GetName() == "second" and len(column(again, NAME)) == 2


# The real installer, in the fake Slicer's stand-ins for pip and PyTorchUtils.


@pytest.fixture
def real(app, monkeypatch):
    """A computer that has what Slicer has, and gets what is installed."""
    installed = dict(SLICER_5_12)
    computer = Computer(installed.get, lambda name: app.packages.pytorch_extension, "Linux", "x86_64", False)
    app.trouble = []
    slicers_own = SlicerInstaller(
        computer=computer,
        loaded=lambda name: False,
        load=lambda: app.trouble.pop() if app.trouble else "",
        delete=lambda name: installed.pop(name),
    )
    monkeypatch.setattr(installer_module, "SlicerInstaller", lambda: slicers_own)

    def arrive(requirements):
        print("Collecting", *requirements)
        installed.update({name: OURS[name] for name in OURS if any(name in entry for entry in requirements)})

    app.packages.outcome = arrive
    app.packages.missing = {"safetensors", "monai", "deepbet"}
    install_torch = sys.modules["PyTorchUtils"].PyTorchUtilsLogic.installTorch

    def arrive_torch(self, **options):
        installed["torch"] = "2.9.1"
        return install_torch(self, **options)

    monkeypatch.setattr(sys.modules["PyTorchUtils"].PyTorchUtilsLogic, "installTorch", arrive_torch)
    app.load_volume(scan())
    app.open_module("MedAD")
    return app


def test_the_real_installer_from_end_to_end(real):
    assert real.packages.installs == []
    real.answers.append(True)
    run(real)
    assert [kind for kind, *_ in real.packages.installs] == ["torch", "pip"]
    _, requirements, options = real.packages.installs[1]
    assert requirements == ["safetensors>=0.4"] and options["show_progress"] is False
    assert options["no_deps_requirements"] == ["monai>=1.4", "deepbet==1.0.2"]
    log = real.ui.logText.toPlainText()
    assert "Installing PyTorch" in log and "Collecting monai" in log and "All packages are installed." in log
    assert len(questions(real)) == 1 and len(column(real, NAME)) == 2


def test_without_network_the_real_installer_says_so(real):
    def offline(requirements):
        print("[Errno -3] Temporary failure in name resolution")
        raise real.packages.failure()

    works, real.packages.outcome = real.packages.outcome, offline
    real.answers.append(True)
    run(real)
    assert "no connection" in said(real) and "Connect to the internet" in said(real)
    assert "Temporary failure in name resolution" in real.ui.logText.toPlainText()
    real.packages.outcome = works
    real.answers.append(True)
    run(real)
    assert len(column(real, NAME)) == 2
    assert [kind for kind, *_ in real.packages.installs].count("torch") == 1


def test_a_pytorch_that_cannot_be_loaded_is_replaced_after_the_question_that_says_so(real):
    real.answers.append(True)
    run(real)
    assert len(column(real, NAME)) == 2
    # As after an update of Slicer that broke it.
    slicer.app.userSettings().remove(installer_module.LOADED_KEY)
    real.trouble.append("ModuleNotFoundError: No module named 'torchgen'")
    real.answers.append(True)
    run(real)
    assert "torch that is there cannot be used (loading it fails: ModuleNotFoundError" in questions(real)[-1]
    assert [kind for kind, *_ in real.packages.installs] == ["torch", "pip", "torch"]
    assert len(questions(real)) == 2 and not real.ui.statusLabel.visible
    run(real)
    assert len(questions(real)) == 2


OPEN = """
import sys, time
sys.path[:0] = [{testing!r}, {root!r}]
from pathlib import Path
from support.synthetic import brain_volume
from fake_slicer import FakeSlicer
heavy = ("torch", "monai", "SimpleITK", "scipy", "matplotlib")
with FakeSlicer(Path({folder!r})) as app:
    app.load_volume(brain_volume((40, 48, 44), (3.5, 3.5, 3.5)))
    before = set(sys.modules)
    import slicer, qt, ctk
    started = time.process_time()
    app.open_module("MedAD")
    seconds = time.process_time() - started
    assert app.ui.runButton.visible
    print(seconds, [name for name in heavy if name in set(sys.modules) - before], app.packages.installs)
"""


def test_opening_the_module_imports_and_installs_nothing_heavy(tmp_path):
    program = OPEN.format(testing=str(ROOT / "Testing"), root=str(ROOT), folder=str(tmp_path / "slicer"))
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert found.returncode == 0, found.stderr
    seconds, rest = found.stdout.strip().split(" ", 1)
    assert rest == "[] []"
    assert float(seconds) < 1.0
