"""Synthetic anomalies of all sizes: where they change a scan, how large and strong they are, and their seeds."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from MedADLib.corruption.multi_scale import KINDS, RADII_MM, STRENGTHS, Slab, add_anomalies
from MedADLib.corruption.random_fields import random_crop

SPACING = (1.5, 1.2, 1.2)


def slab(seed: int = 0, size: int = 96) -> Slab:
    """Noisy tissue of two intensities in a round brain."""
    random = np.random.default_rng(seed)
    y, x = np.meshgrid(*[np.linspace(-1, 1, size)] * 2, indexing="ij")
    mask = np.repeat((y**2 + x**2 < 0.9)[None], 5, 0)
    tissue = 0.55 + 0.2 * np.sign(random_crop(mask.shape, SPACING, 7.0, random))

    def image(own: np.random.Generator) -> np.ndarray:
        return np.where(mask, tissue + 0.03 * own.standard_normal(mask.shape), 0).astype(np.float32)

    edges = torch.linspace(0.1, 1.0, 9)
    return Slab(image(random), mask, lambda: (image(np.random.default_rng(seed + 1))[..., ::-1], mask), SPACING, edges)


def changed(seed: int = 0, **more) -> tuple[np.ndarray, Slab]:
    """A slab before and after one anomaly in its middle."""
    found = slab(seed)
    before = found.image.copy()
    options = {"focus": (slice(40, 56), slice(40, 56)), "clean": 0.0, "count": 1} | more
    add_anomalies(found, np.random.default_rng(seed), **options)
    return before, found


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_changes_the_scan_inside_its_anomaly_only(kind):
    largest = []
    for seed in range(6):
        before, after = changed(seed, kinds=(kind,), radii_mm=(9.0, 9.0))
        untouched = after.labels == 0
        assert np.array_equal(after.image[untouched], before[untouched]) and not after.degree[untouched].any()
        assert not after.image[~after.mask].any() and not after.labels[~after.mask].any()
        assert after.image.min() >= 0 and after.image.max() <= 1.5
        assert after.degree.min() >= 0 and after.degree.max() <= 1
        largest.append(float(after.degree.max()))
    assert np.median(largest) > 0.1


def test_a_seed_gives_the_same_anomalies_and_another_seed_others():
    first, again, other = (changed(seed, count=None) for seed in (3, 3, 4))
    assert np.array_equal(first[1].image, again[1].image) and np.array_equal(first[1].degree, again[1].degree)
    assert not np.array_equal(first[1].labels, other[1].labels)


@pytest.mark.parametrize("radius", [2.0, 5.0, 12.0])
def test_an_anomaly_has_about_the_area_of_its_radius(radius):
    areas = []
    for seed in range(60):
        _, after = changed(seed, kinds=("gain",), radii_mm=(radius, radius))
        # Edges are soft: the outline is where the degree is half the largest.
        areas.append((after.degree > 0.5 * after.degree.max()).sum((1, 2)).max() * SPACING[1] * SPACING[2])
    assert 0.5 * np.pi * radius**2 < np.median(areas) < 1.8 * np.pi * radius**2


def test_anomalies_of_a_block_are_anywhere_in_it_and_as_high_as_they_are_wide():
    heights, centres = [], []
    for seed in range(60):
        small = slab(seed)
        image, mask = (np.repeat(part[:1], 24, 0) for part in (small.image, small.mask))
        found = Slab(image, mask, lambda image=image, mask=mask: (image, mask), SPACING, small.edges, deep=True)
        add_anomalies(found, np.random.default_rng(seed), clean=0, count=1, radii_mm=(4.0, 4.0), kinds=("gain",))
        slices = np.flatnonzero((found.degree > 0.5 * found.degree.max()).any((1, 2)))
        heights.append(len(slices) * SPACING[0])
        centres.append(slices.mean())
    assert 5 < np.median(heights) < 12
    assert min(centres) < 4 and max(centres) > 19 and 9 < np.mean(centres) < 14


def test_sizes_numbers_and_clean_slabs_are_as_described():
    counts, sizes = [], []
    for seed in range(300):
        found = slab(seed % 3)
        add_anomalies(found, np.random.default_rng([7, seed]))
        numbers, pixels = np.unique(found.labels[found.labels > 0], return_counts=True)
        counts.append(int(found.labels.max()))
        sizes += pixels.tolist()
    assert 0.1 < np.mean(np.array(counts) == 0) < 0.24
    assert max(counts) <= 8 and sum(count > 4 for count in counts) > 20 and sum(count == 1 for count in counts) > 30
    voxel = np.prod(SPACING)
    # A spot of one voxel, and a large part of the slab, which is 7.5 mm high.
    assert min(sizes) <= 2 and max(sizes) * voxel > 0.4 * np.pi * RADII_MM[1] ** 2 * 7.5


def test_intensities_change_both_ways_down_to_faint():
    strengths, degrees = [], []
    for seed in range(80):
        before, after = changed(seed, kinds=("gain",), radii_mm=(6.0, 6.0))
        core = after.degree > 0.9 * after.degree.max()
        strengths.append(float((after.image - before)[core].mean() / after.spread))
        degrees.append(float(after.degree.max()))
    size = np.abs(strengths)
    assert 0.3 < np.mean(np.array(strengths) > 0) < 0.7
    assert size.min() < 3 * STRENGTHS[0] and 1.0 < size.max() < 1.6 * STRENGTHS[1]
    assert np.corrcoef(np.log(size), degrees)[0, 1] > 0.8


def test_half_of_the_textures_keep_their_mean():
    shifts = []
    for seed in range(40):
        before, after = changed(seed, kinds=("texture",), radii_mm=(10.0, 10.0))
        inside = after.labels > 0
        difference = (after.image - before)[inside]
        shifts.append(abs(float(difference.mean())) / max(float(np.abs(difference).mean()), 1e-6))
    assert 0.25 < np.mean(np.array(shifts) < 1e-3) < 0.85
