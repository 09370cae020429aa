"""Fakes of what installs Python packages in Slicer, and of the modules of other extensions that MedAD uses."""

from __future__ import annotations

import re
import subprocess
import types
from pathlib import Path
from typing import Any

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from . import dialogs

OPTIONS = {
    *("constraints", "no_deps_requirements", "skip_packages", "blocking", "show_progress", "requester", "parent"),
    *("logCallback", "completedCallback"),
}


class Packages:
    """Records what is installed; the test says what is missing and what comes of it.

    Attributes:
        installs: What was done: ("pip", requirements, options), ("torch", requirement, options) and so on.
        missing: Names of packages that pip_check and pip_ensure take for missing.
        outcome: None if installing works, an exception if it fails, or a function called with the requirements.
        pytorch_extension: Whether the PyTorch extension (the module PyTorchUtils) is there.
        packaging: Whether there is a slicer.packaging.
        torch: What installTorch gives: a module, None where the user refuses, or an exception to raise.
        torch_installed: What torchInstalled() says.
        sample_data: Arguments of every registerCustomSampleDataSource.
    """

    def __init__(self):
        self.installs: list[tuple[str, Any, dict]] = []
        self.missing: set[str] = set()
        self.outcome: Any = None
        self.pytorch_extension = True
        self.packaging = True
        self.torch: Any = types.ModuleType("torch")
        self.torch_installed = True
        self.sample_data: list[dict] = []

    def pip_install(self, requirements: Any, **options: Any) -> None:
        """Install, as far as the test lets it.

        Raises:
            TypeError: If Slicer's has no such option.
            ValueError: If options exclude each other.
        """
        if unknown := sorted(set(options) - OPTIONS):
            raise TypeError(f"pip_install() got an unexpected keyword argument '{unknown[0]}'")
        if options.get("skip_packages") is not None and options.get("no_deps_requirements") is not None:
            raise ValueError("skip_packages and no_deps_requirements are mutually exclusive")
        if not requirements:
            # Slicer runs `pip install` with nothing to install, also where there are no_deps_requirements.
            raise self.failure()
        self.installs.append(("pip", requirements, options))
        if callable(self.outcome) and not isinstance(self.outcome, BaseException):
            self.outcome([*as_list(options.get("no_deps_requirements")), *as_list(requirements)])
        elif self.outcome is not None:
            raise self.outcome
        self.missing -= {name_of(entry) for entry in as_list(requirements)}
        self.missing -= {name_of(entry) for entry in as_list(options.get("no_deps_requirements"))}

    def pip_check(self, requirements: Any) -> bool:
        """Whether all is there.

        Raises:
            TypeError: If it is neither a text nor a list.
            packaging.requirements.InvalidRequirement: If one of them is none, such as a flag of pip.
        """
        return not self.missing & {canonicalize_name(entry.name) for entry in parsed(requirements)}

    def pip_ensure(
        self,
        requirements: Any,
        constraints: Any = None,
        skip_packages: Any = None,
        prompt_install: bool = True,
        prompt_restart: bool = True,
        requester: str | None = None,
        skip_in_testing: bool = True,
        show_progress: bool = True,
    ) -> None:
        """Ask and install what is missing, and nothing else."""
        wanted = [entry for entry in parsed(requirements) if not self.pip_check([entry])]
        if not wanted or (skip_in_testing and dialogs.current().testing):
            return
        names = "\n".join(f"- {entry}" for entry in wanted)
        if prompt_install:
            text = f"{len(wanted)} Python packages need to be installed. Continue?\n{names}"
            if not dialogs.is_positive(dialogs.current().ask("question", text, True)):
                raise RuntimeError("User declined package installation")
        self.pip_install(
            [str(entry) for entry in wanted],
            constraints=constraints,
            skip_packages=skip_packages,
            blocking=True,
            show_progress=show_progress,
            requester=requester,
        )

    def modules(self) -> dict[str, types.ModuleType]:
        """The modules to be imported, by name."""
        packaging = types.ModuleType("slicer.packaging")
        packaging.pip_install = self.pip_install
        packaging.pip_check = self.pip_check
        packaging.pip_ensure = self.pip_ensure
        packaging.load_requirements = load_requirements
        sample_data = types.ModuleType("SampleData")
        sample_data.SampleDataLogic = type("SampleDataLogic", (_SampleDataLogic,), {"_packages": self})
        found = {"SampleData": sample_data}
        if self.packaging:
            found["slicer.packaging"] = packaging
        if self.pytorch_extension:
            torch = types.ModuleType("PyTorchUtils")
            torch.PyTorchUtilsLogic = type("PyTorchUtilsLogic", (_PyTorchUtilsLogic,), {"_packages": self})
            found["PyTorchUtils"] = torch
        return found

    @staticmethod
    def failure() -> subprocess.CalledProcessError:
        """What pip_install raises where pip fails."""
        return subprocess.CalledProcessError(1, ["PythonSlicer", "-m", "pip", "install"])


