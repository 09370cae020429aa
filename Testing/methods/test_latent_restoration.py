from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from support.phantoms import one_thread  # noqa: F401
from support.refusals import accepted
from support.toy_codes import random_networks, toy_parameters

from MedADLib.errors import Cancelled, ModelError
from MedADLib.methods import latent_restoration
from MedADLib.methods.latent_restoration import LatentRestoration
from MedADLib.methods.slicewise import slice_positions
from MedADLib.runtime import device
from MedADLib.runtime.progress import Progress
from MedADLib.training.recipes.latent_restoration import with_thresholds

SMALL = toy_parameters()
PLACES = 4 * 6


@pytest.fixture(scope="module")
def networks() -> LatentRestoration:
    return random_networks(LatentRestoration, SMALL)


def with_settings(networks: LatentRestoration, **settings) -> LatentRestoration:
    method = LatentRestoration(replace(networks.parameters, **settings), networks.vqvae, networks.prior)
    method.reduced = False  # so that maps can be compared with sums of our own
    return method


def scan(seed: int = 0, slices: int = 11) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    mask = np.zeros((slices, 16, 24), bool)
    mask[1:-1, 2:14, 3:22] = True
    return np.where(mask, random.random(mask.shape) + 0.2, 0).astype(np.float32), mask


def plain_decode(method: LatentRestoration, image: np.ndarray) -> tuple[np.ndarray, torch.Tensor, torch.Tensor]:
    """Every slice encoded and decoded, its codes (Z, length), its likelihoods."""
    with torch.inference_mode():
        where = torch.from_numpy(slice_positions(len(image)))
        codes = method.vqvae.encode(torch.from_numpy(image)[:, None], where)
        pictures = method.vqvae.decode(codes, where)[:, 0].numpy()
        return pictures, codes.flatten(1), method.prior.nll(codes.flatten(1), where)


def test_without_unlikely_codes_the_scan_is_just_decoded(networks):
    method = with_settings(networks, restoration_nll=1e9)
    image, mask = scan()
    pictures, codes, _ = plain_decode(method, image)
    assert len(codes.unique()) > 3
    result = method.restore(image, mask, seed=0)
    assert np.allclose(result.restored, np.where(mask, np.maximum(pictures, 0), 0), atol=1e-5)
    assert np.allclose(result.score, np.where(mask, np.abs(pictures - image), 0), atol=1e-5)
    assert result.facts["codes_redrawn_per_slice"] == 0 and result.facts["slices"] == mask.any((1, 2)).sum()


def test_with_the_threshold_at_zero_every_code_is_drawn_and_the_scan_is_forgotten(networks):
    method = with_settings(networks, restoration_nll=0.0, samples=1)
    (image, mask), (other, _) = scan(0), scan(1)
    result = method.restore(image, mask, seed=3)
    assert result.facts["codes_redrawn_per_slice"] == PLACES
    assert np.allclose(result.restored, method.restore(other, mask, seed=3).restored, atol=1e-5)
    assert not np.allclose(result.restored, method.restore(image, mask, seed=4).restored, atol=1e-3)


def test_only_codes_less_likely_than_the_threshold_are_drawn_anew(networks):
    image, mask = scan()
    _, _, nll = plain_decode(networks, image)
    examined = nll[mask.any((1, 2))]
    threshold = float(examined.median())
    facts = with_settings(networks, restoration_nll=threshold).restore(image, mask, seed=0).facts
    assert facts["codes_redrawn_per_slice"] == pytest.approx(float((examined > threshold).sum(1).float().mean()))


def test_weights_of_the_restorations_add_up_to_one(networks, monkeypatch):
    image, mask = scan()
    monkeypatch.setattr(networks.vqvae, "decode", lambda codes, where: torch.full((len(codes), 1, 16, 24), 2.0))
    result = with_settings(networks, restoration_nll=0.0).restore(image, mask, seed=0)
    assert np.allclose(result.restored[mask], 2.0, atol=1e-5)
    assert np.allclose(result.score[mask], np.abs(image - 2)[mask], atol=1e-5)


