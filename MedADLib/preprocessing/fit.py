"""Fit of a scan to a model, judged from its measured similarity to the training data, before any restoration.

Two measures tell contrasts apart and do not depend on lesions, because both are medians over the whole brain. The
*structure* is the median of the correlation with the healthy mean in windows of some millimetres: near 1 for the
contrast of the model, near 0 where white matter is as bright as grey matter, negative for an inverse contrast. The
*contrast* is how much the scan brightens from the darkest to the brightest tissue of the healthy mean: 1 as there.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from ..messages import Message
from .input_check import KnownModel, Verdict, labels_of, looks_like_ct
from .registration import POOR, AlignmentQuality, angle_of, rotation_of
from .space import BRAIN, MARGIN

if TYPE_CHECKING:
    from .space import PreparedScan, ReferenceSpace

GRID_MM, SMOOTH_MM, WINDOW_MM, RIM_MM = 3.0, 2.0, 6.0, 3.6
CLASSES = 10
# The darkest class is fluid, which is dark in FLAIR too.
TISSUE = slice(1, None)
# Structure × contrast, against the template of brain-t1. Of T1 brains of five scanners with and without lesions 0.37 or
# more, and 0.26 with 100 mL painted in; of T1 with contrast agent 0.10, of FLAIR 0.05 or less, of body CT and MR 0.02,
# of T2 and PD 0.
UNFIT, DOUBTFUL = 0.2, 0.5
# The limits hold for templates that their training scans resemble this much; those of other templates are lower.
USUAL_CORRELATION = 0.65
# Of the correlation of the least similar training scan, for spaces without a registration.
UNFIT_SHARE, LEAST_CORRELATION = 0.25, 0.3
# Spaces without a registration: a share of that correlation, and a multiple of the limit of the histogram distance. In
# models of brain slices, radiographs of chests mostly have less than this share and 3 to 6 times the limit; slices of
# other scanners have 0.54 or more even in another position, aligned ones 0.8 and 3 times the limit. Radiographs with
# pneumonia in a model of normal chests have 1.5 times the limit at most.
FAR_SHARE, FAR_TIMES = 0.53, 4.0
# Slopes: of T2 −0.3 or less, of FLAIR 0.05 to 0.16, but 0.19 to 0.30 with a strong bias field, other gamma or 2 mm
# voxels, of T1 with contrast agent 0.23. Between the last two limits the measures do not tell FLAIR from T1 with agent.
INVERSE, FLAT, STEEP = -0.1, 0.17, 0.4
LEAST_STRUCTURE, LEAST_OVERLAP = 0.2, 0.75
# Degrees; a head that lies in a scanner is tilted by less.
LARGEST_TILT = 40.0

# Kinds of scans; `kind_name` has their words.
KINDS = T1, T1_AGENT, T2, PD, T2_OR_PD, FLAIR, FLAIR_OR_AGENT, CT, OTHER_PART, LABEL_MAP = (
    *("t1", "t1_agent", "t2", "pd", "t2_or_pd", "flair", "flair_or_t1_agent", "ct", "other_part", "label_map"),
)
NAMES = {
    T1: "kind_t1",
    T1_AGENT: "kind_t1_agent",
    T2: "kind_t2",
    PD: "kind_pd",
    T2_OR_PD: "kind_t2_or_pd",
    FLAIR: "kind_flair",
    FLAIR_OR_AGENT: "kind_flair_or_t1_agent",
    CT: "kind_ct",
    OTHER_PART: "kind_other_part",
    LABEL_MAP: "kind_label_map",
}
# Words in the modality of a model.
WORDS = {
    T1: r"\bT1",
    T1_AGENT: r"\b(agent|enhanced|Gd|gadolinium|post-?contrast|T1c)\b",
    T2: r"\bT2",
    PD: r"\b(PD|proton)",
    FLAIR: r"\bFLAIR\b",
    CT: r"\bCT\b",
}


@dataclass(frozen=True)
class Fit:
    """Whether a scan fits a model.

    Attributes:
        verdict: ``fits``, ``doubtful`` (a result may mean little) or ``unfit`` (a result would mean nothing).
        reasons: Why it is not sure to fit, the most important one first.
        seems: What an unfit scan seems to be, one of `KINDS`; empty if unknown or fit.
        measured: The measures behind the verdict, by name.
    """

    verdict: Verdict = "fits"
    reasons: tuple[Message, ...] = ()
    seems: str = ""
    measured: dict[str, float] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """Return verdict, kind and measures as plain JSON values."""
        measured = {name: round(float(value), 4) for name, value in self.measured.items()}
        return {"verdict": self.verdict, "seems": self.seems, "measured": measured}


def kind_name(kind: str) -> Message:
    """Return one of `KINDS` in words."""
    return Message(NAMES[kind])


def kinds_of(modality: str) -> set[str]:
    """Return which of `KINDS` a model is for, by its modality in words; empty if the words do not tell."""
    found = {kind for kind, words in WORDS.items() if re.search(words, modality, re.IGNORECASE)}
    if FLAIR in found:
        # FLAIR images are often named T2-FLAIR.
        found -= {T2}
    if re.search(r"\b(without|no|non)[- ](a )?(contrast|agent|enhanced)", modality, re.IGNORECASE):
        found -= {T1_AGENT}
    return found


def judged(prepared: PreparedScan, examined: Message, model: KnownModel, described: str = "") -> Fit:
    """Judge the fit of a scan that is registered to the space of a model; takes less than half a second.

    Args:
        prepared: The scan.
        examined: How the examined part was found, from `ReferenceSpace.examined`.
        model: Its modality in words says what it is for.
        described: What the header of the scan says that it is, one of `KINDS`; empty if it does not say.
    """
    space, measured = prepared.template, dict(prepared.similarity)
    doubts = list(prepared.warnings())
    wanted = kinds_of(model.modality)
    unfit: list[Message] = []
    seems = ""
    if wanted and described and described not in wanted and not wanted & _wider(described):
        seems = described
        unfit.append(Message("fit_header", kind=kind_name(described), modality=model.modality))
    if space.kind == BRAIN:
        quality: AlignmentQuality = prepared.quality
        measured |= {"alignment": quality.information, **brain_measures(prepared.image, prepared.mask, space)}
        if CT not in wanted and looks_like_ct(prepared.native):
            unfit.append(Message("fit_ct", modality=model.modality))
            seems = seems or CT
        if examined.code == "part_foreground":
            unfit.append(Message("fit_no_brain"))
            seems = seems or OTHER_PART
        if quality.failed:
            unfit.append(Message("fit_not_aligned"))
            seems = seems or OTHER_PART
        limits = _limits(space)
        likeness = measured["likeness"]
        if space.any_contrast:
            if likeness < limits[1]:
                doubts.insert(0, Message("fit_synthetic_contrast"))
        elif likeness < limits[0]:
            kind = _seen(measured, quality, wanted)
            # A part that is aligned to the whole template resembles it little, as a scan with contrast agent does.
            if measured["overlap"] < space.limits["overlap"] and kind in ("", T1_AGENT, FLAIR_OR_AGENT, OTHER_PART):
                kind = OTHER_PART
                facts = {"overlap": measured["overlap"], "limit": space.limits["overlap"]}
                unfit.append(Message("fit_part_missing", **facts))
            else:
                facts = {name: measured[name] for name in ("structure", "contrast")}
                unfit.append(Message("fit_other_contrast", **facts))
            seems = seems or kind
        elif likeness < limits[1]:
            doubts.insert(0, Message("fit_little_contrast", likeness=likeness))
        if unfit and seems != CT and (labels := labels_of(prepared.native)):
            unfit.insert(0, Message("fit_label_map", labels=labels))
            seems = LABEL_MAP
        angle = angle_of(rotation_of(prepared.to_native))
        if angle > LARGEST_TILT:
            # Turned heads have other alignments that are nearly as good, and only a good one is certain.
            if quality.information < POOR and not unfit and not space.any_contrast:
                unfit.append(Message("fit_not_aligned"))
            doubts.insert(0, Message("head_turned", angle=angle))
    elif _uncorrelated(space, measured):
        unfit.append(Message("fit_uncorrelated", correlation=measured["correlation"]))
    elif _far(space, measured):
        unfit.append(Message("fit_far", **{name: measured[name] for name in ("correlation", "histogram")}))
    if unfit:
        return Fit("unfit", (*unfit, *doubts), seems, measured)
    return Fit("doubtful" if doubts else "fits", tuple(doubts), "", measured)


def _wider(described: str) -> set[str]:
    """Return the kinds that include a kind."""
    return {T2: {T2_OR_PD}, PD: {T2_OR_PD}}.get(described, set())


def _limits(space: ReferenceSpace) -> tuple[float, float]:
    """Return the limits of unfit and doubtful scans; lower if the training scans themselves differ much."""
    share = min(max(_least_correlation(space), 0.0) / USUAL_CORRELATION, 1.0)
    return UNFIT * share, DOUBTFUL * share


def _least_correlation(space: ReferenceSpace) -> float:
    """Return the correlation of the least similar training scan with the mean, from the limit that has a margin."""
    return 1 - (1 - space.limits["correlation"]) / MARGIN


def _uncorrelated(space: ReferenceSpace, measured: dict[str, float]) -> bool:
    """Return whether a scan has nothing in common with a mean that all training scans resemble."""
    least = _least_correlation(space)
    return least >= LEAST_CORRELATION and measured["correlation"] < UNFIT_SHARE * least


def _far(space: ReferenceSpace, measured: dict[str, float]) -> bool:
    """Return whether both measures of a scan are far beyond the limits that the training scans set."""
    least = _least_correlation(space)
    unlike = least >= LEAST_CORRELATION and measured["correlation"] < FAR_SHARE * least
    return unlike and measured["histogram"] > FAR_TIMES * space.limits["histogram"]


def _seen(measured: dict[str, float], quality: AlignmentQuality, wanted: set[str]) -> str:
    """Return what an unfit scan seems to be; of another contrast only where the mean is a T1 image."""
    if quality.failed or measured["overlap"] < LEAST_OVERLAP:
        return OTHER_PART
    if T1 not in wanted:
        return ""
    if measured["contrast"] < INVERSE:
        return T2_OR_PD
    if measured["structure"] < LEAST_STRUCTURE:
        return ""
    if measured["contrast"] < FLAT:
        return FLAIR
    return FLAIR_OR_AGENT if measured["contrast"] < STEEP else T1_AGENT


def brain_measures(image: np.ndarray, mask: np.ndarray, space: ReferenceSpace) -> dict[str, float]:
    """Measure the similarity of a registered brain to the healthy mean.

    Args:
        image: Standard intensities, (Z, Y, X).
        mask: The brain, bool (Z, Y, X).
        space: The space.

    Returns:
        ``structure``, ``contrast``, and their product ``likeness``, 0 if one of them is negative.
    """
    from scipy.ndimage import binary_erosion, gaussian_filter

    step = space.image.spacing[::-1]
    factors = [max(1, round(GRID_MM / mm)) for mm in step]
    size = np.array(factors) * step
    both = mask & space.mask
    share = _shrunk(both, factors)
    inside = share > 0.5
    core = binary_erosion(inside, iterations=max(1, round(RIM_MM / float(size.min()))))
    if core.sum() < CLASSES:
        return {"structure": 0.0, "contrast": 0.0, "likeness": 0.0}
    weight = inside.astype(np.float32)

    def mean(values: np.ndarray, mm: float) -> np.ndarray:
        sigma = mm / size
        return gaussian_filter(values * weight, sigma) / np.maximum(gaussian_filter(weight, sigma), 1e-6)

    scan, healthy = (
        mean(_shrunk(np.where(both, values, 0), factors) / np.maximum(share, 0.5), SMOOTH_MM)
        for values in (image, space.image.array)
    )
    scan_mean, healthy_mean = mean(scan, WINDOW_MM), mean(healthy, WINDOW_MM)
    variances = (mean(values**2, WINDOW_MM) - own**2 for values, own in ((scan, scan_mean), (healthy, healthy_mean)))
    covariance = mean(scan * healthy, WINDOW_MM) - scan_mean * healthy_mean
    local = covariance / np.sqrt(np.maximum(np.multiply(*variances), 1e-12))
    structure = float(np.median(local[core]))
    contrast = _contrast(scan[core], healthy[core])
    likeness = structure * min(contrast, 1.0) if structure > 0 and contrast > 0 else 0.0
    return {"structure": structure, "contrast": contrast, "likeness": likeness}


def _contrast(scan: np.ndarray, healthy: np.ndarray) -> float:
    """Return the slope of the median of a scan over that of the healthy mean, in classes of the healthy mean (N,)."""
    edges = np.quantile(healthy, np.linspace(0, 1, CLASSES + 1)[1:-1])
    of = np.digitize(healthy, edges)
    classes = [number for number in range(CLASSES) if (of == number).any()][TISSUE]
    if len(classes) < 2:
        return 0.0
    x, y = (np.array([np.median(values[of == number]) for number in classes]) for values in (healthy, scan))
    spread = float(((x - x.mean()) ** 2).sum())
    return float(((x - x.mean()) * (y - y.mean())).sum()) / spread if spread > 0 else 0.0


def _shrunk(values: np.ndarray, factors: list[int]) -> np.ndarray:
    """Return the means of blocks of voxels, (Z, Y, X) float32; incomplete blocks at the ends are left out."""
    sizes = [count // factor for count, factor in zip(values.shape, factors)]
    whole = values[tuple(slice(0, size * factor) for size, factor in zip(sizes, factors))]
    blocks = whole.reshape([part for pair in zip(sizes, factors) for part in pair])
    return blocks.mean(axis=(1, 3, 5), dtype=np.float32)
