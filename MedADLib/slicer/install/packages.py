"""Python packages that MedAD needs inside Slicer: which are missing or damaged, and why an installation failed.

Nothing is imported to find out: the metadata of installed packages are enough. Slicer's own numpy and SimpleITK stay
as they are; packages to install must fit them.
"""

from __future__ import annotations

import importlib
import platform
import re
import shutil
import sysconfig
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field, replace
from importlib import metadata, util
from pathlib import Path
from typing import Any, NamedTuple

from ...errors import MedADError
from ...messages import Message, say, translated
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
# Files that every import needs, in a package's list of files, with the size there.
_ESSENTIAL = re.compile(
    r"^([^/,\"]+/(?:__init__|version)\.py|[^,\"]+\.(?:so(?:\.\d+)*|dylib|dll|pyd)),[^,]*,(\d*)$", re.MULTILINE
)

# The first that matches counts, so causes come before their consequences.
_CAUSES: tuple[tuple[str, str], ...] = (
    (r"No space left on device|Errno 28\b|WinError 112\b|not enough space on the disk", "install_disk_full"),
    (r"CERTIFICATE_VERIFY_FAILED|SSLCertVerificationError", "install_certificate"),
    (r"ProxyError|Tunnel connection failed|407 Proxy", "install_proxy"),
    (
        r"NewConnectionError|NameResolutionError|Failed to establish a new connection|name resolution|getaddrinfo"
        r"|ConnectTimeout|ReadTimeout|Read timed out|Connection refused|Network is unreachable|Connection aborted"
        r"|Connection broken|ConnectionResetError|RemoteDisconnected|Max retries exceeded",
        "install_no_connection",
    ),
    (r"WinError 5\b|WinError 32\b|being used by another process", "install_files_in_use"),
    (r"WinError 206\b|[Ll]ong [Pp]ath", "install_path_too_long"),
    (r"Permission denied|Errno 13\b|Read-only file system|Errno 30\b", "install_folder_protected"),
    (r"uninstall-no-record-file|no RECORD file was found", "install_remains"),
    (
        # Seen with light-the-torch 0.8.1, which supports pip 23.2 but not 24.0 and later.
        r"light_the_torch[\s\S]*(TypeError|ImportError|AttributeError)",
        "install_light_the_torch",
    ),
    (r"ResolutionImpossible|conflicting dependencies|Cannot install .* because", "install_conflict"),
    (
        r"No matching distribution found|Could not find a version that satisfies|not a supported wheel",
        "install_no_build",
    ),
    (r"HASHES|IncompleteRead|invalid wheel|BadZipFile|CRC-32", "install_damaged_download"),
)


class InstallError(MedADError):
    """Packages that could not be installed; `log` holds the last of the lines of output."""

    def __init__(self, code: str, lines: Iterable[str] = (), **parameters: Any):
        super().__init__(code, **parameters)
        self.log = tuple(lines)[-30:]


class Package(NamedTuple):
    """Something to install.

    Attributes:
        name: Name for pip; `EXTENSION` is an extension of Slicer.
        purpose: What MedAD uses it for, a `Message`.
        size_mb: Approximate size on disk.
        requirement: For pip; empty for the extension.
        damage: What is wrong with the installed one, which has to be replaced, a `Message`; empty if nothing is.
    """

    name: str
    purpose: str
    size_mb: int
    requirement: str
    damage: str = ""


def site_packages() -> Path:
    """Return the folder into which pip installs."""
    return Path(sysconfig.get_path("purelib"))


def damage(name: str, folder: Path | None = None) -> str:
    """Find what a package lacks after an interrupted installation, without importing it.

    pip writes the files in the order of the wheel, most often metadata last, and removes nothing when it fails.

    Args:
        name: One of `FOLDERS`.
        folder: Where packages are installed; None for that of this Python.

    Returns:
        What is missing, a `Message`; empty if the package is intact or not installed at all.
    """
    folder = folder or site_packages()
    importlib.invalidate_caches()
    found = list(metadata.distributions(name=name, path=[str(folder)]))
    if not found:
        return Message("package_without_metadata") if any((folder / each).is_dir() for each in FOLDERS[name]) else ""
    problems = [_incomplete(each) for each in found]
    return "" if "" in problems else problems[0]


