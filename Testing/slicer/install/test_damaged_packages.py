"""Packages that an interrupted installation left behind: each kind is recognised without an import, and gives way."""

from __future__ import annotations

import os
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

from MedADLib.messages import Message
from MedADLib.slicer.install import packages
from MedADLib.slicer.install.packages import Computer, damage, missing, remove

FILES = {
    "functorch/__init__.py": "f",
    "torch/__init__.py": "import torchgen",
    "torch/version.py": "v",
    "torch/_C.cp312-win_amd64.pyd": "C" * 50,
    "torch/lib/torch_cpu.dll": "L" * 5000,
    "torch/nn/__init__.py": "n",
    "torchgen/__init__.py": "g",
}
TOO_LONG = "x" * 300


def contents(version, more=()):
    """A wheel's files by name, in the order of the real one, where metadata and licences lie between the packages."""
    info = f"torch-{version}.dist-info"
    wheel = "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    metadata = f"Metadata-Version: 2.1\nName: torch\nVersion: {version}\n"
    last = {f"{info}/METADATA": metadata, f"{info}/WHEEL": wheel}
    licences = {f"{info}/licenses/{name}": "licence" for name in more}
    before = {name: text for name, text in FILES.items() if not name.startswith("torchgen")}
    found = before | licences | {name: text for name, text in FILES.items() if name not in before} | last
    record = "".join(f"{name},sha256=x,{len(text)}\n" for name, text in found.items())
    return found | {f"{info}/RECORD": f"{record}{info}/RECORD,,\n"}


@pytest.fixture
def site(tmp_path):
    """A folder of packages with an intact torch."""
    for name, text in contents("2.12.1").items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def take_away(site, *names):
    for name in names:
        for path in sorted((site / name).rglob("*"), reverse=True) if (site / name).is_dir() else ():
            path.rmdir() if path.is_dir() else path.unlink()
        (site / name).rmdir() if (site / name).is_dir() else (site / name).unlink()


INFO = "torch-2.12.1.dist-info"


NO_METADATA = Message("package_without_metadata")


@pytest.mark.parametrize(
    ("gone", "problem"),
    [
        (["torch"], Message("package_file_missing", file="torch/__init__.py")),
        (["torchgen"], Message("package_file_missing", file="torchgen/__init__.py")),
        (["torch/version.py"], Message("package_file_missing", file="torch/version.py")),
        (["torch/lib/torch_cpu.dll"], Message("package_file_missing", file="torch/lib/torch_cpu.dll")),
        (["torch/_C.cp312-win_amd64.pyd"], Message("package_file_missing", file="torch/_C.cp312-win_amd64.pyd")),
        ([f"{INFO}/RECORD"], Message("package_without_record")),
        ([f"{INFO}/METADATA"], NO_METADATA),
        ([INFO], NO_METADATA),
        ([INFO, "torch"], NO_METADATA),
    ],
    ids=lambda value: " and ".join(value) if isinstance(value, list) else value.code,
)
def test_each_kind_of_damage_is_told(site, gone, problem):
    take_away(site, *gone)
    assert damage("torch", site) == problem


def test_a_file_that_was_cut_short_is_told(site):
    (site / "torch/lib/torch_cpu.dll").write_text("L" * 4999)
    assert damage("torch", site) == Message("package_file_incomplete", file="torch/lib/torch_cpu.dll")


def test_what_is_intact_or_not_there_has_no_damage(site, tmp_path_factory):
    assert damage("torch", site) == "" and damage("monai", site) == ""
    assert damage("torch", tmp_path_factory.mktemp("empty")) == ""
    take_away(site, "torch/nn/__init__.py")  # no import of ours tells; only what every import needs is looked at
    assert damage("torch", site) == ""


def test_what_is_installed_here_is_intact():
    assert {name: damage(name) for name in packages.FOLDERS} == dict.fromkeys(packages.FOLDERS, "")


def test_only_the_damaged_package_is_deleted(site):
    (site / "torchvision").mkdir()
    (site / "torch_geometric-1.0.dist-info").mkdir()
    take_away(site, f"{INFO}/RECORD")
    remove("torch", site)
    assert sorted(path.name for path in site.iterdir()) == ["torch_geometric-1.0.dist-info", "torchvision"]
    assert damage("torch", site) == ""


@pytest.fixture
def python(tmp_path):
    """A Python without packages: its program and its folder for them."""
    venv.create(tmp_path / "python", with_pip=False)
    program = tmp_path / "python" / ("Scripts" if sys.platform == "win32" else "bin") / Path(sys.executable).name
    return program, next((tmp_path / "python").rglob("site-packages"))


def install(program, wheel):
    command = [sys.executable, "-m", "pip", "--python", program, "install", "--no-index", wheel]
    environment = os.environ | {"PIP_CONFIG_FILE": os.devnull, "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def test_what_a_real_pip_leaves_behind_is_recognised_and_gives_way(python, tmp_path):
    """A licence file with a path that the system does not allow, as in torch 2.13 on Windows."""
    program, site = python
    wheels = []
    for version, more in (("2.13.0", [TOO_LONG]), ("2.12.1", [])):
        wheels.append(tmp_path / f"torch-{version}-py3-none-any.whl")
        with zipfile.ZipFile(wheels[-1], "w") as file:
            for name, text in contents(version, more).items():
                file.writestr(name, text)
    assert install(program, wheels[0]).returncode != 0
    assert (site / "torch" / "__init__.py").is_file() and not (site / "torchgen").exists()
    assert damage("torch", site) == NO_METADATA
    remove("torch", site)
    done = install(program, wheels[1])
    assert done.returncode == 0, done.stdout + done.stderr
    assert damage("torch", site) == "" and (site / "torchgen" / "__init__.py").is_file()


def test_a_half_installed_pytorch_is_missing_and_nothing_is_imported(site, monkeypatch):
    monkeypatch.setattr(packages, "site_packages", lambda: site)
    monkeypatch.syspath_prepend(str(site))
    before = set(sys.modules)
    computer = Computer(importable=lambda name: True, system="Linux", nvidia=False)
    assert computer.version("torch") == "2.12.1"
    assert "torch" not in [package.name for package in missing(computer)]
    take_away(site, f"{INFO}/METADATA", "torchgen")
    (lacking,) = (package for package in missing(computer) if package.name == "torch")
    assert lacking.damage == NO_METADATA
    assert not {"torchgen", "functorch"} & (set(sys.modules) - before)
