"""Texts of a result: verdict, regions and their positions, provenance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..detection import FIT, HAS_ORIENTATION, HAS_SPACING, SMALLEST_REGION_ML
from ..masks import bounding_slices, connected_components
from ..messages import Message, as_json, from_json, say, translated
from ..methods.registry import ENTRIES
from ..preprocessing.fit import KINDS, kind_name
from ..scoring.regions import SMALLEST_POSITIVE
from .strip import score_name, strip_text
from .units import a_value_text, explanation, meaning, value_text

if TYPE_CHECKING:
    from ..detection import Detection
    from ..scoring.regions import Region

# Entry of the provenance if the reader filters small regions afterwards; the setting of the run is in its settings.
SMALLEST = "smallest_region_ml"
# Part of each out-of-distribution warning in results of version 0.1, which hold no codes of warnings.
EARLIER_WORDS = "unlike the model's training data"
# Codes of the reasons of a scan that does not fit, and of one that fits doubtfully.
UNFIT = (
    *("fit_header", "fit_ct", "fit_no_brain", "fit_not_aligned", "fit_part_missing", "fit_other_contrast"),
    *("fit_uncorrelated", "fit_far", "fit_label_map"),
)
DOUBTS = (
    *("empty_slices_bridged", "head_turned", "fit_little_contrast", "out_of_distribution", "brain_overlap_low"),
    "volume_other_shape",
)
# Codes of the number of regions: only specks, none, one, several; with and without their meaning in healthy scans.
COUNTED = ("specks_counted", "no_region_counted", "region_counted", "regions_counted")
COUNTED_BARE = ("specks_counted_bare", "no_region_counted_bare", "region_counted_bare", "regions_counted_bare")
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
    "smallest_region_px": "fact_smallest_region_px",
    "has_spacing": "fact_has_spacing",
    "has_orientation": "fact_has_orientation",
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


def lacks_spacing(detection: Detection) -> bool:
    """Return whether the file of the scan has no spacing, as PNG: sizes are then in pixels.

    A result of an earlier version does not know it, and has sizes in mL.
    """
    return _input(detection).get(HAS_SPACING) is False


def lacks_orientation(detection: Detection) -> bool:
    """Return whether the file of the scan has no orientation, as PNG or a radiograph: a place is then a pixel."""
    return _input(detection).get(HAS_ORIENTATION) is False


def in_pixels(detection: Detection) -> bool:
    """Return whether the scan is an image without spacing or orientation, which has no volumes in mL."""
    return lacks_spacing(detection) or lacks_orientation(detection)


def amount(detection: Detection, ml: float) -> str:
    """Format a volume on the grid of the scan, the only place that does it.

    Returns:
        In mL. Of an image without spacing pixels and the share of the image, of a radiograph with spacing mm².
    """
    if not in_pixels(detection):
        return millilitres(ml)
    count = round(ml / detection.volume.voxel_ml)
    share = 100.0 * count / detection.volume.array.size
    if lacks_spacing(detection):
        return Message("pixels_of_image", pixels=pixels_text(count), share=share)
    area = count * _pixel_area(detection)
    return Message("square_mm", area=f"{area:.0f}" if area >= 100 else f"{area:.3g}", share=share)


def limit_text(detection: Detection, ml: float) -> str:
    """Format a smallest volume on the grid of the scan: in mL, of an image in pixels."""
    return pixels_text(round(ml / detection.volume.voxel_ml)) if in_pixels(detection) else millilitres(ml)


def pixels_text(count: int) -> Message:
    """Format a number of pixels."""
    return Message("pixel_one") if count == 1 else Message("pixels", count=count)


def size_unit(detection: Detection) -> str:
    """Return the unit of `size_number`: ``mL``, ``px`` or ``mm²``."""
    if not in_pixels(detection):
        return "mL"
    return "px" if lacks_spacing(detection) else "mm²"


def size_number(detection: Detection, region: Region) -> float:
    """Return the size of a region in the unit of `size_unit`, for a column of numbers."""
    if not in_pixels(detection):
        return region.volume_ml
    count = round(region.volume_ml / detection.volume.voxel_ml)
    return float(count) if lacks_spacing(detection) else count * _pixel_area(detection)


def size_digits(detection: Detection, largest: float) -> int:
    """Return the decimals of a column of sizes with this largest number."""
    if size_unit(detection) == "px":
        return 0
    return 2 if largest < 100 else 1


def false_positives(detection: Detection) -> Message:
    """Return the expected false positives at the threshold: mL per healthy scan, or the share of a healthy image."""
    ml = float(detection.expected_false_positive_ml)
    if in_pixels(detection):
        return Message("false_positives_share", share=100.0 * ml / detection.reference.brain_ml)
    return Message("false_positives_ml", ml=ml)


def pixel_of(detection: Detection, ras: Sequence[float]) -> tuple[int, int]:
    """Return the column and row (from 0) of a point in RAS mm of a single slice."""
    voxel = np.linalg.solve(detection.volume.affine, [*ras, 1.0])[:3]
    column, row = (round(float(voxel[axis])) for axis in _plane(detection))
    return column, row


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


def short_place(detection: Detection, region: Region) -> str:
    """Format the peak of a region as ``R 23, P 40, S 5`` in mm, or in an image as ``col 34, row 120``."""
    if in_pixels(detection):
        column, row = pixel_of(detection, region.peak_ras)
        return say("column_row_short", column=column, row=row)
    ras = region.peak_ras
    letters = (DIRECTIONS[axis][int(mm >= 0)][0].upper() for axis, mm in enumerate(ras))
    return ", ".join(f"{letter} {abs(mm):.0f}" for letter, mm in zip(letters, ras))


def location(detection: Detection, region: Region) -> str:
    """Format side and peak of a region: ``R, peak at 23 mm right, 40 mm posterior, 5 mm superior``.

    In an image without spacing or orientation: ``peak at column 34, row 120``.
    """
    if in_pixels(detection):
        column, row = pixel_of(detection, region.peak_ras)
        return say("peak_at", place=say("column_row", column=column, row=row))
    peak = place(region.peak_ras)
    if region.side == "R":
        return say("peak_at_right", place=peak)
    if region.side == "L":
        return say("peak_at_left", place=peak)
    return say("peak_at_bilateral", place=peak) if region.side else say("peak_at", place=peak)


def count_of_regions(detection: Detection) -> Message:
    """Return number and total volume of the regions, and the threshold, as an English sentence like `verdict`.

    With what the threshold means in healthy scans, unless the result is not interpretable.
    """
    count, (specks, none, one, several) = len(detection.regions), COUNTED_BARE
    limit = {"threshold": a_value_text(detection, detection.threshold)}
    if detection.interpretable:
        specks, none, one, several = COUNTED
        limit["meaning"] = meaning(detection, detection.threshold)
        limit["expected"] = false_positives(detection)
    if not count and only_specks(detection):
        smallest = limit_text(detection, smallest_region_ml(detection.provenance))
        return Message(specks, smallest=smallest, **limit)
    if not count:
        return Message(none, **limit)
    volume = amount(detection, sum(region.volume_ml for region in detection.regions))
    if count == 1:
        return Message(one, volume=volume, **limit)
    return Message(several, count=count, volume=volume, **limit)


def only_specks(detection: Detection) -> bool:
    """Return whether a result without regions has voxels above the threshold, all in parts too small to be listed.

    Parts that are large enough were regions that the reader rejected.
    """
    above = detection.anomaly.array >= max(detection.threshold, SMALLEST_POSITIVE)
    box = None if detection.regions else bounding_slices(above)
    if box is None:
        return False
    largest = np.bincount(connected_components(above[box])[above[box]]).max()
    smallest = smallest_region_ml(detection.provenance)
    return bool(largest * detection.anomaly.voxel_ml < smallest * (1 - 1e-9))


def top_regions(detection: Detection, most: int = 5) -> list[str]:
    """Return one line for each of the most anomalous regions."""
    if not detection.interpretable:
        return [
            say(
                "region_line_bare",
                rank=region.rank,
                volume=amount(detection, region.volume_ml),
                peak=value_text(detection, region.peak),
                location=location(detection, region),
            )
            for region in detection.regions[:most]
        ]
    return [
        say(
            "region_line",
            rank=region.rank,
            volume=amount(detection, region.volume_ml),
            peak=value_text(detection, region.peak),
            p=region.p_value,
            q=region.q_value,
            location=location(detection, region),
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


def smallest_region_ml(provenance: Mapping[str, Any]) -> float:
    """Return the volume (mL) below which regions are not listed.

    Args:
        provenance: Of a detection; a value that the reader set afterwards comes before the setting of the run.
    """
    settings = provenance.get("settings")
    value = provenance.get(SMALLEST, settings.get(SMALLEST) if isinstance(settings, dict) else None)
    return float(value) if type(value) in (int, float) and 0 <= value < 1e4 else SMALLEST_REGION_ML


def _input(detection: Detection) -> Mapping[str, Any]:
    known = detection.provenance.get("input")
    return known if isinstance(known, dict) else {}


def _plane(detection: Detection) -> list[int]:
    """Return the axes (x, y, z) of the columns and rows of a single slice."""
    thin = int(np.argmin(detection.volume.array.shape[::-1]))
    return [axis for axis in range(3) if axis != thin]


def _pixel_area(detection: Detection) -> float:
    """Return the area of a pixel in mm²."""
    return float(np.prod(detection.volume.spacing[_plane(detection)]))


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
        # In an image, the smallest region is a number of pixels.
        without = SMALLEST if "smallest_region_px" in value else None
        return [title, *(_row(_title(key), item) for key, item in value.items() if key != without)]
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
