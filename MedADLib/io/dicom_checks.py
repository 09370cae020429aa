"""Checks that DICOM slices are one whole volume: of one kind, none missing, and headers that agree with each other."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np

from ..errors import InputError
from ..messages import Message
from .dicom_files import FrameGroups
from .dicom_slices import COMMON_NUMBERS, Slice

log = logging.getLogger(__name__)

# How far a slice may be from its place in an even row of slices, in mm and as a share of their distance.
JITTER_MM, JITTER_SHARE = 0.3, 0.15
# Echo times and other settings of one volume differ by less than this share, repetition times of gated scans by more.
SETTING_TOLERANCE = 0.05
TOLERANCES = {"RepetitionTime": 0.5, "SpacingBetweenSlices": 0.1}
# Two distances are the same if they differ by less than this share.
SAME_DISTANCE = 0.05
# Slopes that differ by less than this share were rounded.
SAME_SLOPE = 1e-3
# Slices of 2-D scans that are so many times as far apart as they are thick leave out as much as they show.
WIDE_GAP, WIDE_GAP_3D = 1.9, 1.3
# Numbers with this rank correlation to the positions follow them, but for single slices.
NEARLY_SORTED = 0.9
# Degrees of a tilt that the positions must show.
LEAST_TILT = 1.0
# How many of the missing slices an error names.
NAMED = 5


def check_kind(folder: Path, slices: Sequence[Slice], heights: np.ndarray) -> None:
    """Check that the slices of a series show one thing.

    Args:
        folder: What to name in an error.
        slices: Sorted along their normal.
        heights: Of each slice along the normal, mm.

    Raises:
        InputError: If they show several, such as magnitude and phase, or some lie at one position.
    """
    shown = {member.component for member in slices} - {""}
    if len(shown) > 1:
        raise InputError("several_components_of_signal", folder=folder, components=", ".join(sorted(shown)))
    echoes = [member.echo for member in slices if member.echo is not None]
    if echoes and max(echoes) - min(echoes) > SETTING_TOLERANCE * max(echoes):
        raise InputError("several_echoes", folder=folder, least=min(echoes), most=max(echoes))
    times, weightings = ({getattr(member, name) for member in slices} - {""} for name in ("time", "diffusion"))
    if len(times) > 1:
        raise InputError("several_time_points", folder=folder, count=len(times))
    if len(weightings) > 1:
        raise InputError("several_diffusion_weightings", folder=folder, count=len(weightings))
    types = {member.types for member in slices}
    if len(types) > 1:
        shown = ", ".join(sorted("\\".join(one) for one in types)[:3])
        raise InputError("several_image_types", folder=folder, count=len(types), types=f"{shown:.200}")
    if any(member.file.value("ModalityLUTSequence") for member in slices):
        raise InputError("intensity_tables", folder=folder)
    _check_common(folder, slices)
    _check_rescaling(folder, slices)
    _check_stacks(folder, slices, heights)
    gaps = np.diff(heights)
    if gaps.min() > min(JITTER_MM, JITTER_SHARE * gaps.max()):
        return
    volumes = {member.file.path for member in slices if member.file.frames > 1}
    if len(volumes) > 1:
        raise InputError("several_volumes", folder=folder, count=len(volumes))
    raise InputError("several_at_one_position", folder=folder)


def _check_common(folder: Path, slices: Sequence[Slice]) -> None:
    """Raise InputError if an attribute has several values that is the same in all slices of a volume."""
    numbers = {keyword for keyword, *_ in COMMON_NUMBERS}
    for name in sorted({name for member in slices for name in member.common}):
        values = sorted({member.common[name] for member in slices if name in member.common})
        if name in numbers:
            limit = TOLERANCES.get(name, SETTING_TOLERANCE) * max(map(abs, values))
            count = 1 + sum(after - before > limit for before, after in pairwise(values))
        else:
            count = len(values)
        if name == "TemporalPositionTimeOffset" and count == len(slices):
            # Each slice of a volume has its own time.
            continue
        if count > 1:
            raise InputError("several_values", folder=folder, count=count, attribute=name.rpartition(" ")[2])


def _check_rescaling(folder: Path, slices: Sequence[Slice]) -> None:
    """Raise InputError if some slices lack the slope or intercept of others: their intensities cannot be compared."""
    if any((member.slope, member.intercept) != (1.0, 0.0) for member in slices):
        for stated in zip(*(member.rescaled for member in slices)):
            if 0 < sum(stated) < len(slices):
                raise InputError("rescaling_incomplete", folder=folder, count=len(slices) - sum(stated))


def with_one_scale(folder: Path, slices: Sequence[Slice]) -> list[Slice]:
    """Give slices the slopes and intercepts that make their intensities comparable.

    Where the usual rescaling is the same in all slices, but the map to real world values or Philips's private scale
    differs between them, the stored values are not comparable, and that map replaces it.

    Raises:
        InputError: If some slices lack a map that differs between the others, or two maps contradict each other.
    """
    if _differ([(member.slope, member.intercept) for member in slices]):
        return list(slices)
    found = []
    for scales in zip(*(member.scales for member in slices)):
        known = [scale for scale in scales if scale is not None]
        if known and _differ(known):
            if len(known) < len(slices):
                raise InputError("rescaling_incomplete", folder=folder, count=len(slices) - len(known))
            found.append(known)
    if not found:
        return list(slices)
    first, *others = found
    for other in others:
        # The values of one are those of the other but for one factor and one summand.
        ratios = [(one[0] / two[0], one[1] - two[1] * one[0] / two[0]) for one, two in zip(first, other)]
        if _differ(ratios, max(abs(slope) for slope, _ in first)):
            raise InputError("rescaling_contradicts", folder=folder)
    return [replace(member, slope=slope, intercept=start) for member, (slope, start) in zip(slices, first)]


def _differ(scales: Sequence[tuple[float, float]], step: float | None = None) -> bool:
    """Return whether slopes differ, or intercepts by more than one step: by default, one stored value."""
    slopes, intercepts = np.array(scales).T
    largest = np.abs(slopes).max()
    return bool(np.ptp(slopes) > SAME_SLOPE * largest or np.ptp(intercepts) > (step or largest))


def _check_stacks(folder: Path, slices: Sequence[Slice], heights: np.ndarray) -> None:
    """Raise InputError if stacks of slices lie side by side or overlap, so that they do not complete each other."""
    stacks: dict[str, list[int]] = {}
    for number, member in enumerate(slices):
        stacks.setdefault(member.stack, []).append(number)
    if len(stacks) < 2:
        return
    ends = sorted((heights[members[0]], heights[members[-1]]) for members in stacks.values())
    if any(after[0] <= before[1] for before, after in pairwise(ends)) or _is_shifted(slices):
        raise InputError("several_stacks", folder=folder, count=len(stacks))


def _is_shifted(slices: Sequence[Slice]) -> bool:
    """Return whether some of the slices are shifted within their plane by more than half a pixel."""
    positions, cosines = np.array([member.position for member in slices]), slices[0].cosines
    normal = np.cross(cosines[:3], cosines[3:])
    sideways = positions - positions[0]
    sideways -= np.outer(sideways @ normal, normal)
    return bool(np.abs(sideways).max() > 0.5 * min(slices[0].spacing))


def check_parts(folder: Path, slices: Sequence[Slice]) -> None:
    """Raise InputError if an image of several frames is spread over several files, and some of them are missing."""
    images: dict[str, dict[int, tuple[int, int]]] = {}
    totals: Counter[str] = Counter()
    for file in {id(member.file): member.file for member in slices}.values():
        part = file.number("InConcatenationNumber")
        if part < 1:
            continue
        image = file.text("ConcatenationUID")
        images.setdefault(image, {})[part] = (file.number("ConcatenationFrameOffsetNumber", -1), file.frames)
        totals[image] = max(totals[image], file.number("InConcatenationTotalNumber"), part)
    for image, parts in images.items():
        if len(parts) < totals[image]:
            raise InputError("parts_missing", folder=folder, found=len(parts), count=totals[image])
        ordered = [parts[number] for number in sorted(parts)]
        offsets = np.cumsum([0, *(frames for _, frames in ordered)])
        for (offset, _), expected in zip(ordered, offsets):
            if offset > expected:
                count = offset - int(expected)
                raise InputError("missing_slices", folder=folder, count=count, gaps=f"{expected} ({count})")


def check_row(folder: Path, slices: Sequence[Slice], heights: np.ndarray) -> None:
    """Check that slices lie in an even row of which no slice is missing.

    What the headers prove is an error. What they only suggest, and where they contradict the positions, is a warning
    with the numbers.

    Args:
        folder: What to name.
        slices: At least two, sorted along their normal.
        heights: Of each slice along the normal, mm.

    Raises:
        InputError: If slices are missing, unevenly spaced, or shifted by a tilted gantry.
    """
    gaps = np.diff(heights)
    usual = float(np.median(gaps))
    _refuse_gaps(folder, {n + 1: round(gap / usual) - 1 for n, gap in enumerate(gaps) if gap > 1.5 * usual})
    step, start = np.polyfit(np.arange(len(slices)), heights, 1)
    even = start + step * np.arange(len(slices))
    if np.abs(heights - even).max() > min(JITTER_MM, JITTER_SHARE * step):
        raise InputError("uneven_slices", folder=folder, least=gaps.min(), most=gaps.max())
    if _is_shifted(slices):
        raise InputError("tilted_gantry", folder=folder)
    tilt = FrameGroups.first_of(slices[0].file).numbers(1, "GantryDetectorTilt")
    normal = np.cross(slices[0].cosines[:3], slices[0].cosines[3:])
    if tilt is not None and abs(tilt[0]) > LEAST_TILT and np.abs(normal).max() > np.cos(np.radians(LEAST_TILT)):
        log.warning(Message("tilt_not_in_positions", folder=str(folder), degrees=float(tilt[0])))
    _check_numbers_in_stacks(folder, slices)
    _check_distance(folder, slices, float(gaps.mean()))


def _refuse_gaps(folder: Path, missing: dict[int, int]) -> None:
    """Raise InputError if slices are missing, by the number of the slice that they follow."""
    if missing:
        gaps = ", ".join(f"{after} ({count})" for after, count in list(missing.items())[:NAMED])
        gaps += ", …" if len(missing) > NAMED else ""
        raise InputError("missing_slices", folder=folder, count=sum(missing.values()), gaps=gaps)


def _check_numbers_in_stacks(folder: Path, slices: Sequence[Slice]) -> None:
    """Refuse slices of which the numbers within their stacks, which begin at 1, prove that others are missing."""
    stacks: dict[str, list[tuple[int, int]]] = {}
    for at, member in enumerate(slices):
        if member.in_stack is not None:
            stacks.setdefault(member.stack, []).append((at, member.in_stack))
    numbered = [pair for stack in stacks.values() for pair in stack]
    numbers = [number for _, number in numbered]
    if len(numbered) < len(slices) or set(numbers) == {1}:
        # Some writers give each file of one frame a stack of its own.
        return
    if sorted(numbers) == list(range(1, len(slices) + 1)):
        # Each stack may go on where the one before ends.
        stacks = {"": sorted(numbered)}
    orders = [_order([number for _, number in stack]) for stack in stacks.values()]
    if any(NEARLY_SORTED < order < 1.0 for order in orders):
        raise InputError("slice_numbers_contradict", folder=folder)
    if min(orders) < 1.0:
        log.warning(Message("slice_order_contradicts", folder=str(folder)))
        return
    missing: dict[int, int] = {}
    for stack in stacks.values():
        for (at, before), (_, after) in pairwise(stack):
            if abs(after - before) > 1:
                missing[at + 1] = abs(after - before) - 1
        lowest, least = min(stack, key=lambda pair: pair[1])
        if least > 1:
            after = lowest if lowest == stack[0][0] else lowest + 1
            missing[after] = missing.get(after, 0) + least - 1
    _refuse_gaps(folder, dict(sorted(missing.items())))


def _order(numbers: Sequence[int]) -> float:
    """Return how far numbers rise or fall: 1 if they do so all the way, 0 if they are in no order."""
    steps = np.diff(numbers)
    if (steps > 0).all() or (steps < 0).all():
        return 1.0
    if len(set(numbers)) < len(numbers):
        return 0.0
    ranks = np.argsort(np.argsort(numbers))
    # Never 1 by rounding.
    return min(abs(float(np.corrcoef(ranks, np.arange(len(ranks)))[0, 1])), 0.9999)


def _check_distance(folder: Path, slices: Sequence[Slice], distance: float) -> None:
    """Compare the distance in mm between slices with what the headers state about it, and about their number."""
    stated, thickness = (_median([getattr(member, name) for member in slices]) for name in ("distance", "thickness"))
    first = slices[0]
    # The standard measures between the centres of slices; some writers of classic files state the gap between slices.
    is_gap = (
        not first.file.has_groups
        and stated is not None
        and thickness is not None
        and stated < thickness / 1.05
        and _same(stated + thickness, distance)
    )
    agrees = bool(stated) and _same(stated, distance)
    step = _step_of_numbers(slices)
    times = distance / stated if stated else 0.0
    if stated and not agrees and not is_gap and round(times) > 1 and _same(times, round(times)) and not _derived(first):
        _refuse_each_gap(folder, slices, round(times))
    # Between the slices there is space for those with the numbers in between.
    space = bool(thickness) and distance / step >= 0.9 * thickness
    if step > 1 and space and not agrees and not is_gap:
        _refuse_each_gap(folder, slices, step)
    if stated and not agrees and not is_gap:
        log.warning(Message("slice_distance_contradicts", folder=str(folder), distance=distance, stated=stated))
    wide = WIDE_GAP_3D if first.file.text("MRAcquisitionType") == "3D" else WIDE_GAP
    is_wide = bool(thickness) and distance > wide * thickness and not agrees and not is_gap
    if is_wide:
        log.warning(Message("slices_far_apart", folder=str(folder), thickness=thickness, distance=distance))
    touching = bool(thickness) and distance <= thickness / 0.9
    _check_numbers(folder, slices, agrees or touching or (bool(thickness) and not space))


def _refuse_each_gap(folder: Path, slices: Sequence[Slice], step: int) -> None:
    _refuse_gaps(folder, dict.fromkeys(range(1, len(slices)), step - 1))


def _median(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.median(known)) if known else None


def _same(one: float, other: float) -> bool:
    return abs(one - other) <= SAME_DISTANCE * other


def _derived(member: Slice) -> bool:
    """Return whether an image was computed from others, of which it can have the distance."""
    return member.types[0] == "DERIVED"


def _numbers(slices: Sequence[Slice]) -> list[int]:
    """Return the numbers of the images in ascending order; none if one is unknown or two are the same."""
    numbers = {member.number for member in slices}
    return sorted(numbers) if None not in numbers and len(numbers) == len(slices) else []


def _step_of_numbers(slices: Sequence[Slice]) -> int:
    """Return of how many numbers each image has one: by the images of the acquisition, or by their numbers."""
    steps = set(np.diff(_numbers(slices)).tolist())
    if len(steps) == 1:
        (step,) = steps
        if step > 1:
            return step
    stated, found = _images_of_acquisition(slices)
    # Every second one of 5 leaves 3.
    return -(-stated // found) if stated >= 2 * found - 1 and found > 2 else 1


def _images_of_acquisition(slices: Sequence[Slice]) -> tuple[int, int]:
    """Return how many images of one acquisition the header counts for a volume, and how many there are."""
    acquisitions = Counter(member.file.text("AcquisitionNumber") for member in slices)
    found, first = max(acquisitions.values()), slices[0]
    stated = max(member.file.number("ImagesInAcquisition") for member in slices)
    if _derived(first) or _is_one_of_several(first):
        return found, found
    return max(stated, found), found


def _is_one_of_several(member: Slice) -> bool:
    """Return whether the header states that the acquisition gave several volumes, so that its numbers leave gaps."""
    text = member.file.text
    return (
        member.file.number("NumberOfTemporalPositions", 1) > 1
        or text("EchoNumbers") not in ("", "0", "1")
        or member.time not in ("", "0", "1")
    )


def _check_numbers(folder: Path, slices: Sequence[Slice], gaps_explained: bool) -> None:
    """Warn if numbers of images, or the stated count of them, suggest that slices are missing."""
    numbers = _numbers(slices)
    if numbers and not _is_one_of_several(slices[0]):
        between = numbers[-1] - numbers[0] + 1 - len(numbers)
        steps = np.diff(numbers)
        # Numbers of every second image can begin at 2.
        before = numbers[0] - 1 if numbers[0] > steps.min() else 0
        missing = max(before, 0) + (0 if gaps_explained else between)
        if missing:
            kept = {"count": len(slices), "first": numbers[0], "last": numbers[-1], "missing": missing}
            log.warning(Message("image_numbers_incomplete", folder=str(folder), **kept))
            return
    if numbers and NEARLY_SORTED < _order([member.number for member in slices]) < 1.0:
        log.warning(Message("slice_order_contradicts", folder=str(folder)))
    stated, found = _images_of_acquisition(slices)
    if stated > found:
        log.warning(Message("fewer_images_than_stated", folder=str(folder), count=found, stated=stated))
