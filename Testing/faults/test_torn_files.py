"""Files of a work folder that are cut short, as after a crash of the computer, are made again."""

from __future__ import annotations

import json
import logging
import shutil
from pathlib import Path

import pytest
from support.phantoms import one_thread  # noqa: F401
from support.radiograph_phantoms import COUNT, radiograph, toy_plane_folder, train_plane
from support.raised import raises

from MedADLib.errors import InputError
from MedADLib.modelfile.archive import read_archive

RECORDS = ("sources.json", "template.json", "template.safetensors", "split.json", "checks.json")


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Path:
    """A folder with scans, a work folder and an atlas."""
    folder = tmp_path_factory.mktemp("trained")
    shutil.copytree(toy_plane_folder() / "healthy", folder / "healthy")
    train(folder, folder / "first.medad")
    return folder


def train(folder: Path, output: Path) -> None:
    train_plane("atlas", folder / "healthy", output, "--work", folder / "work")


def content(model: Path) -> dict[str, bytes]:
    return {name: part for name, part in read_archive(model).items() if name.endswith(".safetensors")}


@pytest.mark.parametrize("left", ["nothing", "half", "another kind"])
@pytest.mark.parametrize("name", RECORDS)
def test_a_torn_file_of_the_work_folder_is_made_again(trained, tmp_path, caplog, name, left):
    folder = shutil.copytree(trained, tmp_path / "copy")
    path = folder / "work" / name
    whole = path.read_bytes()
    path.write_bytes({"nothing": b"", "half": whole[: len(whole) // 2], "another kind": b"[1]"}[left])
    with caplog.at_level(logging.WARNING, "MedADLib"):
        train(folder, folder / "first.medad")
    assert content(folder / "first.medad") == content(trained / "first.medad")
    again = (folder / "work" / name).read_bytes()
    # Times of copied files differ.
    assert (
        again == whole
        or name in ("sources.json", "checks.json")
        and json.loads(again).keys() == json.loads(whole).keys()
    )
    warned = [
        record.msg.parameters["path"] for record in caplog.records if getattr(record.msg, "code", "") == "torn_file"
    ]
    assert warned == ([] if name == "checks.json" else [str(path)])


def test_scans_that_changed_are_prepared_again_if_the_record_of_their_sources_is_torn(trained, tmp_path):
    folder = shutil.copytree(trained, tmp_path / "copy")
    train(folder, folder / "before.medad")
    radiograph(COUNT + 5).write(folder / "healthy" / "chest-1.nii.gz")
    with raises(InputError, "work_of_changed_scans"):
        train(folder, folder / "after.medad")
    (folder / "work" / "sources.json").write_text('{"chest-1": [12')
    train(folder, folder / "after.medad")
    train_plane("atlas", folder / "healthy", folder / "fresh.medad", "--work", folder / "other")
    assert content(folder / "after.medad") == content(folder / "fresh.medad")
    assert content(folder / "after.medad") != content(folder / "before.medad")
