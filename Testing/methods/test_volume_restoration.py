from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from support.phantoms import MODEL_SHAPE, one_thread, toy_models  # noqa: F401
from support.refusals import accepted
from support.toy_codes import random_networks

from MedADLib.errors import Cancelled, InputError, ModelError
from MedADLib.methods.latent_restoration import codes_from_prior
from MedADLib.methods.sampling.resample import resample_codes
from MedADLib.methods.volume_restoration import VolumeRestoration, VolumeRestorationParameters, coarse_scan, resized
from MedADLib.modelfile.model import load_model
from MedADLib.networks.code_prior import CodePrior
from MedADLib.runtime import device
from MedADLib.runtime.progress import Progress
from MedADLib.training.config import Options
from MedADLib.training.data import HealthyData
from MedADLib.training.recipes import volume_restoration
from MedADLib.training.recipes.volume_restoration import VOLUMES, train, working_shape

SMALL = VolumeRestorationParameters(
    size=(12, 20, 24),
    working=(8, 16, 16),
    channels=(8, 16),
    residual_layers=1,
    codes=8,
    width=4,
    prior_width=16,
    prior_layers=2,
    prior_heads=2,
    samples=4,
)
PLACES = 2 * 4 * 4


@pytest.fixture(scope="module")
def networks() -> VolumeRestoration:
    return random_networks(VolumeRestoration, SMALL)


def with_settings(networks: VolumeRestoration, **settings) -> VolumeRestoration:
    method = VolumeRestoration(replace(networks.parameters, **settings), networks.vqvae, networks.prior)
    method.reduced = False  # so that maps can be compared with sums of our own
    return method