def _incomplete(found: metadata.Distribution) -> str:
    if not found.read_text("METADATA"):
        return Message("package_without_metadata")
    record = found.read_text("RECORD")
    if not record:
        return Message("package_without_record")
    for name, size in _ESSENTIAL.findall(record):
        file = Path(found.locate_file(name))
        if not file.is_file():
            return Message("package_file_missing", file=name)
        if size and file.stat().st_size < int(size):
            return Message("package_file_incomplete", file=name)
    return ""


def trace(name: str) -> str:
    """Identify one installation of a package: its version, and time and path of its first file."""
    importlib.invalidate_caches()
    for found in metadata.distributions(name=name):
        if found.read_text("METADATA"):
            first = Path(found.locate_file(f"{name}/__init__.py"))
            return f"{found.version} {first.stat().st_mtime_ns if first.is_file() else 0} {first}"
    return ""


def remove(name: str, folder: Path | None = None) -> None:
    """Delete a damaged package, because pip does not replace it.

    pip regards a package with metadata as installed, and refuses to uninstall one without the list of its files.

    Args:
        name: One of `FOLDERS`.
        folder: Where packages are installed; None for that of this Python.

    Raises:
        OSError: If a file is in use or may not be deleted; the folder that it is in stays as it was.
    """
    folder = folder or site_packages()
    remains = [*(folder / each for each in FOLDERS[name]), *folder.glob(f"{name}-*.dist-info")]
    for path in filter(Path.is_dir, remains):
        # As pip does: Windows renames no folder with a file in use, and Python finds no package of such a name.
        renamed = path.with_name(f"~{path.name}")
        shutil.rmtree(renamed, ignore_errors=True)
        path.rename(renamed)
        shutil.rmtree(renamed, ignore_errors=True)
    importlib.invalidate_caches()


@dataclass(frozen=True)
class Computer:
    """Properties of a computer that decide which packages fit.

    Attributes:
        version: Version of an installed package by name, None where it is missing.
        importable: Whether a module can be found, without importing it.
        system: Result of `platform.system`.
        machine: Result of `platform.machine`.
        nvidia: Whether there is an NVIDIA driver; then PyTorch comes with CUDA.
        damage: The function `damage`, for another computer.
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
        """Return what is wrong with each incomplete package of ours, by name."""
        return {name: problem for name in FOLDERS if (problem := self.damage(name))}

    def without(self, names: Collection[str]) -> Computer:
        """Return the same computer without some packages."""
        return replace(self, version=lambda name: None if name in names else self.version(name))


def needed(computer: Computer) -> list[Package]:
    """List all packages that MedAD needs on this computer, in the order of installation.

    Raises:
        InstallError: If no PyTorch fits this computer and Slicer.
    """
    gigantic = computer.nvidia and computer.system != "Darwin"
    return [
        Package("torch", Message("purpose_torch"), 6000 if gigantic else 700, _torch(computer)),
        Package("safetensors", Message("purpose_safetensors"), 2, "safetensors>=0.4"),
        Package("monai", Message("purpose_monai"), 10, _monai(computer)),
        # The hashes of the networks that MedAD checks are those of this release.
        Package("deepbet", Message("purpose_deepbet"), 18, "deepbet==1.0.2"),
    ]


def missing(computer: Computer) -> list[Package]:
    """List what is missing, damaged or of an unfit version; the PyTorch extension first if PyTorch needs it.

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
        lacking.insert(0, Package(EXTENSION, Message("purpose_extension"), 1, ""))
    return lacking


