"""Synthetic anomalies: inside the brain only, as strong as asked for, the same for the same seed."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from support.raised import raises

from MedADLib.corruption.blending import blend_by_gradients, blend_linearly, paste_foreign
from MedADLib.corruption.poisson import inpaint
from MedADLib.corruption.shapes import add_coarse_noise, band_edges, blobs, shift_bands, squares
from MedADLib.errors import SettingError

COUNT, SIDE = 24, 48
BLENDS = [blend_linearly, blend_by_gradients]
EDGES = torch.linspace(0.1, 1.1, 9)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def slices(seed: int, count: int = COUNT) -> tuple[torch.Tensor, torch.Tensor]:
    """Elliptic brains of smooth random tissue, each of another size."""
    random = seeded(seed)
    y, x = torch.meshgrid(torch.linspace(-1, 1, SIDE), torch.linspace(-1, 1, SIDE), indexing="ij")
    radii = 0.6 + 0.3 * torch.rand(count, 2, 1, 1, generator=random)
    masks = ((y / radii[:, :1]) ** 2 + (x / radii[:, 1:]) ** 2 < 1).float()
    coarse = torch.rand(count, 1, 9, 9, generator=random)
    tissue = torch.nn.functional.interpolate(coarse, size=(SIDE, SIDE), mode="bilinear")
    return (0.2 + tissue) * masks, masks


def pasted(degrees, blend, seed=0, shape=squares, foreign_seed=1):
    images, masks = slices(0)
    foreign, foreign_masks = slices(foreign_seed)
    degrees = torch.full((COUNT,), degrees) if isinstance(degrees, float) else degrees
    return images, paste_foreign(images, masks, foreign, foreign_masks, shape(masks, seeded(seed)), degrees, blend)


def level(corrupted) -> torch.Tensor:
    """The largest degree of corruption in each slice."""
    return corrupted.target.amax((1, 2, 3))


def shifted(degrees, seed=0):
    images, masks = slices(0)
    shapes = blobs(masks, seeded(5))
    return images, shift_bands(images, masks, shapes, EDGES, torch.full((COUNT,), degrees), seeded(seed))


WAYS = {
    "linear": lambda degree, seed=0: pasted(degree, blend_linearly, seed),
    "poisson": lambda degree, seed=0: pasted(degree, blend_by_gradients, seed),
    "blob": lambda degree, seed=0: pasted(degree, blend_by_gradients, seed, blobs),
    "bands": lambda degree, seed=0: shifted(degree, seed),
}


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_nothing_happens_at_degree_0(way):
    images, corrupted = way(0.0)
    assert torch.equal(corrupted.images, images)
    assert not corrupted.target.any()


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_what_is_not_in_the_target_stays_bit_for_bit_and_the_background_is_never_in_it(way):
    images, corrupted = way(0.6)
    _, masks = slices(0)
    untouched = corrupted.target == 0
    assert torch.equal(corrupted.images[untouched], images[untouched])
    assert not corrupted.target[masks == 0].any() and not corrupted.images[masks == 0].any()
    assert (corrupted.images != images).any((1, 2, 3)).float().mean() > 0.9
    assert corrupted.target.min() >= 0 and corrupted.target.max() <= 0.6 + 1e-6
    assert corrupted.images.min() >= 0 and corrupted.images.max() <= 1.5


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_a_seed_gives_the_same_anomaly_and_another_seed_another(way):
    first, again, other = way(0.6)[1], way(0.6)[1], way(0.6, 1)[1]
    assert torch.equal(first.images, again.images) and torch.equal(first.target, again.target)
    assert not torch.equal(first.images, other.images)


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_one_seed_at_several_degrees_is_one_anomaly_of_growing_strength(way):
    images, weak = way(0.2)
    strong = way(0.4)[1]
    changes = [(found.images - images).abs() for found in (weak, strong)]
    assert (weak.target > 0).float().sub((strong.target > 0).float()).abs().mean() < 0.01
    assert (strong.target >= weak.target - 1e-6).all()
    assert changes[1].sum() > 1.5 * changes[0].sum()
    assert (level(strong) > level(weak)).float().mean() > 0.9


@pytest.mark.parametrize("blend", BLENDS)
def test_a_patch_that_is_the_same_in_both_scans_gives_no_target(blend):
    images, corrupted = pasted(0.7, blend, foreign_seed=0)
    assert torch.equal(corrupted.images, images) and not corrupted.target.any()


def test_a_linear_blend_is_the_formula_in_each_pixel_and_grows_in_proportion():
    degrees = torch.linspace(0.05, 0.95, COUNT)
    images, corrupted = pasted(degrees, blend_linearly)
    foreign, _ = slices(1)
    inside = corrupted.target > 0
    alpha = degrees.view(-1, 1, 1, 1).expand_as(images)[inside]
    assert torch.equal(corrupted.target[inside], alpha)
    assert torch.allclose(corrupted.images[inside], (1 - alpha) * images[inside] + alpha * foreign[inside], atol=1e-6)
    half, whole = (pasted(d, blend_linearly, shape=blobs)[1].images - images for d in (0.5, 1.0))
    assert torch.allclose(2 * half, whole, atol=1e-6)


@pytest.mark.parametrize("blend", BLENDS)
def test_foreign_background_is_not_a_foreign_tissue(blend):
    images, masks = slices(0)
    foreign, foreign_masks = slices(1)
    only = paste_foreign(images, masks, foreign, foreign_masks, masks, torch.ones(COUNT), blend)
    assert not only.target[(foreign_masks == 0)].any()
    assert only.images[masks > 0].min() > 0.1


def test_squares_have_the_sizes_and_places_of_the_recipe():
    masks = torch.zeros(2000, 1, 80, 100)
    masks[:, :, 10:70, 20:90] = 1
    shapes = squares(masks, seeded())
    assert set(shapes.unique().tolist()) == {0.0, 1.0}
    sides = shapes.amax(2).sum((1, 2))
    # 8 to 32 % of the shorter side, 60, either way from the centre.
    assert sides.min() == 2 * 5 + 1 and sides.max() == 2 * 19 + 1 and sides.unique().numel() > 8
    rows = (torch.arange(80.0).view(1, 1, -1, 1) * shapes).sum((1, 2, 3)) / shapes.sum((1, 2, 3))
    assert 14 < rows.min() < 20 and 60 < rows.max() < 66
    assert abs(float(rows.mean()) - 39.5) < 1


def test_blobs_are_smooth_round_and_of_many_sizes():
    masks = torch.ones(300, 1, 64, 64)
    shapes = blobs(masks, seeded())
    assert shapes.min() == 0 and shapes.max() == 1
    sizes = shapes.sum((1, 2, 3))
    assert sizes.quantile(0.9) > 4 * sizes.quantile(0.1) and (sizes > 0).all()
    steps = (shapes[:, :, 1:] - shapes[:, :, :-1]).abs()
    assert steps.quantile(0.99) < 0.95 and ((shapes > 0) & (shapes < 1)).any()
    assert len(shapes.flatten(1).unique(dim=0)) == 300


@pytest.mark.parametrize("shape", [squares, blobs])
def test_a_slice_without_brain_gets_no_anomaly(shape):
    masks = torch.zeros(3, 1, 32, 32)
    masks[1, 0, 5:25, 5:25] = 1
    shapes = shape(masks, seeded())
    assert torch.isfinite(shapes).all() and shapes.amax((1, 2, 3)).tolist() == [0, 1, 0]


def test_bands_are_the_classes_of_k_means():
    from sklearn.cluster import KMeans

    random = np.random.default_rng(0)
    values = np.concatenate([random.normal(mean, 0.03, 4000) for mean in (0.2, 0.5, 0.9, 1.2)]).astype(np.float32)
    expected = np.sort(KMeans(4, n_init=5, random_state=0).fit(values[:, None]).cluster_centers_.ravel())
    assert np.allclose(band_edges(torch.from_numpy(values), 4), (expected[1:] + expected[:-1]) / 2, atol=5e-3)
    few = band_edges(torch.tensor([0.5, 0.5, 0.5, 0.7]), 10)
    assert torch.isfinite(few).all() and (few.diff() >= 0).all()


def test_shifted_bands_move_some_intensities_and_leave_others():
    images, masks = slices(0)
    images = torch.where(images > 0.7, 0.9, 0.4) * masks
    found = shift_bands(images, masks, masks, torch.tensor([0.6]), torch.full((COUNT,), 0.3), seeded())
    change = found.images - images
    kinds = set()
    for number in range(COUNT):
        classes = [change[number][(images[number] == value)].median() for value in (0.4, 0.9)]
        kinds.add(tuple(round(float(value), 1) for value in classes))
    possible = {(a, b) for a in (-0.3, 0.0, 0.3) for b in (-0.3, 0.0, 0.3) if a * b >= 0}
    assert kinds <= possible and {(0.3, 0.3), (-0.3, -0.3), (0.3, 0.0), (0.0, 0.3)} <= kinds
    assert torch.allclose(found.target, change.abs())


def test_the_level_counts_the_bias_that_came_about():
    images, masks = slices(0)
    bright = torch.full_like(images, 1.4) * masks
    found = shift_bands(bright, masks, masks, EDGES, torch.full((COUNT,), 0.5), seeded())
    levels = {round(value, 2) for value in level(found).tolist()}
    assert {0.1, 0.5} <= levels <= {0.0, 0.1, 0.5}


def test_coarse_noise_has_its_sd_is_smooth_and_stays_in_the_brain():
    masks = torch.zeros(200, 1, 64, 64)
    masks[..., 8:56, 8:56] = 1
    images = 0.5 * masks
    degrees = torch.linspace(0.1, 0.4, 200)
    noise = add_coarse_noise(images, masks, degrees, seeded()) - images
    assert not noise[masks == 0].any()
    spread = noise[..., 8:56, 8:56].flatten(1).std(1) / degrees
    # Between the nodes a bilinear mean of four has less spread than a node.
    assert 0.5 < spread.mean() < 0.85 and spread.std() < 0.1
    assert abs(float(noise[..., 8:56, 8:56].mean())) < 0.01
    near = noise[..., 8:56, 8:55] * noise[..., 8:56, 9:56]
    far = noise[..., 8:56, 8:44] * noise[..., 8:56, 20:56]
    assert near.mean() > 0.8 * noise[..., 8:56, 8:56].square().mean() and abs(float(far.mean())) < 0.1 * near.mean()
    assert torch.equal(add_coarse_noise(images, masks, 0 * degrees, seeded()), images)
    # Rolled: the bends, which are at the nodes, four pixels apart, are not always at the same pixels.
    bends = (noise[..., 8:56, 9:53] * 2 - noise[..., 8:56, 8:52] - noise[..., 8:56, 10:54]).abs().mean((0, 1, 2))
    places = bends.view(-1, 4).mean(0)
    assert places.min() > 0.7 * places.max()


def test_an_anomalous_part_is_smoothed_over_and_the_rest_is_left():
    images, masks = slices(0)
    share = (blobs(masks, seeded()) > 0.1).float()
    sick = torch.where(share > 0, 1.5, images)
    healed = inpaint(sick, masks, share)
    assert torch.equal(healed[share == 0], sick[share == 0])
    before, after = ((part - images)[share == 1].abs().mean() for part in (sick, healed))
    assert after < 0.25 * before
    doubted = (inpaint(sick, masks, 0.5 * share) - images)[share == 1].abs().mean()
    assert after < doubted < before
    assert torch.equal(inpaint(sick, masks, torch.zeros_like(share)), sick)


def test_degrees_must_be_one_for_each_slice():
    images, masks = slices(0)
    with raises(SettingError, "degrees_count"):
        add_coarse_noise(images, masks, torch.ones(3), seeded())
