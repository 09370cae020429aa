"""Overlap of a detection with a lesion at a known position."""

from __future__ import annotations

import numpy as np
import pytest
from support.synthetic import synthetic_detection

from MedADLib.evaluation.overlap import KnownLesion

# The two regions are boxes of 2 x 2 x 3 voxels.
FIRST, SECOND = (slice(11, 13), slice(10, 12), slice(8, 11)), (slice(9, 11), slice(15, 17), slice(15, 18))
HALF_OF_SECOND = (slice(10, 11), slice(15, 17), slice(15, 20))
ELSEWHERE = (slice(5, 7), slice(12, 14), slice(12, 15))


@pytest.fixture(scope="module")
def detection():
    detection = synthetic_detection()
    for rank, box in enumerate((FIRST, SECOND), start=1):
        assert (detection.labels.array[box] == rank).all() and (detection.labels.array == rank).sum() == 12
    return detection


def known(detection, *boxes):
    array = np.zeros(detection.volume.array.shape, np.uint8)
    for box in boxes:
        array[box] = 1
    return KnownLesion.of(detection, detection.volume.with_array(array))


def test_a_lesion_is_found_as_the_region_that_overlaps_it(detection):
    # 10 voxels, 6 of them among the 12 of the second region.
    lesion = known(detection, HALF_OF_SECOND)
    assert lesion.region is detection.regions[1]
    assert lesion.centre == pytest.approx(detection.volume.ras_from_voxels([[10, 15.5, 17]])[0])
    assert lesion.volume_ml == pytest.approx(10 * 0.216)
    assert (lesion.dice, lesion.covered) == pytest.approx((2 * 6 / (10 + 12), 0.6))
    assert lesion.dice_of_all == pytest.approx(2 * 6 / (10 + 24))


def test_a_lesion_in_several_regions_has_the_first_and_the_overlap_of_all(detection):
    lesion = known(detection, HALF_OF_SECOND, FIRST)
    assert lesion.region is detection.regions[0]
    assert (lesion.dice, lesion.covered) == pytest.approx((2 * 18 / (22 + 24), 18 / 22))
    assert lesion.dice_of_all == lesion.dice


def test_a_lesion_outside_all_regions_is_not_found(detection):
    lesion = known(detection, ELSEWHERE)
    assert lesion.region is None and lesion.volume_ml == pytest.approx(12 * 0.216)
    assert (lesion.dice, lesion.covered, lesion.dice_of_all) == (0.0, 0.0, 0.0)
