"""Cases 37 to 45: model files that are false, damaged, hostile or newer than this version."""

from __future__ import annotations

import json
import pickle
import stat
import subprocess
import sys
import tracemalloc
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save
from support.command_line import run
from support.model_files import MANIFEST, METADATA, REGISTRY, folders, forge, model
from support.source_code import ROOT
from support.zip_files import build, entry

from MedADLib.errors import ModelError
from MedADLib.modelfile import store
from MedADLib.modelfile.archive import read_archive
from MedADLib.modelfile.model import load_model, save_model

__all__ = ["folders"]

METHOD = "models/method.safetensors"
TINY = ROOT / "MedAD" / "Resources" / "tiny.medad"


@pytest.fixture
def saved(tmp_path) -> Path:
    """A sound model file of a toy method."""
    path = tmp_path / "model.medad"
    save_model(model(), path, REGISTRY)
    return path


def code_of(path: Path) -> str:
    """Load a model file that is refused, and return the code of the reason."""
    with pytest.raises(ModelError) as caught:
        load_model(path, REGISTRY)
    assert str(path) in str(caught.value) and caught.value.remedy
    return caught.value.parameters.get("reason", caught.value.code)


class Payload:
    def __init__(self, marker: Path):
        self.marker = marker

    def __reduce__(self):
        return Path.touch, (self.marker,)


def test_case_37_a_pickle_under_another_name(saved, tmp_path):
    marker = tmp_path / "executed"
    for protocol in (0, 2, 5):
        content = pickle.dumps(Payload(marker), protocol)
        assert code_of(forge(saved, {METHOD: content})).startswith("tensors_")
        save_model(model(), saved, REGISTRY)
        (tmp_path / "pickle.medad").write_bytes(content)
        assert code_of(tmp_path / "pickle.medad") == "model_not_zip"
    assert not marker.exists()


@pytest.mark.parametrize("name", ["../evil", "a/../../evil", "/etc/evil", "C:\\evil", "C:/evil", "a\\..\\evil", "link"])
def test_case_38_entries_that_lead_out_of_the_archive(tmp_path, name):
    path = tmp_path / "model.medad"
    link = stat.S_IFLNK | 0o777 if name == "link" else 0o100644
    build(path, entry("good"), entry(name, b"/etc/passwd", mode=link))
    assert code_of(path) == ("entry_not_a_file" if name == "link" else "entry_unsafe_name")
    assert run("models", "verify", path) == 1
    assert [found.name for found in tmp_path.rglob("*")] == ["model.medad"]


def test_case_39_bombs_and_false_sizes(tmp_path):
    one, noise = b"PK\x01\x02" + bytes(42), bytes(range(250)) * 4
    for code, entries, before_end in (
        ("entry_ratio", [entry("a", bytes(32 << 20), method=zipfile.ZIP_DEFLATED)], b""),
        ("entry_size", [entry("a", noise, declared=1001)], b""),
        ("model_damaged", [entry("a", noise, declared=999)], b""),
        ("model_many_entries", [entry(f"e{number}") for number in range(5000)], b""),
        ("model_many_entries", [entry("a")], one * 1_000_000),
    ):
        path = build(tmp_path / "model.medad", *entries, before_end=before_end)
        tracemalloc.start()
        assert code_of(path) == code
        assert tracemalloc.get_traced_memory()[1] < 24e6
        tracemalloc.stop()


def test_case_40_one_flipped_byte(saved):
    whole = saved.read_bytes()
    position = whole.index(b"Healthy only.")
    saved.write_bytes(whole[:position] + b"h" + whole[position + 1 :])
    assert code_of(saved) == "model_damaged"
    # With the checksum of the archive put right, the hash in the manifest finds it.
    saved.write_bytes(whole)
    files = read_archive(saved)
    changed = bytearray(files[METHOD])
    changed[-1] ^= 1
    build(saved, *(entry(name, bytes(changed) if name == METHOD else data) for name, data in files.items()))
    assert code_of(saved) == "entry_changed"


