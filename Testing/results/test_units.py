"""The unit of a map in words, and its colour scale."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from support.references import in_z_scores
from support.synthetic import synthetic_detection

from MedADLib.results.units import explanation, legend, meaning, scale_top, value_text

HEALTHY = synthetic_detection()


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (0.0, "1 healthy voxel in 1"),
        (0.2, "1 healthy voxel in 1.6"),
        (3.0, "1 healthy voxel in 1,000"),
        (3.15, "1 healthy voxel in 1,400"),
        (4.0, "1 healthy voxel in 10,000"),
        (5.0, "1 healthy voxel in 100,000"),
        (5.001, "above all voxels of the healthy scans"),
        (400.0, "above all voxels of the healthy scans"),
    ],
)
def test_a_rarity_is_a_share_of_healthy_voxels_up_to_the_largest_of_them(value, words):
    # The largest value of a healthy scan is 5.
    assert meaning(HEALTHY, value) == words


def test_no_share_below_one_voxel_in_a_million_is_named():
    reference = replace(HEALTHY.reference, maxima=np.array([2.5, 7.0]), sample_scores=np.array([1.0, 2.0]))
    many = replace(HEALTHY, reference=reference)
    assert meaning(many, 6.0) == "1 healthy voxel in 1,000,000"
    assert meaning(many, 6.5) == meaning(many, 7.0) == "less than 1 healthy voxel in 1,000,000"


def test_values_name_their_unit():
    assert value_text(HEALTHY, 3.1512) == "rarity 3.15" and value_text(in_z_scores(HEALTHY), 3) == "z-score 3"
    assert meaning(in_z_scores(HEALTHY), 3) == "SD above the healthy mean"
    assert "only ranks voxels" in explanation(HEALTHY) and "ranks" not in explanation(in_z_scores(HEALTHY))
    assert legend(HEALTHY) == "Rarity (3 = 1 healthy voxel in 1,000)"
    assert legend(in_z_scores(HEALTHY)) == "z-score (SD above the healthy mean)"


@pytest.mark.parametrize("threshold", [0.0, 2.0, 3.15, 9.0])
def test_the_scale_of_rarity_is_the_same_for_all_and_that_of_z_scores_as_it_was(threshold):
    for regions in (HEALTHY.regions, ()):
        found = replace(HEALTHY, threshold=threshold, regions=regions)
        assert scale_top(found) == 6.0
        peak = 9.0 if regions else 0.0
        least = max(threshold, 1e-6)
        assert scale_top(in_z_scores(found)) == pytest.approx(np.clip(peak, 2 * least, 4 * least))
