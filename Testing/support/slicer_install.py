"""Stand-ins for what installs packages in Slicer, with the signatures of several versions, and what they carry."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from urllib.parse import urlparse
from urllib.request import url2pathname

import pytest

from MedADLib.slicer.install.installer import SlicerInstaller
from MedADLib.slicer.install.packages import Computer

SLICER_5_12 = {"numpy": "2.4.6", "scipy": "1.17.1", "SimpleITK": "2.5.5", "pydicom": "3.0.2", "pip": "25.3"}
SLICER_5_8 = {"numpy": "1.26.4", "scipy": "1.13.1", "SimpleITK": "2.3.1", "pydicom": "2.4.4", "pip": "24.0"}
OURS = {"safetensors": "0.8.0", "monai": "1.6.1", "deepbet": "1.0.2"}


class World:
    """A computer with a Slicer: what is installed, and stand-ins that install."""

    def __init__(self, installed=SLICER_5_12, system="Linux", extension=True):
        self.installed = dict(installed)
        self.extension, self.system = extension, system
        self.calls, self.log, self.loaded, self.torch_version = [], [], set(), "2.9.1+cu128"
        self.says, self.fails, self.changes = {}, {}, {}
        self.damage, self.settings, self.trouble, self.loads = {}, {}, "", 0

    def installer(self, **replaced):
        damage = lambda name: self.damage.get(name, "")  # noqa: E731
        computer = Computer(self.installed.get, lambda name: self.extension, self.system, "x86_64", False, damage)
        parts = {
            "pip": self.pip,
            "load": self.load,
            "settings": SimpleNamespace(value=self.settings.get, setValue=self.settings.__setitem__),
            "delete": self.delete,
            "torch_logic": lambda: self,
            "extensions": lambda: self,
            "testing": lambda: False,
            "loaded": self.loaded.__contains__,
        }
        return SlicerInstaller(computer=computer, **parts | replaced)

    def run(self, **replaced):
        installer = self.installer(**replaced)
        return installer.install(installer.missing(), self.log.append)

    def load(self):
        self.loads += 1
        return self.trouble

    def delete(self, name):
        self.calls.append({"delete": name})
        self.installed.pop(name, None)
        self.damage.pop(name, None)
        self.trouble = ""

    def _do(self, names, versions):
        self.calls[-1]["environment"] = {key: os.environ.get(key) for key in ("PIP_CONSTRAINT", "PIP_PROGRESS_BAR")}
        for name, version in zip(names, versions):
            for line in self.says.get(name, [f"Successfully installed {name}"]):
                print(line)
            if name in self.fails:
                raise self.fails[name]
            self.installed[name] = version
        self.installed.update(self.changes)

    def pip(self, requirements, without_dependencies, constraints_file):
        text = constraints_file.read_text(encoding="utf-8")
        self.calls.append({"pip": requirements, "without": without_dependencies, "constraints": text})
        names = [re.match(r"[a-z]+", each).group() for each in (*without_dependencies, *requirements)]
        self._do(names, [OURS[name] for name in names])

    def installTorch(
        self,
        askConfirmation=False,
        forceComputationBackend=None,
        torchVersionRequirement=None,
        torchvisionVersionRequirement=None,
    ):
        self.calls.append({"torch": torchVersionRequirement, "asks": askConfirmation})
        file = Path(url2pathname(urlparse(os.environ["PIP_CONSTRAINT"]).path))
        self.calls[-1]["constraints"] = file.read_text(encoding="utf-8")
        self._do(["torch"], [self.torch_version])
        return SimpleNamespace(__version__=self.torch_version)

    interactive = True

    def installExtensionFromServer(self, extensionName, restart=True, update=False):
        self.calls.append({"extension": extensionName, "restart": restart, "interactive": self.interactive})
        return "extension" not in self.fails


@pytest.fixture
def slicer(monkeypatch):
    """A Slicer of 5.12 whose functions record their arguments."""
    calls = []

    def pip_install(
        requirements,
        constraints=None,
        no_deps_requirements=None,
        skip_packages=None,
        blocking=True,
        show_progress=True,
        requester=None,
        logCallback=None,
        completedCallback=None,
    ):
        assert requirements and not show_progress
        calls.append(("pip_install", requirements, no_deps_requirements, constraints, blocking, requester))

    def old_pip_install(requirements):
        calls.append(("util.pip_install", requirements))

    fake = ModuleType("slicer")
    fake.packaging = ModuleType("slicer.packaging")
    fake.packaging.pip_install = pip_install
    fake.util = SimpleNamespace(pip_install=old_pip_install)
    fake.app = SimpleNamespace(testingEnabled=lambda: False, extensionsManagerModel=lambda: "model")
    monkeypatch.setitem(sys.modules, "slicer", fake)
    monkeypatch.setitem(sys.modules, "slicer.packaging", fake.packaging)
    fake.calls = calls
    return fake
