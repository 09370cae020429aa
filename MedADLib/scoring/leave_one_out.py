"""Calibration of a model on healthy scans: each is scored with the mean and SD of the others."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from ..errors import InputError
from ..preprocessing.brain_space import BrainSpace, PreparedBrain
from .calibration import LARGEST, Calibration, Fast, FastScale, Pooling, Scale, add_scale, join, on_grid
from .healthy_reference import HealthyReference, Threshold
from .healthy_tail import HealthyTail
from .level import Level
from .restoration import Restoration
from .scan_score import METHOD, RANK, check_scan_score, map_scores, rank_among, score_of_scan
from .voxelwise import Totals, VoxelStatistics

CURVE_POINTS = 400

# Values of a map (Z, Y, X) of the scan with this number in its examined part, (N,), and the mL of each.
Voxels = Callable[[int, np.ndarray], tuple[np.ndarray, float]]


def fewest(mirrored: bool) -> int:
    """Return the smallest number of scans for a calibration: without one of them, the others must have an SD."""
    return 2 if mirrored else 3


def calibrate(
    healthy: Sequence[tuple[PreparedBrain, Restoration]],
    poolings: Sequence[Pooling],
    threshold: Threshold,
    quick: Sequence[Restoration] | None = None,
    scan_score: str = METHOD,
    combination: str = LARGEST,
) -> Calibration:
    """Calibrate on healthy scans that took no part in training, or out of fold.

    Restorations out of fold are made by methods that were trained without the scans of the same subject, as in
    cross-conformal prediction (Vovk 2015). A cross-conformal predictor scores a new scan by these methods too, while
    here the final method does, which was trained on more scans; and the methods of the other folds, with maps that give
    mean and SD, were trained on the scan. The p-values are therefore approximately valid, without a guarantee.

    Args:
        healthy: Prepared scans and their restorations; at least 2, see `fewest`.
        poolings: Pooling of raw scores at each scale, from fine to coarse; of each member of an ensemble in order.
        threshold: The default threshold.
        quick: Restorations of the same scans in fast mode, if the method has one, for its calibration.
        scan_score: How a whole scan is scored, one of `scan_score.NAMES`.
        combination: How the rarities of members are joined, one of `calibration.COMBINATIONS`.

    Returns:
        The calibration; maxima and false positives are those of leave-one-out anomaly maps on the scans' own grids.

    Raises:
        InputError: If there are too few scans or no such scan score.
    """
    space = healthy[0][0].template if healthy else BrainSpace
    prepared, restorations = [scan for scan, _ in healthy], [restoration for _, restoration in healthy]

    def voxels(number: int, anomaly: np.ndarray) -> tuple[np.ndarray, float]:
        native = prepared[number].map_to_native(anomaly)
        return native.array[prepared[number].native_mask], native.voxel_ml

    samples = [[r.sample_score for r in each] for each in (restorations, quick or ())]
    return calibrate_scores(
        [r.score for r in restorations],
        [scan.mask for scan in prepared],
        space.image.spacing if healthy else (1.0, 1.0, 1.0),
        poolings,
        threshold,
        samples[0],
        scan_score,
        space.symmetric,
        None if quick is None else ([r.score for r in quick], samples[1]),
        voxels,
        combination,
    )


def calibrate_scores(
    scores: Sequence[np.ndarray],
    masks: Sequence[np.ndarray],
    spacing: Sequence[float],
    poolings: Sequence[Pooling],
    threshold: Threshold,
    sample_scores: Sequence[float],
    scan_score: str = METHOD,
    mirrored: bool = True,
    quick: tuple[Sequence[np.ndarray], Sequence[float]] | None = None,
    voxels: Voxels | None = None,
    combination: str = LARGEST,
) -> Calibration:
    """Calibrate on raw score maps of healthy scans.

    Args:
        scores: Raw map of each scan, (Z, Y, X), or those of the members of an ensemble, (M, Z, Y, X); all of one shape.
        masks: Examined part of each, bool (Z, Y, X).
        spacing: Voxel spacing along (x, y, z) in mm.
        poolings: As in `calibrate`.
        threshold: The default threshold.
        sample_scores: The method's own score of each scan.
        scan_score: As in `calibrate`.
        mirrored: Whether mirror images of the scans are healthy scans too.
        quick: Maps and sample scores of the same scans in fast mode.
        voxels: Maps an anomaly map to the grid where the reference counts volumes; None counts on that of the maps.
        combination: As in `calibrate`.

    Raises:
        InputError: If there are too few scans or no such scan score.
    """
    check_scan_score(scan_score)
    if len(scores) < fewest(mirrored):
        raise InputError("calibration_few_scans", count=len(scores), fewest=fewest(mirrored))
    voxel_ml = float(np.prod(spacing)) / 1000
    modes = [(scores, sample_scores), *([] if quick is None else [quick])]
    maps = [each for each, _ in modes]
    scales, fast_scales = [], []
    # The rarities of members by mode and scan.
    found: list[list[list[np.ndarray]]] = [[[] for _ in scores] for _ in modes]
    for pooling in poolings:
        voxelwise, factors, values = _left_out(maps, masks, spacing, pooling, mirrored)
        levels = [Level.of(each) for each in values]
        values = [
            [z_scores - np.float32(level.excess(z_scores)) for z_scores in each] for each, level in zip(values, levels)
        ]
        tails = [HealthyTail.of(each) for each in values]
        scales.append(Scale(pooling, voxelwise, tails[0], levels[0]))
        fast_scales += [FastScale(*factors, tail, level) for tail, level in zip(tails[1:], levels[1:])]
        for tail, each, members in zip(tails, values, found):
            for value, rarities in zip(each, members):
                add_scale(rarities, pooling.member, tail.rarity(value))
    joined = [[join(rarities, combination) for rarities in members] for members in found]
    combined: list[HealthyTail | None] = [None] * len(modes)
    if len(scales) > 1:
        combined = [HealthyTail.of(each) for each in joined]
        joined = [[tail.rarity(value) for value in each] for tail, each in zip(combined, joined)]
    voxels = voxels or (lambda number, anomaly: (anomaly[masks[number]], voxel_ml))
    references = [
        _reference([on_grid(v, m) for v, m in zip(values, masks)], masks, voxel_ml, voxels, threshold, own, scan_score)
        for values, (_, own) in zip(joined, modes)
    ]
    (reference, of_maps), *of_fast = references
    fast = Fast(tuple(fast_scales), combined[1], *of_fast[0]) if of_fast else None
    return Calibration(tuple(scales), combined[0], reference, fast, combination, of_maps)


def _left_out(
    modes: Sequence[Sequence[np.ndarray]],
    masks: Sequence[np.ndarray],
    spacing: Sequence[float],
    pooling: Pooling,
    mirrored: bool,
) -> tuple[VoxelStatistics, tuple[float, float], list[list[np.ndarray]]]:
    """Standardise the scores of each scan by mean and SD of the others.

    Args:
        modes: Raw maps of the full method and, if there is one, of the fast mode, by scan.
        masks: Examined part of each scan.
        spacing: As in `calibrate_scores`.
        pooling: The pooling.
        mirrored: As in `calibrate_scores`.

    Returns:
        Mean and SD of all scans; their factors to the last mode; and the z-scores of each mode and scan inside the
        mask, float32 (N,).
    """
    pooled = [[pooling.applied(score, mask, spacing) for score, mask in zip(scores, masks)] for scores in modes]
    totals = [Totals(masks[0].shape, mirrored) for _ in modes]
    for sums, maps in zip(totals, pooled):
        for score, mask in zip(maps, masks):
            sums.add(score, mask)
    some = np.logical_or.reduce(masks)
    found: list[list[np.ndarray]] = [[] for _ in modes]
    for number, mask in enumerate(masks):
        full, *others = (sums.without(maps[number], mask, spacing) for sums, maps in zip(totals, pooled))
        for z_scores, maps, own in zip(found, pooled, (full, *others)):
            voxelwise = full if own is full else full.scaled(*full.factors_to(own, some))
            z_scores.append(voxelwise.z_scores(maps[number], mask)[mask])
    voxelwise = totals[0].statistics(spacing)
    factors = voxelwise.factors_to(totals[-1].statistics(spacing), some) if len(totals) > 1 else (1.0, 1.0)
    return voxelwise, factors, found


def _reference(
    maps: Sequence[np.ndarray],
    masks: Sequence[np.ndarray],
    voxel_ml: float,
    voxels: Voxels,
    threshold: Threshold,
    sample_scores: Sequence[float],
    scan_score: str,
) -> tuple[HealthyReference, np.ndarray | None]:
    """Describe the anomaly maps of healthy scans, each made with mean and SD of the other ones.

    Returns:
        The reference, and for `RANK` the scores from each map, (n, K).
    """
    values = []
    for number, anomaly in enumerate(maps):
        inside, ml = voxels(number, anomaly)
        values.append((np.sort(inside), ml))
    maxima = np.array([v[-1] for v, _ in values], np.float64)
    thresholds = np.linspace(0.0, max(float(maxima.max()) * 1.05, 1.0), CURVE_POINTS)
    above = np.mean([(len(v) - np.searchsorted(v, thresholds, "right")) * ml for v, ml in values], axis=0)
    brain_ml = float(np.mean([len(v) * ml for v, ml in values]))
    own = np.array(sample_scores, np.float64)
    found = HealthyReference(maxima, own, thresholds, above, brain_ml, threshold, scan_score=scan_score)
    value = found.value_of(threshold)
    if scan_score == RANK:
        table = np.array([map_scores(*each, voxel_ml, value) for each in zip(maps, masks)])
        return replace(found, sample_scores=np.array([rank_among(row, table) for row in table])), table
    scored = [score_of_scan(scan_score, *each, voxel_ml, value, s) for *each, s in zip(maps, masks, sample_scores)]
    return replace(found, sample_scores=np.array(scored, np.float64)), None
