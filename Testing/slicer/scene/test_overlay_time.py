"""From the worker's answer to the overlay in the scene, for a scan of usual size: it takes a moment only."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import pytest
from support.mrml import make_detection, no_mrml_errors, standalone, straight_affine, voxels

from MedADLib.results.exchange import read_exchange, write_exchange
from MedADLib.scoring.regions import find_regions
from MedADLib.slicer.scene.show import show_detection
from MedADLib.volume import Volume

__all__ = ["no_mrml_errors", "standalone"]
SHAPE, SPACING, TIMES = (45, 72, 72), (4 * 0.868, 4 * 0.868, 4 * 1.0), 4
# Processor seconds; measured: 0.5 to 0.9.
AT_MOST = 2.5


@pytest.fixture(scope="module")
def detection():
    """On a grid of 288×288×180 voxels; each of a coarser grid became 4×4×4 of them."""
    blobs = ((-30, 20, 15, 9.0, 24), (35, -25, -10, 8.0, 18))
    coarse = make_detection(straight_affine(SHAPE, SPACING), blobs, shape=SHAPE)
    affine = straight_affine(tuple(TIMES * n for n in SHAPE), tuple(n / TIMES for n in SPACING))
    names = ("volume", "mask", "anomaly", "restored")
    fine = {name: Volume(repeated(getattr(coarse, name).array), affine, getattr(coarse, name).name) for name in names}
    labels, regions = find_regions(fine["anomaly"], coarse.threshold, coarse.reference.region_p_value, 0.0)
    return replace(coarse, **fine, labels=fine["anomaly"].with_array(labels), regions=regions)


def repeated(array: np.ndarray) -> np.ndarray:
    return array.repeat(TIMES, 0).repeat(TIMES, 1).repeat(TIMES, 2)


def test_the_overlay_is_there_soon_after_the_worker_has_answered(standalone, detection, tmp_path, record_property):
    write_exchange(detection, tmp_path)
    node = standalone.add_volume(detection.volume)
    begin = time.process_time()
    result = show_detection(read_exchange(tmp_path, detection.volume), node, standalone.scene)
    taken = time.process_time() - begin
    record_property("seconds", taken)
    print(f"from the worker's answer to the overlay: {taken:.2f} processor seconds")
    assert np.array_equal(voxels(result.anomaly), detection.anomaly.array) and len(detection.regions) == 2
    assert taken < AT_MOST
