"""The Python packages that MedAD needs inside Slicer, and why an installation failed.

Which Python packages MedAD needs inside Slicer, what for, how large they are, and which of them are missing.

Nothing is imported to find out: the metadata of what is installed says it in milliseconds, and so does a package that
an interrupted installation left incomplete. Slicer's own numpy and SimpleITK are taken as they are; whatever is
installed must fit them, never the other way round.

What went wrong in an installation, told from what pip said, and what to do about it.
"""

from __future__ import annotations

import importlib
import platform
import re
import shutil
import sysconfig
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, field, replace
from importlib import metadata, util
from pathlib import Path
from typing import NamedTuple

from ...errors import MedADError
from ...runtime.versions import installed_version

# Slicer's own packages, which an installation must leave as they are.
SLICERS_OWN = ("numpy", "scipy", "SimpleITK", "pydicom")
EXTENSION = "PyTorch extension"
# The folders that each package makes.
FOLDERS = {
    "torch": ("torch", "torchgen", "functorch"),
    "safetensors": ("safetensors",),
    "monai": ("monai",),
    "deepbet": ("deepbet",),
}
# What no import can do without, in the list of a package's files, with its size there.
_ESSENTIAL = re.compile(
    r"^([^/,\"]+/(?:__init__|version)\.py|[^,\"]+\.(?:so(?:\.\d+)*|dylib|dll|pyd)),[^,]*,(\d*)$", re.MULTILINE
)

OFFLINE = (
    "On a computer with internet and the same system and Python version, run 'pip download --no-deps' for each package "
    "into a folder; bring the folder here and run 'PythonSlicer -m pip install --no-index --no-deps --find-links "
    "FOLDER' with the packages"
)

