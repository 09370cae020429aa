from __future__ import annotations

import numpy as np
import pytest
import torch
from support.phantoms import head, one_thread  # noqa: F401

from MedADLib.networks.features import FeatureLearner, FeatureNetwork, perturbed
from MedADLib.networks.losses import error_map, ssim
from MedADLib.training.config import Options
from MedADLib.training.recipes.autoencoder import train_features
from MedADLib.training.slices import Slices

LOSSES = ("l2", "l1", "ssim", "perceptual")


@pytest.fixture(scope="module")
def features() -> FeatureNetwork:
    torch.manual_seed(3)
    return FeatureNetwork().eval().requires_grad_(False)


def pictures(count: int = 2, seed: int = 0) -> torch.Tensor:
    return torch.rand(count, 1, 24, 32, generator=torch.Generator().manual_seed(seed))


def test_squared_and_absolute_errors_are_those_of_each_pixel():
    x, y = pictures(seed=1), pictures(seed=2)
    assert torch.equal(error_map("l2", y, x, None), (x - y) ** 2)
    assert torch.equal(error_map("l1", y, x, None), (x - y).abs())


def test_structural_similarity_is_that_of_the_formula():
    x, y = pictures(1, 1)[0, 0].double().numpy(), pictures(1, 2)[0, 0].double().numpy()
    line = np.exp(-0.5 * (np.arange(-5, 6) / 1.5) ** 2)
    window = np.outer(line, line) / line.sum() ** 2
    found = ssim(pictures(1, 1), pictures(1, 2))[0, 0]
    for row, column in ((5, 5), (12, 20), (18, 26)):
        a, b = (z[row - 5 : row + 6, column - 5 : column + 6] for z in (x, y))
        mean_a, mean_b = (window * a).sum(), (window * b).sum()
        var_a, var_b = (window * (a - mean_a) ** 2).sum(), (window * (b - mean_b) ** 2).sum()
        cov = (window * (a - mean_a) * (b - mean_b)).sum()
        wanted = (2 * mean_a * mean_b + 1e-4) * (2 * cov + 9e-4)
        wanted /= (mean_a**2 + mean_b**2 + 1e-4) * (var_a + var_b + 9e-4)
        assert float(found[row, column]) == pytest.approx(wanted, abs=1e-4)


def test_structural_similarity_is_that_of_monai():
    from monai.metrics.regression import compute_ssim_and_cs

    x, y = pictures(seed=1).requires_grad_(), 0.7 * pictures(seed=1) + 0.3 * pictures(seed=2)
    theirs = compute_ssim_and_cs(x, y, 2, (11, 11), (1.5, 1.5))[0]
    ours = ssim(x, y)[..., 5:-5, 5:-5]
    assert torch.allclose(ours, theirs, atol=1e-4)
    slopes = [torch.autograd.grad(values.mean(), x)[0] for values in (ours, theirs)]
    assert torch.allclose(*slopes, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("loss", LOSSES)
def test_every_error_is_nothing_for_the_same_picture_and_grows_where_it_differs(loss, features):
    x = pictures()
    y = x.clone()
    y[0, :, 4:10, 20:26] = 1 - y[0, :, 4:10, 20:26]
    assert torch.allclose(error_map(loss, x, x, features), torch.zeros_like(x), atol=1e-5)
    error = error_map(loss, y, x, features)
    assert error.shape == x.shape and error.min() > -1e-5
    near, far = error[0, :, 4:10, 20:26].mean(), error[0, :, -2:, :2].mean()
    assert near > 0.02 and near > 5 * far
    assert torch.allclose(error[1], torch.zeros_like(x[1]), atol=1e-5)


@pytest.mark.parametrize("loss", LOSSES)
def test_errors_have_gradients_that_lead_back(loss, features):
    torch.manual_seed(0)
    x = pictures()
    y = (x + 0.1 * torch.randn(x.shape)).requires_grad_()
    optimizer = torch.optim.Adam([y], 5e-3)
    first = None
    for _ in range(30):
        error = error_map(loss, y, x, features).mean()
        first = first or float(error.detach())
        optimizer.zero_grad()
        error.backward()
        optimizer.step()
    assert float(error.detach()) < 0.5 * first


def test_flat_pictures_make_no_error_without_a_number():
    flat = torch.zeros(1, 1, 16, 16, requires_grad=True)
    error = error_map("ssim", flat, torch.zeros(1, 1, 16, 16), None)
    error.mean().backward()
    assert (error == 0).all() and torch.isfinite(flat.grad).all()


def test_a_negative_picture_is_not_structurally_similar():
    x = pictures()
    assert error_map("ssim", -x, x, None).mean() > 1 > error_map("ssim", 0.8 * x, x, None).mean()


def test_features_know_a_place_again_that_only_looks_different(tmp_path):
    def scan(seed):
        volume, mask = head(seed, spacing=(6.0, 6.0, 10.0), size=32)
        return volume.array / 1100, mask

    train, validation = Slices.of([scan(n) for n in range(3)]), Slices.of([scan(50)])
    slices, options = (train, validation), Options(steps=25, seed=1)
    network, log = train_features(slices, options, tmp_path / "first", rate=2e-3)
    untrained, start = train_features(slices, Options(steps=1, seed=1), tmp_path / "untrained", rate=1e-9)
    assert log[-1]["validation_error"] <= start[-1]["validation_error"]
    assert not any(parameter.requires_grad for parameter in network.parameters())
    again, _ = train_features(slices, options, tmp_path / "again", rate=2e-3)
    assert all(torch.equal(a, b) for a, b in zip(network.state_dict().values(), again.state_dict().values()))
    images, masks, _ = validation.select(np.arange(4, 8))
    torch.manual_seed(0)
    dim, turned = 0.8 * images + 0.1 * masks, images.flip(2)

    def share(of):
        """How much more the brightness changes the features than another anatomy does."""
        same, bright, other = (of(x)[2] for x in (images, dim, turned))
        return float((bright - same).abs().mean() / (other - same).abs().mean())

    assert share(network) < share(untrained)


def test_a_learning_batch_without_brain_inside_is_no_error_of_shape():
    torch.manual_seed(0)
    learner = FeatureLearner()
    masks = torch.zeros(2, 1, 32, 32)
    masks[:, :, 8:24, 8:24] = 1
    loss, log = learner.loss(torch.rand(2, 1, 32, 32) * masks, masks, torch.zeros(2))
    loss.backward()
    assert torch.isfinite(loss) and 0 <= float(log["matched"]) <= 1
    copy = perturbed(torch.ones(2, 1, 32, 32) * masks, masks)
    assert (copy[masks == 0] == 0).all() and not torch.equal(copy, masks)
