from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from support.phantoms import head
from support.raised import raises
from support.refusals import accepted

from MedADLib.errors import ModelError, SettingError
from MedADLib.methods.autoencoder import Autoencoder, AutoencoderParameters
from MedADLib.training.latent_sweep import elbow
from MedADLib.training.loop import Plan, fit_slices
from MedADLib.training.recipes.autoencoder import reconstruction_errors
from MedADLib.training.slices import Slices

SIZES = (4, 8, 16, 32, 64, 128)
SMALL = AutoencoderParameters(size=(32, 32), channels=(8, 16, 16), latent=16)


@pytest.mark.parametrize(
    ("errors", "chosen"),
    [
        ((0.100, 0.060, 0.020, 0.019, 0.0185, 0.018), 16),
        ((0.100, 0.020, 0.019, 0.0185, 0.0183, 0.018), 8),
        ((0.100, 0.080, 0.060, 0.040, 0.020, 0.019), 64),
        ((0.100, 0.050, 0.020, 0.021, 0.022, 0.023), 16),
    ],
)
def test_the_elbow_is_where_more_latent_size_stops_to_help(errors, chosen):
    assert elbow(SIZES, errors) == chosen
    assert elbow(SIZES, [1000 * error + 5 for error in errors]) == chosen


@pytest.mark.parametrize(("sizes", "errors"), [((4, 8), (1, 2)), ((4, 8, 8), (3, 2, 1)), ((4, 8, 16), (3, 2))])
def test_an_elbow_needs_increasing_sizes_with_an_error_each(sizes, errors):
    with raises(SettingError, "sweep_sizes"):
        elbow(sizes, errors)


def toy_scan(seed: int) -> tuple[np.ndarray, np.ndarray]:
    volume, mask = head(seed, spacing=(6.0, 6.0, 10.0), size=32)
    return volume.array / 1100, mask


@pytest.fixture(scope="module")
def training(tmp_path_factory) -> tuple[Autoencoder, list[dict], float]:
    """An autoencoder trained on toy heads, its log, and its validation error before training."""
    slices = Slices.of([toy_scan(n) for n in range(6)]), Slices.of([toy_scan(50)])
    method = Autoencoder.untrained(SMALL, seed=1)
    folder = tmp_path_factory.mktemp("autoencoder")
    before = fit_slices(method.network, slices, Plan(1, 1e-9, every=1), reconstruction_errors, folder / "before")
    method = Autoencoder.untrained(SMALL, seed=1)
    log = fit_slices(method.network, slices, Plan(150, 3e-3, every=75), reconstruction_errors, folder / "after")
    return method, log, before[-1]["validation_squared_error"]


def test_training_brings_the_error_on_unseen_heads_far_down(training):
    _, log, before = training
    assert [row["step"] for row in log] == [75, 150]
    assert log[-1]["validation_squared_error"] < 0.2 * before
    image, mask = toy_scan(50)
    assert log[-1]["validation_squared_error"] < 0.4 * image[mask.any((1, 2))].var()


def test_a_lesion_raises_the_score_where_it_is(training):
    method, _, _ = training
    image, mask = toy_scan(51)
    sick = image.copy()
    sick[15:18, 8:12, 18:22] = 0.2
    lesion = sick != image
    healthy, found = method.restore(image, mask), method.restore(sick, mask)
    assert found.score[lesion].mean() > 4 * healthy.score[lesion].mean()
    assert found.sample_score > healthy.sample_score
    assert found.sample_score == pytest.approx(float(found.score[mask].mean()), rel=1e-5)
    assert (found.score[~mask] == 0).all() and (found.restored[~mask] == 0).all()
    used = mask.reshape(len(mask), -1).mean(1) >= 0.01
    inside = mask & used[:, None, None]
    assert np.allclose(found.score[inside], np.square(sick - found.restored)[inside], atol=1e-6)


def test_a_slice_is_restored_the_same_whatever_slices_are_with_it(training):
    method, _, _ = training
    image, mask = toy_scan(52)
    whole = method.restore(image, mask).restored
    only = np.zeros_like(mask)
    only[14] = mask[14]
    assert np.allclose(method.restore(image, only).restored[14], whole[14], atol=1e-5)
    batch = torch.rand(5, 1, 32, 32, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        assert torch.allclose(method.network(batch)[:1], method.network(batch[:1]), atol=1e-5)


def test_a_saved_autoencoder_restores_the_same_and_a_damaged_one_is_refused(training):
    method, _, _ = training
    image, mask = toy_scan(53)
    tensors = method.tensors()
    again = Autoencoder.from_tensors(SMALL, tensors)
    assert np.array_equal(again.restore(image, mask).score, method.restore(image, mask).score)
    key = "encoder.0.weight"
    for bad, code, culprit in (
        ({k: v for k, v in tensors.items() if k != key}, "tensor_missing", key),
        (tensors | {"more": np.zeros(3, np.float32)}, "tensor_unknown", "more"),
        (tensors | {key: tensors[key][:1]}, "tensor_shape", key),
        (tensors | {key: tensors[key].astype(np.float64)}, "tensor_type", key),
    ):
        with pytest.raises(ModelError, match=f"{culprit}.*autoencoder|autoencoder.*{culprit}") as caught:
            Autoencoder.from_tensors(SMALL, bad)
        assert caught.value.code == code


def test_the_latent_size_is_the_bottleneck():
    network = Autoencoder.untrained(replace(SMALL, latent=1), seed=0).network.eval()
    with torch.inference_mode():
        assert network.encoder(torch.rand(3, 1, 32, 32)).shape == (3, 1)


def test_settings_that_make_no_sense_are_refused():
    wrong = [{"size": (30, 32)}, {"size": (32,)}, {"channels": ()}, {"latent": 0}]
    assert accepted(ValueError, lambda settings: replace(SMALL, **settings), wrong) == []
