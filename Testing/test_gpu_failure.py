"""A GPU that fails in a detection: the CPU computes the same result, which names the failure."""

from __future__ import annotations

import json

import numpy as np
import pytest
from support.phantoms import head, one_alignment, one_thread, toy_models, with_lesion  # noqa: F401

from MedADLib import detect, load_model
from MedADLib.messages import Message
from MedADLib.results.record import Record
from MedADLib.runtime import device
from MedADLib.runtime.strict_json import plain


@pytest.fixture(scope="module")
def atlas(one_thread):  # noqa: F811
    return load_model(toy_models().models["atlas"])


@pytest.fixture(scope="module")
def sick():
    return with_lesion(head(30)[0], (30.0, 20.0, 10.0), 13.0)[0]


@pytest.fixture(scope="module")
def found(atlas, sick):
    return detect(sick, atlas)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("CUDA error: no kernel image is available for execution on the device", "gpu_no_kernel"),
        ("CUDA error: an illegal memory access was encountered", "gpu_illegal_access"),
        ("CUDA error: unspecified launch failure", "gpu_lost"),
    ],
)
def test_a_gpu_that_fails_is_named_in_the_result_of_the_cpu(atlas, found, sick, monkeypatch, text, code):
    restore = type(atlas.method)._restore

    def fails(method, image, mask, seed, device, progress):
        if device != "cpu":
            raise RuntimeError(text)
        return restore(method, image, mask, seed, device, progress)

    monkeypatch.setattr(type(atlas.method), "_restore", fails)
    monkeypatch.setattr(device, "resolve", lambda wanted: "cuda:0")
    monkeypatch.setattr(device, "_failed", {})
    result = detect(sick, atlas)
    assert result.provenance["device"] == "cpu"
    assert [warning.code for warning in result.warnings if isinstance(warning, Message)][-1] == code
    assert code in json.dumps(plain(Record.of(result).as_json()))
    assert np.array_equal(result.anomaly.array, found.anomaly.array)
