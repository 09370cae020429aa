"""How much memory a detection takes, by the size of the scan: a bound for large ones, held on a smaller one."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from support.phantoms import head
from support.source_code import ROOT

from MedADLib.volume import Volume

MODEL = ROOT / "MedAD" / "Resources" / "tiny.medad"
# The scan, the anomaly map and the restored scan of 4 bytes a voxel each, the labels of 2 and the mask of 1 are 15; one
# more copy of a volume may be there for a moment. So one of 512 x 512 x 400 voxels takes at most
# 2.0 GB, with the scan itself.
MOST_BYTES_A_VOXEL = 19

PEAK = """
import resource, sys
import matplotlib.figure, torch, SimpleITK
import MedADLib.detection, MedADLib.methods.latent_restoration, MedADLib.results.writing
from MedADLib.cli.main import main

scale = 1 if sys.platform == "darwin" else 1024
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
code = main(["detect", sys.argv[1], "-o", sys.argv[2], "--model", sys.argv[3], "--quiet"])
assert code == 0
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * scale)
"""


def fine_head(times: int) -> Volume:
    """A synthetic head with each voxel divided along each axis."""
    coarse, _ = head(3)
    array = coarse.array
    for axis in range(3):
        array = np.repeat(array, times, axis)
    affine = coarse.affine @ np.diag([1 / times, 1 / times, 1 / times, 1])
    affine[:3, 3] = coarse.affine[:3, 3] - coarse.affine[:3, :3] @ np.full(3, 0.5 * (1 - 1 / times))
    return Volume(array, affine, coarse.name)


@pytest.mark.slow
def test_reading_detecting_and_writing_take_few_bytes_a_voxel(tmp_path):
    pytest.importorskip("resource")
    scan = fine_head(4)
    scan.write(tmp_path / "scan.nii.gz")
    arguments = [str(tmp_path / "scan.nii.gz"), str(tmp_path / "result"), str(MODEL)]
    done = subprocess.run([sys.executable, "-c", PEAK, *arguments], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout.splitlines()[-1]) < MOST_BYTES_A_VOXEL * scan.array.size
