"""What FPI and the denoising autoencoder share: settings, weights, model files, and passes that are repeatable."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from support.model_files import model
from support.refusals import accepted
from support.toy_slices import toy_scan

from MedADLib.errors import ModelError
from MedADLib.methods.synthetic_anomalies import FPI, Denoising, SliceUNet
from MedADLib.modelfile.model import load_model, save_model
from MedADLib.preprocessing.brain_space import BrainSpace
from MedADLib.preprocessing.intensity import PERCENTILES
from MedADLib.volume import Volume

KINDS = [FPI, Denoising]


def tiny(kind: type[SliceUNet]) -> SliceUNet:
    """A network with outputs that vary like those of a trained one."""
    method = kind.untrained(kind.Parameters(size=(32, 32), channels=(8, 8)), seed=3)
    with torch.no_grad():
        method.network.last.weight.normal_(std=0.5)
    return method


@pytest.mark.parametrize("kind", KINDS)
def test_a_method_that_was_saved_gives_the_same_bits(kind, tmp_path):
    method, (image, mask) = tiny(kind), toy_scan(1)
    grid = Volume(image.astype(np.float16).astype(np.float32), np.diag([6.0, 6.0, 10.0, 1.0]), "template")
    kept = model().template
    template = BrainSpace(grid, mask, kept.histogram, kept.limits, np.linspace(0.1, 0.9, len(PERCENTILES)))
    registry = {kind.name: kind}
    save_model(model(method=method, template=template, calibration=None), tmp_path / "m.medad", registry)
    loaded = load_model(tmp_path / "m.medad", registry).method
    assert loaded.parameters == method.parameters
    first, again = method.restore(image, mask), loaded.restore(image, mask, seed=9)
    assert np.array_equal(first.score, again.score) and np.array_equal(first.restored, again.restored)
    assert first.sample_score == again.sample_score and first.score.any()
    assert first.score.dtype == first.restored.dtype == np.float32


@pytest.mark.parametrize("kind", KINDS)
def test_a_slice_is_treated_the_same_whatever_slices_are_with_it(kind):
    method, (image, mask) = tiny(kind), toy_scan(2)
    whole, only = method.restore(image, mask), np.zeros_like(mask)
    only[14] = mask[14]
    alone = method.restore(image, only)
    assert np.allclose(alone.score[14], whole.score[14], atol=1e-5)
    assert np.allclose(alone.restored[14], whole.restored[14], atol=1e-4)
    assert not alone.score[13].any()


@pytest.mark.parametrize("kind", KINDS)
def test_a_damaged_model_is_refused(kind):
    method = tiny(kind)
    tensors, key = method.tensors(), "down.0.first.0.weight"
    for bad in (
        {k: v for k, v in tensors.items() if k != key},
        tensors | {"more": np.zeros(3, np.float32)},
        tensors | {key: tensors[key][:1]},
        tensors | {key: tensors[key].astype(np.float64)},
    ):
        with pytest.raises(ModelError):
            kind.from_tensors(method.parameters, bad)


@pytest.mark.parametrize("kind", KINDS)
def test_settings_that_make_no_sense_are_refused(kind):
    wrong = [
        {"size": (32,)},
        {"size": (33, 32)},
        {"size": (4096, 4096)},
        {"channels": ()},
        {"channels": (12,)},
        {"channels": (0, 8)},
        {"channels": (1024,)},
        {"channels": (8,) * 9},
    ]
    assert accepted(ValueError, lambda settings: replace(kind.Parameters(), **settings), wrong) == []


@pytest.mark.parametrize("kind", KINDS)
def test_a_method_fits_scans_of_its_slice_size_only(kind):
    method = tiny(kind)
    assert method.fits((7, 32, 32)) and not method.fits((7, 32, 64))
