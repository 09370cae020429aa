from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from support.raised import raises
from support.refusals import accepted

from MedADLib.errors import InputError, ModelError
from MedADLib.preprocessing.brain_space import BrainSpace, PreparedBrain
from MedADLib.preprocessing.intensity import HISTOGRAM_EDGES, PERCENTILES, IntensityUnit, Landmarks
from MedADLib.scoring.calibration import Calibration, Pooling, Scale
from MedADLib.scoring.healthy_reference import HealthyReference, Threshold
from MedADLib.scoring.healthy_tail import HealthyTail
from MedADLib.scoring.leave_one_out import calibrate
from MedADLib.scoring.restoration import Restoration
from MedADLib.scoring.voxelwise import Totals, VoxelStatistics
from MedADLib.volume import Volume

SHAPE, SPACING = (12, 14, 16), (2.0, 2.0, 3.0)
VOXEL_ML = 12 / 1000
MARKS = np.linspace(0.1, 0.9, len(PERCENTILES))
SEED = 11


def brain(shift: int = 0) -> np.ndarray:
    z, y, x = np.indices(SHAPE)
    return ((z - 5.5) / 5) ** 2 + ((y - 6.5 - shift) / 5.5) ** 2 + ((x - 7.5) / 7) ** 2 < 1


def prepared_scan(mask: np.ndarray) -> PreparedBrain:
    """A scan on the model's grid."""
    volume = Volume(np.where(mask, 100, 0).astype(np.float32), np.diag([*SPACING, 1.0]), "scan")
    bins = len(HISTOGRAM_EDGES) - 1
    limits = {"histogram": 1.0, "correlation": 0.0, "overlap": 0.0}
    template = BrainSpace(volume, brain(), np.full(bins, 1 / bins), limits, MARKS)
    ones = np.ones(SHAPE, np.float32)
    scaling, unit = Landmarks(MARKS, MARKS), IntensityUnit(0.0, 100.0, -1.0, 2.0)
    return PreparedBrain(volume.array / 100, mask, volume, mask, template, scaling, limits, np.eye(4), ones, unit)


def healthy_scans(count: int = 4, spot: float = 0.0) -> list[tuple[PreparedBrain, Restoration]]:
    """Scores of noise about a level; the first scan has a spot of `spot` more."""
    random, found = np.random.default_rng(SEED), []
    for number in range(count):
        mask = brain(number % 2)
        score = np.where(mask, random.gamma(4, 0.25, SHAPE) + 0.1 * number, 0).astype(np.float32)
        if number == 0:
            score[5:8, 5:8, 8:11] += spot
        found.append((prepared_scan(mask), Restoration(score, score, float(score[mask].mean()))))
    return found


# A z-score of 3 has a rarity of 2.
TAIL = HealthyTail(np.array([-1.0, 1.0, 3.0]), np.array([0.0, 1.0, 2.0]), 0.5, 0.1, 2.0)


def with_numbers(**numbers) -> Calibration:
    """A calibration with numbers that are easy to check by hand."""
    usual = {
        "pooling": Pooling(0.0, 0.0),
        "voxelwise": VoxelStatistics(np.ones(SHAPE, np.float32), np.full(SHAPE, 0.5, np.float32)),
        "maxima": np.array([2.0, 3.0, 5.0]),
        "sample_scores": np.array([10.0, 20.0, 30.0]),
        "thresholds": np.array([0.0, 1.0, 2.0, 3.0, 4.0]),
        "false_positive_ml": np.array([500.0, 100.0, 3.0, 1.0, 0.0]),
        "brain_ml": 1000.0,
        "threshold": Threshold(1.0, "ml"),
    }
    values = usual | numbers
    scale = Scale(values.pop("pooling"), values.pop("voxelwise"), TAIL)
    return Calibration((scale,), None, HealthyReference(**values))


@pytest.mark.parametrize(("score", "p"), [(5, 1.0), (10, 1.0), (15, 0.75), (20, 0.75), (30, 0.5), (31, 0.25)])
def test_the_sample_p_value_counts_healthy_scans_that_score_as_high(score, p):
    assert with_numbers().reference.sample_p_value(score) == pytest.approx(p)


