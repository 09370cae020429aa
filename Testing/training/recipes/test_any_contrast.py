"""The restorer for any contrast: batches, resumed trainings, and what it expects of a healthy scan."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter
from support.phantoms import one_thread  # noqa: F401
from support.tissue_phantom import phantom
from support.training import same_weights, stopping_after

from MedADLib.corruption.contrasts.anatomy import Anatomy
from MedADLib.errors import Cancelled, InputError
from MedADLib.methods.any_contrast import TissueRegression, design_at, terms_of
from MedADLib.runtime.progress import Progress
from MedADLib.training.config import Options
from MedADLib.training.data import HealthyData
from MedADLib.training.recipes.any_contrast import ContrastSource, mean_shares, train


def scan(number: int) -> tuple[np.ndarray, np.ndarray]:
    """A brain of fluid, grey and white matter in standard intensities on every second voxel of the phantom."""
    volume, mask, truth = phantom()
    image = gaussian_filter(np.array([0.15, 0.15, 0.55, 0.85])[truth], 0.7)
    image = image + 0.03 * np.random.default_rng(number).standard_normal(image.shape)
    image, mask = (part[::2, ::2, ::2] for part in (np.where(mask, image, 0), mask))
    return image.astype(np.float32), mask


def data(count: int) -> HealthyData:
    template = SimpleNamespace(kind="brain", symmetric=True, image=SimpleNamespace(spacing=np.array([4.0, 4.0, 4.0])))
    return HealthyData(template, [scan(number) for number in range(count)], [scan(50)])


@pytest.fixture(scope="module")
def source() -> ContrastSource:
    scans = [Anatomy.of(*scan(number), (4.0, 4.0, 4.0), number) for number in range(3)]
    resolution = tuple(-(-size // 2) for size in scans[0].mask.shape)
    return ContrastSource.of(scans, scans, mean_shares(scans, resolution, True), data(1))


def test_a_batch_depends_on_step_and_seed_only(source):
    batch = source.batch(3, 0, 4, True)
    np.random.rand(3), torch.rand(3)
    assert all(torch.equal(a, b) for a, b in zip(batch, source.batch(3, 0, 4, True)))
    assert not torch.equal(batch.slabs, source.batch(4, 0, 4, True).slabs)
    assert not torch.equal(batch.slabs, source.batch(3, 1, 4, True).slabs)
    outside = batch.masks == 0
    assert not batch.clean[outside].any() and not batch.degrees[outside].any()
    same = batch.labels == 0
    assert torch.equal(batch.slabs[:, 1:4][same], batch.clean[same])


def test_each_slab_has_a_contrast_of_its_own_and_the_expected_image_follows_it(source):
    batches = [source.batch(step, 0, 4, True) for step in range(3)]
    means = torch.cat([batch.positions[:, 3] for batch in batches])
    clean = torch.cat([batch.clean[:, 1] for batch in batches])
    masks = torch.cat([batch.masks[:, 1] for batch in batches]) > 0
    agreeing = [float(np.corrcoef(m[k], c[k])[0, 1]) for m, c, k in zip(means, clean, masks) if k.sum() > 50]
    assert np.median(agreeing) > 0.25 and np.mean(np.array(agreeing) > 0) > 0.8
    spread = torch.stack([clean[n][masks[n]].mean() for n in range(len(clean)) if masks[n].any()]).std()
    assert spread > 0.05


def test_a_resumed_training_gives_the_same_bits(tmp_path):
    options = Options(steps=3, seed=2, extra={"channels": [8, 8]})
    whole, _ = train(data(2), options, tmp_path / "whole", Progress(), workers=0)
    with pytest.raises(Cancelled):
        train(data(2), options, tmp_path / "parts", stopping_after(1), workers=0)
    parts, _ = train(data(2), options, tmp_path / "parts", Progress(), workers=1)
    assert same_weights(whole.network, parts.network)
    image, mask = scan(50)
    found = parts.restore(image, mask)
    assert np.isfinite(found.score).all() and not found.score[~mask].any()


def test_one_scan_is_too_few(tmp_path):
    with pytest.raises(InputError) as caught:
        train(data(1), Options(steps=1, extra={"channels": [8]}), tmp_path, Progress(), workers=0)
    assert caught.value.code == "only_one_scan"


def random_shares() -> np.ndarray:
    """Shares of four tissues on a grid, (4, 6, 8, 10), that add up to 1."""
    return np.random.default_rng(0).dirichlet(np.ones(4), (6, 8, 10)).transpose(3, 0, 1, 2).astype(np.float32)


@pytest.mark.parametrize("levels", [(0.1, 0.5, 0.9, 0.6), (0.9, 0.5, 0.3, 0.2), (0.1, 0.8, 0.6, 0.5)])
def test_the_expected_mean_is_that_of_the_contrast_although_a_lesion_covers_a_tenth(levels):
    shares = random_shares()
    truth = np.tensordot(np.array(levels, np.float32), shares, 1)
    places = np.stack(np.unravel_index(np.arange(truth.size), truth.shape))
    random = np.random.default_rng(1)
    values = truth.ravel() + 0.02 * random.standard_normal(truth.size)
    values[random.permutation(truth.size)[: truth.size // 10]] += 0.5
    mean, spread = TissueRegression.of(values, design_at(places, truth.shape, shares)).maps(terms_of(shares))
    assert np.abs(mean - truth).mean() < 0.015
    assert 0.01 < np.median(spread) < 0.08


def test_voxels_without_tissue_do_not_count():
    shares = random_shares()
    shares[:, :, :4] = 0
    values = np.where(np.arange(8)[None, :, None] < 4, 100.0, shares[1])
    places = np.stack(np.unravel_index(np.arange(values.size), values.shape))
    mean, _ = TissueRegression.of(values.ravel(), design_at(places, values.shape, shares)).maps(terms_of(shares))
    assert np.abs(mean - shares[1])[:, 4:].max() < 1e-3
