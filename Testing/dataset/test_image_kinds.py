"""Brains among radiographs are told by what pictures show, and pictures of one kind are never refused."""

from __future__ import annotations

import logging

import numpy as np
import pytest
from support.image_files import write
from support.phantoms import head
from support.radiograph_phantoms import radiograph

from MedADLib.dataset import checks, scan_statistics
from MedADLib.dataset.checks import check_scans
from MedADLib.dataset.discovery import find_scans
from MedADLib.dataset.scan_statistics import thumbnail, two_kinds
from MedADLib.errors import InputError
from MedADLib.io.images import read_raster
from MedADLib.runtime.progress import Progress


def save(folder, name, picture):
    folder.mkdir(exist_ok=True)
    scaled = (picture - picture.min()) / np.ptp(picture) * 255
    return write(folder / f"{name}.png", np.round(scaled).astype(np.uint8))


def check(folder, **more):
    return check_scans(find_scans(folder), folder.parent / "work" / "checks.json", **more)


def brain(seed, height=0.5):
    volume = head(seed)[0].array
    return volume[int(len(volume) * height)]


def far(pictures):
    kinds = two_kinds(np.array([thumbnail(picture) for picture in pictures]))
    return min(kinds.apart, kinds.tidy)


def test_brains_and_chests_are_refused_unless_the_user_insists(tmp_path):
    folder = tmp_path / "pictures"
    for seed in range(8):
        save(folder, f"brain-{seed}", brain(seed))
    for seed in range(6):
        save(folder, f"chest-{seed}", radiograph(seed).array[0, ::-1])
    with pytest.raises(InputError, match="chest-0, chest-1, ") as caught:
        check(folder)
    assert caught.value.code == "two_kinds_by_intensity" and caught.value.parameters["typical"] == "brain-0"
    facts = scan_statistics.statistics_of(find_scans(folder), tmp_path / "facts.json", Progress())
    with pytest.raises(InputError, match="chest-0, chest-1, ") as caught:
        checks._refuse_kinds_of_images(facts)
    assert caught.value.code == "two_kinds_by_outline" and caught.value.parameters["typical"] == "brain-0"
    assert len(check(folder, mixed=True)) == 14


def test_pictures_of_one_kind_pass_without_a_word(tmp_path, caplog):
    for seed in range(12):
        save(tmp_path / "brains", f"{seed}", brain(seed))
        save(tmp_path / "chests", f"{seed}", radiograph(seed).array[0, ::-1])
    with caplog.at_level(logging.WARNING):
        assert len(check(tmp_path / "brains")) == len(check(tmp_path / "chests")) == 12
    assert "two_kinds" not in " ".join(getattr(record.msg, "code", "") for record in caplog.records)


def test_slices_at_two_heights_are_no_two_kinds():
    assert far([brain(seed, height) for seed in range(6) for height in (0.35, 0.65)]) < 0.4


def test_two_odd_pictures_are_no_kind():
    pictures = [radiograph(seed).array[0] for seed in range(10)] + [brain(seed) for seed in range(2)]
    assert far(pictures) < 0.4


def test_gain_offset_and_size_do_not_matter():
    picture = brain(1)
    assert np.allclose(thumbnail(picture), thumbnail(np.kron(picture, np.ones((3, 3))) * 7 - 30), atol=2e-3)


def test_few_equal_or_empty_pictures_are_no_two_kinds():
    for pictures in ([brain(1)] * 12, [brain(n) for n in range(5)], [np.zeros((9, 9))] * 12):
        assert far(pictures) == 0


@pytest.fixture(scope="module")
def real(data_dir):
    """Thumbnails of real radiographs of children and of real slices of brains, all healthy."""
    with np.load(data_dir / "cxr_pneumoniamnist" / "pneumoniamnist.npz", allow_pickle=False) as file:
        chests = file["train_images"][file["train_labels"].ravel() == 0]
    brains = sorted((data_dir / "healthy_ixi2d" / "val").glob("*.png"))
    return (
        np.array([thumbnail(picture) for picture in chests]),
        np.array([thumbnail(read_raster(path, "x").array[0]) for path in brains]),
    )


@pytest.mark.parametrize(
    ("chests", "brains"), [(8, 6), (6, 8), (30, 10), pytest.param(300, 40, marks=pytest.mark.slow)]
)
def test_real_brains_and_chests_are_told_apart(real, chests, brains):
    random = np.random.default_rng(0)
    for _ in range(20):
        drawn = [one[random.choice(len(one), n, replace=False)] for one, n in zip(real, (chests, brains))]
        kinds = two_kinds(np.concatenate(drawn))
        assert min(kinds.apart, kinds.tidy) > 0.5
        # An odd radiograph may be counted among the brains, but not the other way round.
        assert len(set(kinds.group[chests:])) == 1
        assert (kinds.group[:chests] == kinds.group[chests]).mean() < 0.1


@pytest.mark.parametrize("count", [8, 14, 40])
def test_real_pictures_of_one_kind_are_not_refused(real, count):
    random = np.random.default_rng(0)
    for one in real:
        for _ in range(100):
            kinds = two_kinds(one[random.choice(len(one), min(count, len(one)), replace=False)])
            assert min(kinds.apart, kinds.tidy) < 0.5
