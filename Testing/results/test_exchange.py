"""Exchange between processes: the reader gets what was written, or an error with no file left."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import fields, replace

import numpy as np
import pytest
from support.source_code import ROOT
from support.synthetic import brain_volume, synthetic_detection

from MedADLib.errors import Cancelled, InputError, OutputError
from MedADLib.messages import Message, as_json
from MedADLib.results import exchange
from MedADLib.results.exchange import (
    FILES,
    Leftovers,
    read_exchange,
    read_volume,
    volume_parts,
    write_exchange,
    write_volume,
)
from MedADLib.runtime.progress import Progress

OBLIQUE = np.array([[-1.5, 0.4, 0, 10], [0.4, 1.5, 0, -20], [0, 0, 2.2, 5.125], [0, 0, 0, 1]])


@pytest.fixture
def detection():
    return synthetic_detection(brain_volume(affine=OBLIQUE, name="scan Zoë 日"), spots=3, warnings=("dark — “very”",))


@pytest.fixture
def written(tmp_path, detection):
    folder = tmp_path / "Ergebnis é 日"
    folder.mkdir()
    write_exchange(detection, folder)
    return folder


@pytest.mark.parametrize("kind", [np.uint8, np.int16, np.float32, np.float64])
def test_a_volume_comes_back_as_it_was(tmp_path, kind):
    volume = brain_volume(affine=OBLIQUE, name="Zoë")
    volume = volume.with_array(volume.array.astype(kind).transpose(0, 1, 2)[::1])
    write_volume(volume, tmp_path / "日.npy")
    back = read_volume(tmp_path / "日.npy")
    assert back.array.dtype == kind and np.array_equal(back.array, volume.array)
    assert np.array_equal(back.affine, volume.affine) and back.name == "Zoë"


def test_a_volume_may_be_written_in_parts(tmp_path, monkeypatch):
    monkeypatch.setattr(exchange, "PART_BYTES", 1001)
    volume = brain_volume(affine=OBLIQUE)
    assert len(list(volume_parts(volume, tmp_path / "v"))) > 3
    back = read_volume(tmp_path / "v")
    assert np.array_equal(back.array, volume.array) and back.array.dtype == volume.array.dtype


def test_what_a_volume_lacks_and_what_its_header_says_come_back(tmp_path):
    write_volume(replace(brain_volume(), has_spacing=False, described="flair"), tmp_path / "v")
    back = read_volume(tmp_path / "v")
    assert (back.has_spacing, back.has_orientation, back.described) == (False, True, "flair")


def test_an_array_that_lies_otherwise_in_memory_comes_back_too(tmp_path):
    volume = replace(brain_volume(), array=brain_volume().array.T)
    write_volume(volume, tmp_path / "v.npy")
    assert np.array_equal(read_volume(tmp_path / "v.npy").array, volume.array)


@pytest.mark.parametrize("keep", [0, 10, 5000, -1])
def test_a_volume_cut_short_is_refused(tmp_path, keep):
    path = tmp_path / "v.npy"
    write_volume(brain_volume(), path)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(InputError, match="v.npy") as caught:
        read_volume(path)
    assert caught.value.code == "exchange_damaged"


def test_a_missing_volume_and_one_without_numbers_are_refused(tmp_path):
    with pytest.raises(InputError, match="v.npy") as caught:
        read_volume(tmp_path / "v.npy")
    assert caught.value.code == "exchange_unreadable"
    volume = brain_volume()
    volume.array[3, 4, 5] = np.nan
    write_volume(volume, tmp_path / "v.npy")
    with pytest.raises(InputError, match=volume.name) as caught:
        read_volume(tmp_path / "v.npy")
    assert caught.value.code == "exchange_not_finite"


def test_a_volume_that_cannot_be_written_leaves_no_file(tmp_path):
    with pytest.raises(OutputError, match="v.npy") as caught:
        write_volume(brain_volume(), tmp_path / "missing" / "v.npy")
    assert caught.value.code == "exchange_unwritable"
    assert not list(tmp_path.iterdir())


def test_a_detection_comes_back_in_full(detection, written):
    back = read_exchange(written, detection.volume)
    assert back.volume is detection.volume
    assert back.reference.as_json() == detection.reference.as_json()
    for field in fields(detection):
        before, after = getattr(detection, field.name), getattr(back, field.name)
        if field.name in ("mask", "anomaly", "restored", "labels"):
            assert after.array.dtype == before.array.dtype and np.array_equal(after.array, before.array)
            assert after.same_grid(before) and after.name == before.name
        elif field.name not in ("volume", "reference"):
            assert after == before, field.name
    assert sorted(os.listdir(written)) == sorted(FILES)


def test_a_detection_without_regions_comes_back(tmp_path):
    detection = synthetic_detection(spots=0)
    write_exchange(detection, tmp_path)
    assert read_exchange(tmp_path, detection.volume).regions == ()


def damage(folder, **changes):
    facts = json.loads((folder / "detection.json").read_text())
    facts.update(changes)
    (folder / "detection.json").write_text(json.dumps(facts))


def other_map(folder, name, change):
    volume = read_volume(folder / f"{name}.npy")
    write_volume(change(volume), folder / f"{name}.npy")


@pytest.mark.parametrize(
    ("spoil", "code", "named"),
    [
        (lambda folder: (folder / "detection.json").unlink(), "exchange_unusable", "No such file"),
        (lambda folder: (folder / "detection.json").write_text("{"), "exchange_unusable", "Ergebnis"),
        (lambda folder: (folder / "labels.npy").unlink(), "exchange_unusable", "labels.npy"),
        (lambda folder: (folder / "anomaly.npy").write_bytes(b"x"), "exchange_unusable", "anomaly.npy"),
        (lambda folder: damage(folder, score="high"), "exchange_unusable", "score"),
        (lambda folder: damage(folder, score=float("nan")), "exchange_unusable", "NaN"),
        (lambda folder: damage(folder, format=2), "exchange_format", "format 2"),
        (lambda folder: damage(folder, regions=[]), "exchange_labels", "Ergebnis"),
        (lambda folder: damage(folder, regions=[{"rank": 1}]), "exchange_unusable", "a region"),
        (lambda folder: damage(folder, warning_codes="none"), "exchange_unusable", "warning_codes"),
        (
            lambda folder: other_map(folder, "mask", lambda v: v.with_array(v.array.astype(float))),
            "exchange_type",
            "mask.npy.*float64",
        ),
        (
            lambda folder: other_map(folder, "labels", lambda v: v.with_array(-v.array)),
            "exchange_labels",
            "Ergebnis",
        ),
        (
            lambda folder: other_map(folder, "restored", lambda v: replace(v, affine=np.eye(4))),
            "exchange_not_on_grid",
            "restored.npy.*scan Zoë",
        ),
    ],
)
def test_a_spoilt_result_is_refused_with_the_reason(detection, written, spoil, code, named):
    spoil(written)
    with pytest.raises(OutputError, match=named) as caught:
        read_exchange(written, detection.volume)
    assert caught.value.code == code and caught.value.remedy == "Run the detection again."


def test_warnings_keep_their_codes(tmp_path):
    warnings = (Message("lesions_not_simulated", reason="a “reason”"), "of an older model")
    detection = synthetic_detection(warnings=warnings)
    write_exchange(detection, tmp_path)
    back = read_exchange(tmp_path, detection.volume).warnings
    assert back == warnings and [as_json(warning) for warning in back] == [as_json(warning) for warning in warnings]


def test_a_result_without_codes_of_its_warnings_opens(detection, written):
    facts = json.loads((written / "detection.json").read_text())
    del facts["warning_codes"]
    (written / "detection.json").write_text(json.dumps(facts))
    assert read_exchange(written, detection.volume).warnings == detection.warnings


def test_malformed_healthy_scans_are_refused(detection, written):
    damage(written, reference={})
    with pytest.raises(OutputError) as caught:
        read_exchange(written, detection.volume)
    assert (caught.value.code, caught.value.__cause__.code) == ("exchange_unusable", "reference_incomplete")


def test_a_count_that_is_not_that_of_the_healthy_scans_is_refused(detection, written):
    damage(written, healthy_count=detection.healthy_count + 1)
    with pytest.raises(OutputError) as caught:
        read_exchange(written, detection.volume)
    assert (caught.value.code, caught.value.__cause__.code) == ("exchange_unusable", "record_counts")


def test_a_folder_with_something_in_it_is_not_written_to(tmp_path, detection):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(OutputError, match=re.escape(str(tmp_path))) as caught:
        write_exchange(detection, tmp_path)
    assert caught.value.code == "exchange_folder_not_empty"
    assert os.listdir(tmp_path) == ["notes.txt"]


@pytest.mark.parametrize("fraction", [0.0, 0.5, 0.75])
def test_cancelling_at_any_file_leaves_nothing(tmp_path, detection, fraction):
    reached = []
    progress = Progress(lambda stage, done, message: reached.append(done), lambda: (reached or [0])[-1] >= fraction)
    with pytest.raises(Cancelled):
        write_exchange(detection, tmp_path, progress)
    assert not os.listdir(tmp_path)


@pytest.mark.parametrize("kilobytes", [1, 50, 150])
def test_a_full_disk_is_one_line_and_leaves_nothing(tmp_path, kilobytes):
    pytest.importorskip("resource")
    code = (
        f"import sys, resource; sys.path[:0] = [{str(ROOT)!r}, {str(ROOT / 'Testing')!r}]\n"
        "from support.synthetic import synthetic_detection\n"
        "from MedADLib.errors import OutputError\n"
        "from MedADLib.results.exchange import write_exchange\n"
        "detection = synthetic_detection()\n"
        f"resource.setrlimit(resource.RLIMIT_FSIZE, ({kilobytes * 1024}, -1))\n"
        "try:\n"
        "    write_exchange(detection, sys.argv[1])\n"
        "except OutputError as error:\n"
        "    print(error.code)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, timeout=60)
    small_enough = kilobytes == 150
    assert sorted(os.listdir(tmp_path)) == (sorted(FILES) if small_enough else []), done.stderr
    assert small_enough or done.stdout == "exchange_result_unwritable\n"


def test_a_writer_may_remove_its_folder_while_leftovers_are_removed(tmp_path, monkeypatch):
    folder = tmp_path / "a" / "b"
    leftovers = Leftovers(folder)
    folder.mkdir(parents=True)

    def scandir(path):
        # As if the writer had been quicker.
        os.rmdir(path)
        raise FileNotFoundError(path)

    monkeypatch.setattr(os, "scandir", scandir)
    leftovers.remove()
    monkeypatch.undo()
    assert not (tmp_path / "a").exists()


def test_leftovers_are_removed_and_what_others_put_there_stays(tmp_path, detection):
    folder = tmp_path / "a" / "b"
    leftovers = Leftovers(folder)
    folder.mkdir(parents=True)
    (folder / ".medad-x").mkdir()
    (folder / ".medad-x" / "anomaly.npy").write_bytes(b"x")
    write_files = [folder / name for name in FILES]
    for path in write_files:
        path.write_bytes(b"x")
    leftovers.remove()
    assert not list(tmp_path.iterdir())
    leftovers.remove()

    folder.mkdir(parents=True)
    (folder / "notes.txt").write_text("mine")
    leftovers.remove()
    assert os.listdir(folder) == ["notes.txt"]
    shutil.rmtree(tmp_path / "a")