def test_case_41_weights_that_do_not_fit(saved):
    good = np.zeros((3, 2), np.float32)
    for tensors, reason in (
        ({}, "tensor_missing"),
        ({"weights": good, "more": np.zeros(1, np.float32)}, "tensor_unknown"),
        ({"weights": np.zeros((2, 3), np.float32)}, "tensor_shape"),
        ({"weights": np.full((3, 2), np.nan, np.float32)}, "tensors_not_finite"),
        ({"weights": np.full((3, 2), np.inf, np.float32)}, "tensors_not_finite"),
    ):
        save_model(model(), saved, REGISTRY)
        with pytest.raises(ModelError) as caught:
            load_model(forge(saved, {METHOD: save(tensors)}), REGISTRY)
        cause = caught.value.__cause__
        assert reason in (cause.code, cause.parameters.get("reason"))
    save_model(model(), saved, REGISTRY)
    assert code_of(forge(saved, drop=[METHOD])) == "archive_lacks"


def test_case_42_a_method_or_a_format_of_a_later_version(saved):
    for change, reason in (
        ({"method": {"name": "next", "parameters": {}}}, "method_unknown"),
        ({"format_version": 2}, "format_too_new"),
    ):
        save_model(model(), saved, REGISTRY)
        with pytest.raises(ModelError) as caught:
            load_model(forge(saved, **change), REGISTRY)
        assert caught.value.parameters["reason"] == reason and caught.value.remedy == "Update MedAD."


def test_case_43_code_in_the_manifest(saved, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for key, value in (("_target_", "os.mkdir"), ("note", "$__import__('os').mkdir('executed')")):
        for name in (MANIFEST, METADATA):
            save_model(model(), saved, REGISTRY)
            document = json.loads(read_archive(saved)[name])
            document["training" if name == MANIFEST else "note"] = {key: value}
            changed = {name: json.dumps(document).encode()}
            forge(saved, changed if name == METADATA else None, **(document if name == MANIFEST else {}))
            assert code_of(saved) == "code_in_json"
    assert not (tmp_path / "executed").exists()


def test_case_44_a_download_that_was_cut_or_is_a_page(folders, tmp_path):
    """MedAD downloads no models itself: adding the file again is the retry, and the earlier model stays until then."""
    path = tmp_path / "new.medad"
    save_model(model(name="new"), path, REGISTRY)
    whole, own = path.read_bytes(), store.own_folder() / "new.medad"
    store.add(path)
    before = own.read_bytes()
    for content, code in (
        (whole[: len(whole) // 2], "model_cut_short"),
        (b"<!DOCTYPE html><html>Sign in</html>", "model_not_zip"),
        (b"", "model_empty"),
    ):
        path.write_bytes(content)
        with pytest.raises(ModelError) as caught:
            store.add(path, replace=True)
        assert caught.value.code == code
        assert own.read_bytes() == before and [found.name for found in own.parent.iterdir()] == ["new.medad"]
    save_model(model(name="new", version="9.0.0"), path, REGISTRY)
    assert store.add(path, replace=True).version == "9.0.0"


INSTALL = """
import sys
sys.path[:0] = [{root!r}]
from MedADLib.modelfile import store
sys.stdin.readline()
try:
    print(store.add({path!r}).name)
except store.NameTakenError as error:
    print(error.code)
"""


def test_case_45_two_processes_install_at_once(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("USERPROFILE", str(tmp_path / "home"))
    monkeypatch.setenv("MEDAD_MODELS", "")
    installs = []
    for name in ("first", "second"):
        path = tmp_path / name / "same.medad"
        path.parent.mkdir()
        save_model(replace(load_model(TINY), name="same", authors=name), path)
        code = INSTALL.format(root=str(ROOT), path=str(path))
        pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
        installs.append(subprocess.Popen([sys.executable, "-c", code], text=True, **pipes))
    for install in installs:
        install.stdin.write("\n")
        install.stdin.flush()
    printed = [install.communicate(timeout=60) for install in installs]
    assert [errors for _, errors in printed] == ["", ""]
    assert sorted(text.strip() for text, _ in printed) == ["name_taken_by_own", "same"]
    winner = ("first", "second")[[text.strip() for text, _ in printed].index("same")]
    assert [path.name for path in store.own_folder().iterdir()] == ["same.medad"]
    assert load_model(store.own_folder() / "same.medad").authors == winner
