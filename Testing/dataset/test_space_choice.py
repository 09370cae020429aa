"""The choice among the three spaces for a folder, reported and stored."""

from __future__ import annotations

import logging

import numpy as np
import pytest
from support.joint_phantoms import folder_of_joints, joint
from support.phantoms import head
from support.radiograph_phantoms import radiograph
from support.raised import raises

from MedADLib.dataset import space_choice
from MedADLib.dataset.checks import check_scans
from MedADLib.dataset.discovery import find_scans
from MedADLib.dataset.space_choice import chosen_space
from MedADLib.dataset.split import Split
from MedADLib.errors import InputError
from MedADLib.messages import Message
from MedADLib.preprocessing import brain_extraction
from MedADLib.preprocessing.brain_extraction import Extraction, NoBrainError, holds_brain
from MedADLib.volume import Volume


def folder_of(path, volumes):
    path.mkdir()
    for number, volume in enumerate(volumes):
        volume.write(path / f"scan-{number}.nii.gz")
    return find_scans(path)


def with_skull() -> Volume:
    """A toy head in noisy air: nothing that is skull-stripped."""
    volume, _ = head(0)
    air = np.random.default_rng(0).rayleigh(60, volume.array.shape)
    return volume.with_array(np.maximum(volume.array, air).astype(np.float32))


def test_each_kind_is_recognised_from_a_few_scans_and_why_is_stated(tmp_path):
    slices = folder_of(tmp_path / "slices", [radiograph(n) for n in range(3)])
    heads = folder_of(tmp_path / "heads", [head(n)[0] for n in range(4)])
    joints = folder_of(tmp_path / "joints", [joint(n) for n in range(9)])
    assert chosen_space(slices, "auto", tmp_path / "1") == ("plane", Message("space_of_slices"))
    brains = Message("space_of_brains", count=2, examined=2)
    assert chosen_space(heads, "auto", tmp_path / "2") == ("brain", brains)
    others = Message("space_without_brains", count=3, examined=3)
    assert chosen_space(joints, "auto", tmp_path / "3") == ("field", others)


def test_the_user_is_believed(tmp_path):
    heads = folder_of(tmp_path / "heads", [head(n)[0] for n in range(3)])
    assert chosen_space(heads, "field", tmp_path / "work") == ("field", Message("space_as_given", prepare="field"))
    # And stays so where the same command is given again without it.
    assert chosen_space(heads, "auto", tmp_path / "work").kind == "field"
    assert chosen_space(heads, "brain", tmp_path / "work") == ("brain", Message("space_as_given", prepare="brain"))
    slices = folder_of(tmp_path / "slices", [radiograph(n) for n in range(3)])
    with pytest.raises(InputError) as caught:
        chosen_space(slices, "brain", tmp_path / "other")
    assert (caught.value.code, caught.value.parameters) == ("prepare_for_volumes", {"prepare": "brain"})


def test_most_scans_decide_and_the_others_are_named(tmp_path, caplog):
    scans = folder_of(tmp_path / "mixed", [joint(0), head(1)[0], joint(2), joint(3), head(4)[0]])
    with caplog.at_level(logging.WARNING):
        why = Message("space_without_brains", count=3, examined=4)
        assert chosen_space(scans, "auto", tmp_path / "work") == ("field", why)
    (warning,) = [record.msg for record in caplog.records]
    assert warning.code == "brains_and_others" and warning.parameters["brains"] == "scan-1"


def test_what_was_found_is_not_looked_for_again(tmp_path, monkeypatch):
    scans = folder_of(tmp_path / "joints", [joint(n) for n in range(3)])
    first = chosen_space(scans, "auto", tmp_path / "work")
    monkeypatch.setattr(space_choice, "holds_brain", lambda volume: pytest.fail("looked again"))
    assert chosen_space(scans, "auto", tmp_path / "work") == first
    for damaged in ("", "[]", '{"kind": "plane", "why": ""}', '{"kind": "brain"}'):
        (tmp_path / "work" / "space.json").write_text(damaged)
        monkeypatch.setattr(space_choice, "holds_brain", lambda volume: False)
        assert chosen_space(scans, "auto", tmp_path / "work") == first