@pytest.mark.parametrize(("peak", "p"), [(1, 1.0), (3, 0.75), (3.5, 0.5), (9, 0.25)])
def test_the_region_p_value_counts_healthy_scans_with_as_high_a_peak(peak, p):
    assert with_numbers().reference.region_p_value(peak) == pytest.approx(p)


@pytest.mark.parametrize(
    ("text", "value"),
    [("3.5", 3.5), ("0", 0.0), ("1ml", 3.0), ("2ml", 3.0), ("3ml", 2.0), ("0.1%", 3.0), ("10%", 1.0), ("0ml", 4.0)],
)
def test_a_reader_s_threshold_is_the_lowest_that_keeps_its_promise(text, value):
    calibration = with_numbers()
    found = calibration.reference.value_of(Threshold.parse(text))
    assert found == value
    if text.endswith("ml"):
        assert calibration.reference.expected_false_positive_ml(found) <= float(text[:-2])


def test_the_expected_volume_is_read_off_the_curve():
    calibration = with_numbers()
    assert calibration.reference.expected_false_positive_ml(2.0) == 3.0
    assert calibration.reference.expected_false_positive_ml(1.5) == pytest.approx(51.5)
    assert calibration.reference.expected_false_positive_ml(99.0) == 0.0


def test_the_map_is_the_rarity_of_the_z_scores():
    mask = brain()
    score = np.where(mask, 2.5, 0).astype(np.float32)
    score[6, 7, 8] = 1.5
    expected = np.where(mask, 2.0, 0)
    expected[6, 7, 8] = 1.0
    assert np.allclose(with_numbers().anomaly_map(score, mask, SPACING), expected)


def test_mean_and_sd_of_known_scores_are_found():
    mask, levels = brain(), np.array([1.0, 2.0, 4.0])
    voxelwise = VoxelStatistics.of([np.where(mask, level, 0) for level in levels], [mask] * 3, SPACING)
    both = mask & mask[:, :, ::-1]
    assert np.allclose(voxelwise.mean[both], levels.mean(), rtol=1e-3)
    assert np.allclose(voxelwise.sd[both], levels.std(), rtol=1e-3)
    assert np.isfinite(voxelwise.mean).all() and (voxelwise.sd > 0).all()
    expected = (4 - levels.mean()) / levels.std()
    assert np.allclose(voxelwise.z_scores(np.full(SHAPE, 4.0), mask)[both], expected, rtol=1e-2)


def test_statistics_without_a_scan_equal_those_of_the_others():
    healthy = healthy_scans(5, spot=3.0)
    scores, masks = [r.score for _, r in healthy], [p.mask for p, _ in healthy]
    for mirrored in (True, False):
        totals = Totals(SHAPE, mirrored)
        for score, mask in zip(scores, masks):
            totals.add(score, mask)
        for number in range(len(healthy)):
            others = [n for n in range(len(healthy)) if n != number]
            rest = [scores[n] for n in others], [masks[n] for n in others]
            direct = VoxelStatistics.of(*rest, SPACING, mirrored)
            found = totals.without(scores[number], masks[number], SPACING)
            assert np.allclose(found.mean, direct.mean, rtol=1e-5) and np.allclose(found.sd, direct.sd, rtol=1e-5)


def test_left_and_right_are_learned_together():
    mask = brain()
    lopsided = np.where(mask, 1.0, 0)
    lopsided[:, :, :8] *= 3
    voxelwise = VoxelStatistics.of([lopsided] * 3, [mask] * 3, SPACING)
    assert np.allclose(voxelwise.mean, voxelwise.mean[:, :, ::-1], atol=1e-4)


