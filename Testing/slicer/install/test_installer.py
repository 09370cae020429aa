"""The installer on stand-ins with the signatures of Slicer 5.8, 5.12 and the PyTorch extension: what is asked of them,
what is reported when they fail, and that Slicer's own packages are never changed unnoticed."""

from __future__ import annotations

import inspect
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from support.raised import raises
from support.slicer_install import OURS, SLICER_5_8, SLICER_5_12, World, slicer

from MedADLib.slicer.install import installer as installer_module
from MedADLib.slicer.install.installer import SlicerInstaller
from MedADLib.slicer.install.packages import EXTENSION, InstallError

__all__ = ["slicer"]


def test_everything_is_installed_in_order_with_slicers_own_pinned_and_the_log_shown():
    world = World()
    assert world.run() is True
    torch, rest = world.calls
    assert torch["torch"] == ">=2.3" and torch["asks"] is False
    assert torch["constraints"].split() == ["numpy==2.4.6", "scipy==1.17.1", "SimpleITK==2.5.5", "pydicom==3.0.2"]
    assert (rest["pip"], rest["without"]) == (["safetensors>=0.4"], ["monai>=1.4", "deepbet==1.0.2"])
    assert "torch==2.9.1+cu128" in rest["constraints"] and "numpy==2.4.6" in rest["constraints"]
    assert world.loads == 1, "whether PyTorch can be loaded is tried at the end"
    assert world.installer().missing() == []
    assert "Successfully installed torch" in world.log and world.log[-1] == "All packages are installed."


def test_whether_all_is_installed_is_known_without_loading_anything():
    world = World()
    assert not world.installer().installed()
    world.run()
    loads = world.loads
    installer = world.installer()
    assert installer.installed() and world.loads == loads
    assert not World(SLICER_5_12 | OURS).installer().installed(), "PyTorch is missing"
    world.damage["monai"] = "a file is missing"
    assert not world.installer().installed() and installer.installed(), "what was there stays there"


def test_pips_settings_last_only_as_long_as_the_installation(monkeypatch):
    monkeypatch.setenv("PIP_CONSTRAINT", "mine")
    monkeypatch.delenv("PIP_PROGRESS_BAR", raising=False)
    world = World()
    world.run()
    within = world.calls[0]["environment"]
    assert within["PIP_CONSTRAINT"].startswith("file:///") and " " not in within["PIP_CONSTRAINT"]
    assert within["PIP_PROGRESS_BAR"] == "raw"
    assert os.environ["PIP_CONSTRAINT"] == "mine" and "PIP_PROGRESS_BAR" not in os.environ
    older = World(SLICER_5_8)  # its pip knows no such progress
    older.run()
    assert older.calls[0]["environment"]["PIP_PROGRESS_BAR"] is None


def test_monai_fits_the_pytorch_that_came_not_the_one_expected():
    world = World(SLICER_5_8)
    world.torch_version = "2.2.2"
    OLDER = {"monai": "1.4.0"}
    world.pip = lambda requirements, without_dependencies, file: (
        world.calls.append(without_dependencies),
        world.installed.update(OURS | OLDER),
    )
    assert world.run() is True
    assert "monai>=1.4,<1.5" in world.calls[-1]


def test_pytorch_that_was_loaded_before_needs_a_restart():
    world = World(SLICER_5_12 | {"torch": "2.1.0"})
    world.loaded.add("torch")
    assert world.run() is False
    assert world.log[-1] == "All packages are installed. Slicer has to restart."
    assert "torch" not in world.calls[0]["constraints"]


def test_pytorch_that_is_there_but_cannot_be_loaded_yet_needs_a_restart():
    world = World()

    def install(**arguments):
        world.installTorch(**arguments)
        raise OSError("DLL load failed")

    assert world.run(torch_logic=lambda: SimpleNamespace(installTorch=install)) is False
    assert world.installed["monai"]


def test_the_pytorch_extension_is_fetched_first_and_nothing_else_before_the_restart():
    world = World(extension=False)
    assert world.installer().missing()[0].name == EXTENSION
    assert world.run() is False
    assert world.calls == [{"extension": "PyTorch", "restart": False, "interactive": False}]
    assert world.interactive is True