def satisfied(requirement: str, computer: Computer) -> bool:
    """Whether an installed package meets a requirement such as ``torch>=2.2,<2.3``."""
    name, conditions = re.fullmatch(r"([\w-]+)(.*)", requirement).groups()
    version = computer.version(name)
    return version is not None and all(
        _compares(version, *re.fullmatch(r"(>=|<|==)(.+)", condition).groups()) for condition in conditions.split(",")
    )


def constraints(computer: Computer) -> str:
    """Make a constraints file for pip that keeps Slicer's own packages, and an installed PyTorch, as they are."""
    kept = {name: computer.version(name) for name in (*SLICERS_OWN, "torch")}
    return "".join(f"{name}=={version}\n" for name, version in kept.items() if version)


def plan_text(packages: Iterable[Package]) -> str:
    """Text of the question before an installation: what, how large, why and where to."""
    packages = list(packages)
    # No columns: message boxes have proportional fonts.
    rows = [f"• {each.name} ({size_text(each.size_mb)}): {translated(each.purpose)}" for each in packages]
    damaged = [say("plan_damage", name=each.name, damage=translated(each.damage)) for each in packages if each.damage]
    total = size_text(sum(package.size_mb for package in packages))
    return "\n".join(
        [
            say("plan_packages_damaged" if damaged else "plan_packages"),
            "",
            *rows,
            *(["", *damaged] if damaged else []),
            "",
            say("plan_total", total=total),
            f"{say('plan_privacy')}.",
        ]
    )


def size_text(size_mb: float) -> str:
    """Format a size in MB or GB."""
    return f"{size_mb / 1000:.1f} GB" if size_mb >= 1000 else f"{size_mb:.0f} MB"


def _torch(computer: Computer) -> str:
    numpy_2 = not satisfied("numpy<2", computer) and computer.version("numpy") is not None
    if computer.intel_mac:
        if numpy_2:
            raise InstallError("install_no_torch_for_mac", numpy=computer.version("numpy"))
        return "torch>=2.2,<2.3"
    # Earlier versions cannot exchange arrays with numpy 2.
    requirement = "torch>=2.3" if numpy_2 else "torch>=2.2"
    if computer.system == "Windows" and not satisfied("torch>=2.13", computer):
        # The wheel of torch 2.13 has licence files so deep in folders (167 letters) that in Slicer's site-packages
        # their paths exceed the 260 letters of Windows, and pip stops half-way (issue 176 of light-the-torch, where
        # 2.12 was installed instead). A version that is installed already has fitted. Those of 2.14.1 have 121
        # letters: remove this bound once they were tried in Slicer.
        requirement += ",<2.13"
    return requirement


def _monai(computer: Computer) -> str:
    """Choose the MONAI that fits PyTorch; pip does not, because MONAI is installed without dependencies."""
    if satisfied("torch<2.4.1", computer) or (computer.intel_mac and computer.version("torch") is None):
        return "monai>=1.4,<1.5"
    return "monai>=1.4,<1.6" if satisfied("torch<2.8", computer) else "monai>=1.4"


def _compares(version: str, operator: str, other: str) -> bool:
    left, right = _release(version), _release(other)
    width = max(len(left), len(right))
    left, right = (part + (0,) * (width - len(part)) for part in (left, right))
    return {">=": left >= right, "<": left < right, "==": left == right}[operator]


def _release(version: str) -> tuple[int, ...]:
    """Parse the numbers of a version: (2, 13, 0) of ``2.13.0+cu130``; a release candidate counts as its release."""
    return tuple(int(number) for number in re.match(r"\d+(?:\.\d+)*", version).group().split("."))


def cause_of(output: Iterable[str]) -> str:
    """Find the code of the message on a failed installation in the lines that pip wrote."""
    text = "\n".join(output)
    return next((code for pattern, code in _CAUSES if re.search(pattern, text)), "install_failed")
