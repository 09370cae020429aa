"""Installation of the packages that MedAD lacks into Slicer's Python, after the user has agreed.

PyTorch comes through the PyTorch extension, which picks the build for the computer's GPU; the rest through Slicer's own
packaging functions. A constraints file keeps Slicer's numpy and SimpleITK as they are. Slicer's own dialog
(`pip_ensure`, since 5.12) is not used: it covers neither PyTorch, nor sizes and the restart.
"""

from __future__ import annotations

import importlib
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TextIO

from ...messages import Message
from ..worker.process import worker_program
from .packages import (
    EXTENSION,
    SLICERS_OWN,
    Computer,
    InstallError,
    Package,
    cause_of,
    constraints,
    missing,
    needed,
    plan_text,
    remove,
    satisfied,
    trace,
)

__all__ = ["InstallError", "Package", "SlicerInstaller", "plan_text"]

# Their own dependencies are there already, or would replace what is there.
WITHOUT_DEPENDENCIES = ("monai", "deepbet")
# Which installation of PyTorch was loaded once without trouble, in Slicer's settings.
LOADED_KEY = "MedAD/loadedPyTorch"
LOADING_SECONDS, PUMP_SECONDS = 300.0, 0.05


@contextmanager
def printed_lines(on_line: Callable[[str], None]) -> Iterator[None]:
    """Call back for each line printed in the block; for pip's download progress, in whole steps of five percent.

    Slicer prints the output of programs that it starts, so pip is included.
    """
    listener = _LineStream(sys.stdout, on_line)
    console, sys.stdout = sys.stdout, listener
    try:
        yield
    finally:
        sys.stdout = console
        listener.end()


class _LineStream:
    """A stream in place of the console; other attributes are those of the console."""

    def __init__(self, console: TextIO | None, on_line: Callable[[str], None]):
        self._console, self._on_line = console, on_line
        self._rest, self._step = "", -1

    def write(self, text: str) -> int:
        if self._console is not None:
            self._console.write(text)
        *lines, self._rest = (self._rest + text).split("\n")
        for line in lines:
            self._pass_on(line.rstrip())
        return len(text)

    def flush(self) -> None:
        if self._console is not None:
            self._console.flush()

    def end(self) -> None:
        """Pass on the last line, which has no line end."""
        self._pass_on(self._rest.rstrip())

    def __getattr__(self, name: str):
        return getattr(self._console, name)

    def _pass_on(self, line: str) -> None:
        progress = re.fullmatch(r"Progress (\d+) of (\d+)", line)
        if progress is None:
            self._step = -1
            if line:
                self._on_line(line)
            return
        done, total = int(progress[1]), max(int(progress[2]), 1)
        step = 20 * done // total
        if step != self._step and total > 10e6:
            self._step = step
            self._on_line(f"  {5 * step} % of {total / 1e6:.0f} MB")


