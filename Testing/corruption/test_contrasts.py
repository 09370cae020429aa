"""Contrasts from healthy T1 scans: tissues, families, what the scanner adds, seeds, and time."""

from __future__ import annotations

import time
from dataclasses import replace
from functools import lru_cache

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from support.tissue_phantom import phantom

from MedADLib.corruption.contrasts.acquisition import Acquisition
from MedADLib.corruption.contrasts.anatomy import FULL, Anatomy
from MedADLib.corruption.contrasts.contrast import CLASSES, CURVE, FAMILIES, HIGHEST, Contrast
from MedADLib.errors import InputError

MODES = (CLASSES, CURVE)
NAMED = ("t1", "t2", "flair", "pd", "t1c")
FLUID, GREY, WHITE, DEEP, VESSELS, CHOROID = range(6)


@lru_cache
def anatomy(number: int = 0, noise: float = 0.03) -> Anatomy:
    """The tissues of a brain of fluid, grey and white matter with partial volume and texture."""
    volume, mask, truth = phantom()
    image = gaussian_filter(np.array([0.15, 0.15, 0.55, 0.85])[truth], 0.7)
    image = image + noise * np.random.default_rng(number).standard_normal(image.shape)
    return Anatomy.of(np.where(mask, image, 0), mask, volume.spacing[::-1], number)


def clean(seed: int, family: str | None = None, mode: str | None = None) -> Contrast:
    """A contrast without noise, blur, bias and defects of the mask."""
    drawn = Contrast.draw(np.random.default_rng(seed), family, mode)
    return replace(drawn, acquisition=Acquisition(), grain=(0.0,) * 4, shades=(0.0,) * 3, jitter=(1.0, 0.0))


def mean(image: np.ndarray, tissue: int, scan: Anatomy | None = None) -> float:
    """The mean in the voxels that are of one tissue only, without vessels."""
    shares = (scan or anatomy()).memberships
    return float(image[(shares[tissue] > 0.95 * FULL) & (shares[VESSELS] == 0) & (shares[CHOROID] == 0)].mean())


def test_tissues_are_those_of_the_phantom_and_add_up():
    scan, (_, mask, truth) = anatomy(), phantom()
    assert (scan.memberships[:4].astype(int).sum(0)[mask] == FULL).all() and not scan.memberships[:, ~mask].any()
    found = np.stack([*scan.memberships[:2], np.maximum(scan.memberships[WHITE], scan.memberships[DEEP])]).argmax(0)
    assert (found + 1 == truth)[mask].mean() > 0.9
    mixed = (scan.memberships[GREY] > 50) & (scan.memberships[GREY] < 200)
    assert 0.1 < mixed[mask].mean() < 0.5
    assert scan.memberships[VESSELS].any()
    assert np.median(scan.memberships[FLUID][scan.memberships[VESSELS] > 128]) > 64


def test_a_scan_without_three_tissues_is_refused():
    mask = np.ones((8, 8, 8), bool)
    with pytest.raises(InputError) as raised:
        Anatomy.of(np.full(mask.shape, 0.5), mask, (1.5, 1.2, 1.2))
    assert raised.value.code == "too_few_intensities"
    with pytest.raises(InputError) as raised:
        Anatomy.of(np.full(mask.shape, 0.5), ~mask, (1.5, 1.2, 1.2))
    assert raised.value.code == "scans_without_brain"


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("family", NAMED)
def test_tissues_are_as_bright_as_the_family_says(family, mode):
    for seed in range(6):
        image, _ = clean(seed, family, mode).apply(anatomy())
        fluid, grey, white = (mean(image, tissue) for tissue in (FLUID, GREY, WHITE))
        order = {
            "t1": fluid < grey < white,
            "t1c": fluid < grey < white,
            "t2": fluid > grey > white,
            "flair": grey > white > fluid,
            "pd": grey > white and grey >= fluid,
        }
        assert order[family], (fluid, grey, white)


def test_other_contrasts_have_any_order():
    orders = set()
    for seed in range(30):
        image, _ = clean(seed, "any").apply(anatomy(), range(30, 36))
        shares = anatomy().memberships[:3, 30:36]
        orders.add(tuple(np.argsort([image[share > 240].mean() for share in shares])))
    assert len(orders) >= 5


def test_some_curves_go_up_and_down():
    turns = []
    for seed in range(20):
        drawn = Contrast.draw(np.random.default_rng(seed), "any", CURVE)
        assert 6 <= len(drawn.knots) <= 10
        places, values = (np.array(part) for part in zip(*drawn.knots))
        assert (np.diff(places) > 0).all() and values.min() >= 0 and values.max() <= 1
        turns.append(np.count_nonzero(np.diff(np.sign(np.diff(values)))))
    assert np.mean(np.array(turns) > 0) > 0.8