def test_without_an_extensions_manager_the_way_by_hand_is_reported():
    world = World(extension=False)
    for manager in (None, SimpleNamespace()):
        with raises(InstallError, "install_no_extension"):
            world.run(extensions=lambda manager=manager: manager)
    world.fails["extension"] = True
    with raises(InstallError, "install_extension_failed"):
        world.run()


def test_pytorch_refused_in_its_own_dialog_changes_nothing():
    world = World()
    with raises(InstallError, "install_declined"):
        world.run(torch_logic=lambda: SimpleNamespace(installTorch=lambda **arguments: None))
    assert world.installed == SLICER_5_12 and world.calls == []


# What pip, light-the-torch and the systems say; most lines are as they were seen.
OFFLINE = [
    "WARNING: Retrying (Retry(total=0, connect=None, read=None, redirect=None, status=None)) after connection broken "
    "by 'NewConnectionError(\"HTTPSConnection(host='h', port=443): Failed to establish a new connection: [Errno 111] "
    "Connection refused\")': /simple/monai/",
    "ERROR: Could not find a version that satisfies the requirement monai>=1.4 (from versions: none)",
    "ERROR: No matching distribution found for monai>=1.4",
]


@pytest.mark.parametrize(
    ("printed", "code"),
    [
        (OFFLINE, "no_connection"),
        (["[Errno -3] Temporary failure in name resolution"], "no_connection"),
        (["socket.gaierror: [Errno 11001] getaddrinfo failed"], "no_connection"),
        (["SSLError(SSLCertVerificationError(1, '[SSL: CERTIFICATE_VERIFY_FAILED]"], "certificate"),
        (["ProxyError('Cannot connect to proxy.', OSError('Tunnel connection failed: 407"], "proxy"),
        (["ERROR: Could not install due to an OSError: [Errno 28] No space left on device"], "disk_full"),
        (["OSError: [WinError 112] There is not enough space on the disk"], "disk_full"),
        (["PermissionError: [WinError 5] Access is denied: '...\\\\torch_cpu.dll'"], "files_in_use"),
        (["OSError: [WinError 206] The filename or extension is too long"], "path_too_long"),
        (["[Errno 13] Permission denied: 'Slicer/lib/Python'"], "folder_protected"),
        (["error: uninstall-no-record-file"], "remains"),
        (["File 'light_the_torch/_patch.py'", "TypeError: build_source()"], "light_the_torch"),
        (["ERROR: ResolutionImpossible: for help visit"], "conflict"),
        (["ERROR: No matching distribution found for torch>=2.3"], "no_build"),
        (["zipfile.BadZipFile: File is not a zip file"], "damaged_download"),
        (["error: something new"], "failed"),
    ],
)
def test_a_failure_is_explained_with_what_to_do_and_the_log(printed, code):
    world = World()
    world.message["monai"] = printed
    world.fails["monai"] = subprocess.CalledProcessError(1, ["PythonSlicer", "-m", "pip", "install", "monai"])
    with pytest.raises(InstallError) as caught:
        world.run()
    assert caught.value.parameters == {"packages": "safetensors, monai, deepbet"}
    assert caught.value.code == f"install_{code}" and caught.value.remedy
    assert printed[-1] in caught.value.log and printed[-1] in world.log
    assert "deepbet" not in world.installed
    del world.fails["monai"]
    assert world.run() is True  # once the cause is gone, it goes on where it stopped
    assert world.calls[-1]["without"] == ["monai>=1.4", "deepbet==1.0.2"]
    assert [call for call in world.calls if "torch" in call] == world.calls[:1]


def test_pytorch_that_fails_is_explained_too():
    world = World()
    world.message["torch"], world.fails["torch"] = ["[Errno 28] No space left on device"], RuntimeError("failed")
    with pytest.raises(InstallError) as caught:
        world.run()
    assert (caught.value.code, caught.value.parameters) == ("install_disk_full", {"packages": "PyTorch"})
    with raises(InstallError, "install_no_extension"):
        world.run(torch_logic=lambda: (_ for _ in ()).throw(ModuleNotFoundError("PyTorchUtils")))


