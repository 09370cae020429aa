"""Pack the extension as Slicer's build system does, without a build of Slicer: `make package`.

The CMake files are read, not the tree: a file that they do not list is missing from the package, as in the real one.
The layout is that of Linux and Windows. Slicer's Extensions Manager installs the package by "Install from file".

Left out: the byte code that Slicer's build adds, and the layout for macOS.
"""

from __future__ import annotations

import argparse
import io
import json
import platform
import re
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path, PurePosixPath

ROOT = Path(__file__).resolve().parent.parent
TOKEN = re.compile(r'#[^\n]*|(?P<quoted>"(?:\\.|[^"\\])*")|(?P<word>[()]|[^\s()#"]+)')
# Commands that add no file to the package.
WITHOUT_FILES = {
    "cmake_minimum_required",
    "configure_file",
    "find_package",
    "include",
    "slicer_add_python_unittest",
}
# The description file takes these from the CMake file and from the catalogue entry; Slicer's build does the same.
SEPARATED_BY_SPACES = ("depends", "recommends", "screenshoturls", "keywords")
FROM_CMAKE = ("homepage", "contributors", "iconurl", "description", *SEPARATED_BY_SPACES)
FROM_ENTRY = ("build_subdirectory", "category", "tier", "dicom_support_rule")


class PackageError(Exception):
    """A CMake file that this script, or Slicer, cannot follow."""


@dataclass(frozen=True)
class Command:
    """One command of a CMake file; an argument keeps its quotes."""

    name: str
    arguments: tuple[str, ...]


