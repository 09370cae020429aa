"""Model files: what is saved comes back, and no file, however made, can do more than be refused."""

from __future__ import annotations

import hashlib
import json
import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save
from support.model_files import MANIFEST, METADATA, REGISTRY, SHAPE, Fake, FakeParameters, folders, forge, model

from MedADLib.errors import MedADError, ModelError
from MedADLib.methods.atlas import Atlas
from MedADLib.modelfile.archive import read_archive, write_archive
from MedADLib.modelfile.model import load_model, save_model, verify_model
from MedADLib.modelfile.store import list_models, model_folders
from MedADLib.scoring.calibration import Calibration
from MedADLib.scoring.voxelwise import VoxelStatistics

__all__ = ["folders"]

METHOD, TEMPLATE, CALIBRATION = (f"models/{name}.safetensors" for name in ("method", "template", "calibration"))


@pytest.fixture
def path(tmp_path):
    return tmp_path / "brain-t1.medad"


@pytest.fixture
def saved(path):
    save_model(model(), path, REGISTRY)
    return path


def refusal(path) -> ModelError:
    """Return the error of a file, after checking that it is one line with the file and a remedy."""
    with pytest.raises(ModelError) as caught:
        load_model(path, REGISTRY)
    text = str(caught.value)
    assert str(path) in text and text.isprintable() and len(text) < 600 and caught.value.remedy
    return caught.value


def codes(error: BaseException | None) -> list[str]:
    """The codes of a refusal and of its causes."""
    found = []
    while isinstance(error, MedADError):
        assert error.__cause__ is None or error.parameters.get("reason", "") == getattr(error.__cause__, "code", "")
        found.append(error.code)
        error = error.__cause__
    return found


def test_what_is_saved_comes_back(saved):
    before, after = model(), load_model(saved, REGISTRY)
    for field in ("name", "version", "created", "description", "modality", "training", "authors", "card", "licence"):
        assert getattr(after, field) == getattr(before, field), field
    assert after.path == saved and after.sha256 == hashlib.sha256(saved.read_bytes()).hexdigest()
    assert after.method.parameters == before.method.parameters
    np.testing.assert_array_equal(after.method.weights, before.method.weights)
    for part in ("template", "calibration"):
        assert getattr(after, part).parameters() == getattr(before, part).parameters()
        for name, array in getattr(before, part).tensors().items():
            np.testing.assert_array_equal(getattr(after, part).tensors()[name], array)


def test_atlas_comes_back_and_scores_the_same(path):
    generator = np.random.default_rng(1)
    mask = np.ones(SHAPE, bool)
    scans = [(generator.random(SHAPE).astype(np.float32), mask) for _ in range(4)]
    atlas = Atlas.train(scans, (2.0, 2.0, 3.0))
    atlas = Atlas.from_tensors(atlas.parameters, atlas.tensors())  # half precision, as in the file
    save_model(model(method=atlas), path)
    found = load_model(path).method
    assert found.parameters == atlas.parameters
    np.testing.assert_array_equal(found.restore(scans[0][0], mask).score, atlas.restore(scans[0][0], mask).score)


def test_uncalibrated_model_has_no_calibration_file(path):
    save_model(model(calibration=None), path, REGISTRY)
    assert CALIBRATION not in read_archive(path)
    assert load_model(path, REGISTRY).calibration is None


def test_same_content_same_bytes_also_after_loading(saved, tmp_path):
    loaded = load_model(saved, REGISTRY)
    other_order = dict(reversed(loaded.training.items()))
    save_model(replace(loaded, training=other_order), tmp_path / "again.medad", REGISTRY)
    assert (tmp_path / "again.medad").read_bytes() == saved.read_bytes()