def left_out_maps(healthy, pooled) -> list[np.ndarray]:
    found = []
    for number, (prepared, _) in enumerate(healthy):
        others = [n for n in range(len(healthy)) if n != number]
        voxelwise = VoxelStatistics.of([pooled[n] for n in others], [healthy[n][0].mask for n in others], SPACING)
        found.append(voxelwise.z_scores(pooled[number], prepared.mask))
    medians = [np.median(m[prepared.mask]) for m, (prepared, _) in zip(found, healthy)]
    excess = np.maximum(np.array(medians) - np.mean(medians), 0)
    return [np.where(prepared.mask, m - e, 0) for m, e, (prepared, _) in zip(found, excess, healthy)]


def test_no_healthy_scan_is_flattered_by_its_own_score():
    healthy = healthy_scans(spot=5.0)
    calibration = calibrate(healthy, [Pooling(0.0, 0.0)], Threshold(1.0, "ml"))
    rarity = calibration.coarse.tail.rarity
    maps = [rarity(m) for m in left_out_maps(healthy, [r.score for _, r in healthy])]
    assert np.allclose(calibration.reference.maxima, [m.max() for m in maps], rtol=1e-3)
    flattered = calibration.anomaly_map(healthy[0][1].score, healthy[0][0].mask, SPACING).max()
    # Rarity is logarithmic: the scan would look three times less anomalous.
    assert calibration.reference.maxima[0] > flattered + np.log10(3)
    assert np.allclose(calibration.reference.sample_scores, [r.sample_score for _, r in healthy])
    assert calibration.reference.count == 4


def test_the_false_positive_curve_is_the_mean_volume_above_each_threshold():
    healthy = healthy_scans()
    calibration = calibrate(healthy, [Pooling(0.0, 0.0)], Threshold(1.0, "ml"))
    rarity = calibration.coarse.tail.rarity
    maps = [rarity(m) for m in left_out_maps(healthy, [r.score for _, r in healthy])]
    # Thresholds between the voxels' values, where rounding on the way to the scan's own grid does not matter.
    for threshold in (0.101, 0.9, 2.003):
        volumes = [(m[p.mask] > threshold).sum() * VOXEL_ML for m, (p, _) in zip(maps, healthy)]
        assert calibration.reference.expected_false_positive_ml(threshold) == pytest.approx(np.mean(volumes), abs=0.02)
    curve = calibration.reference.false_positive_ml
    assert (np.diff(curve) <= 0).all() and curve[-1] == 0 and (np.diff(calibration.reference.thresholds) > 0).all()
    assert (
        calibration.reference.thresholds[0] == 0
        and calibration.reference.thresholds[-1] >= calibration.reference.maxima.max()
    )
    assert calibration.reference.brain_ml == pytest.approx(np.mean([p.mask.sum() for p, _ in healthy]) * VOXEL_ML)


def test_pooling_is_part_of_the_calibration():
    healthy = healthy_scans()
    sharp = calibrate(healthy, [Pooling(0.0, 0.0)], Threshold(3.0))
    soft = calibrate(healthy, [Pooling(0.0, 10.0)], Threshold(3.0))
    score, mask = healthy[2][1].score, healthy[2][0].mask
    assert soft.coarse.voxelwise.sd[mask].mean() < 0.7 * sharp.coarse.voxelwise.sd[mask].mean()
    assert np.abs(soft.anomaly_map(score, mask, SPACING)[mask]).mean() < 5
    assert Pooling(1.0, 2.0).replaced(None, 5.0) == Pooling(1.0, 5.0)
    assert Pooling(1.0, 2.0).replaced(0.0, None) == Pooling(0.0, 2.0)


def test_one_scan_is_too_few():
    with pytest.raises(InputError) as caught:
        calibrate(healthy_scans(1), [Pooling()], Threshold(1.0, "ml"))
    assert caught.value.code == "calibration_few_scans" and caught.value.parameters["fewest"] == 2


@pytest.fixture(scope="module")
def calibration() -> Calibration:
    return calibrate(
        healthy_scans(), [Pooling(0.0, 2.5), Pooling(2.4, 6.0)], Threshold(0.1, "%"), scan_score="top_1pct"
    )