# The first that matches counts, so causes come before their consequences.
_CAUSES: tuple[tuple[str, str, str], ...] = (
    (
        r"No space left on device|Errno 28\b|WinError 112\b|not enough space on the disk",
        "the disk is full",
        "Free some space on the disk that has Slicer and on that of temporary files, then run again.",
    ),
    (
        r"CERTIFICATE_VERIFY_FAILED|SSLCertVerificationError",
        "the package server's certificate was not accepted, as happens behind a firewall that reads the traffic",
        f"Ask your IT for the certificate or proxy to set (PIP_CERT, HTTPS_PROXY). Or install offline. {OFFLINE}.",
    ),
    (
        r"ProxyError|Tunnel connection failed|407 Proxy",
        "the proxy server did not let the download through",
        f"Set HTTPS_PROXY as your IT says and start Slicer again. Or install offline. {OFFLINE}.",
    ),
    (
        r"NewConnectionError|NameResolutionError|Failed to establish a new connection|name resolution|getaddrinfo"
        r"|ConnectTimeout|ReadTimeout|Read timed out|Connection refused|Network is unreachable|Connection aborted"
        r"|Connection broken|ConnectionResetError|RemoteDisconnected|Max retries exceeded",
        "there is no connection to the package server",
        f"Connect to the internet and run again. Or install offline. {OFFLINE}.",
    ),
    (
        r"WinError 5\b|WinError 32\b|being used by another process",
        "files of a package are in use",
        "Restart Slicer, and run MedAD before any other module.",
    ),
    (
        r"WinError 206\b|[Ll]ong [Pp]ath",
        "the path of a file is too long for Windows",
        "Enable long paths in Windows, or install Slicer into a folder with a short path.",
    ),
    (
        r"Permission denied|Errno 13\b|Read-only file system|Errno 30\b",
        "Slicer's folder cannot be written",
        "Install Slicer into a folder of your own, or start it once with the rights of an administrator.",
    ),
    (
        r"uninstall-no-record-file|no RECORD file was found",
        "an earlier installation of a package was interrupted, and pip cannot replace what is left of it",
        "Delete the folders of the package that the log names from Slicer's site-packages, or install Slicer again.",
    ),
    (
        # Seen with light-the-torch 0.8.1, which knows pip 23.2 but not 24.0 and later.
        r"light_the_torch[\s\S]*(TypeError|ImportError|AttributeError)",
        "the PyTorch extension's installer (light-the-torch) does not work with this Slicer's pip",
        "Update the PyTorch extension in the Extension Manager. If it is up to date, install PyTorch in Slicer's "
        "Python console by slicer.util.pip_install('torch>=2.3'), then run again.",
    ),
    (
        r"ResolutionImpossible|conflicting dependencies|Cannot install .* because",
        "the packages do not fit what Slicer has",
        "Update Slicer and MedAD. If other extensions brought packages of their own, try in a fresh Slicer.",
    ),
    (
        r"No matching distribution found|Could not find a version that satisfies|not a supported wheel",
        "no build of a package fits this computer and Slicer's Python",
        f"Is there an internet connection? If so, update Slicer and MedAD. Without one: {OFFLINE}.",
    ),
    (
        r"HASHES|IncompleteRead|invalid wheel|BadZipFile|CRC-32",
        "a download was damaged",
        "Run again.",
    ),
)


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
        damage: What is wrong with the one that is there and has to be replaced, in words; empty if there is none.
    """

    name: str
    purpose: str
    size_mb: int
    requirement: str
    damage: str = ""


def site_packages() -> Path:
    """The folder into which pip installs."""
    return Path(sysconfig.get_path("purelib"))


def damage(name: str, folder: Path | None = None) -> str:
    """Find out what a package lacks after an installation that was interrupted, without importing it.

    pip writes the files in the order of the wheel, most often metadata last, and removes nothing when it fails.

    Args:
        name: One of `FOLDERS`.
        folder: Where packages are installed; None for that of this Python.

    Returns:
        What is missing, in words; empty if the package is intact or not there at all.
    """
    folder = folder or site_packages()
    importlib.invalidate_caches()
    found = list(metadata.distributions(name=name, path=[str(folder)]))
    if not found:
        return "its metadata is missing" if any((folder / each).is_dir() for each in FOLDERS[name]) else ""
    problems = [_incomplete(each) for each in found]
    return "" if "" in problems else problems[0]


def _incomplete(found: metadata.Distribution) -> str:
    if not found.read_text("METADATA"):
        return "its metadata is missing"
    record = found.read_text("RECORD")
    if not record:
        return "the list of its files is missing"
    for name, size in _ESSENTIAL.findall(record):
        file = Path(found.locate_file(name))
        if not file.is_file():
            return f"{name} is missing"
        if size and file.stat().st_size < int(size):
            return f"{name} is incomplete"
    return ""


def trace(name: str) -> str:
    """Tell one installation of a package from every other: its version, and time and place of its first file."""
    importlib.invalidate_caches()
    for found in metadata.distributions(name=name):
        if found.read_text("METADATA"):
            first = Path(found.locate_file(f"{name}/__init__.py"))
            return f"{found.version} {first.stat().st_mtime_ns if first.is_file() else 0} {first}"
    return ""


def remove(name: str, folder: Path | None = None) -> None:
    """Delete a damaged package, because pip does not replace it.

    pip takes a package with metadata for installed, and refuses to uninstall one without the list of its files.

    Args:
        name: One of `FOLDERS`.
        folder: Where packages are installed; None for that of this Python.

    Raises:
        OSError: If a file is in use or may not be deleted; the folder that it is in stays as it was.
    """
    folder = folder or site_packages()
    for path in list(_remains(name, folder)):
        # As pip does: Windows renames no folder with a file in use, and Python finds no package of such a name.
        renamed = path.with_name(f"~{path.name}")
        shutil.rmtree(renamed, ignore_errors=True)
        path.rename(renamed)
        shutil.rmtree(renamed, ignore_errors=True)
    importlib.invalidate_caches()


def _remains(name: str, folder: Path) -> Iterator[Path]:
    yield from (folder / each for each in FOLDERS[name] if (folder / each).is_dir())
    yield from (path for path in folder.glob(f"{name}-*.dist-info") if path.is_dir())


@dataclass(frozen=True)
class Computer:
    """What decides which packages fit.

    Attributes:
        version: Version of an installed package by name, None where it is missing.
        importable: Whether a module can be found, without importing it.
        system: As `platform.system` says.
        machine: As `platform.machine` says.
        nvidia: Whether there is an NVIDIA driver; then PyTorch comes with CUDA.
        damage: What a package lacks after an installation that was interrupted, in words; empty if nothing.
    """

    version: Callable[[str], str | None] = installed_version
    importable: Callable[[str], bool] = lambda name: util.find_spec(name) is not None
    system: str = field(default_factory=platform.system)
    machine: str = field(default_factory=platform.machine)
    nvidia: bool = field(default_factory=lambda: shutil.which("nvidia-smi") is not None)
    damage: Callable[[str], str] = damage

    @property
    def intel_mac(self) -> bool:
        """Whether this is macOS on x86-64, for which PyTorch ended with 2.2; Slicer under Rosetta counts."""
        return self.system == "Darwin" and self.machine == "x86_64"

    def damaged(self) -> dict[str, str]:
        """What is wrong with each package of ours that is there but incomplete, in words."""
        return {name: problem for name in FOLDERS if (problem := self.damage(name))}

    def without(self, names: Collection[str]) -> Computer:
        """The same computer without some packages."""
        return replace(self, version=lambda name: None if name in names else self.version(name))


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
    """What is not there, damaged or of a version that does not fit; the PyTorch extension first if PyTorch needs it.

    Raises:
        InstallError: If no PyTorch fits this computer and Slicer.
    """
    damaged = computer.damaged()
    computer = computer.without(damaged)
    lacking = [
        package._replace(damage=damaged.get(package.name, ""))
        for package in needed(computer)
        if not satisfied(package.requirement, computer)
    ]
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


def constraints(computer: Computer) -> str:
    """A constraints file for pip that keeps Slicer's own packages, and PyTorch once it is there, as they are."""
    kept = {name: computer.version(name) for name in (*SLICERS_OWN, "torch")}
    return "".join(f"{name}=={version}\n" for name, version in kept.items() if version)