def test_file_is_a_bundle_with_all_mandatory_metadata(saved):
    files = read_archive(saved)
    assert set(files) == {"LICENSE", "docs/README.md", METADATA, MANIFEST, METHOD, TEMPLATE, CALIBRATION}
    metadata = json.loads(files[METADATA])
    mandatory = "version monai_version pytorch_version numpy_version task description authors copyright"
    assert all(isinstance(metadata[key], str) and metadata[key] for key in mandatory.split())
    assert metadata["required_packages_version"]["safetensors"]
    tensor = "type format modality num_channels spatial_shape dtype value_range is_patch_data channel_def"
    for side in ("inputs", "outputs"):
        for described in metadata["network_data_format"][side].values():
            assert set(tensor.split()) <= set(described)


def test_info_is_json_and_complete(saved):
    info = json.loads(json.dumps(load_model(saved, REGISTRY).info()))
    assert info["name"] == "brain-t1" and info["method"]["name"] == "fake"
    assert info["method"]["parameters"]["channels"] == [8, 16] and info["calibration"]["threshold"] == "1ml"
    assert info["training"] == model().training and len(info["sha256"]) == 64


def other_grid(calibration: Calibration) -> Calibration:
    """The same calibration, on a grid of one voxel."""
    scale = replace(calibration.coarse, voxelwise=VoxelStatistics(*np.ones((2, 1, 1, 1))))
    return replace(calibration, scales=(scale,))


@pytest.mark.parametrize(
    "changes",
    [
        {"name": "Brain T1"},
        {"version": "one"},
        {"created": "yesterday"},
        {"description": "two\nlines"},
        {"modality": "\x1b[2J"},
        {"card": " \n"},
        {"training": {"loss": float("nan")}},
        {"training": {"array": np.zeros(2)}},
        {"training": {"note": "$import os"}},
        {"method": Fake(FakeParameters(), np.full((3, 2), np.inf, np.float32))},
        {"method": Fake(FakeParameters(width=4), np.zeros((3, 2), np.float32))},
        {"calibration": other_grid(model().calibration)},
    ],
)
def test_a_model_that_would_be_refused_is_not_saved(saved, changes):
    before = saved.read_bytes()
    with pytest.raises(ModelError) as caught:
        save_model(model(**changes), saved, REGISTRY)
    assert caught.value.code == "model_would_be_refused" and str(saved) in caught.value.problem
    assert saved.read_bytes() == before


def test_a_cut_or_flipped_or_other_file_is_refused(saved):
    whole = saved.read_bytes()
    saved.write_bytes(whole[:-100])
    assert refusal(saved).code == "model_cut_short"
    position = whole.index(b"Healthy only.")
    saved.write_bytes(whole[:position] + b"h" + whole[position + 1 :])
    assert refusal(saved).code == "model_damaged"
    write_archive(saved, {"archive/data.pkl": b"\x80\x02.", "archive/version": b"3"})
    assert codes(refusal(saved)) == ["model_problem", "not_a_model"]


def test_tampering_is_noticed_by_the_hash(saved):
    files = read_archive(saved)
    for name in set(files) - {MANIFEST}:
        write_archive(saved, files | {name: files[name] + b" "})
        refused = refusal(saved)
        assert codes(refused) == ["model_problem", "entry_changed"] and name in refused.problem


@pytest.mark.parametrize("name", [METHOD, TEMPLATE, CALIBRATION, METADATA, "LICENSE", "docs/README.md"])
def test_missing_file(saved, name):
    refused = refusal(forge(saved, drop=[name]))
    assert codes(refused) == ["model_problem", "archive_lacks"] and name in refused.problem


@pytest.mark.parametrize("name", ["models/model.pt", "scripts/run.py", "configs/logging.conf"])
def test_extra_file(saved, name):
    refused = refusal(forge(saved, {name: b"x"}))
    assert codes(refused) == ["model_problem", "archive_extra"] and name in refused.problem


def test_newer_format_and_unknown_method_ask_for_an_update(saved):
    for code, change in (
        ("method_unknown", {"method": {"name": "next", "parameters": {}}}),
        ("format_too_new", {"format_version": 2, "news": {"from": "the future"}}),
    ):
        refused = refusal(forge(saved, **change))
        assert refused.parameters["reason"] == code and refused.remedy == "Update MedAD."


