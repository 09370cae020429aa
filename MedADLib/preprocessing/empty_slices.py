"""Empty slices inside a scan: planes along any axis of its grid that hold one value, such as lost or failed slices."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from ..errors import InputError
from ..messages import Message
from ..volume import Volume, body_axes

MOST_IN_A_ROW, MOST_SHARE = 3, 0.1
# The sections of a head on both sides of lost slices are alike; those of a head and of a table below it are not.
LEAST_ALIKE, LEAST_MM2 = 0.3, 100.0
SIGNAL = 0.02
SAMPLED = 64
MOST_SHOWN = 6
AXIS_CODES = ("axis_left_right", "axis_front_back", "axis_up_down")


@dataclass(frozen=True)
class EmptySlices:
    """Slices without content between slices with content.

    Attributes:
        runs: Array axis (of Z, Y, X), first empty slice, and the slice behind the last one, of each run.
        messages: Number, axis and position of the slices, one message an axis; of code `empty_slices_bridged`, or
            `empty_slices` for too many.
    """

    runs: tuple[tuple[int, int, int], ...] = ()
    messages: tuple[Message, ...] = ()

    @property
    def too_many(self) -> Message | None:
        """The message of the axis with too many empty slices for a result; None if they can be bridged."""
        return next((message for message in self.messages if message.code == "empty_slices"), None)

    def places(self) -> Iterator[tuple[tuple, tuple, tuple]]:
        """Yield the index of each empty slice with those of the next slices with content before and behind it."""
        for axis, start, stop in self.runs:
            before, behind = _at(axis, start - 1), _at(axis, stop)
            for number in range(start, stop):
                yield _at(axis, number), before, behind


def empty_slices(volume: Volume) -> EmptySlices:
    """Find the empty slices inside a scan, (Z, Y, X): those of one value, or of one value on the background.

    Slices around the content are not lost. A gap between things of different section, such as a head and a table, is
    not lost either.
    """
    array = volume.array
    if min(array.shape) < 3:
        return EmptySlices()
    background = background_of(array)
    runs, content = [], {}
    for axis in range(3):
        inside = np.flatnonzero(~_empty(array, axis, background))
        if not inside.size:
            continue
        content[axis] = int(inside[-1] + 1 - inside[0])
        for before, behind in zip(inside[:-1], inside[1:]):
            if behind - before > 1 and _alike(volume, axis, int(before), int(behind), background):
                runs.append((axis, int(before) + 1, int(behind)))
    return EmptySlices(tuple(runs), tuple(_messages(volume, runs, content)))


def check_slices(volume: Volume) -> EmptySlices:
    """Return the empty slices of a scan.

    Raises:
        InputError: If there are more than can be bridged.
    """
    found = empty_slices(volume)
    if found.too_many:
        raise InputError("empty_slices", **found.too_many.parameters)
    return found


def filled(volume: Volume, empty: EmptySlices) -> Volume:
    """Return a scan with its empty slices interpolated from the slices around them; the scan itself without any."""
    if not empty.runs:
        return volume
    array = volume.array.copy()
    for axis, start, stop in empty.runs:
        before, behind = (array[_at(axis, number)].astype(np.float64) for number in (start - 1, stop))
        for number in range(start, stop):
            share = (number - start + 1) / (stop - start + 1)
            values = before + share * (behind - before)
            array[_at(axis, number)] = np.rint(values) if array.dtype.kind in "iu" else values
    return volume.with_array(array)


def bridged(mask: np.ndarray, empty: EmptySlices) -> np.ndarray:
    """Return a mask, bool (Z, Y, X), with the empty slices where it is set on both sides of them."""
    if not empty.runs:
        return mask
    mask = mask.copy()
    for place, before, behind in empty.places():
        mask[place] = mask[before] & mask[behind]
    return mask


def without(mask: np.ndarray, empty: EmptySlices) -> np.ndarray:
    """Return a mask, bool (Z, Y, X), without the empty slices."""
    if not empty.runs:
        return mask
    mask = mask.copy()
    for place, _, _ in empty.places():
        mask[place] = False
    return mask


def background_of(array: np.ndarray) -> float:
    """Return the most frequent value on the six faces of a volume."""
    faces = np.concatenate([array.take(end, axis).ravel() for axis in range(3) for end in (0, -1)])
    values, counts = np.unique(faces, return_counts=True)
    return float(values[counts.argmax()])


def _at(axis: int, number: int) -> tuple:
    return (slice(None),) * axis + (number,)


def _empty(array: np.ndarray, axis: int, background: float) -> np.ndarray:
    """Return which slices along an axis have one value, or one value on the background, bool (N,)."""
    steps = tuple(
        slice(None, None, 1 if other == axis else max(1, n // SAMPLED)) for other, n in enumerate(array.shape)
    )
    found = _one_value(np.moveaxis(array[tuple(steps)], axis, 0), background)
    for number in np.flatnonzero(found):
        found[number] = _one_value(array[_at(axis, number)][None], background)[0]
    return found


def _one_value(slices: np.ndarray, background: float) -> np.ndarray:
    """Return which slices (N, A, B) have at most one value but the background, bool (N,)."""
    rows = slices.reshape(len(slices), -1)
    other = rows != np.asarray(background, rows.dtype)
    first = rows[np.arange(len(rows)), other.argmax(axis=1)]
    return ~(other & (rows != first[:, None])).any(axis=1)


def _alike(volume: Volume, axis: int, before: int, behind: int, background: float) -> bool:
    """Return whether the sections on both sides of empty slices are of the same thing."""
    sections = [np.abs(volume.array[_at(axis, number)].astype(np.float64) - background) for number in (before, behind)]
    level = np.percentile(np.concatenate([section[section > 0] for section in sections]), 95)
    one, other = (section > SIGNAL * level for section in sections)
    both = int((one & other).sum())
    mm2 = volume.voxel_ml * 1000 / float(volume.spacing[::-1][axis])
    return both * mm2 >= LEAST_MM2 and both >= LEAST_ALIKE * max(int(one.sum()), int(other.sum()))


def _messages(volume: Volume, runs: Sequence[tuple[int, int, int]], content: dict[int, int]) -> Iterator[Message]:
    """Describe the empty slices along each axis; of code `empty_slices` if there are too many to be bridged."""
    body = body_axes(volume.affine[:3, :3])
    for axis, length in content.items():
        own = [(start, stop) for of, start, stop in runs if of == axis]
        if not own:
            continue
        count, row = sum(stop - start for start, stop in own), max(stop - start for start, stop in own)
        shown = ", ".join(
            f"{start}" if stop - start == 1 else f"{start}-{stop - 1}" for start, stop in own[:MOST_SHOWN]
        )
        facts = {
            "name": volume.name,
            "count": count,
            "length": length,
            "mm": count * float(volume.spacing[::-1][axis]),
            "axis": Message(AXIS_CODES[body[2 - axis]]),
            "numbers": shown + (", …" if len(own) > MOST_SHOWN else ""),
            "row": row,
        }
        if row > MOST_IN_A_ROW or count > max(1, int(MOST_SHARE * length)):
            yield Message("empty_slices", most=MOST_IN_A_ROW, share=MOST_SHARE, **facts)
        else:
            yield Message("empty_slices_bridged", **facts)