class SlicerInstaller:
    """Installer for the running Slicer.

    Args:
        pip: Called with requirements, with others to be installed without dependencies, and with the constraints file;
            prints its output and raises if it fails. None for Slicer's.
        torch_logic: Returns PyTorchUtilsLogic, or raises ImportError without the PyTorch extension. None for Slicer's.
        extensions: Returns the model of Slicer's extensions manager, or None. None for Slicer's.
        testing: Whether Slicer runs tests, in which nothing is installed. None to ask Slicer.
        computer: What is installed where; None for this computer.
        loaded: Whether this process has a module loaded.
        load: Loads PyTorch in another process and returns the error, empty if it worked. None for the worker's Python.
        settings: With setValue and value, as QSettings has; None for Slicer's own.
        delete: Deletes a damaged package by name. None for `packages.remove`.
    """

    def __init__(
        self,
        pip: Callable[[list[str], list[str], Path], None] | None = None,
        torch_logic: Callable[[], Any] | None = None,
        extensions: Callable[[], Any] | None = None,
        testing: Callable[[], bool] | None = None,
        computer: Computer | None = None,
        loaded: Callable[[str], bool] = lambda name: name in sys.modules,
        load: Callable[[], str] | None = None,
        settings: Any = None,
        delete: Callable[[str], None] = remove,
    ):
        self._pip = pip or _slicer_pip
        self._torch_logic = torch_logic or _slicer_torch_logic
        self._extensions = extensions or _slicer_extensions
        self._testing = testing or _slicer_testing
        self._computer = computer or Computer()
        self._loaded = loaded
        self._load = load or _load_torch
        self._given_settings = settings
        self._delete = delete
        self._busy = self._complete = False

    def missing(self) -> list[Package]:
        """List what is missing, damaged or does not fit, in the order of installation.

        A PyTorch that looks intact is loaded once, in a process of its own, which takes some seconds.

        Raises:
            InstallError: If no PyTorch fits this computer and Slicer.
        """
        lacking = missing(self._computer)
        if self._testing() or any(package.name == "torch" for package in lacking):
            return lacking
        problem = self._try_torch()
        if not problem:
            return lacking
        damage = Message("package_not_loadable", reason=problem)
        return [needed(self._computer.without(["torch"]))[0]._replace(damage=damage), *lacking]

    def installed(self) -> bool:
        """Return whether nothing is missing or damaged, by the metadata of the packages alone; nothing is loaded.

        What is there stays there while Slicer runs, so that only the first answer takes more than milliseconds.
        """
        if not self._complete and self._computer.version("torch") is not None:
            with suppress(InstallError):
                self._complete = not missing(self._computer)
        return self._complete

    def install(self, packages: list[Package], log: Callable[[str], None]) -> bool:
        """Install the result of `missing`, to which the user agreed; `log` is called with each line of the output.

        Returns:
            True if MedAD can run now; False if Slicer has to restart first, see `PendingRuns`.

        Raises:
            InstallError: If something could not be installed; it has the end of the log.
        """
        if self._testing():
            raise InstallError("install_in_tests")
        # Slicer handles clicks while pip runs, so this can be called twice.
        if self._busy:
            raise InstallError("install_running")
        self._busy = True
        try:
            return self._install(packages, log)
        finally:
            self._busy = False

    def _install(self, packages: list[Package], log: Callable[[str], None]) -> bool:
        lines: list[str] = []

        def note(line: str) -> None:
            lines.append(line)
            log(line)

        names = [package.name for package in packages]
        if EXTENSION in names:
            self._install_extension(note, lines)
            return False
        computer = self._computer
        before = {name: computer.version(name) for name in SLICERS_OWN}
        for package in packages:
            if package.damage:
                self._remove(package, note, lines)
        restart = False
        if "torch" in names:
            restart = self._install_torch(note, lines)
        if rest := [name for name in names if name != "torch"]:
            self._install_packages(rest, note, lines)
        self._check(before, names, lines)
        note("All packages are installed." + (" Slicer has to restart." if restart else ""))
        return not restart

    def _remove(self, package: Package, note: Callable[[str], None], lines: list[str]) -> None:
        note(f"Deleting {package.name} ({package.damage}).")
        try:
            self._delete(package.name)
        except OSError as error:
            lines.append(str(error))
            if cause_of([str(error)]) == "install_files_in_use":
                raise InstallError("install_damaged_in_use", name=package.name, lines=lines) from error
            reason = error.strerror or error
            raise InstallError("install_damaged_not_deleted", name=package.name, reason=reason, lines=lines) from error

    def _install_extension(self, note: Callable[[str], None], lines: list[str]) -> None:
        """Install the PyTorch extension, which is available only after a restart."""
        model = self._extensions()
        if not hasattr(model, "installExtensionFromServer"):
            raise InstallError("install_no_extension")
        note("Installing the PyTorch extension.")
        model.interactive = False
        try:
            with printed_lines(note):
                done = model.installExtensionFromServer("PyTorch", False)
        finally:
            model.interactive = True
        if not done:
            raise InstallError("install_extension_failed", lines=lines)
        note("The PyTorch extension is installed. Slicer has to restart.")

    def _install_torch(self, note: Callable[[str], None], lines: list[str]) -> bool:
        """Install PyTorch; return whether Slicer has to restart, because it has another one loaded."""
        try:
            logic = self._torch_logic()
        except ImportError as error:
            raise InstallError("install_no_extension", lines=lines) from error
        requirement = needed(self._computer)[0].requirement
        loaded, start = self._loaded("torch"), len(lines)
        note(f"Installing PyTorch ({requirement}).")
        try:
            with self._constrained(["torch"], note):
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
            raise InstallError("install_declined", lines=lines)
        return loaded

    def _install_packages(self, names: list[str], note: Callable[[str], None], lines: list[str]) -> None:
        """Install all packages but PyTorch, in versions that fit the installed PyTorch."""
        start, packages = len(lines), needed(self._computer)
        # Slicer's function needs one with dependencies in any case; pip skips it if it is installed.
        plain = [p.requirement for p in packages if p.name not in ("torch", *WITHOUT_DEPENDENCIES)]
        alone = [p.requirement for p in packages if p.name in WITHOUT_DEPENDENCIES and p.name in names]
        note(f"Installing {', '.join(names)}.")
        try:
            with self._constrained(names, note) as file:
                self._pip(plain, alone, file)
        except Exception as error:
            raise self._failure(", ".join(names), error, lines, start) from error

    @contextmanager
    def _constrained(self, names: list[str], note: Callable[[str], None]) -> Iterator[Path]:
        """Run with a constraints file, also for code that starts pip itself, and log what is printed."""
        with tempfile.TemporaryDirectory(prefix="medad-") as folder:
            file = Path(folder) / "constraints.txt"
            file.write_text(constraints(self._computer.without(names)), encoding="utf-8")
            # As a URI, because pip splits the value at spaces, which a user's name may have.
            wanted = {"PIP_CONSTRAINT": file.as_uri(), "PIP_NO_INPUT": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
            if satisfied("pip>=24.1", self._computer):
                # Lines instead of a bar, so that Slicer is not frozen while a large file comes.
                wanted["PIP_PROGRESS_BAR"] = "raw"
            earlier = {key: os.environ.get(key) for key in wanted}
            os.environ.update(wanted)
            try:
                with printed_lines(note):
                    yield file
            finally:
                for key, value in earlier.items():
                    if value is None:
                        os.environ.pop(key, None)
                    else:
                        os.environ[key] = value

    def _failure(self, what: str, error: Exception, lines: list[str], start: int) -> InstallError:
        """Make the error of a failed installation, from its output since `start` and its exception."""
        lines.extend(str(error).splitlines())
        return InstallError(cause_of(lines[start:]), packages=what, lines=lines)

    def _check(self, before: dict[str, str | None], names: list[str], lines: list[str]) -> None:
        """Check that Slicer's own packages are unchanged and that the missing ones are installed."""
        after = {name: self._computer.version(name) for name in before}
        if changed := [name for name in before if after[name] != before[name]]:
            changes = ", ".join(f"{name} {before[name]} → {after[name]}" for name in changed)
            repair = " ".join(f"{name}=={before[name]}" for name in changed)
            raise InstallError("install_changed_slicer", changes=changes, repair=repair, lines=lines)
        if lacking := [p.requirement for p in missing(self._computer) if p.name in names]:
            raise InstallError("install_without_effect", packages=", ".join(lacking), lines=lines)
        if problem := self._try_torch():
            lines.append(problem)
            raise InstallError("install_torch_not_loadable", reason=problem, lines=lines)

    def _try_torch(self) -> str:
        """Load PyTorch in another process, once for each installation of it; return the error, empty if it worked."""
        present, settings = trace("torch"), self._settings
        if settings.value(LOADED_KEY) == present:
            return ""
        problem = self._load()
        if not problem:
            settings.setValue(LOADED_KEY, present)
        return problem

    @property
    def _settings(self) -> Any:
        if self._given_settings is None:
            import slicer

            return slicer.app.userSettings()
        return self._given_settings


def _slicer_pip(requirements: list[str], without_dependencies: list[str], constraints_file: Path) -> None:
    """Install by Slicer: by its packaging module from 5.12 on, earlier by pip_install."""
    import slicer

    try:
        from slicer.packaging import pip_install
    except ImportError:
        constrained = ["--constraint", str(constraints_file)]
        if without_dependencies:
            slicer.util.pip_install([*without_dependencies, "--no-deps", *constrained])
        slicer.util.pip_install([*requirements, *constrained])
        return
    pip_install(
        requirements,
        constraints=constraints_file,
        no_deps_requirements=without_dependencies or None,
        show_progress=False,
        requester="MedAD",
    )


def _load_torch() -> str:
    """Load PyTorch in a process like the worker's; return the error, empty if it worked."""
    import qt
    import slicer

    process = subprocess.Popen(
        [worker_program(), "-c", "import torch"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
    )
    end = time.monotonic() + LOADING_SECONDS
    while True:
        try:
            output = process.communicate(timeout=PUMP_SECONDS)[1]
            break
        except subprocess.TimeoutExpired:
            if time.monotonic() > end:
                process.kill()
                process.communicate()
                return f"TimeoutExpired: {LOADING_SECONDS:.0f} s"
            # The panel is drawn, but ignores clicks.
            slicer.app.processEvents(qt.QEventLoop.ExcludeUserInputEvents)
    if process.returncode == 0:
        return ""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    return lines[-1].rstrip(".") if lines else f"exit code {process.returncode}"


def _slicer_torch_logic() -> Any:
    # By name, because this module of Slicer is not in any Python environment.
    return importlib.import_module("PyTorchUtils").PyTorchUtilsLogic()


def _slicer_extensions() -> Any:
    import slicer

    model = getattr(slicer.app, "extensionsManagerModel", None)
    return None if model is None else model()


def _slicer_testing() -> bool:
    import slicer

    return bool(slicer.app.testingEnabled())
