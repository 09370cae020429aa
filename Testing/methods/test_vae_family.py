"""What holds for every method of the VAE's family: saving, repeating, refusing, and slices that are left alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from support.model_files import model
from support.phantoms import one_thread  # noqa: F401
from support.refusals import accepted
from support.toy_slices import toy_scan

from MedADLib.errors import Cancelled, InputError, ModelError
from MedADLib.methods.settings import with_overrides
from MedADLib.methods.tv_restoration import GMVAETV, VAETV
from MedADLib.methods.vae import ContextEncoder, ContextVAE, VariationalAutoencoder
from MedADLib.modelfile.model import load_model, save_model
from MedADLib.preprocessing.brain_space import BrainSpace
from MedADLib.preprocessing.intensity import PERCENTILES
from MedADLib.runtime.progress import Progress
from MedADLib.volume import Volume

KINDS = [VariationalAutoencoder, ContextVAE, ContextEncoder, VAETV, GMVAETV]
RESTORING = [VAETV, GMVAETV]


def tiny(kind: type, **changes) -> VariationalAutoencoder | VAETV:
    quick = {"steps": 6, "draw": True} if kind in RESTORING else {}
    method = kind.untrained(kind.Parameters(**{"size": (32, 32), "channels": (8, 8), "latent": 3} | quick | changes), 3)
    method.network.requires_grad_(False)
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
    first, again = method.restore(image, mask, seed=4), loaded.restore(image, mask, seed=4)
    assert np.array_equal(first.score, again.score) and np.array_equal(first.restored, again.restored)
    assert first.sample_score == again.sample_score and first.score.any()
    assert first.score.dtype == first.restored.dtype == np.float32
    assert (first.score[~mask] == 0).all() and (first.restored[~mask] == 0).all() and np.isfinite(first.score).all()


@pytest.mark.parametrize("kind", KINDS)
def test_the_seed_matters_to_what_draws_and_to_nothing_else(kind):
    method, (image, mask) = tiny(kind), toy_scan(2)
    scores = [method.restore(image, mask, seed=seed).score for seed in (0, 1)]
    assert np.array_equal(*scores) is (kind not in RESTORING)
    if kind in RESTORING:
        means = tiny(kind, draw=False)
        assert np.array_equal(*(means.restore(image, mask, seed=seed).score for seed in (0, 1)))


@pytest.mark.parametrize("kind", KINDS)
def test_a_slice_is_treated_the_same_whatever_slices_are_with_it(kind):
    method, (image, mask) = tiny(kind), toy_scan(3)
    whole, only = method.restore(image, mask, seed=1), np.zeros_like(mask)
    only[[9, 14]] = mask[[9, 14]]
    alone = method.restore(image, only, seed=1)
    assert np.allclose(alone.score[only], whole.score[only], rtol=1e-3, atol=1e-5)
    assert np.allclose(alone.restored[only], whole.restored[only], atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_damaged_weights_are_refused(kind):
    method = tiny(kind)
    tensors, key = method.tensors(), "encoder.0.weight"
    for bad in (
        {name: value for name, value in tensors.items() if name != key},
        tensors | {"more": np.zeros(3, np.float32)},
        tensors | {key: tensors[key][:1]},
    ):
        with pytest.raises(ModelError):
            kind.from_tensors(method.parameters, bad)


@pytest.mark.parametrize("kind", KINDS)
def test_settings_that_make_no_sense_are_refused(kind):
    wrong = [{"size": (30, 32)}, {"size": (32,)}, {"channels": ()}, {"latent": 0}, {"kl_weight": 0.0}]
    assert accepted(ValueError, lambda settings: replace(tiny(kind).parameters, **settings), wrong) == []


def test_settings_of_one_kind_are_refused_too():
    wrong = [
        (VariationalAutoencoder, {"gradient_scale": 0.0}),
        (ContextVAE, {"context": 1.5}),
        (ContextVAE, {"most_holes": 99}),
        (ContextVAE, {"largest_hole": 1.5}),
        (ContextEncoder, {"context": 0.5}),
        (VAETV, {"tv_weight": -1.0}),
        (VAETV, {"steps": 0}),
        (VAETV, {"latent": 1000, "bottleneck": "spatial"}),
        (VAETV, {"clip": 0.0}),
        (GMVAETV, {"components": 0}),
        (GMVAETV, {"mixing": 65}),
        (GMVAETV, {"floor": -1.0}),
    ]
    assert accepted(ValueError, lambda row: replace(tiny(row[0]).parameters, **row[1]), wrong) == []


@pytest.mark.parametrize("kind", KINDS)
def test_a_scan_without_brain_has_no_score(kind):
    nothing = np.zeros((4, 32, 32), np.float32)
    result = tiny(kind).restore(nothing, nothing > 0)
    assert result.sample_score == 0 and not result.score.any()


@pytest.mark.parametrize("kind", RESTORING)
def test_a_restoration_can_be_cancelled_between_its_steps(kind):
    asked = []
    progress = Progress(cancelled=lambda: asked.append(1) or len(asked) == 3)
    with pytest.raises(Cancelled):
        tiny(kind, steps=1000).restore(*toy_scan(1), progress=progress)
    assert len(asked) == 3


def test_wishes_replace_defaults_and_are_checked():
    base = ContextVAE.Parameters(size=(32, 32), channels=(8, 8))
    asked = with_overrides(base, {"channels": [4, 4], "context": 1, "score": "reconstruction"})
    assert asked == replace(base, channels=(4, 4), context=1.0, score="reconstruction")
    for wishes, named, code in (
        ({"contxt": 0.5}, "contxt", "method_setting_unknown"),
        ({"size": [64, 64]}, "size", "method_setting_unknown"),
        ({"context": "half"}, "context", "method_setting_invalid"),
        ({"score": "best"}, "score", "method_setting_invalid"),
        ({"context": 2.0}, "share", "method_setting_invalid"),
    ):
        with pytest.raises(InputError) as caught:
            with_overrides(base, wishes)
        assert caught.value.code == code
        assert named in caught.value.parameters["setting" if code == "method_setting_unknown" else "problem"]


def test_training_mode_is_left_before_scans_are_scored():
    method, (image, mask) = tiny(VariationalAutoencoder), toy_scan(1)
    before = {name: value.clone() for name, value in method.network.state_dict().items()}
    method.network.train()
    method.restore(image, mask)
    assert all(torch.equal(value, before[name]) for name, value in method.network.state_dict().items())
