"""Model files number the scans that they were made of, and find them again by their voxels."""

from __future__ import annotations

import argparse
import json
import re
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
from support.phantoms import one_thread  # noqa: F401
from support.radiograph_phantoms import radiograph
from support.raised import raises

from MedADLib.cli import calibrate, train
from MedADLib.dataset.discovery import find_scans
from MedADLib.errors import InputError
from MedADLib.modelfile import joining
from MedADLib.modelfile.archive import read_archive
from MedADLib.modelfile.known_scans import part_of
from MedADLib.modelfile.model import load_model
from MedADLib.modelfile.numbering import NUMBER, listed, numbered
from MedADLib.modelfile.store import card
from MedADLib.runtime.tables import read_table
from MedADLib.training.reference_model import kept_split, split_of

COUNT = 18


def run(command, *words: object) -> None:
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    arguments = parser.parse_args([str(word) for word in words])
    arguments.load_model, arguments.quiet = None, True
    assert command.run(arguments) == 0


def trained(folder: Path, name: str, *more: object) -> Path:
    output = folder / f"{name}.medad"
    places = ("--healthy", folder / "Klinik-Musterstadt", "-o", output, "--work", folder / name)
    run(train, "atlas", *places, "--size", 64, "--device", "cpu", "--full-precision", *more)
    return output


@pytest.fixture(scope="module")
def folder(tmp_path_factory, one_thread) -> Path:  # noqa: F811
    """Scans that are named after people, and a model of them."""
    folder = tmp_path_factory.mktemp("names")
    (folder / "Klinik-Musterstadt").mkdir()
    for seed in range(COUNT):
        radiograph(seed).write(folder / "Klinik-Musterstadt" / f"Musterfrau-{chr(65 + seed)}.nii.gz")
    trained(folder, "first")
    return folder


def test_no_name_of_a_file_or_folder_is_in_a_model_file(folder):
    path = folder / "first.medad"
    for name, content in read_archive(path).items():
        assert b"Muster" not in content, name
    assert "Muster" not in card(path) and "scan-001 to scan-0" in card(path)
    split = load_model(path).training["split"]
    assert all(NUMBER.fullmatch(name) for names in split.values() for name in names)


def test_the_work_folder_has_the_names(folder):
    rows = read_table(folder / "first" / "scans.tsv")
    assert len(rows) == COUNT and rows[0]["number"] == "scan-001"
    split = json.loads((folder / "first" / "split.json").read_text())
    assert all(row["scan"] in split[row["part"]] for row in rows)


def test_the_scans_of_a_numbered_model_are_found_by_their_voxels(folder, tmp_path):
    model = load_model(folder / "first.medad")
    split = json.loads((folder / "first" / "split.json").read_text())
    scans = find_scans(folder / "Klinik-Musterstadt")
    assert split_of(model, scans).to_json() == {part: sorted(names) for part, names in split.items()}
    # Elsewhere the same images have other names.
    copied = shutil.copytree(folder / "Klinik-Musterstadt", tmp_path / "copy")
    for path in copied.iterdir():
        path.rename(path.with_name(path.name.replace("Musterfrau", "image")))
    found = split_of(model, find_scans(copied)).to_json()
    assert found == {part: [n.replace("Musterfrau", "image") for n in sorted(names)] for part, names in split.items()}
    for part in ("train", "validation", "calibration"):
        assert part_of(scans[split[part][0]].read(), model.training) == part
    assert part_of(radiograph(COUNT), model.training) == ""
    (copied / f"{found['train'][0]}.nii.gz").unlink()
    with raises(InputError, "reference_scans_missing") as caught:
        split_of(model, find_scans(copied))
    assert caught.value.parameters["missing"] == 1 and NUMBER.fullmatch(caught.value.parameters["example"])


def test_another_training_and_a_calibration_use_the_scans_of_a_numbered_model(folder, tmp_path):
    second = load_model(trained(folder, "second", "--like", folder / "first.medad", "--seed", 3))
    first = load_model(folder / "first.medad")
    assert second.training["split"] == first.training["split"]
    assert second.training["fingerprints"] == first.training["fingerprints"]
    places = ("--healthy", folder / "Klinik-Musterstadt", "-o", tmp_path / "here.medad")
    run(calibrate, folder / "first.medad", *places)
    later = load_model(tmp_path / "here.medad")
    calibrated = first.training["fingerprints"]["calibration"]
    assert later.training["calibrated_on"]["fingerprints"] == calibrated, "training scans were left out by their voxels"
    assert b"Muster" not in b"".join(read_archive(tmp_path / "here.medad").values())


def test_public_data_are_named_when_asked(folder):
    model = load_model(trained(folder, "public", "--named-scans"))
    assert model.training["split"] == json.loads((folder / "public" / "split.json").read_text())
    assert kept_split(model) == split_of(model, find_scans(folder / "Klinik-Musterstadt"))


def record(parts: dict[str, list[str]], names: bool = False) -> SimpleNamespace:
    prints = {name: f"{ord(name):064x}"[::-1] for own in parts.values() for name in own}
    found = numbered(parts, prints)
    training = {"split": parts} if names else {"split": found.parts, "fingerprints": found.fingerprints}
    return SimpleNamespace(training=training | ({} if names else {"numbered": True}))


def test_an_ensemble_of_numbered_models_joins_their_scans_by_fingerprint():
    one = record({"train": ["a", "b"], "validation": ["c"], "calibration": ["d", "e"], "benchmark": []})
    other = record({"train": ["c", "b"], "validation": ["f"], "calibration": ["d"], "benchmark": []})
    found = joining._scans([one, other])
    assert {part: len(names) for part, names in found["split"].items()} == {
        **{"train": 3, "validation": 1},
        **{"calibration": 2, "benchmark": 0},
    }
    every = [name for names in found["split"].values() for name in names]
    assert len(set(every)) == 6 and found["numbered"]
    assert set(found["fingerprints"]["train"]) == {
        *one.training["fingerprints"]["train"], *other.training["fingerprints"]["train"]
    }  # fmt: skip
    mixed = joining._scans([one, record({"train": ["x"], "validation": [], "calibration": []}, names=True)])
    assert mixed["split"]["train"][-1] == "x" and len(mixed["fingerprints"]["train"]) == 2


def test_a_card_lists_numbers_as_a_range_and_names_in_full():
    assert listed(["scan-002", "scan-001", "scan-010"]) == "scan-001 to scan-010"
    assert listed(["sub-01", "sub-02"]) == "sub-01, sub-02" and listed(["scan-001"]) == "scan-001"
    assert re.search("[a-z]", listed(["scan-001", "a"]))