class Payload:
    def __init__(self, marker: Path):
        self.marker = marker

    def __reduce__(self):
        return Path.touch, (self.marker,)


@pytest.mark.parametrize("protocol", [0, 2, 4])
@pytest.mark.parametrize("name", [METHOD, TEMPLATE, MANIFEST, METADATA])
def test_a_pickle_in_disguise_is_refused_and_never_opened(saved, tmp_path, name, protocol):
    marker = tmp_path / "executed"
    refusal(forge(saved, {name: pickle.dumps(Payload(marker), protocol)}))
    assert not marker.exists()
    saved.write_bytes(pickle.dumps(Payload(marker), protocol))
    refusal(saved)
    assert not marker.exists()


def put(path, place: str, key: str, value) -> ModelError:
    """Put one more key at a place of manifest or metadata, and return the refusal."""
    name = METADATA if place == "metadata" else MANIFEST
    document = json.loads(read_archive(path)[name])
    target = document
    for step in [] if place in ("manifest", "metadata") else place.split("."):
        target = target[step]
    target[key] = value
    metadata = {METADATA: json.dumps(document).encode()}
    return refusal(forge(path, metadata) if name == METADATA else forge(path, **document))


PLACES = ["manifest", "method", "method.parameters", "preparation", "preparation.limits", "calibration", "files"]


@pytest.mark.parametrize("place", [*PLACES, "training", "metadata"])
def test_bundle_code_is_refused_and_never_run(saved, tmp_path, monkeypatch, place):
    monkeypatch.chdir(tmp_path)
    original = saved.read_bytes()
    for key, value in {"_target_": "os.mkdir", "note": "$__import__('os').mkdir('executed')"}.items():
        saved.write_bytes(original)
        assert codes(put(saved, place, key, value))[-1] == "code_in_json"
        saved.write_bytes(original)
        assert codes(put(saved, place, "list", [{key: value}]))[-1] == "code_in_json"
    assert not Path("executed").exists()


@pytest.mark.parametrize("place", PLACES)
def test_unknown_keys_are_refused_at_every_level_but_training(saved, place):
    refused = put(saved, place, "surprise", 1.5)
    assert "surprise" in refused.problem or codes(refused)[-1].endswith(("_incomplete", "_limits"))


@pytest.mark.parametrize(
    "change",
    [
        {"format_version": True}, {"format_version": "1"}, {"format_version": 0}, {"name": None}, {"name": "../x"},
        {"version": 1}, {"training": []}, {"method": "fake"}, {"preparation": None}, {"calibration": "none"},
        {"calibration": None}, {"description": ""}, {"description": "\x1b[31mred"}, {"description": "\ud800"},
        {"modality": "x" * 501}, {"method": {"name": "fake"}}, {"method": {"name": ["fake"], "parameters": {}}},
        {"method": {"name": "__class__", "parameters": {}}},
    ],
)  # fmt: skip
def test_values_of_the_wrong_kind_are_refused(saved, change):
    refusal(forge(saved, **change))


def raw(dtype: str, shape: list, count: int, fill: bytes = b"\0") -> bytes:
    """A safetensors file of one tensor `weights` with `count` bytes, independent of its header."""
    header = json.dumps({"weights": {"dtype": dtype, "shape": shape, "data_offsets": [0, count]}}).encode()
    return len(header).to_bytes(8, "little") + header + fill * count


GOOD = raw("F32", [3, 2], 24)


@pytest.mark.parametrize(
    "content",
    [
        b"", b"\0" * 8, b"PK\x03\x04", GOOD[:-1], GOOD + b"\0", (1 << 62).to_bytes(8, "little") + GOOD[8:],
        save({"weights": np.zeros((3, 2), np.float32), "more": np.zeros(1)}), save({"other": np.zeros((3, 2))}),
        save({"weights": np.full((3, 2), np.nan)}), save({"weights": np.full((3, 2), np.inf, np.float16)}),
        raw("F32", [2, 3], 24), raw("F32", [3, 2], 20), raw("F32", [1 << 60, 1 << 60], 24), raw("F32", [-3, -2], 24),
        raw("BF16", [3, 2], 12), raw("F8_E4M3", [3, 2], 6), raw("C64", [3, 2], 48), raw("O", [3, 2], 24),
        raw("BOOL", [3, 2], 6, b"\xff"),
    ],
    ids=range(19),
)  # fmt: skip
def test_tensors_that_do_not_fit_are_refused(saved, content):
    assert not load_model(forge(saved, {METHOD: GOOD}), REGISTRY).method.weights.any()
    refusal(forge(saved, {METHOD: content}))


