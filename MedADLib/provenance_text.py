"""How a result was made, for a person to read, print or send to a colleague."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .summary import count_of_regions, verdict

if TYPE_CHECKING:
    from .detection import Detection

KNOWN = ("model", "method", "seed", "settings", "device", "brain_mask", "input", "resemblance", "facts", "versions")
TITLES = {
    "brain_mask": "examined part",
    "resemblance": "similarity to the training data",
    "facts": "restoration",
    "smallest_region_ml": "smallest region listed (mL)",
}


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