def plan_text(packages: Iterable[Package]) -> str:
    """What the one dialog before an installation says: what, how large, why and where to."""
    packages = list(packages)
    # No columns: message boxes have proportional fonts.
    rows = [f"• {each.name} ({size_text(each.size_mb)}): {each.purpose}" for each in packages]
    damaged = [
        f"The {each.name} that is there cannot be used ({each.damage}). It is deleted and installed again."
        for each in packages
        if each.damage
    ]
    total = size_text(sum(package.size_mb for package in packages))
    lines = [
        f"MedAD needs these packages, which are not in Slicer yet{' or damaged' if damaged else ''}:",
        "",
        *rows,
        *(["", *damaged] if damaged else []),
        "",
        f"Together about {total} on disk. They are downloaded and installed into Slicer's own Python; this takes some "
        "minutes, and Slicer may have to restart once. What else Slicer has stays as it is.",
        "Scans and results stay on this computer; nothing is uploaded.",
    ]
    return "\n".join(lines)


def size_text(size_mb: float) -> str:
    """A size in MB or GB, for people."""
    return f"{size_mb / 1000:.1f} GB" if size_mb >= 1000 else f"{size_mb:.0f} MB"


def _torch(computer: Computer) -> str:
    numpy_2 = not satisfied("numpy<2", computer) and computer.version("numpy") is not None
    if computer.intel_mac:
        if numpy_2:
            raise InstallError(
                "MedAD cannot run in this Slicer for Intel Macs: the last PyTorch for them, 2.2, cannot work with the "
                f"numpy {computer.version('numpy')} that Slicer has",
                "Install PyTorch in the module PyTorch Utils (extension PyTorch), which also puts numpy 1 in place of "
                "Slicer's; then restart Slicer and run again. Or use another computer.",
            )
        return "torch>=2.2,<2.3"
    # Earlier ones cannot exchange arrays with numpy 2.
    requirement = "torch>=2.3" if numpy_2 else "torch>=2.2"
    if computer.system == "Windows" and not satisfied("torch>=2.13", computer):
        # The wheel of torch 2.13 has licence files so deep in folders (167 letters) that in Slicer's site-packages
        # their paths exceed the 260 letters of Windows, and pip stops half-way (issue 176 of light-the-torch, where
        # 2.12 was installed instead). One that is there already has fitted. Those of 2.14.1 have 121 letters: lift
        # this once that was tried in Slicer.
        requirement += ",<2.13"
    return requirement


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


def explain(said: Iterable[str]) -> tuple[str, str]:
    """Problem and remedy of a failed installation.

    Args:
        said: The lines that pip wrote.
    """
    text = "\n".join(said)
    for pattern, problem, remedy in _CAUSES:
        if re.search(pattern, text):
            return problem, remedy
    return "pip failed", "See the log for what it said. Restart Slicer and run again."
