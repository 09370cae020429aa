"""The Mahalanobis distance of local features: features, covariance, score, saving, and what it finds."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import map_coordinates
from support.phantoms import head, with_lesion
from support.raised import raises
from support.refusals import accepted
from support.toy_slices import toy_data

from MedADLib.errors import Cancelled, InputError, ModelError
from MedADLib.methods.atlas import Atlas
from MedADLib.methods.mahalanobis import (
    NOISE,
    TRIANGLE,
    Mahalanobis,
    MahalanobisParameters,
    gradient_length,
    local_features,
    shrunk,
)
from MedADLib.runtime.progress import Progress
from MedADLib.training.config import Options
from MedADLib.training.recipes.mahalanobis import train

SPACING = (4.0, 4.0, 4.0)
# A voxel (z, y, x) in the middle of tissue of one intensity.
EVEN = (24, 27, 33)
FINE, COARSE = (width / np.sqrt(8 * np.log(2)) for width in (3.0, 6.0))
GRID, STEPS = (30, 36, 40), (1.2, 1.0, 1.5)


def aligned_scan(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """A prepared toy head with its own gain and noise."""
    random = np.random.default_rng(seed)
    volume, mask = head(0)
    image = volume.array / 1100 * random.normal(1, 0.02) + random.normal(0, 0.03, mask.shape)
    return np.where(mask, image, 0).astype(np.float32), mask


@pytest.fixture(scope="module")
def scans() -> list[tuple[np.ndarray, np.ndarray]]:
    return [aligned_scan(seed) for seed in range(8)]


@pytest.fixture(scope="module")
def trained(scans) -> Mahalanobis:
    return Mahalanobis.train(scans, SPACING)


def millimetres() -> list[np.ndarray]:
    """Coordinates (z, y, x) of a grid of voxels that differ along each axis."""
    axes = (np.arange(size) * step for size, step in zip(GRID, STEPS[::-1]))
    return np.meshgrid(*axes, indexing="ij")


def ball() -> np.ndarray:
    middle = [(size - 1) * step / 2 for size, step in zip(GRID, STEPS[::-1])]
    return sum((a - m) ** 2 for a, m in zip(millimetres(), middle)) < 15**2


def test_a_constant_image_has_constant_features_up_to_the_edge_of_the_mask():
    inside = ball()
    image = np.where(inside, 0.7, 3.0).astype(np.float32)
    intensity, *texture, laplacian = local_features(image, inside, STEPS)
    assert np.allclose(intensity[inside], 0.7) and np.allclose(laplacian[inside], 0, atol=1e-5)
    assert all(np.allclose(part[inside], np.log(NOISE), atol=0.1) for part in texture)
    assert not np.any([part[~inside] for part in (intensity, *texture, laplacian)])


def test_features_of_a_ramp_and_of_a_parabola_are_those_of_the_equations():
    z, y, x = millimetres()
    everywhere, middle = np.ones(GRID, bool), (15, 18, 20)
    ramp = (0.02 * x - 0.03 * y + 0.06 * z).astype(np.float32)
    slope = np.sqrt(0.02**2 + 0.03**2 + 0.06**2)
    found = local_features(ramp, everywhere, STEPS)[(slice(None), *middle)]
    wanted = [ramp[middle], *(np.log(slope * size + NOISE) for size in (FINE, COARSE, 3.0)), 0]
    np.testing.assert_allclose(found, wanted, atol=0.01)
    bowl = (0.01 * (z - z[middle]) ** 2).astype(np.float32)
    assert local_features(bowl, everywhere, STEPS)[-1][middle] == pytest.approx(0.01 * (FINE**2 - COARSE**2), rel=0.03)


def test_the_gradient_is_one_sided_at_the_edge_of_the_mask():
    inside, (z, _, _) = ball(), millimetres()
    lengths = gradient_length(np.where(inside, 0.05 * z, 9.0).astype(np.float32), inside, STEPS)
    assert np.allclose(lengths[inside], 0.05, rtol=1e-4)
    assert gradient_length(np.full((1, 1, 1), 2.0, np.float32), np.ones((1, 1, 1), bool), STEPS)[0, 0, 0] == 0


def test_the_shrinkage_is_that_of_scikit_learn():
    from sklearn.covariance import oas

    random = np.random.default_rng(0)
    for count in (6, 20, 500):
        samples = random.normal(size=(count, 5)) @ random.normal(size=(5, 5))
        wanted, weight = oas(samples, assume_centered=True)
        assert 0 < weight < 1
        np.testing.assert_allclose(shrunk((samples.T @ samples / count)[None], np.array([count]))[0], wanted)


def blocks(maps: np.ndarray) -> np.ndarray:
    """Sort maps (..., 50, 50, 50) by blocks of 2 × 2 × 2 voxels: (..., 25, 25, 25, 8)."""
    parts = maps.reshape(*maps.shape[:-3], 25, 2, 25, 2, 25, 2)
    return np.moveaxis(parts, (-5, -3, -1), (-3, -2, -1)).reshape(*maps.shape[:-3], 25, 25, 25, 8)


def test_mean_and_covariance_of_a_block_are_those_of_its_voxels_in_all_scans(scans, trained):
    both = [(i[..., turn], m[..., turn]) for i, m in scans for turn in (slice(None), slice(None, None, -1))]
    features, inside = np.array([local_features(*each, SPACING) for each in both]), np.array([m for _, m in both])
    count = blocks(inside).sum(axis=(0, -1)) / 8
    seen = count >= 6
    mean = blocks(features).sum(axis=(0, -1))[:, seen] / 8 / count[seen]
    np.testing.assert_allclose(trained.mean[:, seen], mean, atol=1e-4)
    places = np.meshgrid(*[(np.arange(50) - 0.5) / 2] * 3, indexing="ij")
    fine = np.array([map_coordinates(part, places, order=1, mode="nearest") for part in trained.mean])
    deviations = blocks((features - fine) * inside[:, None])[..., seen, :].astype(np.float64)
    sums = np.einsum("aizn,ajzn->zij", deviations, deviations)
    within = np.linalg.cholesky(sums.sum(axis=0) / 8 / count[seen].sum())
    relative = np.linalg.inv(within) @ (sums / 8 / count[seen][:, None, None]) @ np.linalg.inv(within).T
    wanted = within @ shrunk(relative, count[seen]) @ within.T
    factor = np.zeros((len(wanted), 5, 5))
    for entry, (row, column) in zip(trained.whitening, TRIANGLE):
        factor[:, row, column] = entry[seen]
    np.testing.assert_allclose(np.linalg.inv(np.swapaxes(factor, 1, 2) @ factor), wanted, rtol=0.02, atol=1e-4)


def test_the_score_of_healthy_scans_is_about_the_root_of_the_number_of_features(trained):
    image, mask = aligned_scan(31)
    found = trained.restore(image, mask)
    assert np.sqrt((found.score[mask] ** 2).mean()) == pytest.approx(np.sqrt(5), rel=0.3)
    assert found.sample_score == pytest.approx(float(found.score[mask].mean()), rel=1e-5)
    assert not found.score[~mask].any() and not found.restored[~mask].any()
    assert np.abs(found.restored - image)[mask].mean() < 0.1


def test_a_lesion_in_a_toy_head_is_found(trained):
    from sklearn.metrics import roc_auc_score

    volume, mask = head(0)
    image, _ = aligned_scan(41)
    sick, lesion = with_lesion(volume.with_array(image), (30.0, 20.0, 10.0), 10.0)
    truth, found = lesion & mask, trained.restore(sick.array, mask)
    assert roc_auc_score(truth[mask], found.score[mask]) > 0.9
    assert found.sample_score > trained.restore(image, mask).sample_score


def test_a_change_of_texture_that_keeps_the_mean_is_found_where_the_atlas_finds_none(scans, trained):
    image, mask = aligned_scan(51)
    z, y, x = (index - place for index, place in zip(np.indices(mask.shape), EVEN))
    lesion = z**2 + y**2 + x**2 < 3**2
    assert mask[lesion].all()
    smooth, atlas = np.where(lesion, image[lesion].mean(), image), Atlas.train(scans, SPACING)
    grainy, even = ([m.restore(i, mask).score[lesion].mean() for m in (trained, atlas)] for i in (image, smooth))
    assert even[0] > 1.5 * grainy[0] and even[1] < 1.1 * grainy[1]


def test_a_place_that_hardly_any_scan_has_scores_low(scans):
    image, mask = scans[0]
    larger, grown = image.copy(), mask.copy()
    grown[22:28, 22:28, :4], larger[22:28, 22:28, :4] = True, 0.5
    assert not mask[22:28, 22:28, :4].all()
    method = Mahalanobis.train([(larger, grown), *scans[1:]], SPACING)
    score, added = method.restore(larger, grown).score, grown & ~mask
    assert np.isfinite(method.whitening).all() and score[added].mean() < 3 * score[mask].mean()


def test_single_slices_have_mean_and_covariance_too():
    random = np.random.default_rng(0)
    mask = np.ones((1, 33, 40), bool)
    images = [(0.5 + 0.05 * random.normal(size=mask.shape)).astype(np.float32) for _ in range(6)]
    method = Mahalanobis.train([(image, mask) for image in images], (1.0, 1.0, 1.0), mirrored=False)
    assert method.parameters.resolution == (1, 17, 20) and method.fits((1, 33, 40)) and not method.fits((1, 34, 40))
    strange = images[0].copy()
    strange[0, 10:14, 10:14] = 1.0
    score = method.restore(strange, mask).score
    assert score[0, 10:14, 10:14].mean() > 3 * np.median(score)


def test_scans_without_any_variation_give_finite_scores():
    mask = np.ones((4, 8, 8), bool)
    image = np.full(mask.shape, 0.5, np.float32)
    method = Mahalanobis.train([(image, mask)] * 3, (1.0, 1.0, 1.0))
    assert np.allclose(method.restore(image, mask).score, 0, atol=0.1)
    assert np.isfinite(method.tensors()["whitening"]).all()


def test_the_saved_method_gives_the_same_and_a_damaged_one_is_refused(trained):
    image, mask = aligned_scan(9)
    tensors = trained.tensors()
    again = Mahalanobis.from_tensors(trained.parameters, tensors)
    assert np.allclose(again.restore(image, mask).score, trained.restore(image, mask).score, rtol=0.02, atol=0.02)
    for bad, code in (
        ({"mean": tensors["mean"]}, "tensor_missing"),
        (tensors | {"more": tensors["mean"]}, "tensor_unknown"),
        (tensors | {"whitening": tensors["whitening"][1:]}, "tensor_shape"),
    ):
        with raises(ModelError, code):
            Mahalanobis.from_tensors(trained.parameters, bad)


def test_settings_that_make_no_sense_are_refused():
    wrong = [{"shape": (2, 2)}, {"spacing": (1, 0, 1)}, {"resolution": (1, 1)}, {"resolution": (3, 1, 1)},
             {"resolution": (0, 1, 1)}]  # fmt: skip

    def make(settings):
        return MahalanobisParameters(**({"shape": (2, 2, 2), "spacing": (1, 1, 1), "resolution": (1, 1, 1)} | settings))

    assert accepted(ValueError, make, wrong) == []


def test_the_training_takes_no_setting_needs_three_scans_and_can_be_cancelled(tmp_path):
    data, options = toy_data(), Options()
    method, facts = train(data, options, tmp_path, Progress())
    assert method.parameters.spacing == (2.5, 2.5, 2.5) and facts == {}
    with pytest.raises(InputError) as caught:
        train(data, Options(extra={"resolution": [1, 1, 1]}), tmp_path, Progress())
    assert caught.value.code == "method_without_settings"
    with raises(ModelError, "mahalanobis_too_few_scans", count=2, minimum=3):
        train(toy_data(2), options, tmp_path, Progress())
    with pytest.raises(Cancelled):
        train(data, options, tmp_path, Progress(cancelled=lambda: True))
