"""Missing packages in Slicer: found from metadata alone, fitting computer, PyTorch and numpy."""

from __future__ import annotations

import re
import subprocess
import sys
import time

import pytest
from support.slicer_install import OURS, SLICER_5_8, SLICER_5_12
from support.source_code import ROOT

from MedADLib.runtime import versions
from MedADLib.slicer.install.packages import (
    EXTENSION,
    Computer,
    InstallError,
    constraints,
    missing,
    needed,
    plan_text,
    satisfied,
)

BROKEN = {"torch": "torchgen/__init__.py is missing"}


def computer(installed=SLICER_5_12, system="Linux", machine="x86_64", nvidia=False, extension=True, **more):
    return Computer((installed | more).get, lambda name: extension, system, machine, nvidia)


def names(found):
    return [package.name for package in found]


def requirement(name, where):
    return next(package.requirement for package in needed(where) if package.name == name)


def test_a_fresh_slicer_lacks_all_and_pytorch_comes_first():
    assert names(missing(computer())) == ["torch", "safetensors", "monai", "deepbet"]


def test_without_the_pytorch_extension_it_comes_before_pytorch_but_only_if_pytorch_is_lacking():
    assert names(missing(computer(extension=False)))[:2] == [EXTENSION, "torch"]
    assert names(missing(computer(extension=False, torch="2.9.1+cu128"))) == ["safetensors", "monai", "deepbet"]


def test_a_complete_slicer_lacks_nothing():
    assert missing(computer(torch="2.9.1+cu128", **OURS)) == []


@pytest.mark.parametrize(
    ("installed", "lacking"),
    [
        ({"torch": "2.1.2"}, "torch"),
        ({"torch": "2.2.2"}, "torch"),  # knows numpy 1 only
        ({"monai": "1.3.2"}, "monai"),  # has no VQ-VAE
        ({"torch": "2.6.0", "monai": "1.6.1"}, "monai"),  # wants torch 2.8
        ({"safetensors": "0.3.9"}, "safetensors"),
        ({"deepbet": "1.0.3"}, "deepbet"),
    ],
)
def test_what_does_not_fit_is_missing(installed, lacking):
    where = computer(**({"torch": "2.9.1"} | OURS | installed))
    assert lacking in names(missing(where))


def test_monai_fits_the_pytorch_that_is_there():
    wanted = {torch: requirement("monai", computer(SLICER_5_8, torch=torch)) for torch in ("2.2.2", "2.5.1", "2.8.0")}
    assert wanted == {"2.2.2": "monai>=1.4,<1.5", "2.5.1": "monai>=1.4,<1.6", "2.8.0": "monai>=1.4"}


def test_intel_macs_stay_with_the_last_pytorch_for_them():
    mac = computer(SLICER_5_8, system="Darwin")
    assert requirement("torch", mac) == "torch>=2.2,<2.3" and requirement("monai", mac) == "monai>=1.4,<1.5"
    assert requirement("torch", computer(system="Darwin", machine="arm64")) == "torch>=2.3"
    with pytest.raises(InstallError) as caught:
        missing(computer(system="Darwin"))
    assert (caught.value.code, caught.value.parameters) == ("install_no_torch_for_mac", {"numpy": "2.4.6"})
    with_numpy_1 = computer(SLICER_5_12 | {"numpy": "1.26.4"}, system="Darwin", torch="2.2.2", **OURS)
    assert names(missing(with_numpy_1)) == ["monai"]


def test_on_windows_pytorch_stays_below_the_release_with_paths_too_long_unless_it_is_there_and_intact():
    windows = computer(system="Windows", machine="AMD64")
    assert requirement("torch", windows) == "torch>=2.3,<2.13"
    assert requirement("torch", computer(SLICER_5_8, system="Windows", machine="AMD64")) == "torch>=2.2,<2.13"
    assert missing(computer(system="Windows", machine="AMD64", torch="2.13.0+cu130", **OURS)) == []
    half = Computer(
        (SLICER_5_12 | OURS | {"torch": "2.13.0+cu130"}).get, lambda name: True, "Windows", "AMD64", False, BROKEN.get
    )
    (lacking,) = missing(half)
    assert lacking.requirement == "torch>=2.3,<2.13" and lacking.damage == BROKEN["torch"]


