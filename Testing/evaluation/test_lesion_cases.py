"""Slices and voxels with a simulated lesion are told from those without."""

from __future__ import annotations

import numpy as np
from support.lesion_case import lesion_case

from MedADLib.errors import InputError
from MedADLib.evaluation import lesion_cases as evaluation_lesion_cases
from MedADLib.evaluation.lesion_cases import Case, lesion_cases, lesion_level
from MedADLib.scoring.calibration import Pooling
from MedADLib.scoring.restoration import Restoration

RAW, CUBES = Pooling(0.0, 0.0), (1.0, 1.0, 1.0)


class Brightness:
    """A method whose score is the picture."""

    def restore(self, image, mask, *, seed=0, device="cpu", progress=None):
        score = np.where(mask, image, 0).astype(np.float32)
        return Restoration(score, score, float(score.mean()))


def pair(base: np.ndarray, lesion: float, subject: str = "a") -> list[Case]:
    """A scan without and with a lesion in slice 2, of which slice 4 shows a sliver only."""
    mask, truth = np.ones(base.shape, bool), np.zeros(base.shape, bool)
    truth[2, 3:10, 3:10] = True
    truth[4, 3, 3] = True
    sick = np.where(truth, lesion, base)
    return [lesion_case(subject, base, mask, truth & False), lesion_case(subject, sick, mask, truth)]


def test_lesions_are_told_from_healthy_voxels_and_slices():
    base = np.random.default_rng(0).uniform(0, 0.5, (6, 20, 20))
    assert set(lesion_level(Brightness(), pair(base, 0.9), RAW, CUBES).values()) == {1.0}
    upside_down = lesion_level(Brightness(), pair(-base, -0.9), RAW, CUBES)
    assert upside_down["slice_auroc"] == upside_down["pixel_auroc"] == 0
    assert lesion_level(Brightness(), pair(base, 0.9)[:1], RAW, CUBES) == {}


def test_slices_are_compared_with_their_own_without_the_lesion():
    base = np.random.default_rng(1).uniform(0, 0.01, (6, 20, 20))
    # The top of the brain is brighter than any lesion; as it is so without one too, it does not count.
    base[5] = 1.0
    assert lesion_level(Brightness(), pair(base, 0.9), RAW, CUBES)["slice_auroc"] == 1


def test_the_map_is_pooled_as_for_detection():
    base = np.zeros((6, 20, 20))
    base[:, ::2, ::2] = 1.0
    cases = pair(base, 0.9)
    raw = lesion_level(Brightness(), cases, RAW, CUBES)["pixel_ap"]
    assert lesion_level(Brightness(), cases, Pooling(0.0, 3.0), CUBES)["pixel_ap"] > 2 * raw


def test_scans_that_cannot_be_given_lesions_are_done_without(monkeypatch):
    def impossible(*arguments):
        raise InputError("no_brain", name="scan")

    monkeypatch.setattr(evaluation_lesion_cases, "cases", impossible)
    assert lesion_cases(("a",), {}, None) == []
