from __future__ import annotations

import json

import pytest

from MedADLib.dataset.split import Split
from MedADLib.errors import InputError

NAMES = [f"sub-{n:02d}" for n in range(42)]


def test_an_automatic_split_uses_every_subject_once_and_repeats():
    split = Split.automatic(NAMES, seed=3)
    assert sorted(split.names()) == NAMES
    assert len(split.validation) == 4 and len(split.calibration) == 6 and len(split.train) == 32
    assert Split.automatic(list(reversed(NAMES)), seed=3) == split
    assert Split.automatic(NAMES, seed=4) != split


def test_eight_subjects_are_enough_and_seven_are_not():
    split = Split.automatic(NAMES[:8])
    assert len(split.train) >= 3 and len(split.validation) >= 1 and len(split.calibration) >= 2
    with pytest.raises(InputError) as caught:
        Split.automatic(NAMES[:7])
    assert caught.value.code == "too_few_scans" and caught.value.parameters == {"count": 7, "fewest": 8}


@pytest.mark.parametrize("part", ["train", "validation", "calibration", "benchmark"])
def test_a_subject_in_two_parts_is_refused(part):
    parts = {"train": ("a", "b", "c"), "validation": ("d",), "calibration": ("e", "f"), "benchmark": ("g",)}
    leaked = "d" if part != "validation" else "a"
    with pytest.raises(InputError) as caught:
        Split(**(parts | {part: (*parts[part], leaked)}))
    assert (caught.value.code, caught.value.parameters) == ("scan_in_two_parts", {"name": leaked})


def test_the_same_subject_twice_in_one_part_is_refused():
    with pytest.raises(InputError) as caught:
        Split(("a", "a", "b"), ("c",), ("d", "e"))
    assert caught.value.code == "scan_in_two_parts"


@pytest.mark.parametrize("counts", [(2, 1, 2), (3, 0, 2), (3, 1, 1)])
def test_parts_that_are_too_small_are_refused(counts):
    names = iter(NAMES)
    with pytest.raises(InputError) as caught:
        Split(*(tuple(next(names) for _ in range(count)) for count in counts))
    assert caught.value.code == "split_too_small"
    assert caught.value.parameters == {"train": 3, "validation": 1, "calibration": 2}


def test_a_split_survives_its_file(tmp_path):
    split = Split(("a", "b", "c"), ("d",), ("e", "f"), ("g",))
    file = tmp_path / "split.json"
    file.write_text(json.dumps(split.to_json()))
    assert Split.read(file) == split
    assert file.read_text().count('"g"') == 1


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"train": 5}',
        '{"train": ["a","b","c"], "validation": ["d"], "calibration": ["e","f"], "test": []}',
        '{"train": "abc", "validation": ["d"], "calibration": ["e","f"]}',
    ],
)
def test_a_file_that_is_no_split_is_refused(tmp_path, text):
    file = tmp_path / "split.json"
    file.write_text(text)
    for path in (file, tmp_path / "missing.json"):
        with pytest.raises(InputError) as caught:
            Split.read(path)
        assert (caught.value.code, caught.value.parameters) == ("not_a_split", {"path": str(path)})


def test_leakage_in_a_file_is_told_as_leakage(tmp_path):
    file = tmp_path / "split.json"
    parts = {"train": ["a", "b", "c"], "validation": ["d"], "calibration": ["a", "e"]}
    file.write_text(json.dumps(parts))
    with pytest.raises(InputError) as caught:
        Split.read(file)
    assert (caught.value.code, caught.value.parameters) == ("scan_in_two_parts", {"name": "a"})


def test_scans_of_a_subject_stay_together():
    names = [f"sub-{n // 3:02d}_run-{n % 3}" for n in range(60)]
    subjects = {name: name[:6] for name in names}
    split = Split.automatic(names, 1, subjects=subjects)
    assert sorted(split.names()) == names
    split.check_subjects(subjects)
    assert len(split.validation) == 6 and len(split.calibration) == 6


def test_one_scan_a_subject_gives_the_split_that_names_alone_give():
    names = [f"sub-{n}_T1w" for n in range(1, 30)]
    assert Split.automatic(names, 4, subjects={name: name.split("_")[0] for name in names}) == Split.automatic(names, 4)


def test_many_scans_of_few_subjects_are_too_few():
    names = [f"{who}-{n}" for who in "abcdefg" for n in range(10)]
    with pytest.raises(InputError) as caught:
        Split.automatic(names, subjects={name: name[0] for name in names})
    assert caught.value.code == "too_few_subjects"
    assert caught.value.parameters == {"scans": 70, "subjects": 7, "fewest": 8}


def test_a_subject_in_two_parts_of_a_file_is_refused():
    split = Split(("a1", "b1", "c1"), ("d1",), ("a2", "e1"))
    with pytest.raises(InputError) as caught:
        split.check_subjects({"a1": "anna", "a2": "anna", "b1": "bert"})
    assert caught.value.code == "subject_in_two_parts"
    parts = {"first": "a1", "first_part": "train", "second": "a2", "second_part": "calibration"}
    assert caught.value.parameters == {"subject": "anna"} | parts
    split.check_subjects({"a1": "anna", "a2": "aaron"})


def test_a_split_without_bad_scans():
    split = Split(("a", "b", "c", "d"), ("e",), ("f", "g"), ("h",))
    assert split.without({"a", "h"}) == Split(("b", "c", "d"), ("e",), ("f", "g"))
    with pytest.raises(InputError) as caught:
        split.without({"e"})
    assert caught.value.code == "split_too_small"
