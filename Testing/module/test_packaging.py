"""What ends up in a package, with pip and in Slicer: every file, under the name that Slicer looks for."""

from __future__ import annotations

import ast
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
import zipfile

import pytest
from cmake_lists import FILE_LISTS
from support.package_files import MODELS, expected_files, extension_files, files_of
from support.source_code import ROOT, library_files, syntax

STUB = ROOT / "Testing" / "fake_slicer" / "cmake"
# What MedAD needs of its own surroundings, run where the package was installed.
FIND_MODELS = """
import MedADLib
from MedADLib.modelfile.store import model_folders
print(MedADLib.__file__)
print(*sorted({path.name for folder in model_folders() for path in folder.glob("*.medad")}))
"""


def test_cmake_lists_equal_the_tree():
    wrong = [(each.cmake_file, each.name) for each in FILE_LISTS if each.listed() != each.in_tree()]
    assert wrong == [], "run `make cmake-lists`"


def test_there_are_models_to_ship():
    assert set(MODELS) == {f"brain-t1{kind}.medad" for kind in ("", "-ae", "-atlas", "-vqvae")}


def test_every_package_folder_has_an_init():
    folders = {path.parent for path in library_files()}
    assert [folder for folder in folders if not (folder / "__init__.py").is_file()] == []


def test_slicer_finds_one_module_and_nothing_that_looks_like_one():
    """Slicer takes every Python file beside the module for another module."""
    assert [path.name for path in (ROOT / "MedAD").glob("*.py")] == ["MedAD.py"]
    classes = {node.name for node in syntax(ROOT / "MedAD" / "MedAD.py").body if isinstance(node, ast.ClassDef)}
    assert {"MedAD", "MedADWidget", "MedADLogic", "MedADTest"} <= classes


def test_extension_index_can_read_the_description():
    text = (ROOT / "CMakeLists.txt").read_text("utf-8")
    assert re.search(r"^project\(MedAD\)$", text, flags=re.MULTILINE)
    for name in ("HOMEPAGE", "CONTRIBUTORS", "DESCRIPTION", "ICONURL", "SCREENSHOTURLS", "KEYWORDS", "DEPENDS"):
        assert len(re.findall(rf'^set\(EXTENSION_{name} "[^"$]+"\)$', text, flags=re.MULTILINE)) == 1, name


def test_images_of_the_description_are_in_the_repository():
    text = (ROOT / "CMakeLists.txt").read_text("utf-8")
    lines = re.findall(r'^set\(EXTENSION_(?:ICONURL|SCREENSHOTURLS) "([^"]+)"\)$', text, flags=re.MULTILINE)
    for url in " ".join(lines).split():
        assert url.startswith("https://") and url.endswith((".png", ".jpg", ".gif"))
        assert (ROOT / url.partition("/SlicerMedAD/main/")[2]).is_file(), url


def test_icons_are_what_the_script_draws():
    image = pytest.importorskip("PIL.Image")
    spec = importlib.util.spec_from_file_location("draw_icon", ROOT / "Resources" / "draw_icon.py")
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    drawn = script.draw_icon()
    assert drawn.shape == (128, 128, 4)
    for name in ("Resources/MedAD.png", "MedAD/Resources/Icons/MedAD.png"):
        with image.open(ROOT / name) as icon:
            assert icon.format == "PNG" and icon.mode == "RGBA" and icon.size == (128, 128)
            difference = abs(drawn.astype(int) - image_array(icon))
        assert difference.max() <= 1, f"run `make icon`: {name} is not what Resources/draw_icon.py draws"


def image_array(icon):
    import numpy as np

    return np.asarray(icon).astype(int)


def test_panel_has_every_widget_the_module_uses():
    panels = list((ROOT / "MedAD" / "Resources" / "UI").glob("*.ui"))
    assert "MedAD.ui" in [path.name for path in panels]
    names = {
        element.get("name")
        for path in panels
        for element in ElementTree.parse(path).iter()
        if element.tag in ("widget", "layout", "addaction", "action")
    }
    used = set(re.findall(r"\bself\.ui\.(\w+)", (ROOT / "MedAD" / "MedAD.py").read_text("utf-8")))
    assert used <= names


def test_cmake_installs_the_whole_extension(tmp_path):
    """Configures, builds and installs with a stand-in for Slicer, then uses what was installed."""
    cmake, compiler = shutil.which("cmake"), shutil.which("cc") and shutil.which("c++")
    if not cmake or not compiler:
        pytest.skip("needs cmake and a C and C++ compiler")
    build, prefix = tmp_path / "build", tmp_path / "prefix"
    run(cmake, "-S", ROOT, "-B", build, f"-DSlicer_DIR={STUB}", f"-DCMAKE_INSTALL_PREFIX={prefix}")
    run(cmake, "--build", build)
    run(cmake, "--install", build)

    printed = dict(line.split("=", 1) for line in (build / "extension.txt").read_text("utf-8").splitlines())
    assert printed["project"] == "MedAD"
    assert printed["modules"] == "MedADLib generic_tests=FALSE;MedAD generic_tests=TRUE"
    assert printed["tests"] == "MedAD.py"
    assert printed["DEPENDS"] == "PyTorch"
    assert printed["cpack"] == "yes"

    for folder in (prefix / "installed" / "qt-scripted-modules", build / "lib" / "Slicer" / "qt-scripted-modules"):
        assert files_of(folder) == expected_files() | extension_files()
        assert models_found_in(folder, tmp_path) == MODELS


@pytest.mark.slow
def test_wheel_holds_library_and_models(tmp_path):
    """Builds a wheel as `pip install .` does, then uses what is in it."""
    pytest.importorskip("setuptools")
    source, site = tmp_path / "source", tmp_path / "site"
    shutil.copytree(ROOT / "MedADLib", source / "MedADLib", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(ROOT / "Resources" / "models", source / "Resources" / "models")
    for name in ("pyproject.toml", "README.md", "LICENSE", "NOTICE"):
        shutil.copy(ROOT / name, source / name)
    run(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "-w", tmp_path, source)

    (wheel,) = tmp_path.glob("medad-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    (about,) = site.glob("*.dist-info")
    shutil.move(about, tmp_path / "about")
    assert files_of(site) == expected_files()
    assert f"\nVersion: {version()}\n" in (tmp_path / "about" / "METADATA").read_text("utf-8")
    assert "medad = MedADLib.cli.main:main" in (tmp_path / "about" / "entry_points.txt").read_text("utf-8")
    assert models_found_in(site, tmp_path) == MODELS


def test_command_line_exists():
    assert "main" in {node.name for node in syntax(ROOT / "MedADLib" / "cli" / "main.py").body if hasattr(node, "name")}


def version():
    """`MedADLib._version.__version__`, which has to be a plain string so that pip can read it without importing."""
    values = [
        node.value.value
        for node in syntax(ROOT / "MedADLib" / "_version.py").body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__version__"
    ]
    assert len(values) == 1 and re.fullmatch(r"\d+\.\d+\.\d+", values[0])
    return values[0]


def models_found_in(folder, home):
    """The models that an installed MedAD finds by itself, asked in a process that sees nothing of this repository."""
    surroundings = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "MEDAD_MODELS")}
    surroundings |= {"PYTHONPATH": str(folder), "HOME": str(home), "USERPROFILE": str(home)}
    library, models = run(sys.executable, "-c", FIND_MODELS, cwd=home, env=surroundings).split("\n", 1)
    assert library == str(folder / "MedADLib" / "__init__.py")
    return models.split()


def run(*command, **options):
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False, **options)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
