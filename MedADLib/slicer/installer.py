"""Installs the packages that MedAD lacks into Slicer's Python, when the user asked for it and not before.

PyTorch comes through the PyTorch extension, which picks the build for the computer's GPU; the rest through Slicer's own
packaging functions and without dependencies, all of which are there by then. A constraints file keeps Slicer's numpy
and SimpleITK as they are, and afterwards it is checked that they are.
"""

from __future__ import annotations

import importlib
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from ..packages import (
    EXTENSION,
    SLICERS_OWN,
    Computer,
    InstallError,
    Package,
    constraints,
    missing,
    needed,
    plan_text,
    satisfied,
)
from ..pipfailures import explain
from .console_lines import heard

__all__ = ["InstallError", "Installer", "Package", "SlicerInstaller", "plan_text"]

WITH_THE_MANAGER = "Install the extension PyTorch with Slicer's Extension Manager, restart Slicer and run again."


class Installer(Protocol):
    """What the panel needs of an installer; only these are stable."""

    def missing(self) -> list[Package]:
        """What is not there or too old; imports nothing, and raises InstallError where MedAD cannot run at all."""

    def install(self, packages: list[Package], log: Callable[[str], None]) -> bool:
        """Install what the user agreed to; False if Slicer has to restart before it can be used."""