def test_a_saved_calibration_gives_the_same(calibration):
    again = Calibration.from_tensors(calibration.parameters(), calibration.tensors())
    assert again.poolings == calibration.poolings == (Pooling(0.0, 2.5), Pooling(2.4, 6.0))
    assert again.scan_score == calibration.scan_score == "top_1pct"
    for name in ("threshold", "brain_ml", "count"):
        assert getattr(again.reference, name) == getattr(calibration.reference, name)
    for name in ("maxima", "sample_scores", "thresholds", "false_positive_ml"):
        assert np.array_equal(getattr(again.reference, name), getattr(calibration.reference, name))
    score, mask = healthy_scans()[1][1].score, brain(1)
    first, second = (c.anomaly_map(score, mask, SPACING) for c in (calibration, again))
    assert np.abs(first - second).max() < 0.02


def test_parameters_that_make_no_sense_are_refused(calibration):
    parameters, tensors = calibration.parameters(), calibration.tensors()
    no_numbers = ("nan", "inf", "1.0", None, True, [1.0], float("nan"), float("inf"))
    fine, coarse = parameters["scales"]
    names = ("scale", "minimum_mm", "average_mm", "level", "highest_level")
    sizes = [{name: value} for name in names for value in no_numbers]
    sizes += [{"minimum_mm": -1.0}, {"scale": 0.0}, {"level": 9.0}, {"more": 1.0}]
    sizes += [{"mean_times": 1.0, "spread_times": 1.0}]
    wrong = [{"scales": [fine, coarse | size]} for size in sizes]
    wrong += [{"scales": value} for value in ([], [fine], [fine] * 5, [fine, 1.0], {"0": fine}, "scales", None)]
    wrong += [{"brain_ml": value} for value in (*no_numbers, 0.0)]
    wrong += [{"threshold": "much"}, {"threshold": ""}, {"unit": "z"}, {"unit": 1}, {"scan_score": "best"}]
    assert parameters.keys() >= {"brain_ml", "threshold", "unit", "scan_score"}
    assert coarse.keys() == {"scale", "minimum_mm", "average_mm", "level", "highest_level"}
    assert accepted(ModelError, lambda change: Calibration.from_tensors(parameters | change, tensors), wrong) == []


def test_missing_and_unknown_parts_are_refused(calibration):
    parameters, tensors = calibration.parameters(), calibration.tensors()
    for key in parameters:
        with pytest.raises(ModelError):
            Calibration.from_tensors({k: v for k, v in parameters.items() if k != key}, tensors)
    for key in tensors:
        with pytest.raises(ModelError):
            Calibration.from_tensors(parameters, {k: v for k, v in tensors.items() if k != key})
    with pytest.raises(ModelError):
        Calibration.from_tensors(parameters | {"more": 1}, tensors)
    with pytest.raises(ModelError):
        Calibration.from_tensors(parameters, tensors | {"more": np.zeros(1)})


def test_tensors_that_do_not_fit_together_are_refused(calibration):
    parameters, tensors = calibration.parameters(), calibration.tensors()
    wrong = {
        "maxima of one scan less": {"maxima": tensors["maxima"][1:]},
        "no maxima": {"maxima": tensors["maxima"][:0]},
        "one sample score for all": {"sample_scores": np.float64(1.0)},
        "thresholds that fall": {"thresholds": tensors["thresholds"][::-1]},
        "a threshold less": {"thresholds": tensors["thresholds"][:-1]},
        "no spread": {"scale1_spread": 0 * tensors["scale1_spread"]},
        "a spread of another shape": {"scale1_spread": tensors["scale1_spread"][1:]},
        "a scale of another grid": {f"scale0_{n}": tensors[f"scale0_{n}"][1:] for n in ("mean", "spread")},
        "a knot less": {"scale0_tail_values": tensors["scale0_tail_values"][1:]},
        "knots that fall": {"combined_tail_values": tensors["combined_tail_values"][::-1]},
        "no limit of a tail": {"scale1_tail_beyond": tensors["scale1_tail_beyond"][:2]},
    }
    assert accepted(ModelError, lambda name: Calibration.from_tensors(parameters, tensors | wrong[name]), wrong) == []


