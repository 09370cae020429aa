"""Restorations that occur twice are decoded once, and as many slices together as a device has room for."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from support.phantoms import one_thread  # noqa: F401
from support.toy_codes import random_networks, toy_parameters

from MedADLib.methods.latent_restoration import LatentRestoration
from MedADLib.methods.sampling import task
from MedADLib.methods.sampling.task import Distinct, decoding_batches

pytestmark = pytest.mark.usefixtures("one_thread")


def test_each_slice_has_its_own_different_restorations_and_their_number():
    copies = torch.randint(0, 2, (4, 9, 3), generator=torch.Generator().manual_seed(1))
    copies[2] = copies[2, :1]
    found = Distinct.of(copies)
    assert found.sizes[2] == 1 and sum(found.sizes) == len(found.codes) < 4 * 9
    for number, (codes, counts) in enumerate(zip(found.codes.split(found.sizes), found.counts.split(found.sizes))):
        rows = [tuple(row) for row in copies[number].tolist()]
        assert {tuple(code): count for code, count in zip(codes.tolist(), counts.tolist())} == {
            row: rows.count(row) for row in rows
        }
        assert (found.owners.split(found.sizes)[number] == number).all()


def test_batches_hold_whole_slices_in_order_and_no_more_than_fit(monkeypatch):
    sizes = [3, 1, 15, 4, 4, 2]
    monkeypatch.setattr(task, "slices_at_once", lambda device: 8)
    assert [list(some) for some in decoding_batches(sizes, "cuda:0")] == [[0, 1], [2], [3, 4], [5]]
    assert [list(some) for some in decoding_batches(sizes, "cpu")] == [[n] for n in range(6)]


def test_a_result_does_not_depend_on_how_many_slices_are_decoded_together(monkeypatch):
    method = random_networks(LatentRestoration, toy_parameters(samples=4, restoration_nll=1.5))
    random = np.random.default_rng(0)
    image, mask = random.random((9, 16, 24)).astype(np.float32), np.ones((9, 16, 24), bool)
    with monkeypatch.context() as each_alone:
        each_alone.setattr("MedADLib.methods.slicewise.slices_at_once", lambda device: 1)
        alone = method.restore(image, mask, seed=3)
    decoded, true = [], LatentRestoration._decoded

    def note(self, codes, *more):
        decoded.append(len(codes))
        return true(self, codes, *more)

    monkeypatch.setattr(LatentRestoration, "_decoded", note)
    grouped = "MedADLib.methods.latent_restoration.decoding_batches"
    monkeypatch.setattr(grouped, lambda sizes, device: decoding_batches(sizes, "as on a GPU"))
    monkeypatch.setattr(task, "slices_at_once", lambda device: 1000)
    joint = method.restore(image, mask, seed=3)
    assert len(decoded) == 3 and sum(decoded) > 9
    assert alone.facts == joint.facts and alone.sample_score == joint.sample_score
    assert np.abs(alone.score - joint.score).max() < 1e-5 and np.abs(alone.restored - joint.restored).max() < 1e-5
