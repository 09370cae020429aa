"""The feature autoencoder, with features of random weights in place of those of ImageNet."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from support.phantoms import one_thread  # noqa: F401
from support.raised import raises
from support.simulated_gpu import simulated_gpu
from support.toy_slices import even_scan, plain_scan, toy_data, with_cuboid
from support.training import same_weights, stopping_after

from MedADLib.errors import Cancelled, InputError, SettingError
from MedADLib.methods import feature_autoencoder as module
from MedADLib.methods.feature_autoencoder import FeatureAutoencoder, FeatureAutoencoderParameters
from MedADLib.methods.registry import pooling_of
from MedADLib.networks.efficientnet import ImageNetFeatures, channels_of
from MedADLib.networks.losses import ssim
from MedADLib.runtime.progress import Progress
from MedADLib.scoring.calibration import Pooling
from MedADLib.training.config import Options
from MedADLib.training.recipes.feature_autoencoder import check_settings, train

pytestmark = pytest.mark.usefixtures("one_thread")
TOY = {"levels": 2, "channels": [16, 16]}


def random_features(levels: int = 2) -> ImageNetFeatures:
    torch.manual_seed(0)
    return ImageNetFeatures(levels)


def toy(**settings) -> FeatureAutoencoder:
    parameters = FeatureAutoencoderParameters(size=(32, 32), resolution=(8, 16, 16), levels=2, channels=(8, 8))
    method = FeatureAutoencoder.untrained(replace(parameters, **settings))
    method.features = random_features()
    return method


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A feature autoencoder after a short training on toy heads, and the last row of its log."""
    options = Options(steps=40, seed=1, extra=TOY)
    folder = tmp_path_factory.mktemp("features")
    method, facts = train(toy_data(4, even_scan), options, folder, Progress(), random_features())
    return method, facts["last"]


def test_training_makes_healthy_features_similar(trained):
    method, last = trained
    untrained = FeatureAutoencoder.untrained(method.parameters)
    for name in ("low", "span"):
        getattr(untrained.network, name).copy_(getattr(method.network, name))
    untrained.features = method.features
    image, mask = even_scan(51)
    assert method.restore(image, mask).sample_score < 0.8 * untrained.restore(image, mask).sample_score
    assert 0 < last["validation_error"] < 1 and 0 < last["validation_score"] < 1


def test_a_lesion_scores_higher_than_the_same_voxels_without_it(trained):
    method, _ = trained
    image, mask = even_scan(51)
    sick, lesion = with_cuboid(image, 0.1)
    healthy, found = method.restore(image, mask), method.restore(sick, mask)
    assert found.score[lesion].mean() > 1.3 * healthy.score[lesion].mean()
    assert found.sample_score > healthy.sample_score
    assert not found.score[~mask].any() and np.isfinite(found.score).all()


def test_the_healthy_image_is_the_mean_of_the_training_scans_whatever_the_scan(trained):
    method, _ = trained
    scans = [even_scan(number) for number in range(4)]
    mean = np.mean([(image + image[:, :, ::-1]) / 2 for image, _ in scans], axis=0)
    inner = np.logical_and.reduce([mask for _, mask in scans])
    # The stored mean has half of the resolution.
    one, two = (method.restore(*even_scan(number)).restored for number in (51, 52))
    inner[:, :8], inner[:, 24:], inner[:, :, :8], inner[:, :, 24:] = False, False, False, False
    assert np.array_equal(one, two) and np.abs(one - mean)[inner].mean() < 0.05 * mean[inner].mean()


def test_the_score_is_the_similarity_of_each_feature_map():
    method = toy()
    image, mask = plain_scan(3)
    with torch.no_grad():
        slices = torch.from_numpy(np.where(mask, image, 0)[8:9])[:, None]
        maps = method.features(slices)
        made = method.network.eval()(maps)
        parts = [
            1 - ssim(made[:, [c]].clamp_min(0), maps[:, [c]]) + (-made[:, [c]]).clamp_min(0)
            for c in range(channels_of(2))
        ]
        wanted = torch.nn.functional.interpolate(sum(parts) / len(parts), (32, 32), mode="bilinear")[0, 0].numpy()
    score = method.restore(np.where(mask, image, 0), mask).score[8]
    assert np.allclose(score, np.where(mask[8], wanted, 0), atol=1e-4)


@pytest.mark.parametrize("size", [(32, 32), (30, 27)])
def test_it_examines_slices_of_any_size(size):
    image, mask = (part[:, : size[0], : size[1]] for part in plain_scan(4))
    found = toy(size=size).restore(image, mask)
    assert found.score.shape == found.restored.shape == image.shape and found.score[mask].min() > 0


def test_the_model_file_holds_no_weights_of_imagenet():
    method = toy()
    tensors = method.tensors()
    assert method.parameters.weights == module.SHA256 and not any("stem" in name for name in tensors)
    again = FeatureAutoencoder.from_tensors(method.parameters, tensors)
    image, mask = plain_scan(3)
    again.features = random_features()
    assert np.array_equal(again.restore(image, mask).score, method.restore(image, mask).score)
    with raises(SettingError, "feature_weights_unknown"):
        replace(method.parameters, weights="0" * 64)


def test_a_scan_needs_the_package_and_a_training_asks_for_it_first(monkeypatch):
    def missing(*_):
        raise InputError("imagenet_features_missing", package="p")

    monkeypatch.setattr(module, "imagenet_features", missing)
    monkeypatch.setattr("MedADLib.training.recipes.feature_autoencoder.check_installed", missing)
    method = toy()
    method.features = None
    with raises(InputError, "imagenet_features_missing", package="p"):
        method.restore(*plain_scan(3))
    with raises(InputError, "imagenet_features_missing", package="p"):
        check_settings(Options(extra={"levels": 2}))
    for name in ("weights", "size", "blending"):
        with pytest.raises(InputError) as caught:
            check_settings(Options(extra={name: "x"}))
        assert caught.value.code == "method_setting_unknown"


def test_a_resumed_training_gives_the_same_bits(tmp_path):
    data, options = toy_data(2, even_scan), Options(steps=4, seed=2, extra=TOY)
    whole, _ = train(data, options, tmp_path / "whole", Progress(), random_features())
    with pytest.raises(Cancelled):
        train(data, options, tmp_path / "parts", stopping_after(2), random_features())
    parts, _ = train(data, options, tmp_path / "parts", Progress(), random_features())
    assert same_weights(whole.network, parts.network)


def test_a_gpu_gives_the_same_map():
    method = toy()
    image, mask = plain_scan(3)
    here = method.restore(image, mask)
    with simulated_gpu():
        there = method.restore(image, mask, device="cuda:0")
    assert np.allclose(there.score, here.score, atol=1e-5) and np.array_equal(there.restored, here.restored)


def test_its_maps_are_pooled_finely():
    assert pooling_of("feature_autoencoder") == Pooling(0.0, 2.5)