def test_a_curve_without_points_is_refused(calibration):
    with pytest.raises(ModelError):
        replace(calibration.reference, thresholds=np.zeros(0), false_positive_ml=np.zeros(0))


def test_pooling_sizes_that_make_no_sense_are_refused():
    wrong = [(-1.0, 4.0), (0.0, 51.0), (float("nan"), 1.0)]
    assert accepted(ValueError, lambda sizes: Pooling(*sizes), wrong) == []


def quickly(healthy, times: float) -> list[Restoration]:
    """As if fast mode had scores that are so many times as large."""
    return [Restoration(times * r.score, r.restored, r.sample_score + 1) for _, r in healthy]


def test_fast_mode_is_compared_with_healthy_scans_in_fast_mode():
    healthy = healthy_scans()
    found = calibrate(healthy, [Pooling(0.0, 0.0)], Threshold(1.0, "ml"), quickly(healthy, 2.0))
    (fast,) = found.fast.scales
    assert (fast.mean_factor, fast.sd_factor) == pytest.approx((2.0, 2.0), rel=1e-4)
    assert np.allclose(found.fast.reference.maxima, found.reference.maxima, rtol=1e-3)
    assert np.allclose(found.fast.reference.sample_scores, found.reference.sample_scores + 1)
    assert found.reference_of(True) is found.fast.reference and found.reference_of(False) is found.reference
    score, mask = healthy[2][1].score, healthy[2][0].mask
    usual, fast = (found.anomaly_map(s, mask, SPACING, fast=f) for s, f in ((score, False), (2 * score, True)))
    assert np.allclose(fast, usual, atol=1e-3) and np.abs(usual[mask]).max() > 1
    misread = found.anomaly_map(2 * score, mask, SPACING)
    assert np.abs(misread - usual)[mask].max() > 0.5


def test_a_calibration_without_fast_mode_reads_it_as_the_full_method(calibration):
    healthy = healthy_scans()
    score, mask = healthy[0][1].score, healthy[0][0].mask
    assert calibration.fast is None and calibration.reference_of(True) is calibration.reference
    usual, fast = (calibration.anomaly_map(score, mask, SPACING, fast=fast) for fast in (False, True))
    assert np.array_equal(usual, fast)


def test_a_saved_calibration_keeps_the_fast_mode():
    healthy = healthy_scans()
    found = calibrate(healthy, [Pooling(0.0, 0.0)], Threshold(1.0, "ml"), quickly(healthy, 3.0))
    again = Calibration.from_tensors(found.parameters(), found.tensors())
    for ours, theirs in zip(again.fast.scales, found.fast.scales):
        assert (ours.mean_factor, ours.sd_factor) == (theirs.mean_factor, theirs.sd_factor)
        assert np.array_equal(ours.tail.rarity(np.linspace(-5, 50)), theirs.tail.rarity(np.linspace(-5, 50)))
    assert np.array_equal(again.fast.reference.thresholds, found.fast.reference.thresholds)
    assert again.fast.reference.brain_ml == found.fast.reference.brain_ml


def test_a_malformed_fast_mode_is_refused():
    healthy = healthy_scans()
    found = calibrate(healthy, [Pooling(0.0, 0.0)], Threshold(1.0, "ml"), quickly(healthy, 3.0))
    wrong = [{"mean_times": -1.0}, {"spread_times": 0.0}, {"mean_times": "much"}, {"mean_times": None}]

    def opened(change):
        parameters = found.parameters()
        scale = {key: value for key, value in (parameters["scales"][0] | change).items() if value is not None}
        return Calibration.from_tensors(parameters | {"scales": [scale]}, found.tensors())

    assert opened({}).fast is not None and accepted(ModelError, opened, wrong) == []
    for brain_ml in (0.0, "much", None):
        with pytest.raises(ModelError):
            Calibration.from_tensors(found.parameters() | {"fast_brain_ml": brain_ml}, found.tensors())
    tensors = {name: array for name, array in found.tensors().items() if name != "fast_maxima"}
    with raises(ModelError, "calibration_incomplete"):
        Calibration.from_tensors(found.parameters(), tensors)
