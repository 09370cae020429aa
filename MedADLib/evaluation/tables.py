"""Tables of the comparison: each detector without and with pooling and voxelwise calibration, and as it ships.

Intervals are percentile bootstrap intervals over subjects, since the cases of a subject depend on each other; those
over cases are narrower. The same samples serve all detectors, so that differences are paired.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from ..scoring.metrics import Curve
from ..scoring.scan_score import NAMES
from .histograms import Histograms, interval, resampled
from .judgement import SIZES, Judged, Variant
from .lesion_cases import KINDS as T1_KINDS
from .restoration_quality import RestorationSums
from .simulation.contrast_signal import FINDINGS
from .simulation.insertion import CONTRASTS, UNSEEN

Row = dict[str, object]
# Kinds of lesions in T1 scans and in scans of other contrasts; a comparison has those of one of them.
KINDS = tuple(dict.fromkeys((*T1_KINDS, *FINDINGS)))
# The cases of these kinds together.
POOLED = "all"


@dataclass(frozen=True, eq=False)
class Measured:
    """A variant with its counts, and the bootstrap samples of its cases.

    Attributes:
        variant: The variant.
        histograms: Its counts on common bins.
        by_subject: How often each case is in each sample of subjects, (R, C).
        by_case: The same for samples of cases.
    """

    variant: Variant
    histograms: Histograms
    by_subject: np.ndarray
    by_case: np.ndarray

    @classmethod
    def of(cls, variant: Variant, seed: int) -> Measured:
        """Count a variant with at least one case."""
        judged = variant.judged
        subjects, labels = [j.subject for j in judged], [j.kept.label or str(n) for n, j in enumerate(judged)]
        return cls(variant, variant.histograms(), resampled(subjects, seed), resampled(labels, seed))

    def rows(self, chosen: Callable[[Judged], bool]) -> np.ndarray:
        """Return the indices of some cases."""
        return np.array([n for n, judged in enumerate(self.variant.judged) if chosen(judged)], int)

    def lesions(self, group: str = POOLED, contrast: str = "") -> np.ndarray:
        """Return the indices of the cases of a kind, of all kinds together, or with a contrast in any of them."""

        def belongs(judged: Judged) -> bool:
            named = group in (judged.kind, judged.contrast) and (judged.kind in KINDS or judged.kind == group)
            pooled = group == POOLED and judged.kind in KINDS
            return (named or pooled) and contrast in ("", judged.contrast)

        return self.rows(belongs)

    def average_precision(self, cases: np.ndarray, samples: np.ndarray) -> np.ndarray:
        """Return the average precision of some cases in each bootstrap sample, (R,)."""
        return self.histograms.select(cases).bootstrap_average_precision(samples[:, cases])


def rows_of(found: Sequence[Measured]) -> list[Row]:
    """Return the rows of a detector, pooled over the lesions of all kinds.

    Columns: pixel AP, AUROC, best Dice and FPR at 95 % recall; Dice and lesions hit at the threshold that 1 % of the
    healthy calibration voxels exceed; the share of healthy voxels of the benchmark above it; the sample AUROC of scans
    with a lesion against untouched scans; and intervals of the AP.
    """
    rows = []
    for one in found:
        cases, healthy = one.lesions(), one.rows(lambda judged: judged.kind == "healthy")
        judged = one.variant.judged
        samples = np.array([judged[n].kept.sample for n in (*cases, *healthy)])
        curve = Curve.of(samples, np.arange(len(samples)) < len(cases))
        flagged = float(np.mean([judged[n].flagged for n in healthy])) if len(healthy) else math.nan
        measures = _measures(one, cases) | {"healthy flagged": rounded(flagged), "sample AUROC": rounded(curve.auroc())}
        rows.append(one.variant.head | measures | _intervals(one, cases, by_case=True))
    return rows


def kind_rows(found: Sequence[Measured]) -> list[Row]:
    """Return the measures for each kind of lesion and for each contrast."""
    rows = []
    for one in found:
        contrasts = dict.fromkeys(j.contrast for j in one.variant.judged if j.kind in KINDS)
        kinds = {j.kind for j in one.variant.judged}
        for group in (*(kind for kind in KINDS if kind in kinds), *contrasts):
            cases = one.lesions(group)
            rows.append(one.variant.head | {"lesions": group} | _measures(one, cases) | _intervals(one, cases))
    return rows


def contrast_rows(found: Sequence[Measured]) -> list[Row]:
    """Return the measures for each kind of lesion with each contrast."""
    rows = []
    for one in complete(found):
        for kind in KINDS:
            for contrast in CONTRASTS:
                if len(cases := one.lesions(kind, contrast)):
                    head = one.variant.head | {"lesions": kind, "contrast": contrast}
                    rows.append(head | _measures(one, cases))
    return rows


def unseen_rows(found: Sequence[Measured]) -> list[Row]:
    """Return the measures of the unseen families, for all contrasts and each; a case is one lesion."""
    rows = []
    for one in complete(found):
        for kind in UNSEEN:
            for contrast in ("", *CONTRASTS):
                if len(cases := one.lesions(kind, contrast)):
                    head = {"lesions": kind, "contrast": contrast or POOLED}
                    rows.append(one.variant.head | head | _measures(one, cases) | _intervals(one, cases))
    return rows


def size_rows(found: Sequence[Measured]) -> list[Row]:
    """Return, for each class of size of the lesions of all kinds, the lesions hit at 1 % and the AP.

    Voxels of lesions of other sizes do not count, neither as lesion nor as healthy.
    """
    rows = []
    for one in complete(found):
        pooled = one.lesions()
        for number, title in enumerate(SIZES):
            sized = {n: [one_of for one_of in one.variant.judged[n].lesions if one_of.size == number] for n in pooled}
            cases = np.array([n for n, those in sized.items() if those], int)
            lesions = [lesion for those in sized.values() for lesion in those]
            curve = one.histograms.select(cases, [number]).curve()
            hit = sum(lesion.hit for lesion in lesions)
            row = {"lesions": title, "hit at 1%": f"{hit}/{len(lesions)}", "share": share(hit, len(lesions))}
            rows.append(one.variant.head | row | {"AP": rounded(curve.average_precision())})
    return rows


def real_rows(found: Sequence[Measured]) -> list[Row]:
    """Return the measures for each real scan, with what the default threshold marks in lesions and elsewhere."""
    rows = []
    for one in found:
        for number, judged in enumerate(one.variant.judged):
            if judged.kind != "real":
                continue
            other = judged.voxels - judged.positives
            marked = {
                "other tissue at 1%": share(judged.found - judged.true, other),
                "lesion at default": share(judged.marked, judged.positives),
                "other tissue at default": share(judged.alarms.voxels, other),
                "other mL at default": rounded(judged.alarms.ml, 2),
            }
            rows.append({"scan": judged.contrast} | one.variant.head | _measures(one, np.array([number])) | marked)
    return rows


def scan_rows(found: Sequence[Measured]) -> list[Row]:
    """Return AUROC and paired order of each scan score, the one that the user of the model sees marked.

    The AUROC compares scans with a lesion with the untouched ones. The paired order is the share of cases in which the
    scan with a lesion has the higher score than the same head without; equal scores count half.
    """
    rows = []
    for one in complete(found):
        cases, healthy = one.lesions(), one.rows(lambda judged: judged.kind == "healthy")
        if not len(cases) or not len(healthy):
            continue
        judged = one.variant.judged
        own = [next((n for n in healthy if judged[n].subject == judged[c].subject), None) for c in cases]
        paired = [(c, h) for c, h in zip(cases, own) if h is not None]
        for name in NAMES:
            scores = np.array([j.scan[name] for j in judged])
            above = _above(scores[cases][:, None], scores[healthy])
            weights = [one.by_subject[:, part].astype(float) for part in (cases, healthy)]
            ends = interval(_ratio(np.einsum("rc,ch,rh->r", weights[0], above, weights[1]), weights))
            order = np.array([_above(scores[c], scores[h]) for c, h in paired])
            paired_weights = one.by_subject[:, [c for c, _ in paired]].astype(float)
            order_ends = interval(_ratio(paired_weights @ order, [paired_weights]))
            row = {"scan score": name, "shown": "yes" if name == one.variant.form.own_score else "no"}
            row |= {"AUROC": rounded(above.mean()), "AUROC low": rounded(ends[0]), "AUROC high": rounded(ends[1])}
            row |= {"paired order": rounded(order.mean()), "cases": len(order)}
            row |= {"order low": rounded(order_ends[0]), "order high": rounded(order_ends[1])}
            rows.append(one.variant.head | row)
    return rows


def healthy_rows(found: Sequence[Measured]) -> list[Row]:
    """Return the false regions (0.05 mL or more) and mL at the default threshold in each untouched scan."""
    rows = []
    for one in complete(found):
        scans = [judged for judged in one.variant.judged if judged.kind == "healthy"]
        for name, part in (*((scan.subject, [scan]) for scan in scans), ("mean", scans)):
            values = [(scan.alarms.regions, scan.alarms.ml, scan.alarms.largest_ml) for scan in part]
            regions, ml, largest = np.mean(values, axis=0) if values else (math.nan,) * 3
            row = {"scan": name, "threshold": rounded(one.variant.form.alarm), "false regions": rounded(regions)}
            rows.append(one.variant.head | row | {"false mL": rounded(ml), "largest mL": rounded(largest)})
    return rows


def default_rows(found: Sequence[Measured]) -> list[Row]:
    """Return the lesions hit at the default threshold and the share of their voxels above it, by kind and contrast."""
    rows = []
    for one in complete(found):
        for group in (POOLED, *KINDS, *CONTRASTS):
            if not len(cases := one.lesions(group)):
                continue
            judged = [one.variant.judged[n] for n in cases]
            lesions = [lesion.marked for j in judged for lesion in j.lesions]
            row = {"lesions": group, "threshold": rounded(one.variant.form.alarm), "cases": len(cases)}
            row |= {"lesions hit": f"{sum(lesions)}/{len(lesions)}", "share hit": share(sum(lesions), len(lesions))}
            marked, positives = (sum(getattr(j, name) for j in judged) for name in ("marked", "positives"))
            rows.append(one.variant.head | row | {"voxels marked": share(marked, positives)})
    return rows


def restoration_rows(detector: str, judged: Sequence[Judged]) -> list[Row]:
    """Return healing and sharpness of a detector: all kinds of lesion, each kind and contrast, untouched scans."""
    rows, restored = [], [j for j in judged if j.kept.sums is not None]
    groups: dict[str, list[Judged]] = {POOLED: [j for j in restored if j.kind in KINDS]}
    for kind in (*KINDS, *UNSEEN, "healthy"):
        groups[kind] = [j for j in restored if j.kind == kind]
        for contrast in CONTRASTS if kind != "healthy" else ():
            groups[f"{kind}, {contrast}"] = [j for j in groups[kind] if j.contrast == contrast]
    for title, cases in groups.items():
        parts = [j.kept.sums for j in cases]
        if not parts:
            continue
        total = RestorationSums.total(parts)
        energy = {f"gradient energy {axis}": rounded(value) for axis, value in zip("zyx", total.sharpness)}
        row = {"detector": detector, "scans": title, "cases": len(parts), "healing": rounded(total.healing)}
        rows.append(row | energy | {"PSNR dB": rounded(total.psnr, 2)})
    return rows


def cost_row(detector: str, judged: Sequence[Judged]) -> Row:
    """Return time and memory of a detector."""
    seconds, memory = (np.array([getattr(j.kept, name) for j in judged]) for name in ("seconds", "peak_mb"))
    known = memory[~np.isnan(memory)]
    row = {"detector": detector, "cases": len(judged), "median seconds": rounded(np.median(seconds))}
    return row | {"peak MB": round(float(known.max())) if len(known) else "n/a"}


@dataclass(frozen=True, eq=False)
class Sampled:
    """Average precision of a detector in the bootstrap samples, for paired differences.

    Attributes:
        detector: Name of the detector.
        form: Values of the columns pooling and per-place.
        values: By group of lesions: the value itself, and those of the samples of subjects and of cases, (R,).
    """

    detector: str
    form: tuple[str, str]
    values: Mapping[str, tuple[float, np.ndarray, np.ndarray]]

    @classmethod
    def of(cls, one: Measured) -> Sampled:
        """Sample a variant."""
        head, values = one.variant.head, {}
        for group in (POOLED, *KINDS, *UNSEEN):
            if len(cases := one.lesions(group)):
                point = one.histograms.select(cases).curve().average_precision()
                values[group] = (point, *(one.average_precision(cases, s) for s in (one.by_subject, one.by_case)))
        return cls(head["detector"], (head["pooling"], head["per-place"]), values)


def difference_rows(sampled: Sequence[Sampled]) -> list[Row]:
    """Return the difference in AP of each pair of detectors with the same form of map, on the same cases."""
    rows = []
    for first, second in combinations(sampled, 2):
        if first.form != second.form:
            continue
        for group in first.values.keys() & second.values.keys():
            (a, *a_samples), (b, *b_samples) = first.values[group], second.values[group]
            row = {"detector": first.detector, "minus": second.detector, "pooling": first.form[0]}
            row |= {"per-place": first.form[1], "lesions": group, "AP difference": rounded(a - b)}
            for unit, one, other in zip(("", " (cases)"), a_samples, b_samples):
                low, high = interval(one - other)
                row |= {f"low{unit}": rounded(low), f"high{unit}": rounded(high)}
            rows.append(row)
    order = {group: number for number, group in enumerate((POOLED, *KINDS, *UNSEEN))}
    return sorted(rows, key=lambda row: order[row["lesions"]])


def complete(found: Sequence[Measured]) -> list[Measured]:
    """Return the variants with a completely calibrated map."""
    return [one for one in found if one.variant.form.complete]


def share(part: float, total: float) -> float:
    """Return a share, rounded; NaN of nothing."""
    return rounded(part / total) if total else math.nan


def rounded(value: float, digits: int = 4) -> float:
    """Round a number for a table."""
    return round(float(value), digits)


def _measures(one: Measured, cases: np.ndarray) -> Row:
    """Return the columns that describe several cases together."""
    curve = one.histograms.select(cases).curve()
    judged = [one.variant.judged[n] for n in cases]
    true, found, positives = (sum(getattr(j, name) for j in judged) for name in ("true", "found", "positives"))
    lesions = [lesion for j in judged for lesion in j.lesions]
    return {
        "AP": rounded(curve.average_precision()),
        "AUROC": rounded(curve.auroc()),
        "best Dice": rounded(curve.maximum_dice()[0]),
        "FPR95": rounded(curve.false_positive_rate_at(0.95)),
        "Dice at 1%": rounded(2 * true / (found + positives)) if positives else math.nan,
        "lesions hit at 1%": f"{sum(lesion.hit for lesion in lesions)}/{len(lesions)}",
        "prevalence": rounded(curve.prevalence),
    }


def _intervals(one: Measured, cases: np.ndarray, by_case: bool = False) -> Row:
    """Return the ends of the interval of the AP over subjects and, on request, over cases."""
    low, high = interval(one.average_precision(cases, one.by_subject))
    row = {"AP low": rounded(low), "AP high": rounded(high)}
    if by_case:
        low, high = interval(one.average_precision(cases, one.by_case))
        row |= {"AP low (cases)": rounded(low), "AP high (cases)": rounded(high)}
    return row


def _above(score: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Return 1 where a score is above another one, 0.5 where they are equal."""
    return (score > other) + 0.5 * (score == other)


def _ratio(total: np.ndarray, weights: Sequence[np.ndarray]) -> np.ndarray:
    """Divide weighted sums by the product of the sums of weights, (R,); NaN in samples without weight."""
    size = np.prod([part.sum(axis=1) for part in weights], axis=0)
    return np.where(size > 0, total / np.maximum(size, 1), np.nan)
