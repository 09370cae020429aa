"""Several scales in one map, and model files of earlier versions, which have one scale and z-scores."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from support.raised import raises
from support.source_code import ROOT

from MedADLib.errors import InputError, ModelError
from MedADLib.modelfile.archive import read_archive
from MedADLib.modelfile.manifest import CALIBRATION
from MedADLib.modelfile.model import load_model, tensors_of
from MedADLib.runtime.strict_json import json_of
from MedADLib.scoring.calibration import Calibration, Pooling
from MedADLib.scoring.healthy_reference import Threshold
from MedADLib.scoring.leave_one_out import calibrate_scores
from MedADLib.scoring.pooling import pool
from MedADLib.scoring.scan_score import SCAN_SCORES

SHAPE, SPACING = (24, 28, 26), (2.0, 2.0, 2.0)
FINE, COARSE = Pooling(0.0, 2.5), Pooling(6.0, 14.0)
ONE_ML = Threshold(1.0, "ml")


def brain() -> np.ndarray:
    z, y, x = np.indices(SHAPE)
    return ((z - 11.5) / 11) ** 2 + ((y - 13.5) / 13) ** 2 + ((x - 12.5) / 12) ** 2 < 1


MASK = brain()


def noise(seed: int) -> np.ndarray:
    return np.where(MASK, 5 + np.random.default_rng(seed).standard_normal(SHAPE), 0).astype(np.float32)


def calibrated(poolings, count: int = 8, **more) -> Calibration:
    scores = [noise(seed) for seed in range(count)]
    own = [float(score[MASK].mean()) for score in scores]
    return calibrate_scores(scores, [MASK] * count, SPACING, poolings, ONE_ML, own, **more)


@pytest.fixture(scope="module")
def both() -> Calibration:
    return calibrated([FINE, COARSE])


def test_a_map_of_two_scales_shows_both_a_thin_spot_and_a_faint_blob(both):
    spot, blob = (slice(11, 12), slice(13, 14), slice(6, 8)), (slice(7, 17), slice(8, 19), slice(11, 21))
    score = noise(100)
    score[spot] += 9
    score[blob] += 0.9
    found = {"both": both.anomaly_map(score, MASK, SPACING)}
    for name, pooling in (("fine", FINE), ("coarse", COARSE)):
        found[name] = calibrated([pooling]).anomaly_map(score, MASK, SPACING)
    # At the threshold that one healthy voxel in a thousand reaches.
    hit = {name: (np.any(m[spot] >= 3), np.mean(m[blob] >= 3) > 0.25) for name, m in found.items()}
    assert hit == {"both": (True, True), "fine": (True, False), "coarse": (False, True)}


def test_the_largest_of_two_scales_is_calibrated_once_more(both):
    maps = [both.anomaly_map(noise(seed), MASK, SPACING)[MASK] for seed in range(200, 212)]
    assert np.mean(np.concatenate(maps) >= 2) == pytest.approx(0.01, rel=0.4)
    # Without the last step the share would be twice as high where the scales are independent.
    largest = np.interp(2.0, both.combined.rarities, both.combined.values)
    assert 2.1 < largest < 2.0 + np.log10(2) + 0.1


def test_with_one_scale_the_order_of_the_voxels_is_that_of_the_z_scores():
    calibration, score = calibrated([FINE]), noise(7)
    score[10:14, 10:14, 10:14] += 30
    z_scores = calibration.coarse.voxelwise.z_scores(pool(score, MASK, SPACING, 0.0, 2.5), MASK)[MASK]
    rarity = calibration.anomaly_map(score, MASK, SPACING)[MASK]
    assert (np.diff(rarity[np.argsort(z_scores)]) >= 0).all()
    assert np.count_nonzero(rarity == rarity.max()) == 1 and rarity.max() > calibration.coarse.tail.limit


def test_a_scan_that_scores_higher_everywhere_is_brought_to_the_level_of_healthy_scans():
    """As one of another scanner, and with a lesion, which remains."""
    found, lesion = calibrated([FINE]), (slice(9, 14), slice(10, 15), slice(10, 15))
    score = noise(102)
    score[lesion] += 6
    elsewhere = MASK.copy()
    elsewhere[6:17, 7:18, 7:18] = False
    usual, shifted = (found.anomaly_map(score + more * MASK, MASK, SPACING) for more in (0.0, 4.0))
    assert shifted[lesion].min() > 3 and np.mean(shifted[elsewhere] >= 2) < 0.05
    assert np.abs(shifted - usual)[MASK].max() < 1.5
    without = replace(found, scales=tuple(replace(scale, level=None) for scale in found.scales))
    assert np.mean(without.anomaly_map(score + 4.0 * MASK, MASK, SPACING)[elsewhere] >= 2) > 0.9


def test_a_scan_above_the_level_of_all_healthy_scans_is_recognised():
    found, few = calibrated([FINE], count=12), calibrated([FINE], count=4)
    assert not any(found.rarities(noise(seed), MASK, SPACING).beyond_healthy for seed in range(12))
    other = found.rarities(noise(104) + 4 * MASK, MASK, SPACING)
    assert other.beyond_healthy and other.excess[0] > 2 > found.coarse.level.most
    # Four healthy scans do not show how far apart the levels of healthy scans are.
    other = few.rarities(noise(104) + 4 * MASK, MASK, SPACING)
    assert not other.beyond_healthy and other.excess[0] > 2


def test_levels_are_kept_in_files():
    found = calibrated([FINE, COARSE])
    back = Calibration.from_tensors(found.parameters(), found.tensors())
    assert [scale.level for scale in back.scales] == [scale.level for scale in found.scales]
    assert len({scale.level for scale in found.scales}) == 2


def test_a_scan_that_scores_lower_everywhere_stays_as_it_is():
    found = calibrated([FINE])
    without = replace(found, scales=tuple(replace(scale, level=None) for scale in found.scales))
    maps = [each.anomaly_map(noise(103) - MASK, MASK, SPACING) for each in (found, without)]
    assert np.array_equal(*maps)


def test_a_calibration_of_before_there_were_levels_brings_no_scan_down():
    found = calibrated([FINE, COARSE])
    parameters = found.parameters()
    names = ("level", "highest_level")
    parameters["scales"] = [{k: v for k, v in scale.items() if k not in names} for scale in parameters["scales"]]
    earlier = Calibration.from_tensors(parameters, found.tensors())
    assert [scale.level for scale in earlier.scales] == [None] * 2
    assert all("level" not in scale for scale in earlier.parameters()["scales"])


def test_fast_mode_has_its_own_tails():
    scores = [noise(seed) for seed in range(6)]
    # Fast mode has twice the noise in a tenth of the voxels: more of them reach a high z-score.
    quick = [
        s + np.where(np.random.default_rng(n).random(SHAPE) < 0.1, 4 * MASK, 0).astype(np.float32)
        for n, s in enumerate(scores)
    ]
    own = [1.0] * 6
    found = calibrate_scores(scores, [MASK] * 6, SPACING, [FINE, COARSE], ONE_ML, own, quick=(quick, own))
    assert len(found.fast.scales) == 2
    fresh = noise(50) + np.where(np.random.default_rng(50).random(SHAPE) < 0.1, 4 * MASK, 0).astype(np.float32)
    as_fast, as_full = (found.anomaly_map(fresh, MASK, SPACING, fast=fast)[MASK] for fast in (True, False))
    assert np.mean(as_fast >= 2) == pytest.approx(0.01, rel=0.6) and np.mean(as_full >= 2) > 0.05
    again = Calibration.from_tensors(found.parameters(), found.tensors())
    assert np.abs(again.anomaly_map(fresh, MASK, SPACING, fast=True)[MASK] - as_fast).max() < 0.02


def test_the_scan_score_of_a_healthy_scan_is_that_of_its_left_out_map():
    plain, scored = calibrated([FINE]), calibrated([FINE], scan_score="top_1pct")
    assert np.array_equal(plain.reference.maxima, scored.reference.maxima)
    assert np.all(scored.reference.sample_scores <= scored.reference.maxima)
    assert np.all(scored.reference.sample_scores > 2) and np.all(plain.reference.sample_scores > 4)
    score = noise(30)
    score[10:16, 10:16, 10:16] += 5
    anomaly = scored.anomaly_map(score, MASK, SPACING)
    found = scored.score_of(anomaly, MASK, 0.008, 1.0)
    assert found == pytest.approx(np.sort(anomaly[MASK])[-round(MASK.sum() / 100) :].mean())
    assert scored.reference.sample_p_value(found) == pytest.approx(1 / 9)
    assert plain.score_of(anomaly, MASK, 0.008, 1.0) == 1.0


def test_the_rank_of_a_scan_is_that_among_the_left_out_maps_of_the_healthy_scans():
    ranked = calibrated([FINE], scan_score="rank")
    others = [calibrated([FINE], scan_score=name).reference.sample_scores for name in SCAN_SCORES]
    assert np.allclose(ranked.map_scores, np.transpose(others))
    own = [np.mean([(s[n] > s).mean() + 0.5 * (s[n] == s).mean() for s in others]) for n in range(8)]
    assert np.allclose(ranked.reference.sample_scores, own)
    again = Calibration.from_tensors(ranked.parameters(), ranked.tensors())
    lesion = noise(300)
    lesion[10:15, 10:16, 10:16] += 8
    scores = []
    for score in (lesion, noise(301)):
        anomaly = ranked.anomaly_map(score, MASK, SPACING)
        scores.append(ranked.score_of(anomaly, MASK, 0.008, 0.0))
        assert again.score_of(anomaly, MASK, 0.008, 0.0) == scores[-1]
    assert scores[0] > scores[1] and ranked.reference.sample_p_value(scores[0]) == pytest.approx(1 / 9)


def test_the_rank_of_the_fast_mode_is_among_its_own_maps():
    scores = [noise(seed) for seed in range(6)]
    quick, own = [2 * score for score in scores[::-1]], [1.0] * 6
    found = calibrate_scores(scores, [MASK] * 6, SPACING, [FINE], ONE_ML, own, "rank", quick=(quick, own))
    assert found.fast.map_scores.shape == found.map_scores.shape == (6, 5)
    again = Calibration.from_tensors(found.parameters(), found.tensors())
    assert np.array_equal(again.fast.map_scores, found.fast.map_scores)
    anomaly = found.anomaly_map(2 * noise(50), MASK, SPACING, fast=True)
    values = [found.score_of(anomaly, MASK, 0.008, 0.0, fast=fast) for fast in (True, False)]
    assert values[0] == again.score_of(anomaly, MASK, 0.008, 0.0, fast=True)


def test_a_rank_without_the_scores_of_healthy_scans_is_refused():
    found = calibrated([FINE], scan_score="rank")
    for table in (None, found.map_scores[1:], found.map_scores[:, 1:], found.map_scores * np.nan):
        with raises(ModelError, "calibration_numbers"):
            replace(found, map_scores=table)
    with raises(ModelError, "calibration_numbers"):
        replace(calibrated([FINE]), map_scores=found.map_scores)
    tensors = found.tensors()
    del tensors["map_scores"]
    with raises(ModelError, "calibration_incomplete"):
        Calibration.from_tensors(found.parameters(), tensors)


def test_an_unknown_scan_score_is_refused():
    with raises(
        InputError, "unknown_scan_score", name="best", known="method, top_1ml, top_1pct, volume, largest, regions, rank"
    ):
        calibrated([FINE], scan_score="best")


def test_a_fine_scale_joins_a_coarser_one():
    assert COARSE.with_fine() == (FINE, COARSE) and Pooling(0.0, 6.0).with_fine() == (FINE, Pooling(0.0, 6.0))
    assert FINE.with_fine() == (FINE,) and COARSE.with_fine(0.0) == (COARSE,)
    assert COARSE.with_fine(4.0) == (Pooling(0.0, 4.0), COARSE)


OLD = ROOT / "Testing" / "data" / "version-0.1" / "tiny.medad"


def test_a_model_of_an_earlier_version_marks_the_same_voxels():
    files = read_archive(OLD)
    stored, tensors = json_of(files, "configs/medad.json")["calibration"], tensors_of(files, CALIBRATION)
    assert "scales" not in stored
    calibration = load_model(OLD).calibration
    reference = calibration.reference
    enough = np.flatnonzero(tensors["false_positive_ml"] <= 1.0)[0]
    z_threshold, threshold = tensors["thresholds"][enough], reference.value_of(ONE_ML)
    # One mL of the brain, as a share.
    assert threshold == pytest.approx(-np.log10(1.0 / stored["brain_ml"]), abs=0.1)
    z_scores = np.linspace(-2, 2 * tensors["thresholds"][-1], 1_000_000)
    rarity = calibration.coarse.tail.rarity(z_scores.astype(np.float32))
    assert np.count_nonzero((rarity >= threshold) != (z_scores >= z_threshold)) <= 2
    assert np.array_equal(np.argsort(tensors["maxima"]), np.argsort(reference.maxima))
    assert reference.scan_score == "method" and np.array_equal(reference.sample_scores, tensors["sample_scores"])
    # It is saved in the present form, and then the same.
    again = Calibration.from_tensors(calibration.parameters(), calibration.tensors())
    assert again.poolings == calibration.poolings
    assert np.array_equal(again.coarse.tail.rarity(z_scores), calibration.coarse.tail.rarity(z_scores))


def earlier(threshold: str = "1ml") -> tuple[dict, dict]:
    """Parameters and tensors of a calibration that an earlier version wrote."""
    ones = np.ones(SHAPE, np.float16)
    parameters = {"minimum_mm": 0.0, "average_mm": 6.0, "brain_ml": 1000.0, "threshold": threshold, "scale": 2.0}
    curve = {"thresholds": np.arange(6.0), "false_positive_ml": np.array([500.0, 100.0, 10.0, 1.0, 0.1, 0.0])}
    numbers = {"maxima": np.array([3.0, 4.0]), "sample_scores": np.array([1.0, 2.0])}
    return parameters, {"mean": ones, "spread": ones, **curve, **numbers}


def test_a_z_score_as_the_threshold_of_an_earlier_version_becomes_its_rarity():
    reference = Calibration.from_tensors(*earlier("2")).reference
    assert reference.value_of(reference.threshold) == pytest.approx(2.0)
    assert reference.unit == "rarity"


def test_a_malformed_file_of_an_earlier_version_is_refused():
    parameters, tensors = earlier()
    with raises(ModelError, "calibration_tail"):
        Calibration.from_tensors(parameters, tensors | {"false_positive_ml": np.arange(6.0)})
    for name in tensors:
        with raises(ModelError, "calibration_incomplete"):
            Calibration.from_tensors(parameters, {key: value for key, value in tensors.items() if key != name})


def test_a_calibration_has_a_combined_tail_only_for_several_scales(both):
    with raises(ModelError, "calibration_scales"):
        replace(both, combined=None)
    with raises(ModelError, "calibration_scales"):
        replace(both, scales=both.scales[:1])
    with raises(ModelError, "calibration_unit"):
        replace(both, reference=replace(both.reference, unit="z"))
