"""Which Python packages MedAD needs inside Slicer, what for, how large they are, and which of them are missing.

Nothing is imported to find out: the metadata of what is installed says it in milliseconds. Slicer's own numpy and
SimpleITK are taken as they are; whatever is installed must fit them, never the other way round.
"""

from __future__ import annotations

import importlib
import platform
import re
import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from importlib import metadata, util
from typing import NamedTuple

from .errors import MedADError

# Slicer's own packages, which an installation must leave as they are.
SLICERS_OWN = ("numpy", "scipy", "SimpleITK", "pydicom")
EXTENSION = "PyTorch extension"


class InstallError(MedADError):
    """Packages that could not be installed; `log` has the last lines of what the installation said."""

    def __init__(self, problem: str, remedy: str = "", log: Iterable[str] = ()):
        """Add the end of the log to problem and remedy."""
        super().__init__(problem, remedy)
        self.log = tuple(log)[-30:]


class Package(NamedTuple):
    """Something to install.

    Attributes:
        name: As pip knows it; `EXTENSION` is an extension of Slicer.
        purpose: What MedAD does with it, in words.
        size_mb: About how much it takes on disk.
        requirement: For pip; empty for the extension.
    """

    name: str
    purpose: str
    size_mb: int
    requirement: str


def installed_version(name: str) -> str | None:
    """The version of an installed package, without importing it; None where there is none."""
    importlib.invalidate_caches()
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


@dataclass(frozen=True)
class Computer:
    """What decides which packages fit.

    Attributes:
        version: Version of an installed package by name, None where it is missing.
        importable: Whether a module can be found, without importing it.
        system: As `platform.system` says.
        machine: As `platform.machine` says.
        nvidia: Whether there is an NVIDIA driver; then PyTorch comes with CUDA.
    """

    version: Callable[[str], str | None] = installed_version
    importable: Callable[[str], bool] = lambda name: util.find_spec(name) is not None
    system: str = field(default_factory=platform.system)
    machine: str = field(default_factory=platform.machine)
    nvidia: bool = field(default_factory=lambda: shutil.which("nvidia-smi") is not None)

    @property
    def intel_mac(self) -> bool:
        """Whether this is macOS on x86-64, for which PyTorch ended with 2.2; Slicer under Rosetta counts."""
        return self.system == "Darwin" and self.machine == "x86_64"


def needed(computer: Computer) -> list[Package]:
    """All that MedAD needs on this computer, in the order in which it has to be installed.

    Raises:
        InstallError: If no PyTorch fits this computer and Slicer.
    """
    gigantic = computer.nvidia and computer.system != "Darwin"
    return [
        Package("torch", "runs the neural networks of the models", 6000 if gigantic else 700, _torch(computer)),
        Package("safetensors", "reads model files safely", 2, "safetensors>=0.4"),
        Package("monai", "building blocks of the neural networks", 10, _monai(computer)),
        # Only the networks of this release are known to us by their hashes.
        Package("deepbet", "cuts the brain out of scans that show the skull", 18, "deepbet==1.0.2"),
    ]


def missing(computer: Computer) -> list[Package]:
    """What is not there, or of a version that does not fit; the PyTorch extension first if PyTorch needs it.

    Raises:
        InstallError: If no PyTorch fits this computer and Slicer.
    """
    lacking = [package for package in needed(computer) if not satisfied(package.requirement, computer)]
    if lacking and lacking[0].name == "torch" and not computer.importable("PyTorchUtils"):
        lacking.insert(0, Package(EXTENSION, "picks the build of PyTorch that fits this computer", 1, ""))
    return lacking


def satisfied(requirement: str, computer: Computer) -> bool:
    """Whether an installed package meets a requirement such as ``torch>=2.2,<2.3``."""
    name, conditions = re.fullmatch(r"([\w-]+)(.*)", requirement).groups()
    version = computer.version(name)
    return version is not None and all(
        _compares(version, *re.fullmatch(r"(>=|<|==)(.+)", condition).groups()) for condition in conditions.split(",")
    )


def constraints(computer: Computer, but: str = "") -> str:
    """A constraints file for pip that keeps Slicer's own packages, and PyTorch once it is there, as they are.

    Args:
        computer: Where.
        but: A package that may change.
    """
    kept = {name: computer.version(name) for name in (*SLICERS_OWN, "torch") if name != but}
    return "".join(f"{name}=={version}\n" for name, version in kept.items() if version)


def plan_text(packages: Iterable[Package]) -> str:
    """What the one dialog before an installation says: what, how large, why and where to."""
    packages = list(packages)
    # No columns: message boxes have proportional fonts.
    rows = [f"• {package.name} ({size_text(package.size_mb)}): {package.purpose}" for package in packages]
    total = size_text(sum(package.size_mb for package in packages))
    lines = [
        "MedAD needs these packages, which are not in Slicer yet:",
        "",
        *rows,
        "",
        f"Together about {total} on disk. They are downloaded and installed into Slicer's own Python; this takes some "
        "minutes, and Slicer may have to restart once. What Slicer has already stays as it is.",
        "Scans and results stay on this computer; nothing is uploaded.",
    ]
    return "\n".join(lines)


def size_text(size_mb: float) -> str:
    """A size in MB or GB, for people."""
    return f"{size_mb / 1000:.1f} GB" if size_mb >= 1000 else f"{size_mb:.0f} MB"


def _torch(computer: Computer) -> str:
    numpy_2 = not satisfied("numpy<2", computer) and computer.version("numpy") is not None
    if not computer.intel_mac:
        # Earlier ones cannot exchange arrays with numpy 2.
        return "torch>=2.3" if numpy_2 else "torch>=2.2"
    if numpy_2:
        raise InstallError(
            "MedAD cannot run in this Slicer for Intel Macs: the last PyTorch for them, 2.2, cannot work with the "
            f"numpy {computer.version('numpy')} that Slicer has",
            "Use a Slicer for Apple silicon, or another computer.",
        )
    return "torch>=2.2,<2.3"


def _monai(computer: Computer) -> str:
    """The MONAI that fits PyTorch: it is installed without its dependencies, so nobody else looks."""
    if satisfied("torch<2.4.1", computer) or (computer.intel_mac and computer.version("torch") is None):
        return "monai>=1.4,<1.5"
    return "monai>=1.4,<1.6" if satisfied("torch<2.8", computer) else "monai>=1.4"


def _compares(version: str, operator: str, other: str) -> bool:
    left, right = _release(version), _release(other)
    width = max(len(left), len(right))
    left, right = (part + (0,) * (width - len(part)) for part in (left, right))
    return {">=": left >= right, "<": left < right, "==": left == right}[operator]


def _release(version: str) -> tuple[int, ...]:
    """The numbers of a version: (2, 13, 0) of ``2.13.0+cu130``; a release candidate counts as its release."""
    return tuple(int(number) for number in re.match(r"\d+(?:\.\d+)*", version).group().split("."))
