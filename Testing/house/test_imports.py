"""Who may import what: the boundaries that keep Slicer starting fast and the library usable without it."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest
from support.source_code import ROOT, imported_on_loading, imports, library_files, top_level

try:
    import tomllib
except ModuleNotFoundError:
    import tomli as tomllib

SLICER = {"slicer", "qt", "ctk", "vtk", "vtkmodules", "LayerDMLib", "layer_dm_lib", "SampleData", "PyTorchUtils"}
HEAVY = {"torch", "monai", "matplotlib", "sklearn", "scipy", "pydicom", "nilearn", "deepbet", "safetensors"}


def relative(path):
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("path", [*library_files("MedAD"), *library_files("MedADLib/slicer")], ids=relative)
def test_what_slicer_loads_brings_in_nothing_heavy(path):
    found = top_level(imported_on_loading(path)) & HEAVY
    assert not found, f"loading {relative(path)} imports {sorted(found)}; import them in the function that needs them"


def test_what_the_slicer_module_imports_later_brings_in_nothing_heavy_either():
    names = {name for name in imports(ROOT / "MedAD" / "MedAD.py") if name.startswith("MedADLib.")}
    files = [path for name in names if (path := ROOT.joinpath(*name.split(".")).with_suffix(".py")).is_file()]
    assert len(files) > 5
    assert {path.name: heavy for path in files if (heavy := top_level(imported_on_loading(path)) & HEAVY)} == {}


def test_the_slicer_module_itself_needs_only_what_every_slicer_has():
    allowed = set(sys.stdlib_module_names) | SLICER | {"numpy", "SimpleITK", "MedADLib"}
    assert top_level(imports(ROOT / "MedAD" / "MedAD.py", file_scope_only=True)) <= allowed


@pytest.mark.parametrize("path", library_files(), ids=relative)
def test_only_the_slicer_folder_knows_slicer(path):
    if (ROOT / "MedADLib" / "slicer") not in path.parents:
        assert not top_level(imports(path)) & SLICER


@pytest.mark.parametrize("path", library_files("MedADLib/networks"), ids=relative)
def test_networks_need_torch_and_monai_only(path):
    names = imports(path)
    assert top_level(names) <= set(sys.stdlib_module_names) | {"torch", "monai", "MedADLib"}
    assert all(name.startswith("MedADLib.networks") for name in names if name.startswith("MedADLib"))


@pytest.mark.parametrize("path", library_files("MedADLib/methods"), ids=relative)
def test_methods_touch_no_files_geometry_or_scene(path):
    names = imports(path)
    assert not top_level(names) & {"SimpleITK", "shutil", "tempfile", "zipfile"}
    forbidden = ("MedADLib.volume", "MedADLib.io", "MedADLib.modelfile", "MedADLib.slicer")
    assert not [name for name in names if name.startswith(forbidden)]


def test_every_import_is_declared_and_every_declared_package_is_imported():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    needed = declared(project["dependencies"])
    extras = {name: declared(packages) for name, packages in project["optional-dependencies"].items()}
    optional = extras["demo"] | extras["view"] | extras["strip"]
    used = set().union(*(top_level(imports(path)) for path in library_files()))
    outside = used - set(sys.stdlib_module_names) - SLICER - {"MedADLib"}
    assert outside <= needed | optional
    assert needed <= used


def test_the_library_itself_is_light_to_import():
    found = top_level(imported_on_loading(ROOT / "MedADLib" / "__init__.py")) & HEAVY
    assert not found, f"`import MedADLib` imports {sorted(found)}"


def declared(requirements):
    return {re.match(r"[\w.-]+", requirement).group().replace("-", "_") for requirement in requirements}


def test_users_read_a_volume_by_the_class(tmp_path):
    import numpy as np
    import SimpleITK as sitk

    path = tmp_path / "scan.nii.gz"
    sitk.WriteImage(sitk.GetImageFromArray(np.arange(60, dtype=np.float32).reshape(3, 4, 5)), str(path))
    code = f"from MedADLib import Volume; print(Volume.read({str(path)!r}).array.shape)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "(3, 4, 5)", done.stderr