class Install:
    """What the CMake files of an extension install.

    Args:
        root: Folder of the top-level CMakeLists.txt.
        slicer: Version of Slicer, such as "5.12".

    Attributes:
        files: Source file by its place in the package.
        variables: As they are at the end of the top-level file.
    """

    def __init__(self, root: Path, slicer: str):
        self.files: dict[PurePosixPath, Path] = {}
        folder = f"lib/Slicer-{slicer}/qt-scripted-modules"
        self.variables = {
            "CMAKE_SOURCE_DIR": str(root),
            "CMAKE_BINARY_DIR": "",
            "Slicer_QTSCRIPTEDMODULES_LIB_DIR": folder,
            "Slicer_INSTALL_QTSCRIPTEDMODULES_LIB_DIR": folder,
        }
        self._modules = PurePosixPath(folder)
        self._subdirectory(root)

    def _subdirectory(self, folder: Path) -> None:
        """Run the CMakeLists.txt of a folder; a folder below another one has variables of its own."""
        file = folder / "CMakeLists.txt"
        outer = self.variables.get("CMAKE_CURRENT_SOURCE_DIR")
        saved = dict(self.variables)
        self.variables["CMAKE_CURRENT_SOURCE_DIR"] = str(folder)
        try:
            self._run(list(commands(file.read_text(encoding="utf-8"))))
        except PackageError as error:
            raise PackageError(f"{file.relative_to(Path(saved['CMAKE_SOURCE_DIR']))}: {error}") from None
        if outer is not None:
            self.variables = saved

    def _run(self, block: list[Command]) -> None:
        position = 0
        while position < len(block):
            command = block[position]
            position += 1
            if command.name in ("if", "foreach"):
                end = _end(block, position, command.name)
                self._repeat(command, block[position:end])
                position = end + 1
            else:
                self._do(command)

    def _repeat(self, command: Command, block: list[Command]) -> None:
        """Run the block of an `if` or of a `foreach(... IN LISTS ...)`."""
        if command.name == "if":
            if command.arguments != ("BUILD_TESTING",):
                raise PackageError(f"if({' '.join(command.arguments)}) is not understood")
            return
        name, *rest = command.arguments
        if rest[:2] != ["IN", "LISTS"]:
            raise PackageError("only foreach(... IN LISTS ...) is understood")
        for value in [value for part in rest[2:] for value in _parts(self.variables.get(part, ""))]:
            self.variables[name] = value
            self._run(block)

    def _do(self, command: Command) -> None:
        arguments = [part for argument in command.arguments for part in self._expand(argument)]
        if command.name == "set":
            self.variables[arguments[0]] = ";".join(arguments[1:])
        elif command.name == "project":
            self.variables["PROJECT_NAME"] = arguments[0]
        elif command.name == "add_subdirectory":
            self._subdirectory(self._here / arguments[0])
        elif command.name == "slicerMacroBuildScriptedModule":
            self._module(arguments)
        elif command.name == "install":
            self._install(arguments)
        elif command.name not in WITHOUT_FILES:
            raise PackageError(f"{command.name}() is not understood")

    @property
    def _here(self) -> Path:
        return Path(self.variables["CMAKE_CURRENT_SOURCE_DIR"])

    def _expand(self, argument: str) -> list[str]:
        """Replace variables; without quotes, a value of several parts becomes several arguments."""
        quoted = argument.startswith('"')
        text = argument[1:-1] if quoted else argument
        while found := re.search(r"\$\{([^${}]+)\}", text):
            text = text[: found.start()] + self.variables.get(found[1], "") + text[found.end() :]
        return [text] if quoted else _parts(text)

    def _module(self, arguments: list[str]) -> None:
        """Slicer's macro for a scripted module: its files beside those of others, or in a folder of their own."""
        options = _options(arguments, ("NAME", "SCRIPTS", "RESOURCES"), ("WITH_GENERIC_TESTS", "WITH_SUBDIR"))
        folder = self._modules / self._here.name if "WITH_SUBDIR" in options else self._modules
        for name in (*options.get("SCRIPTS", ()), *options.get("RESOURCES", ())):
            if Path(name).is_absolute() or ".." in Path(name).parts:
                raise PackageError(f"{name} lies outside its module's folder, so the package would lack it")
            self._add(folder / name, self._here / name)

    def _install(self, arguments: list[str]) -> None:
        options = _options(arguments, ("FILES", "DESTINATION", "COMPONENT"))
        if options.get("COMPONENT") != ["RuntimeLibraries"]:
            raise PackageError("install() without COMPONENT RuntimeLibraries is not part of a package")
        for name in options["FILES"]:
            source = Path(name) if Path(name).is_absolute() else self._here / name
            self._add(PurePosixPath(options["DESTINATION"][0]) / source.name, source)

    def _add(self, place: PurePosixPath, source: Path) -> None:
        if not source.is_file():
            raise PackageError(f"{source.name} is listed, but there is no such file")
        self.files[place] = source


def commands(text: str) -> Iterator[Command]:
    """The commands of a CMake file."""
    tokens = [found.group() for found in TOKEN.finditer(text) if not found.group().startswith("#")]
    position = 0
    while position < len(tokens):
        name, depth, arguments = tokens[position], 1, []
        position += 2
        while depth:
            token = tokens[position]
            position += 1
            depth += {"(": 1, ")": -1}.get(token, 0)
            if depth:
                arguments.append(token)
        yield Command(name, tuple(arguments))


def description(install: Install, entry: dict, kind: str, revision: str) -> str:
    """The description file (.s4ext), in which Slicer looks up what is installed and which extensions it depends on.

    Args:
        install: What is installed.
        entry: Catalogue entry.
        kind: "git" or "local".
        revision: Of the source.
    """
    variables = install.variables
    lines = {"scm": kind, "scmurl": entry["scm_url"], "scmrevision": revision}
    for name in FROM_CMAKE:
        value = variables.get(f"EXTENSION_{name.upper()}", "")
        lines[name] = value.replace(";", " " if name in SEPARATED_BY_SPACES else ", ")
    lines |= {name: str(entry.get(name, "")) for name in FROM_ENTRY}
    lines["depends"] = lines["depends"] or "NA"
    lines["recommends"] = lines["recommends"] or "NA"
    lines["status"], lines["enabled"] = "", str(int(entry.get("enabled", True)))
    return "".join(f"{name} {value}".rstrip() + "\n" for name, value in lines.items())