class SlicerInstaller:
    """Installs into the Slicer that runs.

    Args:
        pip: Called with requirements, the constraints file and whether to leave out dependencies; prints what it says
            and raises if it fails. None for Slicer's.
        torch_logic: Gives a PyTorchUtilsLogic, or raises ImportError without the PyTorch extension. None for that.
        extensions: Gives Slicer's extensions manager model, or None. None for that.
        testing: Whether Slicer runs tests, in which nothing is installed. None to ask Slicer.
        computer: What is installed where; None for this computer.
        loaded: Whether this process has a module loaded.
    """

    def __init__(
        self,
        pip: Callable[[list[str], Path, bool], None] | None = None,
        torch_logic: Callable[[], Any] | None = None,
        extensions: Callable[[], Any] | None = None,
        testing: Callable[[], bool] | None = None,
        computer: Computer | None = None,
        loaded: Callable[[str], bool] = lambda name: name in sys.modules,
    ):
        self._pip = pip or _slicer_pip
        self._torch_logic = torch_logic or _slicer_torch_logic
        self._extensions = extensions or _slicer_extensions
        self._testing = testing or _slicer_testing
        self._computer = computer or Computer()
        self._loaded = loaded
        self._busy = False

    def missing(self) -> list[Package]:
        """What is not there or does not fit, in the order in which it is installed.

        Raises:
            InstallError: If no PyTorch fits this computer and Slicer.
        """
        return missing(self._computer)

    def install(self, packages: list[Package], log: Callable[[str], None]) -> bool:
        """Install packages that the user agreed to.

        Args:
            packages: What `missing` gave.
            log: Called with each line that the installation says.

        Returns:
            True if MedAD can run now; False if Slicer has to restart first, see `PendingRuns`.

        Raises:
            InstallError: If something could not be installed, with what to do and the end of the log.
        """
        if self._testing():
            raise InstallError("nothing is installed while Slicer runs tests", "Install the packages beforehand.")
        # Slicer handles clicks while pip runs, so this can be asked twice.
        if self._busy:
            raise InstallError("an installation is already running", "Wait until it is done.")
        self._busy = True
        try:
            return self._install([package.name for package in packages], log)
        finally:
            self._busy = False

    def _install(self, names: list[str], log: Callable[[str], None]) -> bool:
        lines: list[str] = []

        def note(line: str) -> None:
            lines.append(line)
            log(line)

        if EXTENSION in names:
            self._install_extension(note, lines)
            return False
        computer = self._computer
        before = {name: computer.version(name) for name in SLICERS_OWN}
        restart = False
        if "torch" in names:
            restart = self._install_torch(note, lines)
        # What fits depends on the PyTorch that came.
        rest = [package for package in needed(computer) if package.name in names and package.name != "torch"]
        for package in rest:
            self._install_package(package, note, lines)
        self._check(before, names, lines)
        note("All packages are installed." + (" Slicer has to restart." if restart else ""))
        return not restart

    def _install_extension(self, note: Callable[[str], None], lines: list[str]) -> None:
        """The PyTorch extension, which is there after a restart only."""
        model = self._extensions()
        if not hasattr(model, "installExtensionFromServer"):
            raise InstallError("MedAD needs the PyTorch extension, and this Slicer cannot install it", WITH_THE_MANAGER)
        note("Installing the PyTorch extension.")
        model.interactive = False
        try:
            with heard(note):
                done = model.installExtensionFromServer("PyTorch", False)
        finally:
            model.interactive = True
        if not done:
            problem = "the PyTorch extension could not be installed"
            raise InstallError(problem, f"Is there an internet connection? {WITH_THE_MANAGER}", lines)
        note("The PyTorch extension is installed. Slicer has to restart.")

    def _install_torch(self, note: Callable[[str], None], lines: list[str]) -> bool:
        """PyTorch; returns whether Slicer has to restart, because it has or had another one loaded."""
        try:
            logic = self._torch_logic()
        except ImportError as error:
            raise InstallError("MedAD needs the PyTorch extension", WITH_THE_MANAGER, lines) from error
        (requirement,) = (p.requirement for p in needed(self._computer) if p.name == "torch")
        loaded, start = self._loaded("torch"), len(lines)
        note(f"Installing PyTorch ({requirement}).")
        try:
            with self._constrained("torch", note):
                module = logic.installTorch(
                    askConfirmation=False, torchVersionRequirement=requirement.removeprefix("torch")
                )
        except (ImportError, OSError, AttributeError) as error:
            # Downloaded and put in place, but this process cannot load it; a new one can.
            if not satisfied(requirement, self._computer):
                raise self._failure("PyTorch", error, lines, start) from error
            note(f"PyTorch is installed but could not be loaded ({error}).")
            return True
        except Exception as error:
            raise self._failure("PyTorch", error, lines, start) from error
        if module is None:
            raise InstallError("PyTorch was not installed", "Run again and agree to it.", lines)
        return loaded

    def _install_package(self, package: Package, note: Callable[[str], None], lines: list[str]) -> None:
        start = len(lines)
        note(f"Installing {package.name} ({package.requirement}).")
        try:
            with self._constrained(package.name, note) as file:
                self._pip([package.requirement], file, package.name in ("monai", "deepbet"))
        except Exception as error:
            raise self._failure(package.name, error, lines, start) from error

    @contextmanager
    def _constrained(self, name: str, note: Callable[[str], None]) -> Iterator[Path]:
        """Run with a constraints file, also for those who start pip on their own, and hear what is printed."""
        with tempfile.TemporaryDirectory(prefix="medad-") as folder:
            file = Path(folder) / "constraints.txt"
            file.write_text(constraints(self._computer, but=name), encoding="utf-8")
            # As an address, because pip parts the value at spaces, which a user's name may have.
            wanted = {"PIP_CONSTRAINT": file.as_uri(), "PIP_NO_INPUT": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
            if satisfied("pip>=24.1", self._computer):
                # Lines instead of a bar, so that Slicer is not frozen while a large file comes.
                wanted["PIP_PROGRESS_BAR"] = "raw"
            earlier = {key: os.environ.get(key) for key in wanted}
            os.environ.update(wanted)
            try:
                with heard(note):
                    yield file
            finally:
                for key, value in earlier.items():
                    if value is None:
                        os.environ.pop(key, None)
                    else:
                        os.environ[key] = value

    def _failure(self, what: str, error: Exception, lines: list[str], start: int) -> InstallError:
        """What is told of a failed installation, by what was said since its start and by the exception."""
        lines.extend(str(error).splitlines())
        problem, remedy = explain(lines[start:])
        return InstallError(f"{what} could not be installed: {problem}", remedy, lines)

    def _check(self, before: dict[str, str | None], names: list[str], lines: list[str]) -> None:
        """That Slicer's own packages are as they were and that what was missing is there."""
        after = {name: self._computer.version(name) for name in before}
        if changed := [name for name in before if after[name] != before[name]]:
            found = ", ".join(f"{name} {before[name]} became {after[name]}" for name in changed)
            repair = " ".join(f"{name}=={before[name]}" for name in changed)
            remedy = f"Quit Slicer and run: PythonSlicer -m pip install --no-deps {repair}"
            raise InstallError(f"the installation changed packages of Slicer's own: {found}", remedy, lines)
        if lacking := [p.requirement for p in missing(self._computer) if p.name in names]:
            problem = f"pip reported no error, but {', '.join(lacking)} is still missing"
            raise InstallError(problem, "Restart Slicer and run again.", lines)


def _slicer_pip(requirements: list[str], constraints_file: Path, no_deps: bool) -> None:
    """Slicer's own way: its packaging module from 5.12 on, earlier pip_install."""
    import slicer

    try:
        from slicer.packaging import pip_ensure, pip_install
    except ImportError:
        flags = ["--no-deps"] if no_deps else []
        slicer.util.pip_install([*requirements, *flags, "--constraint", str(constraints_file)])
        return
    if no_deps:
        arguments = [*requirements, "--no-deps"]
        pip_install(arguments, constraints=constraints_file, show_progress=False, requester="MedAD")
    else:
        # The user was asked once for everything, and the panel shows what is said.
        pip_ensure(
            requirements,
            constraints=constraints_file,
            prompt_install=False,
            prompt_restart=False,
            show_progress=False,
            requester="MedAD",
        )


def _slicer_torch_logic() -> Any:
    # A module of Slicer's, which no Python environment has.
    return importlib.import_module("PyTorchUtils").PyTorchUtilsLogic()


def _slicer_extensions() -> Any:
    import slicer

    model = getattr(slicer.app, "extensionsManagerModel", None)
    return None if model is None else model()


def _slicer_testing() -> bool:
    import slicer

    return bool(slicer.app.testingEnabled())