def test_trouble_with_an_earlier_package_does_not_explain_a_later_one():
    world = World()
    world.message["torch"] = [OFFLINE[0], "Successfully installed torch"]
    world.message["monai"], world.fails["monai"] = ["[Errno 28] No space left on device"], RuntimeError("failed")
    with raises(InstallError, "install_disk_full"):
        world.run()


def test_a_changed_package_of_slicers_own_is_noticed():
    world = World()
    world.changes = {"numpy": "1.26.4"}
    with raises(InstallError, "install_changed_slicer") as caught:
        world.run()
    assert caught.value.parameters == {"changes": "numpy 2.4.6 → 1.26.4", "repair": "numpy==2.4.6"}


def test_success_without_an_effect_is_noticed():
    world = World()
    with raises(InstallError, "install_without_effect") as caught:
        world.run(pip=lambda requirements, without_dependencies, file: world.installed.update(safetensors="0.8.0"))
    assert caught.value.parameters == {"packages": "monai>=1.4, deepbet==1.0.2"}


def test_nothing_is_installed_in_tests_or_twice_at_once():
    world = World()
    with pytest.raises(InstallError) as caught:
        world.run(testing=lambda: True)
    assert caught.value.code == "install_in_tests" and world.calls == []
    installer = world.installer()
    refused = []

    def click_again(line):
        try:
            installer.install(installer.missing(), print)
        except InstallError as error:
            refused.append(error.code)

    installer.install(installer.missing(), click_again)
    assert set(refused) == {"install_running"}
    assert len(world.calls) == 2


# Slicer's own functions, as they are declared.


def test_slicer_5_12_is_asked_through_its_packaging_module(slicer):
    file = Path("c.txt")
    installer_module._slicer_pip(["safetensors>=0.4"], [], file)
    installer_module._slicer_pip(["safetensors>=0.4"], ["monai>=1.4"], file)
    assert slicer.calls == [
        ("pip_install", ["safetensors>=0.4"], None, file, True, "MedAD"),
        ("pip_install", ["safetensors>=0.4"], ["monai>=1.4"], file, True, "MedAD"),
    ]


def test_older_slicers_are_asked_through_pip_install(slicer, monkeypatch):
    monkeypatch.setitem(sys.modules, "slicer.packaging", None)
    file = Path("folder with spaces") / "c.txt"
    installer_module._slicer_pip(["safetensors>=0.4"], ["monai>=1.4"], file)
    assert slicer.calls == [
        ("util.pip_install", ["monai>=1.4", "--no-deps", "--constraint", str(file)]),
        ("util.pip_install", ["safetensors>=0.4", "--constraint", str(file)]),
    ]
    slicer.calls.clear()
    installer_module._slicer_pip(["safetensors>=0.4"], [], file)
    assert slicer.calls == [("util.pip_install", ["safetensors>=0.4", "--constraint", str(file)])]


def test_the_real_pip_install_of_slicer_takes_the_list(monkeypatch):
    util = pytest.importorskip("slicer.util")
    ran = []
    monkeypatch.setattr(util, "_executePythonModule", lambda module, arguments: ran.append((module, arguments)))
    monkeypatch.setitem(sys.modules, "slicer.packaging", None)
    installer_module._slicer_pip(["safetensors>=0.4"], ["monai>=1.4"], Path("c.txt"))
    assert ran == [
        ("pip", ("install", "monai>=1.4", "--no-deps", "--constraint", "c.txt")),
        ("pip", ("install", "safetensors>=0.4", "--constraint", "c.txt")),
    ]


def test_defaults_ask_the_slicer_that_runs(slicer, monkeypatch):
    assert installer_module._slicer_extensions() == "model" and installer_module._slicer_testing() is False
    slicer.app = SimpleNamespace()
    assert installer_module._slicer_extensions() is None
    monkeypatch.setitem(sys.modules, "PyTorchUtils", None)
    with pytest.raises(ImportError):
        installer_module._slicer_torch_logic()
    assert list(inspect.signature(SlicerInstaller).parameters.values())[0].default is None
