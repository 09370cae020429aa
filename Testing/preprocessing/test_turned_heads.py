"""Heads that are turned by any angle are aligned; alignments of something else are known as failed."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation
from support.source_code import ROOT

from MedADLib import load_model
from MedADLib.preprocessing.registration import (
    TURNS,
    affine_to_native,
    alignment_quality,
    angle_of,
    best_turn,
    rotation_of,
)
from MedADLib.volume import Volume


@pytest.fixture(scope="module")
def space():
    return load_model(ROOT / "Resources/models/brain-t1-atlas.medad").template


@pytest.fixture(scope="module")
def scan(space) -> tuple[Volume, np.ndarray]:
    """The template on a coarser grid, moved and slightly stretched, and its brain."""
    array, mask = space.image.array[::2, ::2, ::2], space.mask[::2, ::2, ::2]
    affine = space.image.affine @ np.diag([2.0, 2.0, 2.0, 1.0])
    place = np.diag([1.04, 0.97, 1.03, 1.0])
    place[:3, 3] = (12.0, -9.0, 20.0)
    return Volume(np.where(mask, array, 0), place @ affine, "scan"), mask


@pytest.fixture(scope="module")
def upright(space, scan) -> np.ndarray:
    """Its alignment."""
    return affine_to_native(space.image, space.mask, *scan)


def turned(volume: Volume, turn: np.ndarray) -> tuple[Volume, np.ndarray]:
    matrix = np.eye(4)
    matrix[:3, :3] = turn
    return Volume(volume.array, matrix @ volume.affine, "turned"), matrix


def error_mm(space, found: np.ndarray, known: np.ndarray) -> float:
    points = space.image.ras_from_voxels(np.argwhere(space.mask)[::500])
    return float(np.linalg.norm((np.c_[points, np.ones(len(points))] @ (found - known).T)[:, :3], axis=1).mean())


def test_there_are_24_different_rotations_the_identity_first():
    assert len({turn.tobytes() for turn in TURNS}) == 24 and (TURNS[0] == np.eye(3)).all()
    assert all(np.linalg.det(turn) == pytest.approx(1) for turn in TURNS)


@pytest.mark.parametrize("number", [1, 20, 23])
def test_a_turned_head_is_aligned_as_the_upright_one(space, scan, upright, number):
    volume, mask = scan
    other, matrix = turned(volume, TURNS[number])
    found = affine_to_native(space.image, space.mask, other, mask)
    assert error_mm(space, found, matrix @ upright) < 1
    assert angle_of(rotation_of(found)) == pytest.approx(angle_of(TURNS[number]), abs=3)
    assert angle_of(rotation_of(upright)) < 3
    assert (best_turn(space.image, space.mask, other, mask) == TURNS[number]).all()
    assert not alignment_quality(space.image, space.mask, other, mask, found).failed


def test_a_head_between_two_quarter_turns_is_aligned_too(space, scan, upright):
    volume, mask = scan
    other, matrix = turned(volume, Rotation.from_euler("xyz", (45, 0, 60), degrees=True).as_matrix())
    found = affine_to_native(space.image, space.mask, other, mask)
    assert error_mm(space, found, matrix @ upright) < 2
    assert not alignment_quality(space.image, space.mask, other, mask, found).failed


def test_the_quality_tells_a_brain_of_any_contrast_from_something_else(space, scan):
    volume, mask = scan
    inverse = volume.with_array(np.where(mask, 1.2 - volume.array, 0).astype(np.float32))
    matrix = affine_to_native(space.image, space.mask, inverse, mask)
    assert not alignment_quality(space.image, space.mask, inverse, mask, matrix).failed
    noise = np.random.default_rng(0).uniform(0.2, 1, mask.shape).astype(np.float32)
    z, y, x = np.indices(mask.shape)
    slab = (z > 12) & (z < 30) & (np.abs(x - mask.shape[2] / 2) < 25) & (np.abs(y - mask.shape[1] / 2) < 25)
    other = volume.with_array(np.where(slab, noise, 0).astype(np.float32))
    matrix = affine_to_native(space.image, space.mask, other, slab)
    assert alignment_quality(space.image, space.mask, other, slab, matrix).failed
