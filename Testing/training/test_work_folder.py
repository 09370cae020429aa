"""A training never continues with other weights or other scans."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
from support.raised import raises

from MedADLib.errors import InputError
from MedADLib.io.sources import Source
from MedADLib.training.config import training_folder
from MedADLib.training.data import _refuse_changed as refuse_changed

PLAIN = training_folder(Path("work"), "vae", {})


def test_a_method_as_it_is_has_the_folder_of_its_name():
    assert Path("work/vae") == PLAIN == training_folder(Path("work"), "vae", {}, None, True)


@pytest.mark.parametrize(
    "chosen", [({"kl_weight": 5},), ({"kl_weight": 6},), ({"error": "l1"},), ({}, 4), ({}, 5), ({}, None, False)]
)
def test_every_other_setting_has_a_folder_of_its_own(chosen):
    folder = training_folder(Path("work"), "vae", *chosen)
    assert folder.parent == Path("work") and folder.name.startswith("vae-") and folder != PLAIN
    others = [({"kl_weight": 5},), ({"kl_weight": 6},), ({"error": "l1"},), ({}, 4), ({}, 5), ({}, None, False)]
    assert [folder == training_folder(Path("work"), "vae", *other) for other in others].count(True) == 1


def test_the_order_of_settings_does_not_matter():
    one, other = ({"error": "l1", "latent": 3}, {"latent": 3, "error": "l1"})
    assert training_folder(Path("w"), "vae", one) == training_folder(Path("w"), "vae", other)


ONE = SimpleNamespace(train=["a"], validation=[])


@pytest.fixture(params=["file", "folder"])
def healthy(request, tmp_path) -> dict[str, Source]:
    """A scan as a file, or as a folder of two DICOM slices."""
    path = tmp_path / "scans" / "a"
    if request.param == "folder":
        path.mkdir(parents=True)
        (path / "1.dcm").write_bytes(b"the first")
        (path / "2.dcm").write_bytes(b"healthy")
    else:
        path.parent.mkdir()
        path.write_bytes(b"healthy")
    return {"a": Source(path, "a", "a")}


def rewrite(scans, content):
    """Write other bytes of the same number, at another time."""
    path = scans["a"].path
    last = path / "2.dcm" if path.is_dir() else path
    last.write_bytes(content)
    os.utime(last, ns=(1, 1))
    if path.is_dir():
        os.utime(path / "1.dcm", ns=(1, 1))


def test_scans_that_changed_since_they_were_prepared_are_refused(healthy, tmp_path):
    for _ in range(2):
        refuse_changed(healthy, ONE, tmp_path)
    record = (tmp_path / "sources.json").read_bytes()
    for content in (b"another", b"longer than before"):
        rewrite(healthy, content)
        with raises(InputError, "work_of_changed_scans") as caught:
            refuse_changed(healthy, ONE, tmp_path)
        assert (caught.value.parameters["count"], caught.value.parameters["example"]) == (1, "a")
    assert (tmp_path / "sources.json").read_bytes() == record


def test_a_copied_data_set_with_other_times_is_the_same(healthy, tmp_path):
    refuse_changed(healthy, ONE, tmp_path)
    rewrite(healthy, b"healthy")
    refuse_changed(healthy, ONE, tmp_path)
    # The new time is kept, and the hash still tells another content.
    rewrite(healthy, b"another")
    with raises(InputError, "work_of_changed_scans"):
        os.utime(next(healthy["a"].path.glob("2*"), healthy["a"].path), ns=(2, 2))
        refuse_changed(healthy, ONE, tmp_path)


def test_scans_at_another_place_are_the_same(healthy, tmp_path):
    refuse_changed(healthy, ONE, tmp_path)
    copied = shutil.copytree(tmp_path / "scans", tmp_path / "again", copy_function=shutil.copyfile)
    refuse_changed({"a": Source(copied / "a", "a", "a")}, ONE, tmp_path)


def test_a_record_of_an_earlier_version_has_no_hash_and_gets_one_while_the_times_agree(healthy, tmp_path):
    record = tmp_path / "sources.json"
    record.write_text(json.dumps({"a": healthy["a"].fingerprint()}))
    refuse_changed(healthy, ONE, tmp_path)
    rewrite(healthy, b"healthy")
    refuse_changed(healthy, ONE, tmp_path)
    assert len(json.loads(record.read_text())["a"]) == 3


def test_a_record_without_hashes_cannot_tell_a_copy_from_a_change(healthy, tmp_path):
    record = tmp_path / "sources.json"
    record.write_text(json.dumps({"a": healthy["a"].fingerprint()}))
    rewrite(healthy, b"healthy")
    with raises(InputError, "work_of_unknown_scans") as caught:
        refuse_changed(healthy, ONE, tmp_path)
    assert str(record) in caught.value.remedy
    record.unlink()
    refuse_changed(healthy, ONE, tmp_path)


def test_images_of_one_npz_file_are_read_once(tmp_path, monkeypatch):
    file, read = tmp_path / "many.npz", []
    file.write_bytes(b"images")
    hashed = Source.content_hash
    monkeypatch.setattr(Source, "content_hash", lambda source: read.append(source.name) or hashed(source))
    split = SimpleNamespace(train=["a", "b"], validation=["c"])
    refuse_changed({name: Source(file, name, name) for name in "abc"}, split, tmp_path)
    assert read == ["a"]