def weights(networks, monkeypatch, residuals: dict[int, float], rows: list[int]) -> np.ndarray:
    """The weights that restorations get whose mean residuals, in spreads of the scan, are known."""
    image = np.random.default_rng(0).normal(size=(1, 16, 24))
    image = (5 + (image - image.mean()) / image.std()).astype(np.float32)
    signs = torch.tensor([[1.0, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]]).repeat(6, 1)

    def decode(codes, where):
        kinds = codes[:, 0, 0]
        sizes = torch.tensor([residuals[int(kind)] for kind in kinds])
        return torch.from_numpy(image)[:, None] + (sizes[:, None] * signs[:, kinds].T)[:, None, None, :]

    drawn = torch.tensor(rows)[:, None].expand(-1, PLACES)
    monkeypatch.setattr(latent_restoration, "resample_codes", lambda *given: drawn)
    monkeypatch.setattr(networks.vqvae, "decode", decode)
    result = with_settings(networks, sharpness=3.0).restore(image, np.ones(image.shape, bool), seed=0)
    change = torch.from_numpy((result.restored - image).mean(axis=(0, 1)))
    # The mean over rows of each column is a sum of weight times residual times sign: solve for the weights.
    return np.linalg.lstsq(signs.numpy(), change.numpy(), rcond=None)[0] / [residuals.get(n, 1.0) for n in range(3)]


def test_the_closest_restorations_count_by_their_mean_residual(networks, monkeypatch):
    found = weights(networks, monkeypatch, {0: 0.050, 1: 0.055, 2: 0.060}, [0, 1, 2])
    assert np.allclose(found, [0.996, 0.004, 0.000], atol=1e-3)
    assert found.sum() == pytest.approx(1, abs=1e-3)


def test_a_restoration_that_was_drawn_twice_counts_twice(networks, monkeypatch):
    found = weights(networks, monkeypatch, {0: 0.05, 1: 0.05, 2: 0.05}, [0, 1, 1, 2, 1, 0])
    assert np.allclose(found, [2 / 6, 3 / 6, 1 / 6], atol=1e-3)


def test_the_score_is_the_weighted_residual_and_nothing_outside_the_brain(networks):
    image, mask = scan()
    result = with_settings(networks, restoration_nll=1.0).restore(image, mask, seed=0)
    assert result.score.dtype == result.restored.dtype == np.float32
    assert (result.score[mask] > 0).mean() > 0.99 and (result.score[~mask] == 0).all()
    assert (result.restored[~mask] == 0).all() and np.isfinite(result.restored).all()


def test_other_slices_and_how_many_are_in_flight_change_nothing(networks, monkeypatch):
    method = with_settings(networks, restoration_nll=1.0, samples=1)
    image, mask = scan()
    whole = method.restore(image, mask, seed=0)
    only = np.zeros_like(mask)
    only[[2, 6, 7]] = mask[[2, 6, 7]]
    few = method.restore(image, only, seed=0)
    assert np.allclose(few.restored, np.where(only, whole.restored, 0), atol=1e-5)
    assert np.allclose(few.score, np.where(only, whole.score, 0), atol=1e-5)
    method = with_settings(networks, restoration_nll=1.0)
    whole = method.restore(image, mask, seed=0)
    for in_flight in (1, 3, 64):
        monkeypatch.setattr(device, "SLICES_ON_CPU", in_flight)
        again = method.restore(image, mask, seed=0)
        assert np.allclose(again.score, whole.score, atol=1e-5)
        assert np.allclose(again.restored, whole.restored, atol=1e-5)


def test_the_same_seed_gives_the_same_bits_and_another_seed_others(networks):
    method = with_settings(networks, restoration_nll=1.0, sample_nll=1.0)
    image, mask = scan()
    first, second = method.restore(image, mask, seed=7), method.restore(image, mask, seed=7)
    assert np.array_equal(first.score, second.score) and np.array_equal(first.restored, second.restored)
    assert first.sample_score == second.sample_score
    other = method.restore(image, mask, seed=8)
    assert not np.array_equal(other.score, first.score) and other.sample_score == first.sample_score


def test_the_sample_score_adds_up_the_unlikely_codes_only(networks):
    image, mask = scan()
    _, _, nll = plain_decode(networks, image)
    examined = nll[mask.any((1, 2))].double()
    for threshold in (0.5, 2.0, 4.0):
        result = with_settings(networks, sample_nll=threshold).restore(image, mask, seed=0)
        assert result.sample_score == pytest.approx(float(examined[examined > threshold].sum()), rel=1e-4)
    assert with_settings(networks, sample_nll=1e9).restore(image, mask, seed=0).sample_score == 0


