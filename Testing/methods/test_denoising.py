from __future__ import annotations

import numpy as np
import pytest
import torch
from support.phantoms import one_thread  # noqa: F401
from support.toy_slices import toy_data, toy_scan, with_cuboid

from MedADLib.errors import InputError
from MedADLib.methods.synthetic_anomalies import Denoising, well_inside
from MedADLib.runtime.progress import Progress
from MedADLib.training.config import Options
from MedADLib.training.recipes.synthetic_anomalies import SPREAD, noisy_batch, train_denoising
from MedADLib.training.slices import Slices


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> tuple[Denoising, dict]:
    """A denoiser of toy slices, and the last row of its log."""
    options = Options(steps=100, seed=1, extra={"channels": [8, 16, 16]})
    method, facts = train_denoising(toy_data(), options, tmp_path_factory.mktemp("denoising"), Progress())
    return method, facts["last"]


def test_training_takes_the_noise_away_and_leaves_healthy_slices_alone(trained):
    _, last = trained
    slices = Slices.of([toy_scan(50)])
    noisy, masks, _, clean = noisy_batch(slices, 0, 3)
    noise = float((noisy - clean).abs()[masks > 0].mean())
    assert last["validation_error"] < 0.75 * noise
    assert last["validation_plain_error"] < last["validation_error"]


@pytest.mark.parametrize("value", [0.3, 1.3])
def test_a_lesion_dark_or_bright_scores_higher_than_healthy_tissue(trained, value):
    method, _ = trained
    image, mask = toy_scan(51)
    sick, lesion = with_cuboid(image, value)
    healthy, found = method.restore(image, mask), method.restore(sick, mask)
    assert found.score[lesion].mean() > 2 * healthy.score[lesion].mean()
    assert found.score[lesion].mean() > 2 * found.score[mask & ~lesion].mean()
    assert found.sample_score > healthy.sample_score
    assert found.sample_score == pytest.approx(float(found.score[mask].mean()), rel=1e-5)


def test_the_score_is_the_residual_well_inside_the_brain_and_0_elsewhere(trained):
    method, _ = trained
    image, mask = toy_scan(52)
    found = method.restore(image, mask)
    inner = well_inside(torch.from_numpy(mask.astype(np.float32))[:, None])[:, 0].numpy() > 0
    inner &= (mask.reshape(len(mask), -1).mean(1) >= 0.01)[:, None, None]
    assert np.array_equal(found.score[inner], np.abs(image - found.restored)[inner])
    assert not found.score[~inner].any() and not found.restored[~mask].any() and (found.restored >= 0).all()
    assert 0.3 < inner.sum() / mask.sum() < 0.9


def test_the_inner_part_of_a_brain_is_two_pixels_in_and_a_picture_has_no_edge():
    masks = torch.zeros(1, 1, 20, 20)
    masks[..., 4:16, 5:15] = 1
    inner = well_inside(masks)
    expected = torch.zeros_like(masks)
    expected[..., 6:14, 7:13] = 1
    assert torch.equal(inner, expected)
    # One of 25 may be missing, two may not.
    masks[..., 4, 5] = 0
    assert well_inside(masks)[0, 0, 6, 7] == 1
    masks[..., 4, 6] = 0
    assert well_inside(masks)[0, 0, 6, 7] == 0
    assert well_inside(torch.ones(1, 1, 9, 9)).all()


def test_a_batch_depends_on_step_and_seed_only():
    slices = Slices.of(toy_data(2).train)
    noisy, masks, _, clean = noisy_batch(slices, 3, 0)
    torch.rand(5)
    assert torch.equal(noisy, noisy_batch(slices, 3, 0)[0])
    assert not torch.equal(noisy, noisy_batch(slices, 4, 0)[0])
    noise = noisy - clean
    assert not noise[masks == 0].any()
    assert 0.5 * SPREAD < noise[masks > 0].std() < 1.1 * SPREAD


def test_unknown_wishes_are_refused(tmp_path):
    with pytest.raises(InputError):
        train_denoising(toy_data(2), Options(steps=1, extra={"sigma": 0.3}), tmp_path, Progress())
