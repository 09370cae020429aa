"""Strip of scan scores: the healthy scans as circles on a line, the examined scan as a filled diamond.

The form of the marks tells them apart, so that no colour is needed. `shapes` lays the strip out once, for the panel,
the figure and the browser page.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Literal

import numpy as np

from ..detection import HAS_ORIENTATION, HAS_SPACING
from ..messages import Message, translated
from ..scoring.healthy_reference import NEEDED, WANTED_P

if TYPE_CHECKING:
    from ..detection import Detection

HEIGHT = 52.0
RADIUS = 3.5
DIAMOND = 6.0
LINE_Y = 34.0
ROWS = 4
TEXT_Y, NUMBER_Y = 9.0, 49.0
TEXT_SIZE = 11.0
# A scan far beyond all healthy ones would press their circles together: the line ends here, in healthy ranges.
FARTHEST = 2.0
OWN_ON_LIGHT, OWN_ON_DARK = "#b84a00", "#ffb454"
# In front of the text of the examined scan: its mark, or the arrow beyond an end of the line.
MARKS = {"": "◆", "start": "◀", "end": "▶"}
# Codes of the kinds of scores, as a calibration names them.
SCORE_NAMES = {
    "method": "score_method",
    "top_1ml": "score_top_1ml",
    "top_1pct": "score_top_1pct",
    "volume": "score_volume",
    "largest": "score_largest",
    "regions": "score_regions",
    "rank": "score_rank",
}


# Instead of those in mL, for an image of pixels.
PIXEL_SCORES = {"top_1ml": "score_top_pixels", "volume": "score_area"}


@dataclass(frozen=True)
class Shape:
    """A part of the strip, in pixels from the upper left corner.

    Attributes:
        kind: ``line`` across the strip, ``circle`` of a healthy scan, ``own`` mark of the examined scan, ``beyond`` for
            the same as an arrow to the right or left, where it lies beyond the end of the line, or ``text``.
        x: Its middle; of a text the anchor.
        y: Its middle; of a text the baseline.
        text: The text, of a text.
        anchor: Where x is in the text: ``start``, ``middle`` or ``end``; of an arrow the end of the line, ``start`` or
            ``end``.
        own: Whether it has the colour of the examined scan.
    """

    kind: Literal["line", "circle", "own", "beyond", "text"]
    x: float
    y: float
    text: str = ""
    anchor: Literal["start", "middle", "end"] = "middle"
    own: bool = False


def score_name(detection: Detection) -> Message:
    """Return what the score of the scan is, such as ``mean rarity of the most anomalous 1 mL``."""
    kind = detection.reference.scan_score
    known = detection.provenance.get("input")
    of_pixels = isinstance(known, dict) and False in (known.get(HAS_SPACING), known.get(HAS_ORIENTATION))
    return Message(PIXEL_SCORES.get(kind, SCORE_NAMES[kind]) if of_pixels else SCORE_NAMES[kind])


def score_lines(detection: Detection) -> list[Message]:
    """Return the score in sentences: its name and value, its p-value, and the healthy scans that a p of .05 needs."""
    if not detection.interpretable:
        return [Message("not_interpretable_short")]
    count, p = detection.healthy_count, float(detection.p_value)
    smallest = 1.0 / (count + 1)
    lines = [Message("scan_score", score=_digits(detection.score), name=score_name(detection))]
    if count == 1:
        lines.append(Message("scan_p_one", p=p))
    elif p <= smallest * (1 + 1e-9):
        lines.append(Message("scan_p_smallest", p=p, count=count))
    else:
        lines.append(Message("scan_p", p=p, count=count, smallest=smallest))
    return [*lines, *scans_needed(count)]


def scans_needed(count: int) -> list[Message]:
    """Return how many healthy scans a p-value of .05 needs, unless there are enough of them."""
    return [] if count >= NEEDED else [Message("scans_needed", p=WANTED_P, needed=NEEDED)]


def strip_text(detection: Detection) -> Message:
    """Return the content of the strip as a sentence, for screen readers and plain texts."""
    scores = detection.reference.sample_scores
    return Message(
        "strip_text",
        score=_digits(detection.score),
        below=int((scores < detection.score).sum()),
        count=len(scores),
        low=_digits(scores.min()),
        high=_digits(scores.max()),
        median=_digits(np.median(scores)),
    )


def shapes(detection: Detection, width: float) -> list[Shape]:
    """Lay the strip out.

    Args:
        detection: The result.
        width: Of the strip in pixels; its height is `HEIGHT`.

    Returns:
        The parts in drawing order; a text is a `Message`, or a number.
    """
    if not detection.interpretable:
        return []
    healthy = np.sort(np.asarray(detection.reference.sample_scores, np.float64))
    own = float(detection.score)
    low, high, side = _ends(healthy, own)
    margin = DIAMOND + 1.0
    room = width - 2 * margin

    def place(score: float) -> float:
        return margin + room * ((score - low) / (high - low) if high > low else 0.5)

    found = [Shape("line", width / 2, LINE_Y)]
    places = [place(score) for score in healthy]
    for x, row in zip(places, _rows(places)):
        found.append(Shape("circle", x, LINE_Y - row * 2 * RADIUS))
    x = place(min(max(own, low), high))
    found.append(Shape("beyond" if side else "own", x, LINE_Y, anchor=side or "middle", own=True))
    part = x / width
    anchor = "start" if part < 0.3 else "end" if part > 0.7 else "middle"
    edge = {"start": max(x - DIAMOND, 0.0), "middle": x, "end": min(x + DIAMOND, width)}[anchor]
    text = Message("strip_own", mark=MARKS[side], score=_digits(own))
    found.append(Shape("text", edge, TEXT_Y, text, anchor, own=True))
    if high > low:
        found.append(Shape("text", 0.0, NUMBER_Y, _digits(low), "start"))
        found.append(Shape("text", width, NUMBER_Y, _digits(high), "end"))
    one = len(healthy) == 1
    text = Message("strip_healthy_one") if one else Message("strip_healthy", count=len(healthy))
    found.append(Shape("text", width / 2, NUMBER_Y, text))
    return found


def svg(detection: Detection, width: float) -> str:
    """Draw the strip for a page with a light ground; its own text describes it to screen readers."""
    parts = []
    for shape in shapes(detection, width):
        colour = OWN_ON_LIGHT if shape.own else "currentColor"
        if shape.kind == "line":
            parts.append(f'<path d="M0 {shape.y}H{width}" stroke="{colour}" opacity=".5"/>')
        elif shape.kind == "circle":
            parts.append(f'<circle cx="{shape.x:.1f}" cy="{shape.y:.1f}" r="{RADIUS}" fill="none" stroke="{colour}"/>')
        elif shape.kind == "text":
            parts.append(
                f'<text x="{shape.x:.1f}" y="{shape.y}" text-anchor="{shape.anchor}" font-size="{TEXT_SIZE}" '
                f'fill="{colour}">{escape(translated(shape.text))}</text>'
            )
        else:
            points = " ".join(f"{x:.1f},{y:.1f}" for x, y in outline(shape))
            parts.append(f'<polygon points="{points}" fill="{colour}" stroke="#fff" stroke-width=".7"/>')
    described = escape(describe(detection))
    return (
        f'<svg role="img" aria-label="{described}" viewBox="0 0 {width} {HEIGHT}" width="100%" '
        f'style="max-width: {width}px">{"".join(parts)}</svg>'
    )


def describe(detection: Detection) -> str:
    """Return name, content and p-value of the strip in the language of the application."""
    lines = score_lines(detection)
    if detection.interpretable:
        lines.append(strip_text(detection))
    return ". ".join(translated(line) for line in lines)


def outline(shape: Shape) -> list[tuple[float, float]]:
    """Return the corners of the mark of the examined scan, in pixels: a diamond, or an arrow beyond an end."""
    x, y, size = shape.x, shape.y, DIAMOND
    if shape.kind == "own":
        return [(x - size, y), (x, y - size), (x + size, y), (x, y + size)]
    tip = x + size if shape.anchor == "end" else x - size
    back = 2 * x - tip
    return [(tip, y), (back, y - size), (back, y + size)]


def _digits(score: float) -> str:
    """Format a score with three digits, or with all digits before the point."""
    return f"{score:.0f}" if 100 <= abs(score) < 1e7 else f"{score:.3g}"


def _ends(healthy: np.ndarray, own: float) -> tuple[float, float, Literal["", "start", "end"]]:
    """Return both ends of the line and, if the examined scan lies beyond one of them, which."""
    low, high = float(healthy[0]), float(healthy[-1])
    span = high - low or max(abs(high), 1e-9)
    side: Literal["", "start", "end"] = ""
    if own > high + FARTHEST * span:
        high, side = high + span, "end"
    elif own < low - FARTHEST * span:
        low, side = low - span, "start"
    else:
        low, high = min(low, own), max(high, own)
    return low, high, side


def _rows(places: Sequence[float]) -> list[int]:
    """Return the row of each circle, from 0 at the line, so that circles do not overlap; places increase."""
    last: list[float] = []
    rows = []
    for x in places:
        row = next((row for row, end in enumerate(last) if x - end >= 2 * RADIUS), len(last))
        if row == ROWS:
            # More circles overlap than fit: the row with the most room takes it.
            row = int(np.argmin(last))
        if row == len(last):
            last.append(x)
        else:
            last[row] = x
        rows.append(row)
    return rows
