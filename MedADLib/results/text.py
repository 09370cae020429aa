"""A result and its provenance in words.

A result in words, for the panel, the browser view, the console and the figure.

How a result was made, for a person to read, print or send to a colleague.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..detection import Detection
    from ..scoring.regions import Region

# Contained in every warning that a scan is out of distribution; results of earlier versions have no code for it.
OUT_OF_DISTRIBUTION = "unlike the model's training data"
UNIT = "SD above the healthy mean"
DIRECTIONS = (("left", "right"), ("posterior", "anterior"), ("inferior", "superior"))

KNOWN = ("model", "method", "seed", "settings", "device", "brain_mask", "input", "resemblance", "facts", "versions")
TITLES = {
    "brain_mask": "examined part",
    "resemblance": "similarity to the training data",
    "facts": "restoration",
    "smallest_region_ml": "smallest region listed (mL)",
}


def verdict(detection: Detection) -> str:
    """Score and p-value, with the number of healthy scans that they rest on.

    A reader must see that with n healthy scans no p-value can be below 1/(n+1).
    """
    count = detection.healthy_count
    return (
        f"score {detection.score:.4g}, p = {detection.p_value:.2g} "
        f"(against {count} healthy scans; the smallest possible p is {1.0 / (count + 1):.2g})"
    )


def panel_verdict(detection: Detection) -> str:
    """The result in one line for a reader who has not heard of scores.

    For example, ``More anomalous than 5 of 5 healthy scans; 3 regions; smallest possible p is 0.17``. Healthy scans
    with the same score count as no less anomalous. Without a region, the largest z-score takes the regions' place.
    """
    scores = detection.reference.sample_scores
    below, count = int((scores < detection.score).sum()), len(scores)
    healthy = f"{below} of {count} healthy scan{'' if count == 1 else 's'}"
    whole = f"More anomalous than {healthy}" if below else f"No more anomalous than any of {count} healthy scans"
    if count == 1 and not below:
        whole = "No more anomalous than the one healthy scan"
    return f"{whole}; {_regions_in_words(detection)}; smallest possible p is {detection.reference.smallest_p:.2g}"


def out_of_distribution(detection: Detection) -> str:
    """Return the warning that the scan is unlike the training data; empty if there is none."""
    return next((text for text in detection.warnings if OUT_OF_DISTRIBUTION in text), "")


def _regions_in_words(detection: Detection) -> str:
    found = len(detection.regions)
    if found:
        return "1 region" if found == 1 else f"{found} regions"
    largest = float(detection.anomaly.array.max(initial=0.0))
    threshold = f"a z-score of {detection.threshold:.3g}"
    if largest >= detection.threshold and largest > 0:
        return f"only specks above {threshold}, each too small to be listed"
    return f"no region above {threshold}, the largest z-score is {largest:.3g}"


def millilitres(volume: float) -> str:
    """A volume in mL, to three digits."""
    return f"{volume:.0f} mL" if volume >= 100 else f"{volume:.3g} mL"


def place(ras: Sequence[float]) -> str:
    """A point in RAS mm as, for example, ``23 mm right, 40 mm posterior, 5 mm superior``."""
    return ", ".join(f"{abs(mm):.0f} mm {DIRECTIONS[axis][int(mm >= 0)]}" for axis, mm in enumerate(ras))


def short_place(ras: Sequence[float]) -> str:
    """A point in RAS mm as, for example, ``R 23, P 40, S 5``."""
    letters = (DIRECTIONS[axis][int(mm >= 0)][0].upper() for axis, mm in enumerate(ras))
    return ", ".join(f"{letter} {abs(mm):.0f}" for letter, mm in zip(letters, ras))


def location(region: Region) -> str:
    """Side and peak of a region as, for example, ``R, peak at 23 mm right, 40 mm posterior, 5 mm superior``."""
    peak = f"peak at {place(region.peak_ras)}"
    return f"{region.side}, {peak}" if region.side else peak


def count_of_regions(detection: Detection) -> str:
    """How many regions there are, their volume, and above which threshold."""
    expected = detection.expected_false_positive_ml
    passed = f"{UNIT}; expected false positives: {expected:.2g} mL per healthy scan"
    threshold = f"a z-score of {detection.threshold:.3g} ({passed})"
    if not detection.regions:
        return f"no region above {threshold}"
    total = sum(region.volume_ml for region in detection.regions)
    noun = "region" if len(detection.regions) == 1 else "regions"
    return f"{len(detection.regions)} {noun}, {millilitres(total)} in all, above {threshold}"


def top_regions(detection: Detection, most: int = 5) -> list[str]:
    """One line for each of the most anomalous regions."""
    return [
        f"{region.rank}. {millilitres(region.volume_ml)}, peak z-score {region.peak:.3g}, p = {region.p_value:.2g}, "
        f"q = {region.q_value:.2g}, {location(region)}"
        for region in detection.regions[:most]
    ]


def provenance_text(detection: Detection) -> str:
    """Everything that is known of how a detection was made, one fact a line.

    Args:
        detection: What was found.

    Returns:
        Plain text; facts that the detection does not know are left out.
    """
    known = detection.provenance
    lines = ["Result", _row("scan as a whole", verdict(detection)), _row("regions", count_of_regions(detection))]
    for name in KNOWN:
        if name in known:
            lines += ["", *_block(TITLES.get(name, name), known[name])]
    for name in sorted(set(known) - {*KNOWN, "seconds"}):
        lines += ["", *_block(name, known[name])]
    if isinstance(known.get("seconds"), dict):
        seconds = known["seconds"]
        total = sum(value for value in seconds.values() if isinstance(value, (int, float)))
        lines += ["", f"Time: {total:.1f} s", *(_row(stage, f"{value} s") for stage, value in seconds.items())]
    lines += ["", "Warnings" if detection.warnings else "Warnings: none", *(f"  {text}" for text in detection.warnings)]
    return "\n".join(lines) + "\n"


def _block(name: str, value: Any) -> list[str]:
    """A fact of one line, or a heading with its facts below."""
    title = name.replace("_", " ")
    title = title[0].upper() + title[1:]
    if isinstance(value, dict):
        return [title, *(_row(key, item) for key, item in value.items())]
    return [f"{title}: {_text(value)}"]


def _row(name: str, value: Any) -> str:
    return f"  {str(name).replace('_', ' ')}: {_text(value)}"


def _text(value: Any) -> str:
    if isinstance(value, (list, tuple)):
        return ", ".join(_text(item) for item in value) or "none"
    if isinstance(value, dict):
        return ", ".join(f"{key} {_text(item)}" for key, item in value.items()) or "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "not known" if value is None else str(value)
