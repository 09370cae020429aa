from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from support.phantoms import one_thread  # noqa: F401
from support.refusals import accepted
from support.toy_slices import plain_scan, toy_data, with_cuboid

from MedADLib.errors import Cancelled, InputError, ModelError
from MedADLib.methods import implicit_field
from MedADLib.methods.implicit_field import ImplicitField, ImplicitFieldParameters, search_latents, voxel_coordinates
from MedADLib.networks.implicit_field import AutoDecoder, IntensityField, fourier_features, within_ball
from MedADLib.runtime.progress import Progress
from MedADLib.runtime.strict_json import from_json
from MedADLib.training.config import Options
from MedADLib.training.recipes.implicit_field import BrainVoxels, train

SIZE = (16, 32, 32)
CENTRES = (0.2, 0.5, 0.8)
TINY = ImplicitFieldParameters(SIZE, CENTRES, latent=5, width=16, layers=3, bands=2, steps=20, points=256)
EXTRA = {"width": 64, "layers": 4, "bands": 3, "steps": 60, "points": 512, "rate": 0.05}


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> tuple[ImplicitField, dict]:
    options = Options(steps=180, latent=8, seed=1, extra=EXTRA)
    return train(toy_data(12, plain_scan), options, tmp_path_factory.mktemp("field"), Progress())


def random_field(seed: int = 0) -> ImplicitField:
    """An untrained field in which the latent has its say."""
    method = ImplicitField.untrained(TINY, seed)
    method.network.requires_grad_(False)
    return method


def test_features_are_waves_of_doubling_frequency():
    points = torch.tensor([[0.5, -1.0, 0.0]])
    found = fourier_features(points, 2)[0]
    assert found.shape == (3 + 12,) and torch.equal(found[:3], points[0])
    waves = [np.sin(np.pi * 0.5), np.sin(2 * np.pi * 0.5), np.sin(-np.pi), np.sin(-2 * np.pi), 0, 0]
    assert np.allclose(found[3:9], waves, atol=1e-6)
    assert torch.allclose(found[3:9].square() + found[9:].square(), torch.ones(6), atol=1e-6)


def test_places_are_centred_in_proportion_and_mirrored_by_sign():
    found = voxel_coordinates(np.array([0, 16 * 32 * 32 - 1, 31]), SIZE)
    assert np.allclose(found[0], [-15 / 32, -31 / 32, -31 / 32]) and torch.equal(found[1], -found[0])
    assert torch.equal(found[2], found[0] * torch.tensor([1, 1, -1]))


def test_mirror_images_are_scans_of_their_own():
    image, mask = plain_scan(3)
    voxels = BrainVoxels([(image, mask)], True)
    assert voxels.count == 2 and BrainVoxels([(image, mask)], False).count == 1
    for number, shown in ((0, image), (1, image[:, :, ::-1])):
        points, intensities = voxels.sample(np.array([number]), 50, [4])
        z, y, x = ((points[0].numpy() * 32 + np.array(SIZE) - 1) / 2).round().astype(int).T
        assert np.allclose(shown[z, y, x], intensities[0], atol=1e-3)


def test_a_latent_is_given_to_every_layer_as_if_it_were_an_input():
    torch.manual_seed(0)
    field, latents = IntensityField(CENTRES, 4, 8, 4, 1), 0.3 * torch.randn(2, 4)
    points = torch.rand(2, 5, 3)
    features = fourier_features(points, 1)
    weights = field.shifts.weight.view(3, 8, 4)
    for layer, weight in zip(field.layers, weights):
        both = torch.cat([features, latents[:, None].expand(-1, 5, -1)], dim=2)
        features = (both @ torch.cat([layer.weight, weight], 1).T + layer.bias).relu()
    assert torch.allclose(field(points, latents), field.head(features), atol=1e-5)


def test_no_latent_is_longer_than_one():
    torch.manual_seed(0)
    latents = torch.randn(6, 5) * torch.tensor([0.01, 0.1, 0.4, 1, 10, 100])[:, None]
    short = within_ball(latents)
    assert short.norm(dim=1).max() <= 1 + 1e-6 and torch.equal(short[:2], latents[:2])
    field, points = random_field().network, torch.rand(6, 4, 3)
    assert torch.allclose(field(points, latents), field(points, short), atol=1e-5)
    target = torch.full((6, 64), 0.2)
    found = search_latents(field, lambda step: (points.repeat(1, 16, 1), target), 6, 50, 1.0)
    assert found.norm(dim=1).max() <= 1 + 1e-6 and found.norm(dim=1).min() > 0.9


def test_the_loss_is_the_mean_cross_entropy_and_reaches_the_latents():
    torch.manual_seed(0)
    network = AutoDecoder(random_field().network.requires_grad_(True), 4)
    scans, points, intensities = torch.tensor([2, 0]), torch.rand(2, 7, 3), torch.rand(2, 7)
    loss, log = network.loss(scans, points, intensities)
    share = network.field(points, network.latents[scans]).softmax(2)
    classes = (intensities[..., None] - torch.tensor(CENTRES)).abs().argmin(-1)
    assert loss.item() == pytest.approx(-share.gather(2, classes[..., None]).log().mean().item(), rel=1e-5)
    assert log["error"].item() == pytest.approx((share @ torch.tensor(CENTRES) - intensities).abs().mean().item())
    loss.backward()
    assert (network.latents.grad.abs().sum(1) > 0).tolist() == [True, False, True, False]