def test_slicers_own_packages_are_pinned_and_pytorch_once_it_is_there():
    pinned = constraints(computer(torch="2.9.1+cu128")).splitlines()
    assert pinned == ["numpy==2.4.6", "scipy==1.17.1", "SimpleITK==2.5.5", "pydicom==3.0.2", "torch==2.9.1+cu128"]
    assert "torch" not in constraints(computer()) + constraints(computer(torch="2.1.0").without(["torch"]))


def test_versions_compare_as_pips_do():
    specifiers = pytest.importorskip("packaging.specifiers")
    for version in ("1.9", "1.10.2", "2.2", "2.2.0", "2.2.2+cpu", "2.3", "2.13.0+cu130", "10.0.1.post2"):
        for condition in (">=2.2", ">=2.2,<2.3", "<2.10", "==2.2.0", ">=1.10,<2"):
            expected = specifiers.SpecifierSet(condition).contains(version)
            assert satisfied(f"torch{condition}", computer(torch=version)) == expected, (version, condition)


def test_the_plan_states_what_how_large_why_where_and_that_nothing_is_uploaded():
    text = plan_text(missing(computer(extension=False, nvidia=True)))
    for package in missing(computer(extension=False, nvidia=True)):
        assert f"• {package.name} (" in text and package.purpose in text
    assert "torch (6.0 GB)" in text and "Together about 6.0 GB" in text
    assert "Slicer's own Python" in text and "nothing is uploaded" in text
    assert "torch (700 MB)" in plan_text(missing(computer()))


def test_finding_out_imports_nothing_and_is_fast():
    program = (
        "import sys, time\nfrom MedADLib.slicer.install.packages import Computer, missing\n"
        "start = time.perf_counter()\n"
        "missing(Computer()); print(time.perf_counter() - start)\n"
        "print(sys.modules.keys() & {'torch', 'monai', 'safetensors', 'deepbet', 'numpy', 'SimpleITK', 'matplotlib'})"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    seconds, loaded = done.stdout.splitlines()
    assert loaded == "set()" and float(seconds) < 1


def test_a_package_that_appears_is_seen_without_a_restart(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path))
    assert versions.installed_version("medad-made-up") is None
    time.sleep(0.01)
    folder = tmp_path / "medad_made_up-1.2.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: medad-made-up\nVersion: 1.2\n")
    assert versions.installed_version("medad-made-up") == "1.2"


def test_the_requirements_file_for_offline_use_lists_the_same():
    text = (ROOT / "MedAD" / "Resources" / "requirements.txt").read_text("utf-8")
    listed = [line for line in text.splitlines() if line and not line.startswith("#")]
    assert listed == [package.requirement for package in needed(computer()) if package.name != "torch"]


@pytest.mark.slow
def test_detection_needs_nothing_else_than_is_installed():
    """Matplotlib, for one, is needed for figures only, which Slicer draws itself."""
    program = """
import sys
for name in ("matplotlib", "PIL", "pandas", "nibabel", "sklearn", "nilearn", "skimage", "tqdm", "einops"):
    sys.modules[name] = None
from MedADLib import detection
from MedADLib.preprocessing import brain_extraction as brainmask, brain_space as preparation
from MedADLib.scoring import regions
from MedADLib.modelfile.model import load_model
for name in ("brain-t1", "brain-t1-ae", "brain-t1-vqvae"):
    load_model(name)
"""
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_floor_of_monai_has_the_vqvae_that_the_networks_import():
    """MONAI 1.3 has not, so a bound below 1.4 would install what cannot run."""
    source = (ROOT / "MedADLib" / "networks" / "monai_export.py").read_text("utf-8")
    assert "monai.networks.nets.VQVAE" in source
    assert re.match(r"monai>=1\.4", requirement("monai", computer()))
