"""Texts of a result: verdict, regions and their positions, provenance."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ..detection import FIT
from ..messages import Message, as_json, from_json, say, translated
from ..methods.registry import ENTRIES
from ..preprocessing.fit import KINDS, kind_name
from .strip import score_name, strip_text
from .units import a_value_text, explanation, meaning, value_text

if TYPE_CHECKING:
    from ..detection import Detection
    from ..scoring.regions import Region

# Part of each out-of-distribution warning in results of version 0.1, which hold no codes of warnings.
EARLIER_WORDS = "unlike the model's training data"
# Codes of the reasons of a scan that does not fit, and of one that fits doubtfully.
UNFIT = ("fit_header", "fit_ct", "fit_no_brain", "fit_not_aligned", "fit_other_contrast", "fit_uncorrelated")
DOUBTS = ("head_turned", "fit_little_contrast", "out_of_distribution", "brain_overlap_low", "volume_other_shape")
DIRECTIONS = (("left", "right"), ("posterior", "anterior"), ("inferior", "superior"))

KNOWN = ("model", "method", "seed", "settings", "device", "brain_mask", "input", "resemblance", "facts", "versions")
# Entries that the sentences on the result contain.
IN_RESULT = ("map_unit", "scan_score")
# Codes of the titles of provenance entries and of the facts in them; any other key is its own title.
TITLES = {
    "model": "fact_model",
    "method": "fact_method",
    "seed": "fact_seed",
    "settings": "fact_settings",
    "device": "fact_device",
    "brain_mask": "fact_examined_part",
    "input": "fact_input",
    "resemblance": "fact_similarity",
    "fit": "fact_fit",
    "measured": "fact_measured",
    "seems": "fact_seems",
    "force": "fact_force",
    "facts": "fact_restoration",
    "found_by": "fact_found_by",
    "brought_down": "fact_brought_down",
    "versions": "fact_versions",
    "smallest_region_ml": "fact_smallest_region",
    "fast": "fact_fast",
    "overlap": "fact_overlap",
    "histogram": "fact_histogram",
    "codes_redrawn_per_slice": "fact_codes_resampled_slice",
    "codes_redrawn_per_volume": "fact_codes_resampled_volume",
    "codes_changed_per_slice": "fact_codes_changed_slice",
    "codes_changed_per_volume": "fact_codes_changed_volume",
    "restorations_drawn": "fact_restorations",
    "restorations_per_slice": "fact_distinct_restorations_slice",
    "restorations_per_volume": "fact_distinct_restorations_volume",
}
# Codes of the stages of a run and their timed parts; any other part is its own name.
PARTS = {
    "reading": "part_reading",
    "loading the model": "part_model",
    "brain mask": "part_brain_mask",
    "field of view": "part_field",
    "preparation": "part_preparation",
    "restoration": "part_restoration",
    "anomaly map": "part_map",
    "regions": "part_regions",
    "writing": "part_writing",
    "align": "part_registration",
    "resample": "part_resampling",
    "bias field": "part_bias_field",
    "encode": "part_encoding",
    "nll": "part_likelihood",
    "restore": "part_sampling",
    "decode": "part_decoding",
    "back to native": "part_to_scan",
    "import": "part_import",
    "picture": "part_figure",
    "write": "part_writing",
}


def verdict(detection: Detection) -> Message:
    """Return score, its name and p-value with the number of healthy scans that they rest on.

    A reader must see that with n healthy scans no p-value can be below 1/(n+1).

    Returns:
        The English sentence for files and the console; `messages.translated` gives it in the language of the
        application.
    """
    if not detection.interpretable:
        return Message("not_interpretable", reason=unfit_reason(detection))
    count = detection.healthy_count
    numbers = {"score": float(detection.score), "p": float(detection.p_value), "smallest": 1.0 / (count + 1)}
    numbers["name"] = score_name(detection)
    if count == 1:
        return Message("verdict_against_one", **numbers)
    return Message("verdict", count=count, **numbers)


def panel_verdict(detection: Detection, kept: int | None = None, smaller: str = "") -> str:
    """Return the result in one line without scores, in the language of the application.

    For example, ``More anomalous than 5 of 5 healthy scans; 3 regions``. Healthy scans with the same score count as no
    less anomalous. Without a region, the largest value of the map takes the regions' place.

    Args:
        detection: The result.
        kept: How many regions the reader keeps; None for all.
        smaller: The volume that the reader set as the smallest one, if only smaller regions lie above the threshold.
    """
    if not detection.interpretable:
        return say("not_interpretable", reason=unfit_reason(detection))
    return f"{_whole(detection)}; {_regions(detection, kept, smaller)}"


def doubt(detection: Detection) -> Message | None:
    """Return the line above the verdict of a scan that fits the model only doubtfully; None without doubts."""
    fit = detection.provenance.get(FIT)
    if not (isinstance(fit, dict) and fit.get("verdict") == "doubtful"):
        return None
    own = next((text for text in detection.warnings if isinstance(text, Message) and text.code in DOUBTS), "")
    return Message("doubtful", reason=own or say("fact_unknown"))


def unfit_reason(detection: Detection) -> str:
    """Return why the scan of a result does not fit the model."""
    return next((text for text in detection.warnings if isinstance(text, Message) and text.code in UNFIT), "")


def seems(detection: Detection) -> Message | None:
    """Return what the scan of a result seems to be, if it does not fit the model and that is known."""
    fit = detection.provenance.get(FIT)
    kind = fit.get("seems") if isinstance(fit, dict) else None
    return Message("seems_to_be", kind=kind_name(kind)) if kind in KINDS else None


def out_of_distribution(detection: Detection) -> str:
    """Return the warning that the scan is out of distribution; empty if there is none.

    Warnings of earlier versions have no code and are recognised by their words.
    """
    return next(filter(_is_out_of_distribution, detection.warnings), "")


def warning_codes(warnings: Sequence[str]) -> list[dict[str, Any] | None]:
    """Return codes and parameters of warnings in order, for a JSON document; None for a warning without a code."""
    return [as_json(warning) for warning in warnings]


def restored_warnings(texts: Sequence[str], codes: Any) -> tuple[str, ...]:
    """Restore the codes of stored warnings, so that they can be translated.

    Args:
        texts: The English sentences.
        codes: Result of `warning_codes` for them; if it is missing or does not fit, the texts stay plain.

    Returns:
        A `Message` for each warning with a known code, otherwise its text.
    """
    if not isinstance(codes, list | tuple) or len(codes) != len(texts):
        return tuple(str(text) for text in texts)
    return tuple(from_json(str(text), document) for text, document in zip(texts, codes))


def millilitres(volume: float) -> str:
    """Format a volume in mL with three digits."""
    return f"{volume:.0f} mL" if volume >= 100 else f"{volume:.3g} mL"


def place(ras: Sequence[float]) -> str:
    """Format a point in RAS mm as, for example, ``23 mm right, 40 mm posterior, 5 mm superior``."""
    right, anterior, superior = (float(mm) for mm in ras)
    return ", ".join(
        (
            say("mm_right", mm=abs(right)) if right >= 0 else say("mm_left", mm=-right),
            say("mm_anterior", mm=abs(anterior)) if anterior >= 0 else say("mm_posterior", mm=-anterior),
            say("mm_superior", mm=abs(superior)) if superior >= 0 else say("mm_inferior", mm=-superior),
        )
    )


def short_place(ras: Sequence[float]) -> str:
    """Format a point in RAS mm as, for example, ``R 23, P 40, S 5``."""
    letters = (DIRECTIONS[axis][int(mm >= 0)][0].upper() for axis, mm in enumerate(ras))
    return ", ".join(f"{letter} {abs(mm):.0f}" for letter, mm in zip(letters, ras))


def location(region: Region) -> str:
    """Format side and peak of a region: ``R, peak at 23 mm right, 40 mm posterior, 5 mm superior``."""
    peak = place(region.peak_ras)
    if region.side == "R":
        return say("peak_at_right", place=peak)
    if region.side == "L":
        return say("peak_at_left", place=peak)
    return say("peak_at_bilateral", place=peak) if region.side else say("peak_at", place=peak)


def count_of_regions(detection: Detection) -> Message:
    """Return number and total volume of the regions, and the threshold, as an English sentence like `verdict`."""
    count = len(detection.regions)
    limit = {
        "threshold": a_value_text(detection, detection.threshold),
        "meaning": meaning(detection, detection.threshold),
        "ml": float(detection.expected_false_positive_ml),
    }
    if not count:
        return Message("no_region_counted", **limit)
    volume = millilitres(sum(region.volume_ml for region in detection.regions))
    if count == 1:
        return Message("region_counted", volume=volume, **limit)
    return Message("regions_counted", count=count, volume=volume, **limit)


def top_regions(detection: Detection, most: int = 5) -> list[str]:
    """Return one line for each of the most anomalous regions."""
    if not detection.interpretable:
        return [
            say(
                "region_line_bare",
                rank=region.rank,
                volume=millilitres(region.volume_ml),
                peak=value_text(detection, region.peak),
                location=location(region),
            )
            for region in detection.regions[:most]
        ]
    return [
        say(
            "region_line",
            rank=region.rank,
            volume=millilitres(region.volume_ml),
            peak=value_text(detection, region.peak),
            p=region.p_value,
            q=region.q_value,
            location=location(region),
        )
        for region in detection.regions[:most]
    ]


def provenance_text(detection: Detection) -> str:
    """List the provenance of a detection, one fact a line, in the language of the application.

    Returns:
        Plain text, with four digits of each number that is not whole; missing facts are left out.
    """
    known = detection.provenance
    lines = [
        _capitalised(say("fact_result")),
        _row(say("fact_verdict"), translated(verdict(detection))),
        *([_row(say("fact_healthy_scans"), translated(strip_text(detection)))] if detection.interpretable else ()),
        _row(say("fact_regions"), translated(count_of_regions(detection))),
        _row(say("fact_unit"), translated(explanation(detection))),
    ]
    for name in (*KNOWN, *sorted(set(known) - {*KNOWN, *IN_RESULT, "seconds"})):
        if name in known:
            lines += ["", *_block(name, known[name])]
    if isinstance(known.get("seconds"), dict):
        seconds = known["seconds"]
        total = sum(value for value in seconds.values() if isinstance(value, (int, float)))
        lines += ["", _capitalised(say("fact_seconds", seconds=total))]
        lines += [_row(translated(part_name(part)), f"{_text(value)} s") for part, value in seconds.items()]
    heading = say("fact_warnings") if detection.warnings else say("fact_no_warnings")
    lines += ["", _capitalised(heading), *(f"  {translated(warning)}" for warning in detection.warnings)]
    return "\n".join(lines) + "\n"


def part_name(part: Any) -> str:
    """Return the English name of a stage or timed part of a run; a `Message` if it is known."""
    return Message(PARTS[part]) if part in PARTS else str(part)


def _is_out_of_distribution(warning: str) -> bool:
    if isinstance(warning, Message):
        return warning.code in ("out_of_distribution", "scores_higher_everywhere")
    return EARLIER_WORDS in warning


def _whole(detection: Detection) -> str:
    """Return how many healthy scans have a lower score."""
    scores = detection.reference.sample_scores
    below, count = int((scores < detection.score).sum()), len(scores)
    if count == 1:
        return say("more_anomalous_than_one") if below else say("no_more_anomalous_than_one")
    if below:
        return say("more_anomalous_than", below=below, count=count)
    return say("no_more_anomalous_than", count=count)


def _regions(detection: Detection, kept: int | None, smaller: str) -> str:
    """Return the number of regions; without any, the largest value of the map."""
    found = len(detection.regions)
    if found and kept is not None and kept < found:
        return say("region_kept", kept=kept) if found == 1 else say("regions_kept", kept=kept, count=found)
    if smaller and not found:
        return say("smaller_only", volume=smaller)
    if found:
        return say("region_found") if found == 1 else say("regions_found", count=found)
    largest = float(detection.anomaly.array.max(initial=0.0))
    threshold = a_value_text(detection, detection.threshold)
    if largest >= detection.threshold and largest > 0:
        return say("specks_only", threshold=threshold)
    return say("no_region", threshold=threshold, largest=largest)


def _block(name: str, value: Any) -> list[str]:
    """Format a fact as one line, or as a heading with its facts below."""
    title = _capitalised(_title(name))
    if name == FIT and isinstance(value, dict) and value.get("seems") in KINDS:
        value = {**value, "seems": translated(kind_name(value["seems"]))}
    if isinstance(value, dict):
        return [title, *(_row(_title(key), item) for key, item in value.items())]
    if name == "method" and value in ENTRIES:
        value = ENTRIES[value].title
    elif name == "device" and value == "cpu":
        value = "CPU"
    return [f"{title}: {_text(value)}"]


def _title(name: Any) -> str:
    """Return the title of a key of the provenance."""
    return say(TITLES[name]) if name in TITLES else str(name)


def _capitalised(text: str) -> str:
    text = text.replace("_", " ")
    return text[:1].upper() + text[1:]


def _row(name: str, value: Any) -> str:
    return f"  {name.replace('_', ' ')}: {_text(value)}"


def _text(value: Any) -> str:
    if isinstance(value, (list, tuple)):
        return ", ".join(_text(item) for item in value) or say("fact_none")
    if isinstance(value, dict):
        return ", ".join(f"{_title(key)} {_text(item)}" for key, item in value.items()) or say("fact_none")
    if isinstance(value, bool):
        return say("fact_yes") if value else say("fact_no")
    if isinstance(value, float):
        return f"{value:.0f}" if abs(value) >= 1000 else f"{value:.4g}"
    return say("fact_unknown") if value is None else str(value)
