"""Hooks of pytest, and the folder of real scans."""

from __future__ import annotations

import os
import sys
from pathlib import Path

if "PYTEST_XDIST_WORKER" in os.environ:
    # The other cores belong to the other test processes; read when the first numerical library is imported.
    os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest

# Failures in shared code show values, too.
pytest.register_assert_rewrite("support")

from support.made_once import share  # noqa: E402

ROOT = Path(__file__).resolve().parents[1]
# The files that take longest, in this order: they start first, so that no process works on one alone at the end.
LONGEST = (
    *("slicer/panel/test_right_patient.py", "test_end_to_end.py", "evaluation/test_lesion_comparison.py"),
    *("test_detection.py", "methods/test_tv_restoration.py", "cli/test_train.py", "benchmark/test_benchmarks.py"),
    *("methods/sampling/test_samplers.py", "worker/test_service.py", "methods/test_new_method.py"),
    *("module/test_module.py", "modelfile/test_monai_bundle.py", "preprocessing/test_brain_extraction.py"),
    *("preprocessing/test_brain_space.py", "test_end_to_end_images.py"),
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    order = {ROOT / "Testing" / name: number for number, name in enumerate(LONGEST)}
    items.sort(key=lambda item: order.get(item.path, len(order)))


def pytest_configure(config) -> None:
    share(config)


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder of real scans: $MEDAD_DATA, else shared/data beside the repository."""
    folder = Path(os.environ.get("MEDAD_DATA") or ROOT.parent / "shared" / "data")
    if not (folder / "manifest.csv").is_file():
        pytest.skip(f"no test data in {folder}; set MEDAD_DATA")
    return folder


@pytest.fixture(autouse=True)
def no_fake_slicer_left():
    """Blame the test that leaves the emulated Slicer open, not one that comes after it in the same process."""
    yield
    assert not {"qt", "ctk", "SampleData"} & set(sys.modules), "the emulated Slicer was not closed"
