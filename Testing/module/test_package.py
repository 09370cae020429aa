"""What `make package` makes: which files it holds, and that Run Detection works from it in a read-only folder."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest
from support.package_files import expected_files, extension_files, files_of
from support.source_code import ROOT

SCRIPT = ROOT / "Resources" / "package_extension.py"
MODULES = Path("lib", "Slicer-5.12", "qt-scripted-modules")
DESCRIPTION = Path("share", "Slicer-5.12", "MedAD.s4ext")
DROP_CAPABILITY, OVERRIDE_PERMISSIONS = 24, 1
# An editable installation would lend the package what it lacks.
ONLY_THE_PACKAGE = """
import sys
sys.meta_path[:] = [finder for finder in sys.meta_path if "editable" not in getattr(finder, "__module__", "")]
"""
RUN = ROOT / "Testing" / "support" / "run_from_package.py"


def run_script(*options):
    return subprocess.run([sys.executable, SCRIPT, *options], capture_output=True, text=True, check=False)


def pack(folder, *options):
    """The package, made as `make package` makes it."""
    done = run_script("--output", folder, *options)
    assert done.returncode == 0, done.stderr
    (archive,) = folder.iterdir()
    assert done.stdout.startswith(str(archive))
    return archive


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    """The package's folder, unpacked, in which nothing can be written."""
    folder = tmp_path_factory.mktemp("package")
    archive = pack(folder / "dist", "--system", "linux", "--revision", "12345")
    with tarfile.open(archive) as file:
        file.extractall(folder)
    top = folder / archive.name.removesuffix(".tar.gz")
    assert top.name.startswith("12345-linux-amd64-MedAD-")
    for path in top.rglob("*"):
        path.chmod(0o555 if path.is_dir() else 0o444)
    return top


def test_the_package_holds_all_that_slicer_needs_and_nothing_else(package):
    assert files_of(package / MODULES) == expected_files() | extension_files()
    assert {path.relative_to(package) for path in package.rglob("*.s4ext")} == {DESCRIPTION}
    assert {path.name for path in package.iterdir()} == {"lib", "share"}
    for name in ("MedAD.py", "Resources/UI/MedAD.ui", "Resources/tiny.medad"):
        assert (package / MODULES / name).read_bytes() == (ROOT / "MedAD" / name).read_bytes()


def test_the_description_says_what_the_extensions_manager_needs(package):
    text = (package / DESCRIPTION).read_text("utf-8")
    said = dict(line.split(" ", 1) for line in text.splitlines() if " " in line)
    assert said["depends"] == "PyTorch" and said["category"] == "Segmentation" and said["enabled"] == "1"
    assert said["dicom_support_rule"].startswith("Modality == 'MR'") and "anomaly" in said["keywords"].split()
    assert said["scmurl"].endswith("/SlicerMedAD.git") and said["iconurl"].endswith("/Resources/MedAD.png")


def test_on_windows_it_is_a_zip_file_with_the_same_files(small, tmp_path):
    archive = pack(tmp_path / "win", "--root", small, "--system", "win", "--slicer", "5.13")
    with zipfile.ZipFile(archive) as file:
        names = {name.partition("/")[2].replace("Slicer-5.13", "Slicer-5.12") for name in file.namelist()}
    with tarfile.open(pack(tmp_path / "linux", "--root", small, "--system", "linux")) as file:
        others = {member.name.partition("/")[2] for member in file.getmembers() if member.isfile()}
    assert archive.suffix == ".zip" and len(names) == 3 and names == others


TOP = """project(Small)  # (a comment)
set(EXTENSION_DESCRIPTION "What it does (in short).")
set(EXTENSION_CONTRIBUTORS "One Person" "Another (Somewhere)")
add_subdirectory(Small)
"""
MODULE = """set(MODULE_PYTHON_SCRIPTS
  Small.py
)
slicerMacroBuildScriptedModule(NAME Small SCRIPTS ${MODULE_PYTHON_SCRIPTS} RESOURCES Resources/a.txt)
if(BUILD_TESTING)
  slicer_add_python_unittest(SCRIPT ${MODULE_NAME}.py)
endif()
"""


@pytest.fixture
def small(tmp_path):
    """An extension of one module, in whose folder lies a file that CMake does not know."""
    root = tmp_path / "small"
    for name in ("Small.py", "forgotten.py", "Resources/a.txt"):
        (root / "Small" / name).parent.mkdir(parents=True, exist_ok=True)
        (root / "Small" / name).write_text(name)
    (root / "docs").mkdir()
    (root / "docs" / "Small.json").write_text('{"scm_url": "https://example.org/Small.git", "category": "Examples"}')
    (root / "CMakeLists.txt").write_text(TOP)
    (root / "Small" / "CMakeLists.txt").write_text(MODULE)
    return root


def test_what_cmake_does_not_list_is_missing(small, tmp_path):
    archive = pack(tmp_path / "dist", "--root", small, "--system", "win")
    with zipfile.ZipFile(archive) as file:
        names = {name.partition("/")[2] for name in file.namelist()}
        (place,) = (name for name in file.namelist() if name.endswith(".s4ext"))
        lines = file.read(place).decode().splitlines()
    assert names == {f"{MODULES.as_posix()}/{each}" for each in ("Small.py", "Resources/a.txt")} | {
        "share/Slicer-5.12/Small.s4ext"
    }
    assert "contributors One Person, Another (Somewhere)" in lines and "description What it does (in short)." in lines


def test_what_the_script_cannot_follow_is_told_and_makes_no_package(small, tmp_path):
    for wrong, right, problem in (
        ("  Small.py\n", "  Small.py\n  gone.py\n", "gone.py is listed, but there is no such file"),
        ("  Small.py\n", "  ../docs/Small.json\n", "lies outside its module's folder"),
        ("BUILD_TESTING", "WIN32", "if(WIN32) is not understood"),
        ("endif()", "", "if() has no end"),
        ("slicerMacroBuildScriptedModule", "slicerMacroBuildLoadableModule", "LoadableModule() is not understood"),
        ("NAME Small", "Small", "the argument Small is not understood"),
    ):
        (small / "Small" / "CMakeLists.txt").write_text(MODULE.replace(wrong, right))
        done = run_script("--root", small, "--output", tmp_path / "dist")
        assert done.returncode == 1 and problem in done.stderr and "Small/CMakeLists.txt" in done.stderr
        assert not (tmp_path / "dist").exists()


@pytest.mark.slow
def test_run_detection_works_from_a_folder_that_is_read_only(package, tmp_path):
    pytest.importorskip("PySide6")
    modules = package / MODULES
    (tmp_path / "sitecustomize.py").write_text(ONLY_THE_PACKAGE)
    paths = os.pathsep.join(map(str, (tmp_path, modules)))
    home = {"HOME": str(tmp_path), "USERPROFILE": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, RUN, modules, tmp_path / "slicer"],
        env={key: value for key, value in os.environ.items() if key != "SLICER_HOME"} | {"PYTHONPATH": paths} | home,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=permissions_bind_root_too if sys.platform == "linux" else None,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert files_of(modules) == expected_files() | extension_files()


def permissions_bind_root_too():
    ctypes.CDLL(None).prctl(DROP_CAPABILITY, OVERRIDE_PERMISSIONS, 0, 0, 0)
