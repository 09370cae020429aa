"""Which codes a restoration draws anew, and by which sampler: the maps, what is recorded, and files of before."""

from __future__ import annotations

from dataclasses import asdict, replace

import numpy as np
import pytest
from support.phantoms import one_thread  # noqa: F401
from support.toy_codes import random_networks, toy_parameters

from MedADLib.errors import Cancelled, ModelError
from MedADLib.methods.latent_restoration import LatentRestoration, LatentRestorationParameters
from MedADLib.methods.volume_restoration import VolumeRestoration, VolumeRestorationParameters
from MedADLib.runtime.progress import Progress
from MedADLib.runtime.strict_json import from_json

pytestmark = pytest.mark.usefixtures("one_thread")
VOLUME = VolumeRestorationParameters(
    (12, 20, 24), (8, 16), 1, 8, 4, 16, 2, 2, restoration_nll=3.0, samples=4, working=(8, 16, 16)
)
SETTINGS = {
    LatentRestoration: toy_parameters(restoration_nll=2.0, samples=4),
    VolumeRestoration: VOLUME,
}


@pytest.fixture(scope="module", params=SETTINGS, ids=lambda kind: kind.unit)
def method(request) -> LatentRestoration:
    return random_networks(request.param, SETTINGS[request.param])


def scan(method: LatentRestoration) -> tuple[np.ndarray, np.ndarray]:
    shape = method.parameters.size if len(method.parameters.size) == 3 else (5, *method.parameters.size)
    mask = np.zeros(shape, bool)
    mask[1:, 2:-2, 3:-2] = True
    return np.where(mask, np.random.default_rng(0).random(shape) + 0.2, 0).astype(np.float32), mask


def with_settings(method: LatentRestoration, sampler: str = "auto", **settings) -> LatentRestoration:
    other = type(method)(replace(method.parameters, **settings), method.vqvae, method.prior)
    other.sampler = sampler
    return other


@pytest.mark.parametrize("mask", ["static", "dynamic"])
def test_every_sampler_gives_the_same_map_and_is_named(method, mask):
    reference = with_settings(method, "sequential", mask=mask).restore(*scan(method), seed=2)
    for sampler, named in (("segment", "segment"), ("jacobi", "jacobi"), ("auto", "segment")):
        found = with_settings(method, sampler, mask=mask).restore(*scan(method), seed=2)
        assert np.array_equal(found.score, reference.score) and np.array_equal(found.restored, reference.restored)
        assert found.sample_score == reference.sample_score
        assert (found.facts["sampler"], found.facts["mask"]) == (named, mask)
    assert reference.facts["sampler"] == "sequential"


def test_the_masks_differ_and_say_how_much_they_change(method):
    static, dynamic = (with_settings(method, mask=mask).restore(*scan(method)) for mask in ("static", "dynamic"))
    assert not np.array_equal(static.score, dynamic.score) and static.sample_score == dynamic.sample_score
    redrawn, changed, different = (
        static.facts[f"{name}_per_{method.unit}"] for name in ("codes_redrawn", "codes_changed", "restorations")
    )
    assert 0 < changed <= redrawn and 1 < different <= method.parameters.samples


def test_models_from_before_have_a_static_mask(method):
    document = {key: list(value) if isinstance(value, tuple) else value for key, value in
                asdict(method.parameters).items() if key != "mask"}  # fmt: skip
    assert from_json(type(method.parameters), document, "model").mask == "static"
    assert from_json(type(method.parameters), document | {"mask": "dynamic"}, "model").mask == "dynamic"
    with pytest.raises(ModelError):
        from_json(type(method.parameters), document | {"mask": "sometimes"}, "model")
    assert LatentRestorationParameters().mask == "static"


def test_progress_never_goes_back_and_cancelling_stops_between_two_codes():
    method, told = random_networks(LatentRestoration, toy_parameters(restoration_nll=0.0, samples=2)), []
    image, mask = (np.concatenate([array] * 5) for array in scan(method))
    method.restore(image, mask, progress=Progress(lambda stage, fraction, message: told.append(fraction)))
    assert told == sorted(told) and told[0] == 0 and told[-1] == pytest.approx(1) and len(told) > 60
    asked = []
    with pytest.raises(Cancelled):
        method.restore(image, mask, progress=Progress(cancelled=lambda: asked.append(1) or len(asked) > 7))
    assert len(asked) == 8