def pack(archive: Path, contents: dict[PurePosixPath, Path | str]) -> None:
    """Write the archive, with everything in one folder of its name.

    Args:
        archive: A .zip or .tar.gz file.
        contents: File, or text of a file, by its place.
    """
    top = PurePosixPath(archive.name.removesuffix(".zip").removesuffix(".tar.gz"))
    data = {
        str(top / place): content.encode() if isinstance(content, str) else content.read_bytes()
        for place, content in sorted(contents.items())
    }
    if archive.suffix == ".zip":
        with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
            for name, content in data.items():
                file.writestr(name, content)
        return
    with tarfile.open(archive, "w:gz", compresslevel=6) as file:
        for name, content in data.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            file.addfile(member, io.BytesIO(content))


def git(*arguments: str) -> str:
    """What git answers about this repository; empty where there is none."""
    try:
        return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""


def _parts(text: str) -> list[str]:
    return [part for part in text.split(";") if part]


def _end(block: list[Command], position: int, name: str) -> int:
    """The position of the command that ends a block."""
    depth = 1
    for index in range(position, len(block)):
        depth += {name: 1, f"end{name}": -1}.get(block[index].name, 0)
        if not depth:
            return index
    raise PackageError(f"{name}() has no end")


def _options(arguments: list[str], keywords: tuple[str, ...], flags: tuple[str, ...] = ()) -> dict[str, list[str]]:
    """Arguments by the keyword in front of them, as CMake parses them."""
    options: dict[str, list[str]] = {}
    current: list[str] | None = None
    for argument in arguments:
        if argument in flags:
            options[argument], current = [], None
        elif argument in keywords:
            current = options.setdefault(argument, [])
        elif current is None:
            raise PackageError(f"the argument {argument} is not understood")
        else:
            current.append(argument)
    return options


def main() -> int:
    """Make the package and say where it is."""
    parser = argparse.ArgumentParser(description="Pack the extension without a build of Slicer.")
    parser.add_argument("--output", type=Path, default=ROOT / "dist", help="folder of the package (default: dist)")
    parser.add_argument("--slicer", default="5.12", help="version of Slicer (default: 5.12)")
    # That of Slicer 5.12.3; Slicer reads it nowhere.
    parser.add_argument("--revision", default="34627", help="revision of Slicer, for the name of the package")
    windows = platform.system() == "Windows"
    parser.add_argument("--system", choices=("linux", "win"), default="win" if windows else "linux")
    parser.add_argument("--root", type=Path, default=ROOT, help=argparse.SUPPRESS)
    options = parser.parse_args()
    try:
        install = Install(options.root.resolve(), options.slicer)
    except PackageError as error:
        print(f"no package was made: {error}", file=sys.stderr)
        return 1
    name = install.variables["PROJECT_NAME"]
    entry = json.loads((options.root / "docs" / f"{name}.json").read_text(encoding="utf-8"))
    kind, revision = "git", git("rev-parse", "--short", "HEAD")
    if not revision:
        kind, revision = "local", "NA"
    day = git("show", "-s", "--format=%cs", "HEAD") or date.today().isoformat()
    suffix = ".zip" if options.system == "win" else ".tar.gz"
    archive = options.output / f"{options.revision}-{options.system}-amd64-{name}-{kind}{revision}-{day}{suffix}"
    options.output.mkdir(parents=True, exist_ok=True)
    place = PurePosixPath(f"share/Slicer-{options.slicer}/{name}.s4ext")
    pack(archive, {**install.files, place: description(install, entry, kind, revision)})
    print(f"{archive} ({len(install.files) + 1} files, {archive.stat().st_size / 1e6:.0f} MB)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