def test_half_of_the_contrasts_are_curves_and_all_families_occur():
    drawn = [Contrast.draw(np.random.default_rng(seed)) for seed in range(300)]
    assert 0.4 < np.mean([each.mode == CURVE for each in drawn]) < 0.6
    assert {each.family for each in drawn} == set(FAMILIES)
    thick = [each.acquisition.thickness_mm for each in drawn if each.acquisition.thickness_mm]
    assert 0.3 < len(thick) / 300 < 0.6 and 5.5 < max(thick) <= 6.5


def test_a_seed_gives_the_same_contrast_and_image_and_another_seed_others():
    first, again, other = (Contrast.draw(np.random.default_rng(seed)) for seed in (3, 3, 4))
    assert first == again and first != other
    images = [each.apply(anatomy(), [30, 31])[0] for each in (first, again, other)]
    assert np.array_equal(images[0], images[1]) and not np.array_equal(images[0], images[2])


@pytest.mark.parametrize("seed", range(5))
def test_a_slab_is_the_same_as_in_the_whole_scan(seed):
    drawn = Contrast.draw(np.random.default_rng(seed))
    image, mask = drawn.apply(anatomy())
    chosen = [28, 28, 29, 30, 41]
    part, inside = drawn.apply(anatomy(), chosen)
    assert part.dtype == np.float32 and inside.dtype == bool and image.shape == mask.shape == anatomy().mask.shape
    assert np.allclose(part, image[chosen], atol=1e-5) and np.array_equal(inside, mask[chosen])


@pytest.mark.parametrize("mode", MODES)
def test_two_subjects_get_the_same_contrast_with_noise_of_their_own(mode):
    one, two = anatomy(), anatomy(1)
    for seed in range(5):
        drawn = clean(seed, None, mode)
        images = [drawn.apply(scan)[0] for scan in (one, two)]
        for tissue in (FLUID, GREY, WHITE):
            assert abs(mean(images[0], tissue, one) - mean(images[1], tissue, two)) < 0.05
    noisy = replace(drawn, acquisition=Acquisition(noise=0.05))
    noise = [noisy.apply(replace(one, number=number))[0] - images[0] for number in (0, 1)]
    noise = [(part - gaussian_filter(part, 2))[one.memberships[GREY] > 200] for part in noise]
    assert abs(np.corrcoef(*noise)[0, 1]) < 0.3


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("family", ["t2", "t1c"])
def test_the_texture_of_the_t1_is_kept(family, mode):
    scan = anatomy()
    white = scan.memberships[WHITE] == FULL
    inner = gaussian_filter(white.astype(float), 1) > 0.95
    original = scan.image.astype(np.float32)
    for seed in range(4):
        image, _ = clean(seed, family, mode).apply(scan)
        fine = [part - gaussian_filter(part, 1.5) for part in (image, original)]
        found = np.corrcoef(fine[0][inner], fine[1][inner])[0, 1]
        assert found * (-1 if family == "t2" else 1) > 0.5


@pytest.mark.parametrize("mode", MODES)
def test_partial_volume_is_between_its_tissues(mode):
    scan = anatomy(0, 0.0)
    image, _ = replace(clean(1, "t2", mode), texture=(0.0,) * 4, lit=0.0).apply(scan)
    fluid, grey, white = (mean(image, tissue, scan) for tissue in (FLUID, GREY, WHITE))
    share = scan.memberships.astype(int)
    middle = (np.abs(share[GREY] - 128) < 20) & (np.abs(share[WHITE] - 127) < 20)
    assert white < np.median(image[middle]) < grey
    middle = (np.abs(share[GREY] - 128) < 20) & (np.abs(share[FLUID] - 127) < 20)
    assert grey < np.median(image[middle]) < fluid


