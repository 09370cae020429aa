"""The training of the restorer: batches, resumed trainings, and refused settings."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from support.phantoms import one_thread  # noqa: F401
from support.toy_slices import even_scan, plain_scan, toy_data
from support.training import same_weights, stopping_after

from MedADLib.errors import Cancelled, InputError
from MedADLib.methods.synthetic_restoration import healthy_maps, position_maps
from MedADLib.runtime.progress import Progress
from MedADLib.training.config import Options
from MedADLib.training.data import HealthyData
from MedADLib.training.recipes.synthetic_restoration import SlabSource, mean_and_spread, train


@pytest.mark.parametrize("dimensions", [2, 3])
def test_a_single_slice_can_be_restored_and_trained_on(tmp_path, dimensions):
    flat = [(image[8:9], mask[8:9]) for image, mask in (plain_scan(number) for number in range(4))]
    template = SimpleNamespace(kind="plane", symmetric=False, image=SimpleNamespace(spacing=(1.0, 1.0, 1.0)))
    options = Options(steps=2, extra={"channels": [8, 8], "mirror": False, "dimensions": dimensions})
    method, facts = train(HealthyData(template, flat[:3], flat[3:]), options, tmp_path, Progress(), workers=0)
    assert np.isfinite(facts["last"]["validation_error"])
    assert method.restore(*flat[3]).score.shape == (1, 32, 32)


@pytest.mark.parametrize("dimensions", [2, 3])
def test_a_resumed_training_gives_the_same_bits(tmp_path, dimensions):
    extra = {"channels": [8, 8], "dimensions": dimensions}
    data, options = toy_data(2, even_scan), Options(steps=5, seed=2, extra=extra)
    whole, _ = train(data, options, tmp_path / "whole", Progress(), workers=0)
    with pytest.raises(Cancelled):
        train(data, options, tmp_path / "parts", stopping_after(2), workers=0)
    # The second part has a worker process: the batches are the same.
    parts, _ = train(data, options, tmp_path / "parts", Progress(), workers=1)
    assert same_weights(whole.network, parts.network)
    other, _ = train(data, replace(options, seed=3), tmp_path / "other", Progress(), workers=0)
    assert not same_weights(other.network, whole.network)


def test_a_batch_depends_on_step_and_seed_only():
    data = toy_data(3, even_scan)
    positions = position_maps(healthy_maps((16, 32, 32), mean_and_spread(data.train, (8, 16, 16), True))).numpy()
    source = SlabSource.of(data.train, data, positions)
    batch = source.batch(3, 0, 4, True)
    np.random.rand(3), torch.rand(3)
    assert all(torch.equal(a, b) for a, b in zip(batch, source.batch(3, 0, 4, True)))
    assert not torch.equal(batch.slabs, source.batch(4, 0, 4, True).slabs)
    assert not torch.equal(batch.slabs, source.batch(3, 1, 4, True).slabs)
    outside = batch.masks == 0
    assert not batch.clean[outside].any() and not batch.degrees[outside].any()
    same = batch.labels == 0
    assert torch.equal(batch.slabs[:, 1:4][same], batch.clean[same])


def test_a_block_has_anomalies_in_all_its_slices_and_the_slices_that_its_positions_say():
    data = replace(toy_data(3, even_scan), varied=False)
    positions = position_maps(healthy_maps((16, 32, 32), mean_and_spread(data.train, (8, 16, 16), True))).numpy()
    source = SlabSource.of(data.train, data, positions, deep=True)
    marked = np.zeros(16)
    for step in range(20):
        batch = source.batch(step, 0, 4, True)
        assert batch.slabs.shape == batch.mirrors.shape == batch.clean.shape == batch.labels.shape
        assert batch.positions.shape == (3, 5, *batch.slabs.shape[1:])
        healthy = batch.labels == 0
        assert torch.equal(batch.slabs[healthy], batch.clean[healthy]) and not batch.clean[batch.masks == 0].any()
        marked += (batch.labels.amax((2, 3)) > 0).sum(0).numpy()
    # The highest and the lowest slices have little brain or none.
    assert (marked[2:14] > 5).all()
    assert np.allclose(batch.positions[0, 0, :, 0, 0], np.linspace(-0.5, 0.5, 16), atol=1e-6)
    same = torch.stack([torch.from_numpy(image * mask) for image, mask in source.scans])[
        :, :, source.rows, source.columns
    ]
    assert all(any(torch.equal(block, scan.float()) for scan in same) for block in batch.clean)


def test_settings_are_checked_and_one_scan_is_too_few(tmp_path):
    for extra in ({"score": "sum"}, {"dimensions": 4}, {"size": [32, 32]}, {"channels": [0]}, {"blending": "linear"}):
        with pytest.raises(InputError):
            train(toy_data(2, even_scan), Options(steps=1, extra=extra), tmp_path, Progress(), workers=0)
    with pytest.raises(InputError) as caught:
        train(toy_data(1, even_scan), Options(steps=1, extra={"channels": [8]}), tmp_path, Progress(), workers=0)
    assert caught.value.code == "only_one_scan"
