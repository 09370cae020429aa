"""The file lists of the CMakeLists.txt files, taken from the tree: `make cmake-lists` rewrites them, a test compares.

CMake installs what is listed and nothing else, so a new file that is not listed is silently missing in Slicer.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class FileList:
    """One `set(NAME …)` of a CMake file and the files of the tree that belong in it."""

    cmake_file: str
    name: str
    folder: str
    patterns: tuple[str, ...]

    def in_tree(self, root: Path = ROOT) -> list[str]:
        """The files as the tree has them, relative to `folder`, sorted."""
        folder = root / self.folder
        found = {path for pattern in self.patterns for path in folder.glob(pattern) if path.is_file()}
        return sorted(path.relative_to(folder).as_posix() for path in found if "__pycache__" not in path.parts)

    def listed(self, root: Path = ROOT) -> list[str]:
        """The files as the CMake file has them, in its order."""
        return self._find((root / self.cmake_file).read_text(encoding="utf-8")).group("files").split()

    def write(self, root: Path = ROOT) -> None:
        """Makes the CMake file list what the tree has."""
        path = root / self.cmake_file
        text = path.read_text(encoding="utf-8")
        found = self._find(text)
        files = "".join(f"  {file}\n" for file in self.in_tree(root))
        text = text[: found.start("files")] + files + text[found.end("files") :]
        path.write_bytes(text.encode("utf-8"))

    def _find(self, text: str) -> re.Match[str]:
        found = re.search(rf"^set\({self.name}\n(?P<files>[^)]*)\)", text, flags=re.MULTILINE)
        if found is None:
            raise ValueError(f"{self.cmake_file} has no set({self.name} ...) that starts on a line of its own")
        return found


FILE_LISTS = (
    FileList("MedADLib/CMakeLists.txt", "LIBRARY_PYTHON_SCRIPTS", "MedADLib", ("**/*.py",)),
    FileList("MedADLib/CMakeLists.txt", "LIBRARY_MODELS", "Resources/models", ("*.medad",)),
    FileList("MedAD/CMakeLists.txt", "MODULE_PYTHON_SCRIPTS", "MedAD", ("**/*.py",)),
    FileList("MedAD/CMakeLists.txt", "MODULE_PYTHON_RESOURCES", "MedAD", ("Resources/**/*",)),
)

if __name__ == "__main__":
    for file_list in FILE_LISTS:
        file_list.write()