class _PyTorchUtilsLogic:
    _packages: Packages

    def torchInstalled(self):
        return self._packages.torch_installed

    def installTorch(
        self,
        askConfirmation=False,
        forceComputationBackend=None,
        torchVersionRequirement=None,
        torchvisionVersionRequirement=None,
    ):
        options = {"askConfirmation": askConfirmation, "forceComputationBackend": forceComputationBackend}
        self._packages.installs.append(("torch", torchVersionRequirement, options))
        if askConfirmation and not dialogs.current().testing:
            answer = dialogs.current().ask("question", "PyTorch will be downloaded and installed. Continue?", False)
            if not dialogs.is_positive(answer):
                return None
        if isinstance(self._packages.torch, BaseException):
            raise self._packages.torch
        self._packages.torch_installed = self._packages.torch is not None
        self._packages.missing.discard("torch")
        return self._packages.torch

    @property
    def torch(self):
        """The module torch, which is installed without a question if it is not there."""
        return self._packages.torch if self._packages.torch_installed else self.installTorch()


class _SampleDataLogic:
    _packages: Packages

    @classmethod
    def registerCustomSampleDataSource(
        cls,
        category="Custom",
        sampleName=None,
        uris=None,
        fileNames=None,
        nodeNames=None,
        customDownloader=None,
        thumbnailFileName=None,
        loadFileTypes=None,
        loadFiles=None,
        loadFileProperties=None,
        checksums=None,
        loadFileType=None,
    ):
        given = {name: value for name, value in locals().items() if name != "cls" and value is not None}
        if loadFileType is not None and loadFileTypes is not None:
            raise ValueError("loadFileType and loadFileTypes cannot be specified at the same time")
        if isinstance(uris, (list, tuple)):
            # A text, for once, is for all of them.
            kinds = loadFileTypes if isinstance(loadFileTypes, (list, tuple)) else [loadFileTypes] * len(uris)
            optional = [[None] * len(uris) if each is None else each for each in (nodeNames, loadFiles, checksums)]
            if any(len(each) != len(uris) for each in (fileNames, kinds, *optional)):
                raise ValueError("All fields of sample data source must have the same length")
        elif not isinstance(uris, str):
            raise TypeError(f"object of type '{type(uris).__name__}' has no len()")
        cls._packages.sample_data.append(given)


def load_requirements(path: Any) -> list[Requirement]:
    """The requirements of a file, without its comments and pip's options."""
    lines = [line.strip() for line in Path(path).read_text(encoding="utf-8").splitlines()]
    return [Requirement(line) for line in lines if line and line[0] not in "#-"]


def parsed(requirements: Any) -> list[Requirement]:
    """What Slicer makes of requirements.

    Raises:
        TypeError: If it is neither a text, a requirement nor a list.
        packaging.requirements.InvalidRequirement: If one of them is none.
    """
    if isinstance(requirements, Requirement):
        return [requirements]
    if isinstance(requirements, str):
        try:
            return [Requirement(requirements)]
        except InvalidRequirement:
            return [Requirement(part) for part in requirements.split()]
    if isinstance(requirements, list):
        return [Requirement(entry) if isinstance(entry, str) else entry for entry in requirements]
    raise TypeError(f"Expected str, Requirement, or list, got {type(requirements).__name__}")


def as_list(requirements: Any) -> list:
    """One requirement, many, or a command line, as a list."""
    if requirements is None:
        return []
    return requirements.split() if isinstance(requirements, str) else list(requirements)


def name_of(requirement: Any) -> str:
    """The package that a requirement names."""
    return re.split(r"[\s\[<>=!~;]", str(requirement), maxsplit=1)[0].lower()