def test_likelihoods_are_those_of_the_codes_that_hold_brain(networks):
    image, mask = scan()
    mask = mask.copy()
    mask[:, :, 12:] = False
    _, _, nll = plain_decode(networks, image)
    wanted = nll.view(-1, 4, 6)[mask.any((1, 2))][:, :, :3].flatten()
    found = networks.code_nll(image, mask)
    assert np.allclose(np.sort(found), np.sort(wanted.numpy()), atol=1e-4)


def test_thresholds_come_from_percentiles_of_healthy_codes(networks):
    scans = [scan(5), scan(6)]
    chosen = with_thresholds(networks, scans)
    nll = np.concatenate([networks.code_nll(*pair) for pair in scans])
    assert (nll > chosen.parameters.restoration_nll).mean() == pytest.approx(0.03, abs=0.01)
    assert (nll > chosen.parameters.sample_nll).mean() == pytest.approx(0.02, abs=0.01)


def test_a_saved_model_restores_bit_for_bit_the_same(networks):
    method = with_settings(networks, restoration_nll=1.0, sample_nll=1.0)
    again = LatentRestoration.from_tensors(method.parameters, method.tensors())
    again.reduced = method.reduced
    image, mask = scan()
    first, second = method.restore(image, mask, seed=1), again.restore(image, mask, seed=1)
    assert np.array_equal(first.score, second.score) and np.array_equal(first.restored, second.restored)
    assert first.sample_score == second.sample_score


def damaged(tensors: dict[str, np.ndarray]) -> dict[str, dict[str, np.ndarray]]:
    keys = ("vqvae.quantiser.codebook", "prior.head.weight")
    cases = {f"without {key}": {k: v for k, v in tensors.items() if k != key} for key in keys}
    cases |= {f"shape of {key}": tensors | {key: tensors[key][:-1]} for key in keys}
    cases |= {f"type of {key}": tensors | {key: tensors[key].astype(np.float64)} for key in keys}
    return cases | {f"stray {key}": tensors | {key: np.zeros(1, np.float32)} for key in ("prior.x", "vqvae.x", "x")}


def test_tensors_that_do_not_fit_are_refused(networks):
    for what, tensors in damaged(networks.tensors()).items():
        with pytest.raises(ModelError):
            LatentRestoration.from_tensors(networks.parameters, tensors)
            pytest.fail(f"accepted {what}")


def test_settings_that_make_no_sense_are_refused():
    wrong = [
        {"size": (18, 24)},
        {"size": (16, 24, 8)},
        {"codes": 0},
        {"prior_heads": 3},
        {"samples": 0},
        {"sharpness": 0.0},
        {"restoration_nll": -1.0},
        {"channels": ()},
    ]
    assert accepted(ValueError, lambda settings: replace(SMALL, **settings), wrong) == []


def test_cancelling_stops_within_a_slice(networks):
    image, mask = scan()
    asked = []
    progress = Progress(cancelled=lambda: asked.append(1) or len(asked) > 3)
    with pytest.raises(Cancelled):
        networks.restore(image, mask, seed=0, progress=progress)
    assert len(asked) == 4


def test_decoding_in_bfloat16_changes_the_map_a_little_and_no_code(networks):
    method, (image, mask) = with_settings(networks, restoration_nll=1.0), scan()
    full = method.restore(image, mask, seed=2)
    method.reduced = True
    reduced = method.restore(image, mask, seed=2)
    difference = np.abs(full.score - reduced.score)
    assert 0 < difference.max() < 0.05 and difference.mean() < 0.005
    assert full.facts["decoder"] == "float32" and reduced.facts["decoder"] == "bfloat16"
    same = [name for name in full.facts if name != "decoder"]
    assert [full.facts[name] for name in same] == [reduced.facts[name] for name in same]
    assert full.sample_score == reduced.sample_score


def test_slices_with_too_little_to_look_at_stay_as_they_are(networks):
    image, mask = scan()
    mask[5] = False
    mask[5, 3, 3] = True
    result = with_settings(networks, restoration_nll=1.0).restore(np.where(mask, image, 0), mask)
    assert result.restored[5, 3, 3] == image[5, 3, 3] and not result.score[5].any()