def test_the_search_lowers_the_loss_and_scans_do_not_touch_each_other(trained):
    network = trained[0].network
    voxels = BrainVoxels([plain_scan(50), plain_scan(51)], False)
    points, intensities = voxels.sample(np.arange(2), 512, [0])
    both = search_latents(network, lambda step: (points, intensities), 2, 40, 0.05)
    with torch.no_grad():
        before, after = (
            network.errors(points, latents, intensities)[0].mean(1) for latents in (torch.zeros(2, 8), both)
        )
    assert (after < 0.7 * before).all()
    alone = search_latents(network, lambda step: (points[1:], intensities[1:]), 1, 40, 0.05)
    assert torch.allclose(alone[0], both[1], atol=1e-3)


def test_training_learns_what_is_shared(trained):
    method, facts = trained
    assert {"validation_error", "validation_cross_entropy", "train_error"} <= set(facts["last"])
    assert facts["last"]["validation_cross_entropy"] < 0.6 * np.log(10)
    image, mask = plain_scan(50)
    result = method.restore(image, mask)
    assert np.abs(result.restored - image)[mask].mean() < 0.06
    assert not result.restored[~mask].any() and not result.score[~mask].any()


def test_a_lesion_scores_higher_than_the_rest_and_the_scan_too(trained):
    method, (image, mask) = trained[0], plain_scan(51)
    sick, lesion = with_cuboid(image, 1.1 if image[mask].mean() < 0.75 else 0.4)
    healthy, found = method.restore(image, mask), method.restore(sick, mask)
    assert (found.score[lesion][:, None] > found.score[mask & ~lesion][None]).mean() > 0.9
    assert found.sample_score > healthy.sample_score
    assert found.sample_score == pytest.approx(found.score[mask].mean(), rel=1e-4)
    assert found.facts["latent_length"] <= 1 + 1e-6


def test_a_seed_decides_everything(trained):
    method, (image, mask) = trained[0], plain_scan(52)
    first, second, other = (method.restore(image, mask, seed=seed) for seed in (3, 3, 4))
    assert np.array_equal(first.score, second.score) and np.array_equal(first.restored, second.restored)
    assert not np.array_equal(first.score, other.score)


def test_how_many_voxels_are_in_flight_changes_nothing(monkeypatch):
    method, (image, mask) = random_field(), plain_scan(52)
    whole = method.restore(image, mask)
    monkeypatch.setattr(implicit_field, "CHUNK", 1000)
    few = method.restore(image, mask)
    assert np.allclose(whole.score, few.score, atol=1e-5) and np.allclose(whole.restored, few.restored, atol=1e-5)


def test_a_saved_field_restores_the_same_bits_and_others_are_refused():
    method, (image, mask) = random_field(2), plain_scan(53)
    tensors = method.tensors()
    again = ImplicitField.from_tensors(method.parameters, tensors)
    assert np.array_equal(method.restore(image, mask).score, again.restore(image, mask).score)
    assert method.fits(SIZE) and not method.fits((15, 32, 32))
    stray, fewer = {"latents": np.zeros((2, 5), np.float32)}, {k: v for k, v in tensors.items() if k[0] != "h"}
    for wrong in (tensors | stray, fewer):
        with pytest.raises(ModelError):
            ImplicitField.from_tensors(method.parameters, wrong)


def test_an_empty_brain_and_a_cancelled_search():
    method, (image, mask) = random_field(), plain_scan(53)
    empty = method.restore(image, np.zeros_like(mask))
    assert not empty.score.any() and empty.sample_score == 0
    asked = []
    with pytest.raises(Cancelled):
        method.restore(image, mask, progress=Progress(cancelled=lambda: asked.append(1) or len(asked) > 5))


def test_a_training_is_the_same_again_and_heeds_wishes(tmp_path):
    options, data = Options(steps=3, latent=4, seed=2, extra=EXTRA | {"width": 16}), toy_data(2, plain_scan)
    first, second = (train(data, options, tmp_path / name, Progress())[0] for name in "ab")
    assert first.parameters == second.parameters and first.parameters.width == 16 and first.parameters.latent == 4
    assert len(first.parameters.centres) == 10 and first.parameters.centres[0] > 0
    assert all(np.array_equal(value, second.tensors()[name]) for name, value in first.tensors().items())
    assert "latents" not in first.tensors()
    for wrong in ({"centres": [0.1, 0.2]}, {"size": [1, 2, 3]}, {"depth": 3}):
        with pytest.raises(InputError):
            train(data, replace(options, extra=wrong), tmp_path / "c", Progress())


def test_hostile_parameters_are_refused():
    wrong = [
        {"size": (16, 32)},
        {"size": (16, 32, 5000)},
        {"centres": ()},
        {"centres": (0.5, 0.2)},
        {"latent": 10**9},
        {"width": 10**6},
        {"layers": 1},
        {"layers": 1000},
        {"bands": 60},
        {"steps": 10**9},
        {"points": 10**9},
        {"rate": 0.0},
        {"rate": 1e9},
    ]

    def opened(settings):
        names = ("size", "centres", "latent", "width", "layers", "bands", "steps")
        document = {name: getattr(TINY, name) for name in names} | {"points": 256, "rate": 0.02} | settings
        document = {name: list(value) if isinstance(value, tuple) else value for name, value in document.items()}
        return from_json(ImplicitFieldParameters, document, "parameters")

    assert accepted(ModelError, opened, wrong) == []