def test_non_finite_template_and_calibration_are_refused(saved):
    for name, key, part in ((TEMPLATE, "image", model().template), (CALIBRATION, "maxima", model().calibration)):
        tensors = part.tensors()
        tensors[key] = np.full_like(tensors[key], np.nan)
        refused = refusal(forge(saved, {name: save(tensors)}))
        assert refused.parameters["reason"] == "tensors_not_finite"
        assert name in refused.problem and key in refused.problem
        save_model(model(), saved, REGISTRY)


def test_folders_in_order(folders, tmp_path):
    found = [folder.relative_to(tmp_path).as_posix() for folder in model_folders()]
    shipped = ["root/Resources/models", "root/MedADLib/Resources/models"]
    assert found == ["first", "second", "missing", "home/.medad/models", *shipped]


def test_models_are_found_by_name_in_every_folder(folders, monkeypatch, tmp_path):
    for number, folder in enumerate(reversed(model_folders())):
        folder.mkdir(parents=True, exist_ok=True)
        save_model(model(version=f"{number}.0.0"), folder / "brain-t1.medad", REGISTRY)
        assert load_model("brain-t1", REGISTRY).version == f"{number}.0.0"
        assert load_model("brain-t1.medad", REGISTRY).version == f"{number}.0.0"
    assert [summary.version for summary in list_models()] == [f"{number}.0.0"]
    monkeypatch.chdir(tmp_path)
    Path("brain-t1").write_bytes(b"of another kind")
    assert load_model("brain-t1", REGISTRY).version == f"{number}.0.0"
    assert refusal(tmp_path / "brain-t1.medad").code == "not_found"


def test_unknown_name_lists_what_there_is(folders):
    for name in ("one", "two"):
        save_model(model(name=name), folders[1] / f"{name}.medad", REGISTRY)
    for name in ("three", "", "x" * 5000, "a\0b"):
        with pytest.raises(ModelError) as caught:
            load_model(name, REGISTRY)
        assert caught.value.code == "model_unknown" and "one, two" in caught.value.remedy


def test_where_there_is_no_model_a_path_is_asked_for(folders):
    with pytest.raises(ModelError) as caught:
        load_model("one", REGISTRY)
    assert caught.value.code == "models_none" and "'one'" in caught.value.problem


def test_list_survives_bad_files_and_looks_at_no_weights(folders):
    save_model(model(), folders[0] / "good.medad", REGISTRY)
    (folders[0] / "page.medad").write_bytes(b"<html>")
    (folders[0] / "folder.medad").mkdir()
    (folders[0] / ".partial-1-good.medad").write_bytes(b"PK")
    (folders[1] / "notes.txt").write_bytes(b"")
    save_model(model(), folders[1] / "newer.medad", REGISTRY)
    forge(folders[1] / "newer.medad", format_version=9)
    write_archive(folders[1] / "heavy.medad", read_archive(folders[0] / "good.medad") | {METHOD: b"\xff" * (32 << 20)})
    found = {summary.name: summary for summary in list_models()}
    assert list(found) == ["folder", "good", "heavy", "newer", "page"]
    assert {name for name, summary in found.items() if summary.error} == {"folder", "newer", "page"}
    assert (found["good"].version, found["good"].method, found["good"].modality) == ("1.2.0", "fake", "T1 MR")
    assert "Update MedAD" in found["newer"].error
    assert verify_model("good", REGISTRY) == found["good"]
    assert pytest.raises(ModelError, verify_model, "heavy", REGISTRY).value.parameters["reason"] == "entry_changed"