def scan(seed: int = 0, everywhere: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """Noise in a box at the left, or in the whole volume, and where it is."""
    mask = np.full(SMALL.size, everywhere)
    mask[1:11, 2:18, 2:10] = True
    noise = np.random.default_rng(seed).random(SMALL.size) + 0.2
    return np.where(mask, noise, 0).astype(np.float32), mask


def coded(method: VolumeRestoration, image: np.ndarray, mask: np.ndarray) -> tuple[np.ndarray, torch.Tensor]:
    """A scan on the working grid, and its codes (1, length)."""
    coarse, _ = coarse_scan(image, mask, SMALL.working)
    with torch.inference_mode():
        return coarse, method.vqvae.encode(torch.from_numpy(coarse)[None, None], torch.zeros(1)).flatten(1)


def decoded(method: VolumeRestoration, codes: torch.Tensor) -> np.ndarray:
    with torch.inference_mode():
        return method.vqvae.decode(codes.view(1, *SMALL.grid), torch.zeros(1))[0, 0].numpy()


def test_a_code_changes_the_logits_after_it_and_none_before(networks):
    codes = torch.randint(0, 8, (1, PLACES), generator=torch.Generator().manual_seed(0))
    usual = networks.prior(codes, torch.zeros(1))
    for place in range(PLACES):
        changed = codes.clone()
        changed[0, place] = (changed[0, place] + 1) % 8
        logits = networks.prior(changed, torch.zeros(1))
        assert torch.equal(logits[:, : place + 1], usual[:, : place + 1])
        assert all((logits[:, later] - usual[:, later]).abs().max() > 1e-5 for later in range(place + 1, PLACES))


def test_the_prior_is_shown_the_codes_beside_before_and_below(networks):
    torch.manual_seed(0)
    p = SMALL
    prior = CodePrior(p.codes, PLACES, p.prior_width, 1, 1, further=p.further)
    torch.nn.init.zeros_(prior.blocks[0].merge.weight)
    codes = torch.zeros(1, PLACES, dtype=torch.long)
    changed = codes.clone()
    changed.view(1, *p.grid)[0, 0, 1, 2] = 5
    different = (prior(changed, torch.zeros(1)) != prior(codes, torch.zeros(1))).any(-1).view(p.grid)
    assert different.nonzero().tolist() == [[0, 1, 3], [0, 2, 2], [1, 1, 2]]


def test_without_unlikely_codes_the_scan_is_just_decoded(networks):
    image, mask = scan()
    coarse, codes = coded(networks, image, mask)
    assert len(codes.unique()) > 3
    result = with_settings(networks, restoration_nll=1e9).restore(image, mask, seed=0)
    inside = coarse_scan(image, mask, SMALL.working)[1]
    picture = decoded(networks, codes)
    restored, score = np.where(inside, np.maximum(picture, 0), 0), np.where(inside, np.abs(picture - coarse), 0)
    assert np.allclose(result.restored, np.where(mask, resized(restored, SMALL.size), 0), atol=1e-5)
    assert np.allclose(result.score, np.where(mask, resized(score, SMALL.size), 0), atol=1e-5)
    assert result.facts == {"codes_redrawn_per_volume": 0, "volumes": 1}


def test_with_the_threshold_at_zero_a_full_volume_is_a_pure_sample_of_the_prior(networks):
    image, mask = scan(everywhere=True)
    method = with_settings(networks, restoration_nll=0.0, samples=1)
    result = method.restore(image, mask, seed=3)
    nothing, everything = torch.zeros(1, PLACES, dtype=torch.long), torch.ones(PLACES, dtype=torch.bool)
    logits, cache = method.prior.fill(nothing, torch.zeros(1))
    drawn = resample_codes(method.prior, nothing[0], torch.zeros(1), everything, logits[0], cache, 1, (3, 0))
    assert np.allclose(result.restored, resized(np.maximum(decoded(method, drawn), 0), SMALL.size), atol=1e-5)
    assert np.allclose(result.restored, method.restore(*scan(1, everywhere=True), seed=3).restored, atol=1e-5)


def test_only_codes_with_brain_are_drawn_anew_and_count(networks, monkeypatch):
    image, mask = scan()
    _, codes = coded(networks, image, mask)
    brain = torch.zeros(SMALL.grid, dtype=torch.bool)
    # Voxels 2 to 10 of 24 reach into the first half of the working grid's four columns of codes, and no further.
    brain[:, :, :2] = True
    nll = networks.prior.nll(codes, torch.zeros(1))[0][brain.flatten()]
    seen, picture = [], torch.zeros(1, 1, *SMALL.working)
    monkeypatch.setattr(networks.vqvae, "decode", lambda grids, where: seen.append(grids) or picture)
    result = with_settings(networks, restoration_nll=0.0, sample_nll=2.0).restore(image, mask, seed=0)
    assert result.facts["codes_redrawn_per_volume"] == brain.sum() == 16
    assert result.sample_score == pytest.approx(float(nll[nll > 2].sum()), rel=1e-4) and result.sample_score > 0
    assert len(seen) > 1
    assert all(torch.equal(grid[0][~brain], codes.view(SMALL.grid)[~brain]) for grid in seen)
    assert np.allclose(np.sort(networks.code_nll(image, mask)), np.sort(nll.numpy()), atol=1e-4)


def test_weights_of_the_restorations_add_up_to_one_up_to_the_rim_of_the_brain(networks, monkeypatch):
    image, mask = scan()
    monkeypatch.setattr(networks.vqvae, "decode", lambda grids, where: torch.full((1, 1, *SMALL.working), 2.0))
    result = with_settings(networks, restoration_nll=0.0).restore(image, mask, seed=0)
    assert np.allclose(result.restored[mask], 2.0, atol=1e-5)


def test_the_background_stays_0(networks):
    image, mask = scan()
    result = with_settings(networks, restoration_nll=1.0).restore(image, mask, seed=0)
    assert result.score.shape == result.restored.shape == image.shape
    assert result.score.dtype == result.restored.dtype == np.float32
    assert (result.score[~mask] == 0).all() and (result.restored[~mask] == 0).all()
    assert (result.score[mask] > 0).mean() > 0.99


def test_the_same_bits_whatever_is_in_flight_and_other_seeds_others(networks, monkeypatch):
    image, mask = scan()
    method = with_settings(networks, restoration_nll=1.0, sample_nll=1.0)
    first = method.restore(image, mask, seed=7)
    for places in (1, 2 * PLACES, 3 * PLACES):
        monkeypatch.setattr(device, "CODES_ON_CPU", places)
        again = method.restore(image, mask, seed=7)
        assert np.array_equal(first.score, again.score) and np.array_equal(first.restored, again.restored)
        assert first.sample_score == again.sample_score
    assert not np.array_equal(method.restore(image, mask, seed=8).score, first.score)


def test_a_saved_model_restores_bit_for_bit_the_same(networks):
    method = with_settings(networks, restoration_nll=1.0, sample_nll=1.0)
    again = VolumeRestoration.from_tensors(method.parameters, method.tensors())
    again.reduced = method.reduced
    assert again.fits(SMALL.size) and not again.fits(SMALL.working)
    first, second = method.restore(*scan(), seed=1), again.restore(*scan(), seed=1)
    assert np.array_equal(first.score, second.score) and first.sample_score == second.sample_score
    tensors = method.tensors()
    for key in ("prior.further_embeddings.1.weight", "vqvae.encoder.blocks.0.conv.weight"):
        with pytest.raises(ModelError):
            VolumeRestoration.from_tensors(method.parameters, {k: v for k, v in tensors.items() if k != key})
        with pytest.raises(ModelError):
            VolumeRestoration.from_tensors(method.parameters, tensors | {key: tensors[key][:-1]})


def test_settings_that_make_no_sense_or_fill_the_memory_are_refused():
    wrong = [
        {"size": (20, 24)},
        {"size": (1, 20, 1 << 20)},
        {"size": (1024, 1024, 1024)},
        {"working": (16, 16)},
        {"working": (8, 18, 16)},
        {"working": (0, 16, 16)},
        {"working": (512, 512, 512)},
        {"working": (128, 128, 128)},
        {"channels": ()},
        {"samples": 0},
        {"restoration_nll": -1.0},
    ]
    assert accepted(ValueError, lambda settings: replace(SMALL, **settings), wrong) == []


def test_cancelling_stops_between_two_codes(networks):
    asked = []
    progress = Progress(cancelled=lambda: asked.append(1) or len(asked) > 5)
    with pytest.raises(Cancelled):
        with_settings(networks, restoration_nll=0.0).restore(*scan(), progress=progress)
    assert len(asked) == 6


def test_progress_goes_up_to_the_end(networks):
    told = []
    progress = Progress(lambda stage, fraction, message: told.append(fraction))
    with_settings(networks, restoration_nll=1.0).restore(*scan(), progress=progress)
    assert told == sorted(told) and len(told) > 10 and told[0] == 0 and told[-1] == 1


def test_the_working_grid_has_2_mm_and_8_to_16_codes_of_a_brain():
    assert working_shape((100, 160, 160), (1.2, 1.2, 1.5), 3) == (72, 96, 96)
    assert working_shape((18, 64, 64), (3.0, 3.0, 8.0), 3) == (16, 64, 64)
    assert working_shape((400, 400, 3), (1.0, 1.0, 1.0), 3) == (128, 128, 8)


def healthy_scan(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """A ball of smoothly varying tissue in 16 × 16 × 16."""
    random = np.random.default_rng(seed)
    z, y, x = np.meshgrid(*[np.linspace(-1, 1, 16)] * 3, indexing="ij")
    mask = z**2 + y**2 + x**2 < random.uniform(0.7, 0.9)
    tissue = 0.5 + 0.15 * np.cos(3 * z + random.uniform(-0.3, 0.3)) + 0.1 * np.abs(x)
    return np.where(mask, tissue, 0).astype(np.float32), mask


def toy_data(kind: str = "brain") -> HealthyData:
    image = SimpleNamespace(array=np.zeros((16, 16, 16)), spacing=(2.0, 2.0, 2.0))
    template = SimpleNamespace(kind=kind, symmetric=True, image=image)
    return HealthyData(template, [healthy_scan(n) for n in range(12)], [healthy_scan(50 + n) for n in range(2)])


def test_a_lesion_scores_higher_than_the_rest_of_the_brain(tmp_path, monkeypatch):
    recipe = VOLUMES._replace(batch=4, rate=3e-3, augmentation=VOLUMES.aligned)
    monkeypatch.setattr(volume_restoration, "VOLUMES", recipe)
    sizes = {"channels": [16], "codes": 16, "width": 8, "prior_width": 32, "prior_layers": 2, "prior_heads": 2}
    method, facts = train(toy_data(), Options(steps=100, prior_steps=40, extra=sizes), tmp_path, Progress())
    assert method.parameters.working == (16, 16, 16) and facts["prior"]["validation_nll"] < 0.8 * np.log(16)
    assert 0 < method.parameters.restoration_nll < method.parameters.sample_nll
    image, mask = healthy_scan(99)
    lesion = np.zeros_like(mask)
    lesion[6:12, 6:12, 8:14] = True
    bright, dark = (np.where(lesion, value, image).astype(np.float32) for value in (1.2, 0.0))
    score = method.restore(bright, mask, seed=0).score
    assert score[lesion].mean() > 3 * score[mask & ~lesion].mean()
    assert method.restore(dark, mask, seed=0).sample_score > 1.5 * method.restore(image, mask, seed=0).sample_score
    assert codes_from_prior(method, 0.0, 2).shape == (2, 16, 16, 16)


def test_a_stopped_training_goes_on_to_the_same_weights(tmp_path):
    sizes = {"channels": [4], "codes": 8, "width": 4, "prior_width": 8, "prior_layers": 1, "prior_heads": 1}
    options = Options(steps=4, prior_steps=3, extra=sizes)
    whole, _ = train(toy_data(), options, tmp_path / "whole", Progress())
    steps = []

    def stop_in_the_prior(stage: str, fraction: float, message: str) -> None:
        steps.append(stage)
        if steps.count("prior") > 10:
            raise Cancelled

    with pytest.raises(Cancelled):
        train(toy_data(), options, tmp_path / "parts", Progress(stop_in_the_prior))
    again, _ = train(toy_data(), options, tmp_path / "parts", Progress())
    for key, value in whole.tensors().items():
        assert np.array_equal(again.tensors()[key], value), key


def test_single_slices_and_unknown_settings_are_refused(tmp_path):
    with pytest.raises(InputError) as caught:
        train(toy_data("plane"), Options(steps=1), tmp_path, Progress())
    assert caught.value.code == "method_needs_volumes"
    for extra in ({"size": [16, 16, 16]}, {"levels": 2}, {"working": [16, 16, 15]}, {"channels": 3}):
        with pytest.raises(InputError):
            train(toy_data(), Options(steps=1, extra=extra), tmp_path, Progress())


def test_the_command_leaves_a_calibrated_model_and_its_pictures(tmp_path, one_thread):  # noqa: F811
    toy, settings = toy_models(), ("channels=[4,8,8]", "prior_layers=1", "prior_width=16", "samples=2")
    chosen = [part for setting in settings for part in ("--set", setting)]
    assert toy.train("volume_restoration", tmp_path / "toy.medad", *chosen) == 0
    model = load_model(tmp_path / "toy.medad")
    assert model.method.name == "volume_restoration" and model.method.fits(MODEL_SHAPE)
    assert model.method.parameters.working == (16, 64, 64) and model.calibration.reference.count == 2
    (folder,) = toy.work.glob("volume_restoration-*")
    for picture in ("toy-reconstructions.png", "toy-samples.png", "vqvae/curves.png", "prior/curves.png"):
        assert (folder / picture).stat().st_size > 1000