@pytest.mark.parametrize("mode", MODES)
def test_a_ventricle_has_no_rim_of_grey_matter(mode):
    scan = anatomy(0, 0.0)
    drawn = replace(clean(2, "flair", mode), texture=(0.0,) * 4, lit=0.0)
    image, _ = drawn.apply(scan)
    z, y, x = (size // 2 for size in scan.mask.shape)
    row = image[z + 4, y, x - 15 : x + 16]
    grey, white = mean(image, GREY, scan), mean(image, WHITE, scan)
    assert row.min() < 0.5 * white and row[0] == pytest.approx(white, abs=0.05)
    assert row.max() < white + 0.4 * (grey - white)


def test_vessels_and_choroid_plexus_light_up_with_contrast_agent_only():
    scan = anatomy()
    vessels = scan.memberships[VESSELS] > 240
    lit, _ = clean(0, "t1c", CLASSES).apply(scan)
    plain, _ = replace(clean(0, "t1", CLASSES), lit=0.0).apply(scan)
    assert np.median(lit[vessels]) > mean(lit, WHITE) > mean(plain, GREY) > np.median(plain[vessels])


@pytest.mark.parametrize("seed", range(8))
def test_nothing_is_outside_the_brain_and_values_are_in_range(seed):
    scan = anatomy()
    drawn = Contrast.draw(np.random.default_rng(seed))
    image, mask = drawn.apply(scan)
    assert np.isfinite(image).all() and not image[~mask].any() and image.min() >= 0 and image.max() <= HIGHEST
    if not drawn.acquisition.rim_mm:
        assert not (mask & ~scan.mask).any()


def test_the_mask_can_be_too_small_too_large_and_cropped():
    scan, drawn = anatomy(), clean(0)

    def mask(**changes) -> np.ndarray:
        return replace(drawn, acquisition=Acquisition(**changes)).apply(scan)[1]

    assert np.array_equal(mask(), scan.mask)
    smaller, larger = mask(eroded_mm=3.0), mask(rim_mm=5.0)
    assert 0.8 < smaller.sum() / scan.mask.sum() < 0.99 and not (smaller & ~scan.mask).any()
    assert 1.01 < larger.sum() / scan.mask.sum() < 1.2 and not (scan.mask & ~larger).any()
    cropped = mask(cropped=(0.3, 0.1)).any(axis=(1, 2))
    depth = len(cropped)
    assert not cropped[: int(0.3 * depth)].any() and not cropped[int(0.9 * depth) + 1 :].any() and cropped.any()


def test_other_tissue_shows_in_a_mask_that_is_too_large():
    scan, drawn = anatomy(), clean(0, "t2", CLASSES)
    image, mask = replace(drawn, acquisition=Acquisition(rim_mm=6.0, outside=0.0)).apply(scan)
    beyond = mask & (scan.distance < -12)
    assert beyond.any() and np.median(image[beyond]) < 0.1


def test_thick_slices_blur_across_and_not_within():
    scan, drawn = anatomy(), clean(0, "t2", CLASSES)
    sharp, _ = drawn.apply(scan)
    thick = Acquisition(thickness_mm=6.5, distance_mm=6.5, profile_mm=3.3)
    soft, _ = replace(drawn, acquisition=thick).apply(scan)

    def change(image: np.ndarray, axis: int) -> float:
        return float(np.abs(np.diff(image[20:50, 20:70, 20:50], axis=axis)).mean())

    assert change(soft, 0) < 0.5 * change(sharp, 0) and change(soft, 2) > 0.5 * change(sharp, 2)
    assert change(soft, 2) > 1.5 * change(soft, 0)


def test_noise_and_bias_are_as_strong_as_drawn():
    scan, drawn = anatomy(), replace(clean(0, "t2", CLASSES), lit=0.0)
    inner = gaussian_filter((scan.memberships[GREY] > 240).astype(float), 0.5) > 0.8

    def spread(**changes) -> float:
        image, _ = replace(drawn, acquisition=Acquisition(**changes)).apply(scan)
        return float(image[inner].std())

    plain, noisy, biased = spread(), spread(noise=0.06), spread(bias=0.16)
    assert noisy > 1.2 * plain and biased > 1.2 * plain


def test_intensities_are_scaled_by_the_percentiles_of_the_brain():
    lows, highs = [], []
    for seed in range(12):
        drawn = replace(Contrast.draw(np.random.default_rng(seed)), jitter=(1.0, 0.0))
        image, mask = drawn.apply(anatomy())
        inside = image[mask & anatomy().mask]
        low, high = np.percentile(inside, [1, 99])
        lows.append(low)
        highs.append(high)
    assert np.median(lows) == pytest.approx(0.1, abs=0.03) and np.median(highs) == pytest.approx(0.9, abs=0.05)
    assert np.mean(np.abs(np.array(highs) - 0.9) < 0.15) > 0.8


def test_a_slab_takes_milliseconds_and_a_scan_less_than_seconds():
    small, shape = anatomy(), (100, 160, 160)
    z, y, x = (np.linspace(0, size - 1, new).astype(int) for size, new in zip(small.mask.shape, shape))
    scan = replace(
        small,
        **{name: getattr(small, name)[np.ix_(z, y, x)] for name in ("image", "mask", "distance")},
        memberships=small.memberships[np.ix_(range(6), z, y, x)],
        spacing=(1.5, 1.2, 1.2),
    )
    contrasts = [Contrast.draw(np.random.default_rng(seed)) for seed in range(12)]
    contrasts[0].apply(scan, range(5))

    def seconds(slices: range | None, count: int) -> float:
        taken = []
        for drawn in contrasts[:count]:
            begin = time.process_time()
            drawn.apply(scan, slices)
            taken.append(time.process_time() - begin)
        return float(np.median(taken))

    assert seconds(range(48, 53), 12) < 0.4
    assert seconds(None, 3) < 6