def test_a_brain_is_recognised_by_its_size_and_by_extraction(monkeypatch):
    assert holds_brain(head(0)[0]) and not holds_brain(joint(0))
    small = Volume(head(0)[0].array, np.diag([1.5, 1.5, 1.5, 1.0]))
    assert not holds_brain(small)
    volume = with_skull()
    found, slab = head(0)[1], np.zeros(volume.array.shape, bool)
    # As thin as a slab of a body, which no brain is.
    slab[17:33, 2:48, 2:48] = True
    for answer, brain in ((found, True), (slab, False)):
        extraction = Extraction(answer, 1.0)
        monkeypatch.setattr(brain_extraction, "_extract", lambda *given, extraction=extraction: extraction)
        assert holds_brain(volume) is brain

    def none(volume, progress, transfer):
        raise NoBrainError(volume.name)

    monkeypatch.setattr(brain_extraction, "_extract", none)
    assert not holds_brain(volume)


def test_without_brain_extraction_a_head_is_not_guessed(tmp_path, monkeypatch):
    scans = folder_of(tmp_path / "heads", [with_skull()] * 3)
    monkeypatch.setattr(brain_extraction.metadata, "files", lambda name: [])
    with pytest.raises(InputError, match="deepbet") as caught:
        chosen_space(scans, "auto", tmp_path / "work")
    assert caught.value.code == "brain_undecided"
    assert not (tmp_path / "work" / "space.json").exists()
    assert chosen_space(scans, "field", tmp_path / "work").kind == "field"


def test_a_real_slab_of_a_body_is_not_a_brain_and_costs_no_extraction(data_dir, monkeypatch):
    monkeypatch.setattr(brain_extraction, "_extract", lambda *given: pytest.fail("took long"))
    (slab,) = find_scans(data_dir / "body_totalsegmentator", "*_mr_*").values()
    assert not holds_brain(slab.read())


def test_small_volumes_are_accepted_unless_most_are_brains(tmp_path, caplog):
    joints = find_scans(folder_of_joints(tmp_path / "joints"))
    with caplog.at_level(logging.WARNING):
        assert check_scans(joints, tmp_path / "1.json").keys() == joints.keys()
    assert caplog.text == ""
    with pytest.raises(InputError) as caught:
        check_scans(joints, tmp_path / "1.json", prepare="brain")
    assert caught.value.code == "unusable_scans" and caught.value.parameters["count"] == 10
    assert " mL" in caught.value.parameters["scans"]
    heads = folder_of(tmp_path / "heads", [*(head(n)[0] for n in range(5)), joint(1)])
    with pytest.raises(InputError) as caught:
        check_scans(heads, tmp_path / "2.json", mixed=True)
    assert caught.value.code == "unusable_scans" and caught.value.parameters["count"] == 1
    reported = caught.value.parameters["scans"]
    assert reported.startswith("scan-5: ") and " 79 mL" in reported
    assert len(check_scans(heads, tmp_path / "2.json", mixed=True, prepare="field")) == 6


def test_slices_among_volumes_are_refused(tmp_path):
    from MedADLib.training.data import healthy_data

    scans = folder_of(tmp_path / "mixed", [*(joint(n) for n in range(7)), joint(7, (1, 22, 18))])
    with raises(InputError, "slices_and_volumes") as caught:
        check_scans(scans, tmp_path / "checks.json", mixed=True)
    assert (caught.value.parameters["slices"], caught.value.parameters["slice"]) == (1, "scan-7")
    split = Split(("scan-0", "scan-1", "scan-7"), ("scan-2",), ("scan-3", "scan-4", "scan-5"))
    with pytest.raises(InputError, match="scan-7") as caught:
        healthy_data(scans, split, tmp_path / "work")
    assert caught.value.code == "slice_among_volumes"


def test_a_work_folder_of_another_kind_is_refused(tmp_path):
    from MedADLib.training.data import healthy_data

    scans = folder_of(tmp_path / "joints", [joint(n) for n in range(7)])
    split = Split(("scan-0", "scan-1", "scan-2"), ("scan-3",), ("scan-4", "scan-5", "scan-6"))
    data = healthy_data(scans, split, tmp_path / "work")
    assert data.template.kind == "field" and data.why.code == "space_without_brains"
    with raises(InputError, "work_of_other_preparation") as caught:
        healthy_data(scans, split, tmp_path / "work", prepare="brain")
    assert (caught.value.parameters["found"], caught.value.parameters["asked"]) == ("field", "brain")
    (tmp_path / "work" / "space.json").unlink()
    again = healthy_data(scans, split, tmp_path / "work", prepare="field")
    assert np.array_equal(again.train[0][0], data.train[0][0])
    with raises(InputError, "size_for_slices"):
        healthy_data(scans, split, tmp_path / "other", longest=64)
