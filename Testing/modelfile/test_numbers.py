"""Numbers beyond sense in a model file are refused before anything is built from them, by loading and by verify."""

from __future__ import annotations

import json
import tracemalloc
import warnings
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.numpy import load, save
from support.model_files import MANIFEST, REGISTRY, SHAPE, folders, forge, model
from support.raised import raises

from MedADLib.cli.main import main
from MedADLib.errors import ModelError
from MedADLib.methods.atlas import Atlas
from MedADLib.methods.base import Method
from MedADLib.methods.latent_restoration import LatentRestoration, LatentRestorationParameters
from MedADLib.methods.registry import METHODS
from MedADLib.modelfile.archive import read_archive
from MedADLib.modelfile.model import load_model, save_model, verify_model
from MedADLib.modelfile.store import add, summary_of
from MedADLib.scoring.restoration import Restoration

__all__ = ["folders"]

METHOD, TEMPLATE, CALIBRATION = (f"models/{name}.safetensors" for name in ("method", "template", "calibration"))


@pytest.fixture
def saved(tmp_path):
    save_model(model(), tmp_path / "brain-t1.medad", REGISTRY)
    return tmp_path / "brain-t1.medad"


def innermost(path) -> str:
    """The code of the first cause of the refusal; numpy must not have warned of an overflow before."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(ModelError) as caught:
            verify_model(path, REGISTRY)
    error = caught.value
    while error.__cause__ is not None and isinstance(error.__cause__, ModelError):
        error = error.__cause__
    return error.code


@pytest.mark.parametrize("value", [1e300, -1e300, 1e13])
@pytest.mark.parametrize(
    ("entry", "key"),
    [(TEMPLATE, "image"), (TEMPLATE, "landmarks"), (CALIBRATION, "maxima"), (CALIBRATION, "scale0_mean")],
)
def test_doubles_that_single_precision_makes_infinite_are_refused(saved, entry, key, value):
    tensors = load(read_archive(saved)[entry])
    tensors[key] = tensors[key].astype(np.float64)
    tensors[key].flat[-1] = value
    assert innermost(forge(saved, {entry: save(tensors)})) == "tensors_too_large"


@pytest.mark.parametrize("dtype", [np.int64, np.uint64])
def test_integers_are_bounded_too(saved, dtype):
    tensors = {"weights": np.full((3, 2), np.iinfo(dtype).max, dtype)}
    assert innermost(forge(saved, {METHOD: save(tensors)})) == "tensors_too_large"
    if dtype is np.int64:
        tensors = {"weights": np.full((3, 2), np.iinfo(dtype).min, dtype)}
        assert innermost(forge(saved, {METHOD: save(tensors)})) == "tensors_too_large"


def put(saved, place: str, key, value):
    document = json.loads(read_archive(saved)[MANIFEST])
    target = document
    for step in place.split("."):
        target = target[int(step) if step.isdigit() else step]
    target[key] = value
    return forge(saved, **document)


@pytest.mark.parametrize(
    ("place", "key"),
    [
        ("calibration.scales.0", "scale"), ("calibration", "brain_ml"), ("preparation.limits", "histogram"),
        ("preparation.affine.0", 0), ("preparation.affine.2", 3), ("method.parameters", "sharpness"),
    ],
)  # fmt: skip
def test_numbers_of_the_manifest_are_bounded(saved, folders, place, key):
    for value in (1e300, -(10**15)):
        original = saved.read_bytes()
        assert innermost(put(saved, place, key, value)) == "number_too_large"
        assert "beyond" in summary_of(saved).error, "the list of models says so too"
        with raises(ModelError, "model_problem", reason="number_too_large"):
            add(saved)
        saved.write_bytes(original)


@pytest.mark.parametrize("value", [1e-300, 0.0, 1e11])
def test_scales_that_make_a_standard_deviation_nothing_or_everything_are_refused(saved, value):
    tensors = load(read_archive(saved)[CALIBRATION])
    tensors["scale0_mean"], tensors["scale0_spread"] = (np.full(SHAPE, 1e11) for _ in range(2))
    document = json.loads(read_archive(saved)[MANIFEST])
    document["calibration"]["scales"][0]["scale"] = value
    forge(saved, {CALIBRATION: save(tensors)}, calibration=document["calibration"])
    assert innermost(saved) == "calibration_places"


@pytest.mark.parametrize(
    ("affine", "code"),
    [
        (np.diag([2000.0, 2000.0, 3000.0, 1.0]), "template_spacing"),
        (np.diag([1e-5, 2.0, 3.0, 1.0]), "template_spacing"),
        (np.diag([90.0, 2.0, 3.0, 1.0]) * np.array([[1], [1], [40], [1]]), "template_spacing"),
        (np.array([[2, 0, 0, 1e6], [0, 2, 0, 0], [0, 0, 3, 0], [0, 0, 0, 1]]), "template_position"),
        (np.array([[2, 0, 0, 0], [0, 2, 0, 0], [0, 0, 3, 0], [0, 1, 0, 1]]), "template_position"),
    ],
)
def test_a_template_has_the_size_and_the_place_of_a_body(saved, affine, code):
    assert innermost(put(saved, "preparation", "affine", affine.tolist())) == code


@pytest.mark.parametrize(
    ("key", "array"),
    [
        ("maxima", np.ones((3, 3))), ("thresholds", np.arange(300_000.0)),
        ("scale0_tail_beyond", np.array([1e-200, 0, 4])), ("scale0_mean", np.zeros((0, 5, 6))),
        ("sample_scores", np.zeros([1] * 9)),
    ],
)  # fmt: skip
def test_arrays_of_the_calibration_have_their_shape_and_range(saved, key, array):
    tensors = load(read_archive(saved)[CALIBRATION])
    if key == "thresholds":
        tensors["false_positive_ml"] = array
    tensors[key] = array
    assert innermost(forge(saved, {CALIBRATION: save(tensors)})).startswith(("calibration_", "tensors_dimensions"))


def test_a_threshold_beyond_sense_is_refused(saved):
    assert innermost(put(saved, "calibration", "threshold", "1" + "0" * 200 + "ml")) == "calibration_numbers"


def test_verify_says_so_with_the_code(saved, capsys):
    random, mask = np.random.default_rng(0), np.ones(SHAPE, bool)
    atlas = Atlas.train([(random.random(SHAPE).astype(np.float32), mask) for _ in range(3)], (2.0, 2.0, 3.0))
    save_model(model(method=atlas), saved)
    assert main(["models", "verify", str(saved), "--json-log"]) == 0
    tensors = load(read_archive(saved)[TEMPLATE])
    tensors["landmarks"][-1] = 1e300
    forge(saved, {TEMPLATE: save(tensors)})
    capsys.readouterr()
    assert main(["models", "verify", str(saved), "--json-log"]) == 1
    event = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (event["event"], event["parameters"]["reason"]) == ("error", "tensors_too_large")


BIG = LatentRestorationParameters(
    size=(1024, 1024), channels=(512,) * 3, residual_layers=8, codes=4096, width=1024, prior_width=1024,
    prior_layers=32, prior_heads=1,
)  # fmt: skip


def test_networks_are_built_only_for_tensors_of_their_shapes(monkeypatch):
    """A small file that names the largest networks allowed must not take gigabytes before it is refused."""
    built = []
    linear = torch.nn.Linear.__init__

    def note(self, *arguments, **settings):
        linear(self, *arguments, **settings)
        built.append(self.weight.device.type)

    monkeypatch.setattr(torch.nn.Linear, "__init__", note)
    with raises(ModelError, "tensor_missing"):
        LatentRestoration.from_tensors(BIG, {})
    assert built and set(built) == {"meta"}


@pytest.mark.parametrize("name", sorted(name for name, kind in METHODS.items() if hasattr(kind, "untrained")))
def test_every_method_comes_back_through_the_check_of_its_shapes(name):
    kind = METHODS[name]
    settings = {"size": (32, 160, 160), "centres": (0.2, 0.5, 0.8)} if name == "implicit_field" else {}
    try:
        parameters = kind.Parameters(**settings)
    except (TypeError, ValueError):
        pytest.skip("its parameters are found in the training; its own tests load it")
    with torch.device("meta"):
        planned = kind.untrained(parameters).networks()
    for network in planned.values():
        assert {value.device.type for value in network.state_dict().values()} == {"meta"}


def test_values_that_overflow_only_when_computed_are_refused():
    class Overflowing(Method):
        name = "overflowing"

        def _restore(self, image, mask, seed, device, progress):
            return Restoration(image * self.factor, image, 0.0)

    image, mask = np.ones(SHAPE, np.float32), np.ones(SHAPE, bool)
    for factor in (np.float32(np.inf), np.float32(np.nan), np.float32(1e20)):
        Overflowing.factor = factor
        with raises(ModelError, "restoration_not_finite", method="overflowing"):
            Overflowing().restore(image, mask)


def test_a_small_file_never_unpacks_to_a_gigabyte(tmp_path):
    large = replace(model(), card="# Card\n" + "x" * 900_000)
    save_model(large, tmp_path / "a.medad", REGISTRY)
    tracemalloc.start()
    load_model(tmp_path / "a.medad", REGISTRY)
    assert tracemalloc.get_traced_memory()[1] < 32 << 20
    tracemalloc.stop()


@pytest.mark.parametrize(("least", "scan_score"), [(-2e11, "method"), (-0.1, "top_1pct"), (2e9, "volume")])
def test_scores_that_no_scan_has_are_refused(saved, least, scan_score):
    tensors = load(read_archive(saved)[CALIBRATION])
    tensors["sample_scores"] = np.full(len(tensors["sample_scores"]), least)
    document = json.loads(read_archive(saved)[MANIFEST])["calibration"] | {"scan_score": scan_score}
    assert innermost(forge(saved, {CALIBRATION: save(tensors)}, calibration=document)) == "calibration_numbers"


def test_a_negative_rarity_and_more_false_positives_than_brain_are_refused(saved):
    original = saved.read_bytes()
    for key, value in (("maxima", -1.0), ("false_positive_ml", -1.0), ("false_positive_ml", 1e7)):
        tensors = load(read_archive(saved)[CALIBRATION])
        tensors[key] = np.full(len(tensors[key]), value)
        assert innermost(forge(saved, {CALIBRATION: save(tensors)})) == "calibration_numbers"
        saved.write_bytes(original)


def test_a_brain_has_the_volume_of_a_brain(saved):
    original = saved.read_bytes()
    for value, code in ((1e-30, "calibration_no_volume"), (0.001, "calibration_volume")):
        tensors = load(read_archive(saved)[CALIBRATION])
        tensors["false_positive_ml"] = np.zeros(len(tensors["false_positive_ml"]))
        document = json.loads(read_archive(saved)[MANIFEST])["calibration"] | {"brain_ml": value}
        assert innermost(forge(saved, {CALIBRATION: save(tensors)}, calibration=document)) == code
        saved.write_bytes(original)
