from __future__ import annotations

import numpy as np
import pytest
from support.phantoms import head, with_lesion
from support.refusals import accepted

from MedADLib.errors import ModelError
from MedADLib.methods.atlas import Atlas, AtlasParameters

SPACING = (4.0, 4.0, 4.0)


def aligned_scan(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """One toy anatomy with its own gain, noise and slow drift: scans as they are after preparation."""
    random = np.random.default_rng(seed)
    volume, mask = head(0)
    drift = np.linspace(-1, 1, 50) * random.normal(0, 0.03)
    image = volume.array / 1100 * random.normal(1, 0.02) * (1 + drift[:, None, None])
    return np.where(mask, image + random.normal(0, 0.02, mask.shape), 0).astype(np.float32), mask


@pytest.fixture(scope="module")
def scans() -> list[tuple[np.ndarray, np.ndarray]]:
    return [aligned_scan(seed) for seed in range(5)]


def test_the_score_of_a_voxel_is_its_distance_from_the_mean_in_spreads(scans):
    atlas = Atlas.train(scans, SPACING, fwhm_mm=0.0, floor=0.01)
    image, mask = aligned_scan(9)
    result = atlas.restore(image, mask)
    everywhere = np.array([i for pair in scans for i in (pair[0], pair[0][:, :, ::-1])], np.float64)
    for place in ((25, 25, 20), (20, 30, 28), (30, 12, 25)):
        seen = everywhere[(slice(None), *place)]
        mirrored = (*place[:2], 49 - place[2])
        assert mask[place] and mask[mirrored]
        assert result.score[place] == pytest.approx(abs(image[place] - seen.mean()) / seen.std(), rel=1e-3)
        assert result.restored[place] == pytest.approx(seen.mean(), rel=1e-4)
    assert (result.score[~mask] == 0).all() and (result.restored[~mask] == 0).all()
    assert result.sample_score == pytest.approx(float(result.score[mask].mean()), rel=1e-5)


def test_quiet_places_get_the_floor_as_their_spread(scans):
    atlas = Atlas.train(scans, SPACING, fwhm_mm=0.0, floor=0.5)
    image, mask = aligned_scan(9)
    result = atlas.restore(image, mask)
    floor = 0.5 * atlas.spread[mask].mean()
    quiet = mask & (atlas.spread < floor)
    assert quiet.any()
    assert np.allclose(result.score[quiet], np.abs(image - atlas.mean)[quiet] / floor, rtol=1e-4)


def test_a_place_that_hardly_any_scan_has_does_not_shout(scans):
    image, mask = scans[0]
    larger, grown = image.copy(), mask.copy()
    grown[25, 25, :4], larger[25, 25, :4] = True, 0.5
    atlas = Atlas.train([(larger, grown), *scans[1:]], SPACING)
    assert np.isclose(atlas.spread[25, 25, 2], atlas.spread.max())
    assert np.isfinite(atlas.mean).all() and atlas.mean[0, 0, 0] == 0


def test_a_lesion_in_a_toy_head_is_found(scans):
    from sklearn.metrics import roc_auc_score

    atlas = Atlas.train(scans, SPACING)
    volume, mask = head(0)
    image, _ = aligned_scan(11)
    sick, ball = with_lesion(volume.with_array(image), (30.0, 20.0, 10.0), 10.0)
    truth = ball & mask
    assert truth.sum() > 30
    result = atlas.restore(sick.array, mask)
    assert roc_auc_score(truth[mask], result.score[mask]) > 0.9
    assert result.sample_score > atlas.restore(image, mask).sample_score


def test_smoothing_quiets_noise(scans):
    image, mask = aligned_scan(12)
    sharp = Atlas.train(scans, SPACING, fwhm_mm=0.0).restore(image, mask)
    soft = Atlas.train(scans, SPACING, fwhm_mm=12.0).restore(image, mask)
    assert soft.score[mask].max() < 0.7 * sharp.score[mask].max()


def test_a_saved_atlas_says_the_same_and_a_damaged_one_is_refused(scans):
    atlas = Atlas.train(scans, SPACING)
    image, mask = aligned_scan(9)
    tensors = atlas.tensors()
    again = Atlas.from_tensors(atlas.parameters, tensors)
    assert np.allclose(again.restore(image, mask).score, atlas.restore(image, mask).score, atol=0.05)
    for bad, code in (
        ({"mean": tensors["mean"]}, "tensor_missing"),
        (tensors | {"more": tensors["mean"]}, "tensor_unknown"),
        (tensors | {"spread": tensors["spread"][1:]}, "tensor_shape"),
        (tensors | {"spread": -tensors["spread"]}, "atlas_sd_not_positive"),
        (tensors | {"spread": np.zeros_like(tensors["spread"])}, "atlas_sd_not_positive"),
    ):
        with pytest.raises(ModelError) as caught:
            Atlas.from_tensors(atlas.parameters, bad)
        assert caught.value.code == code


def test_two_scans_have_no_spread(scans):
    with pytest.raises(ModelError) as caught:
        Atlas.train(scans[:2], SPACING)
    assert caught.value.code == "atlas_too_few_scans" and caught.value.parameters == {"count": 2, "minimum": 3}


def test_settings_that_make_no_sense_are_refused():
    wrong = [{"shape": (2, 2)}, {"spacing": (1, 0, 1)}, {"fwhm_mm": -1}, {"floor": 0}]

    def make(settings):
        return AtlasParameters(**({"shape": (2, 2, 2), "spacing": (1, 1, 1)} | settings))

    assert accepted(ValueError, make, wrong) == []
