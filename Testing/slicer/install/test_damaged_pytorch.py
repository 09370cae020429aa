"""A PyTorch that is there but cannot be used: the installer says so, deletes it and installs it again."""

from __future__ import annotations

import subprocess
import sys
from types import SimpleNamespace

import pytest
from support.slicer_install import OURS, SLICER_5_12, World, slicer

from MedADLib.messages import Message
from MedADLib.slicer.install import installer as installer_module
from MedADLib.slicer.install.packages import InstallError, plan_text

__all__ = ["slicer"]

COMPLETE = SLICER_5_12 | OURS | {"torch": "2.9.1+cu128"}


def test_a_damaged_pytorch_is_deleted_before_it_is_installed_again_and_the_question_says_so():
    world = World(COMPLETE)
    world.damage = {"torch": "torchgen/__init__.py is missing"}
    (lacking,) = world.installer().missing()
    assert lacking.name == "torch" and lacking.requirement == "torch>=2.3"
    text = plan_text([lacking])
    assert Message("plan_damage", name="torch", damage="torchgen/__init__.py is missing") in text
    assert world.run() is True
    assert [next(iter(call)) for call in world.calls] == ["delete", "torch"]
    assert "torch==" not in world.calls[1]["constraints"] and "numpy==2.4.6" in world.calls[1]["constraints"]
    assert world.log[0] == "Deleting torch (torchgen/__init__.py is missing)."
    assert world.installer().missing() == []


def test_a_damaged_package_that_cannot_be_deleted_is_told_and_nothing_is_installed():
    world = World(COMPLETE)
    world.damage = {"torch": "its metadata is missing"}

    def delete(name):
        raise PermissionError(13, "[WinError 5] Access is denied: 'torch_cpu.dll'")

    with pytest.raises(InstallError) as caught:
        world.run(delete=delete)
    assert (caught.value.code, caught.value.parameters) == ("install_damaged_in_use", {"name": "torch"})
    assert world.calls == []


def test_a_pytorch_that_fails_to_load_is_offered_again_though_its_files_look_right(monkeypatch):
    world = World(COMPLETE)
    monkeypatch.setattr(installer_module, "trace", lambda name: "first")
    world.trouble = "OSError: [WinError 126] c10.dll"
    (lacking,) = world.installer().missing()
    assert lacking.damage == Message("package_not_loadable", reason=world.trouble)
    monkeypatch.setattr(installer_module, "trace", lambda name: "second")
    assert world.run() is True
    assert [next(iter(call)) for call in world.calls] == ["delete", "torch"] and world.installer().missing() == []


def test_a_new_pytorch_that_fails_to_load_is_told(monkeypatch):
    world = World()
    world.trouble = "ModuleNotFoundError: No module named 'torchgen'"
    with pytest.raises(InstallError) as caught:
        world.run()
    assert (caught.value.code, caught.value.parameters) == ("install_torch_not_loadable", {"reason": world.trouble})


def test_whether_pytorch_can_be_loaded_is_tried_once_for_each_installation(monkeypatch):
    world = World(COMPLETE)
    monkeypatch.setattr(installer_module, "trace", lambda name: "first")
    for _ in range(3):
        assert world.installer().missing() == []
    assert world.loads == 1
    monkeypatch.setattr(installer_module, "trace", lambda name: "second")
    assert world.installer().missing() == [] and world.loads == 2
    assert world.installer(testing=lambda: True).missing() == [] and world.loads == 2


def test_what_goes_wrong_in_the_other_process_is_its_last_line(slicer, monkeypatch):
    pumped = []
    qt = SimpleNamespace(QEventLoop=SimpleNamespace(ExcludeUserInputEvents=4))
    monkeypatch.setitem(sys.modules, "qt", qt)
    slicer.app.processEvents = pumped.append
    programs = {
        "import sys, time; time.sleep(0.2)": "",
        "raise ModuleNotFoundError('no torchgen')": "ModuleNotFoundError: no torchgen",
        "import os; os._exit(3)": "exit code 3",
    }
    start = subprocess.Popen
    for program, problem in programs.items():
        monkeypatch.setattr(
            subprocess, "Popen", lambda command, program=program, **options: start([*command[:2], program], **options)
        )
        assert installer_module._load_torch() == problem
    assert set(pumped) == {4}, "the panel is drawn meanwhile, and takes no click"
