"""The user's models: added whole and checked or not at all, never replaced unasked, removed only where they are own."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest
from support.model_files import REGISTRY, folders, forge, model
from support.source_code import ROOT

from MedADLib.errors import ModelError, OutputError
from MedADLib.modelfile import archive
from MedADLib.modelfile import store as modelfile_store
from MedADLib.modelfile.archive import read_archive, write_archive
from MedADLib.modelfile.model import save_model
from MedADLib.modelfile.store import NameTakenError, find_model, own_folder, summary_of

__all__ = ["folders"]

METHOD = "models/method.safetensors"


@pytest.fixture
def store(folders, tmp_path):
    """An empty home, a shipped brain-t1, and a folder of downloads."""
    shipped = tmp_path / "root" / "Resources" / "models"
    shipped.mkdir(parents=True)
    save_model(model(), shipped / "brain-t1.medad", REGISTRY)
    downloads = tmp_path / "downloads"
    downloads.mkdir()
    return downloads


def downloaded(folder, file="new.medad", **changes):
    save_model(model(**({"name": "new"} | changes)), folder / file, REGISTRY)
    return folder / file


def own_files():
    return sorted(path.name for path in own_folder().iterdir()) if own_folder().is_dir() else []


def test_an_added_model_is_the_users_own_and_listed_with_all_that_the_panel_shows(store):
    path = downloaded(store, "new (1).medad", version="2.0.1", description="for knees", modality="T2 MR")
    added = modelfile_store.add(path)
    assert own_files() == ["new.medad"] and added.path.read_bytes() == path.read_bytes()
    found = {summary.name: summary for summary in modelfile_store.list_models()}
    assert list(found) == ["brain-t1", "new"] and found["new"] == added
    said = (added.version, added.description, added.modality, added.created)
    assert said == ("2.0.1", "for knees", "T2 MR", "2031-02-03")
    assert added.size_bytes == path.stat().st_size and added.kind == "3-D"
    assert added.own and not found["brain-t1"].own
    assert find_model("new") == added.path


def test_a_model_of_single_slices_says_so(store):
    path = downloaded(store)
    preparation = {"kind": "plane", "affine": [], "limits": {}}
    assert modelfile_store.add(forge(path, preparation=preparation)).kind == "2-D"


def test_the_same_model_again_is_no_error_and_changes_nothing(store):
    first = modelfile_store.add(downloaded(store))
    before = first.path.stat().st_mtime_ns
    assert modelfile_store.add(downloaded(store, "again.medad")) == first
    assert modelfile_store.add(first.path) == first
    assert own_files() == ["new.medad"] and first.path.stat().st_mtime_ns == before


def test_another_model_of_the_same_name_replaces_only_when_asked(store):
    first = modelfile_store.add(downloaded(store))
    newer = downloaded(store, version="3.0.0", created="2032-05-06")
    with pytest.raises(NameTakenError) as caught:
        modelfile_store.add(newer)
    assert caught.value.code == "name_taken_by_own" and caught.value.replaceable
    assert re.search(r"3\.0\.0 of 2032-05-06.*1\.2\.0 of 2031-02-03", caught.value.problem)
    assert "new-2.medad" in caught.value.remedy
    assert summary_of(first.path) == first
    assert modelfile_store.add(newer, replace=True).version == "3.0.0"
    assert own_files() == ["new.medad"]


def test_a_model_named_like_a_shipped_one_does_not_hide_it(store):
    path = downloaded(store, "brain-t1.medad", name="brain-t1", version="9.0.0")
    for replace in (False, True):
        with pytest.raises(NameTakenError) as caught:
            modelfile_store.add(path, replace)
        assert caught.value.code == "name_taken_by_shipped" and not caught.value.replaceable
        assert "brain-t1-2.medad" in caught.value.remedy
    upper = downloaded(store, "Brain-T1.medad", name="Brain-T1", version="9.0.0")
    with pytest.raises(NameTakenError) as caught:
        modelfile_store.add(upper)
    assert caught.value.code == "name_taken_by_shipped" and own_files() == []


def test_a_name_taken_in_another_folder_or_by_a_damaged_model_is_told(store, folders):
    path = downloaded(store)
    other = downloaded(folders[0], "new.medad", version="2.0.0")
    with pytest.raises(NameTakenError) as caught:
        modelfile_store.add(path)
    assert caught.value.code == "name_taken_elsewhere" and str(folders[0]) in caught.value.problem
    other.write_bytes(b"PK")
    with pytest.raises(NameTakenError) as caught:
        modelfile_store.add(path)
    assert caught.value.code == "name_taken_by_damaged" and str(other) in caught.value.problem
    with pytest.raises(ModelError) as refused:
        modelfile_store.remove("new")
    assert refused.value.code == "model_elsewhere" and str(folders[0]) in refused.value.problem
    assert other.exists() and not caught.value.replaceable


def test_a_renamed_file_gets_its_own_name_beside_the_shipped_model(store):
    path = downloaded(store, "brain-t1-2.medad", name="brain-t1", version="9.0.0")
    assert modelfile_store.add(path).name == "brain-t1-2"
    assert [summary.version for summary in modelfile_store.list_models()] == ["1.2.0", "9.0.0"]


@pytest.mark.parametrize(
    ("spoil", "code"),
    [
        (lambda path: path.write_bytes(b"<html>"), "model_not_zip"),
        (lambda path: path.write_bytes(path.read_bytes()[:-50]), "model_cut_short"),
        (lambda path: write_archive(path, read_archive(path) | {METHOD: b"other"}), "entry_changed"),
        (lambda path: write_archive(path, read_archive(path) | {"models/model.pt": b"x"}), "archive_extra"),
        (lambda path: forge(path, format_version=9), "format_too_new"),
        (lambda path: path.unlink(), "not_found"),
    ],
)
def test_what_is_not_a_sound_model_is_refused_and_leaves_nothing(store, spoil, code):
    path = downloaded(store)
    spoil(path)
    with pytest.raises(ModelError) as caught:
        modelfile_store.add(path)
    assert caught.value.parameters.get("reason", caught.value.code) == code
    assert str(path) in caught.value.problem and caught.value.remedy
    assert own_files() == []


def test_a_file_over_the_size_cap_is_refused(store, monkeypatch):
    path = downloaded(store)
    monkeypatch.setattr(archive, "CAPS", archive.Caps(total_bytes=100))
    monkeypatch.setattr(archive.unpack, "__defaults__", (archive.CAPS, None))
    with pytest.raises(ModelError) as caught:
        modelfile_store.add(path)
    assert caught.value.code == "model_too_large" and "100" in caught.value.problem
    assert own_files() == []


def test_a_full_disk_is_told_and_leaves_nothing(store, monkeypatch):
    path = downloaded(store)

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OutputError) as caught:
        modelfile_store.add(path)
    assert caught.value.code == "model_not_copied" and "No space left on device" in caught.value.problem
    assert own_files() == []


def test_only_own_models_are_removed(store):
    modelfile_store.add(downloaded(store))
    modelfile_store.remove("new")
    assert own_files() == [] and [summary.name for summary in modelfile_store.list_models()] == ["brain-t1"]
    with pytest.raises(ModelError) as caught:
        modelfile_store.remove("brain-t1")
    assert caught.value.code == "model_ships" and "brain-t1" in caught.value.problem
    with pytest.raises(ModelError) as caught:
        modelfile_store.remove("new")
    assert caught.value.code == "model_unknown" and "'new'" in caught.value.problem
    assert find_model("brain-t1").is_file()


def test_a_damaged_own_model_can_be_removed_or_replaced(store):
    added = modelfile_store.add(downloaded(store))
    added.path.write_bytes(b"PK")
    assert modelfile_store.add(store / "new.medad", replace=True).error == ""
    added.path.write_bytes(b"PK")
    modelfile_store.remove("new")
    assert own_files() == []


def test_the_card_is_shown(store):
    modelfile_store.add(downloaded(store, card="# New\n\nFor knees.\n"))
    text, _, data = modelfile_store.card("new").partition("\n## Data\n")
    assert text == "# New\n\nFor knees.\n" and data.startswith("- Scans: given as healthy by its author")
    write_archive(own_folder() / "new.medad", {"configs/medad.json": b"{}"})
    with pytest.raises(ModelError) as caught:
        modelfile_store.card("new")
    assert caught.value.parameters["reason"] == "card_missing" and "docs/README.md" in caught.value.problem


def test_shipped_models_are_described_fast_and_without_torch_or_safetensors():
    shipped = sorted((ROOT / "Resources" / "models").glob("*.medad"))
    program = (
        "import sys, time; from MedADLib.modelfile import store as modelstore; start = time.perf_counter()\n"
        "for path in sys.argv[1:]: modelstore.card(path)\n"
        "modelstore.list_models()\n"
        "print(time.perf_counter() - start, sys.modules.keys() & {'torch', 'safetensors', 'monai', 'SimpleITK'})"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, *map(str, shipped)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    seconds, loaded = done.stdout.strip().split(" ", 1)
    assert loaded == "set()"
    # About 0.3 s on a quiet machine; a computer that does other things as well gets some more.
    assert float(seconds) < 5
