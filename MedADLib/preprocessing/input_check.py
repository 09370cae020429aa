"""Check of a scan before a run, within a tenth of a second: size, skull, and whether the model fits.

A scan is unfit only if a run would refuse it. Findings from its values are doubts. The check does not guess the
contrast of an MR scan: the brightness of the brain's core relative to its rim, for example, was wrong on one scanner.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal, Protocol

import numpy as np

from ..messages import Message, say
from ..runtime.versions import installed_version
from ..volume import LARGEST_MM, Volume, is_single_slice, largest_extent
from .brain_extraction import SMALLEST_BRAIN_ML, is_skull_stripped
from .empty_slices import background_of, empty_slices, filled

SAMPLE_VOXELS, PAIRS = 2_000_000, 300_000
THICK_MM = 5.0
# No brain of a healthy adult is shorter along any axis; a shorter one means that a part is outside the scan.
SHORTEST_BRAIN_MM = 90.0
SMALL_BRAIN_ML = 700.0
# In the scans at hand, neighbours are equal for 0.76 to 1.00 of label maps and for up to 0.17 of 8-bit scans.
EQUAL_NEIGHBOURS, MOST_LABELS = 0.5, 1000
AIR_HU, TISSUE_HU, SHARE_OF_EACH = (-1100, -900), (-200, 200), 0.03
LARGEST_HEAD_ML = 7000.0
# Measured on volumes of 2 to 51 million voxels: 0.74 to 1.91 GB with the atlas; 15 million with the VQ-VAE, 1.35 GB.
MEMORY_GB, MEMORY_GB_PER_VOXEL, MUCH_GB = 1.0, 25e-9, 4.0

Verdict = Literal["fits", "doubtful", "unfit"]


class KnownModel(Protocol):
    """The facts about a model that the check uses, such as those of `ModelSummary`.

    Attributes:
        name: For messages.
        modality: The kind of scan that it is for; empty if unknown.
        kind: ``3-D``, ``2-D`` or ``3-D field``.
    """

    name: str
    modality: str
    kind: str


@dataclass(frozen=True)
class InputReport:
    """Result of the input check.

    Attributes:
        facts: Size, content and, where there is a model and no doubt, that it fits.
        verdict: ``fits`` as far as the check can tell, ``doubtful`` (a run is possible, but the result may mean
            nothing), or ``unfit`` (a run would refuse the scan).
        reasons: Why the scan is doubtful or unfit; empty if it fits.
    """

    facts: tuple[Message, ...]
    verdict: Verdict
    reasons: tuple[Message, ...] = ()

    def doubted(self, reason: Message) -> InputReport:
        """Return the report with one more doubt."""
        return replace(
            self, verdict="unfit" if self.verdict == "unfit" else "doubtful", reasons=(*self.reasons, reason)
        )

    @property
    def reason(self) -> str:
        """The reasons as one text, in the language of the application."""
        return "; ".join(message.translated() for message in self.reasons)

    @property
    def lines(self) -> tuple[str, ...]:
        """Facts and, with its reasons, the verdict, in the language of the application."""
        lines = tuple(message.translated() for message in self.facts)
        if not self.reasons:
            return lines
        return (*lines, say("scan_unfit" if self.verdict == "unfit" else "scan_doubtful", reasons=self.reason))


def inspect(volume: Volume, model: KnownModel | None = None, masked: bool = False, whole: bool = False) -> InputReport:
    """Check a scan before a run.

    Args:
        volume: The scan; its voxels may be of any number type.
        model: The chosen model, if there is one.
        masked: Whether the user gives the mask to examine, so that the skull does not matter.
        whole: Whether the scan need not show a brain, as for a model of whole fields of view.
    """
    single, whole = is_single_slice(volume), whole or (model is not None and model.kind == "3-D field")
    facts = [_size(volume)]
    if not volume.has_spacing:
        facts.append(Message("scan_without_spacing"))
    unfit = values_unfit(volume.array) or extent_unfit(volume) or _shape_unfit(volume, model, single, whole)
    if unfit:
        return InputReport(tuple(facts), "unfit", (unfit,))
    sample = _sample(volume)
    doubts = list(_value_doubts(volume, sample, model, whole))
    if single:
        facts.append(Message("scan_single_slice"))
    elif masked:
        facts.append(Message("scan_masked"))
    elif whole:
        facts.append(Message("scan_whole"))
    else:
        empty = empty_slices(volume)
        if empty.too_many:
            return InputReport(tuple(facts), "unfit", (*doubts, empty.too_many))
        doubts += empty.messages
        stripped = is_skull_stripped(filled(volume, empty))
        tissue_ml = _tissue_ml(sample)
        if stripped and tissue_ml < 0.75 * SMALLEST_BRAIN_ML:
            return InputReport(tuple(facts), "unfit", (*doubts, Message("scan_little_tissue", ml=tissue_ml)))
        doubts += _extent_doubts(volume, stripped, tissue_ml)
        facts.append(_skull(stripped, bool(doubts)))
    doubts += _grid_doubts(volume)
    if doubts:
        return InputReport(tuple(facts), "doubtful", tuple(doubts))
    if model is not None and model.modality:
        facts.append(Message("scan_fits_if", model=model.name, modality=model.modality))
    elif model is not None:
        facts.append(Message("scan_fits", model=model.name))
    return InputReport(tuple(facts), "fits")


def _size(volume: Volume) -> Message:
    voxels, spacing = volume.array.shape[::-1], volume.spacing
    if not volume.has_spacing:
        return Message("scan_size_pixels", pixels=" × ".join(str(count) for count in voxels if count > 1))
    sizes = {
        "voxels": " × ".join(map(str, voxels)),
        "spacing": " × ".join(f"{step:.3g}" for step in spacing),
        "extent": " × ".join(f"{length:.0f}" for length in np.array(voxels) * spacing),
    }
    memory = _memory_gb(volume)
    return Message("scan_size_memory", gb=memory, **sizes) if memory >= MUCH_GB else Message("scan_size", **sizes)


def _memory_gb(volume: Volume) -> float:
    return MEMORY_GB + MEMORY_GB_PER_VOXEL * volume.array.size


def values_unfit(array: np.ndarray) -> Message | None:
    """Return why no run can use these voxels, shape (Z, Y, X); None if a run can."""
    if array.size == 0:
        return Message("scan_no_voxels")
    # Minimum and maximum are not finite if any voxel is not: one pass each, no copy.
    low, high = float(array.min()), float(array.max())
    if not (np.isfinite(low) and np.isfinite(high)):
        return Message("scan_not_finite")
    return Message("scan_one_value", value=low) if low == high else None


def extent_unfit(volume: Volume) -> Message | None:
    """Return that a field of view cannot be in mm; None if it can."""
    extent = largest_extent(volume)
    return Message("scan_too_large", mm=extent, limit=LARGEST_MM) if extent > LARGEST_MM else None


def _shape_unfit(volume: Volume, model: KnownModel | None, single: bool, whole: bool) -> Message | None:
    """Return why the model cannot take a volume of this shape."""
    if model is not None and model.kind == "2-D":
        return None if single else Message("scan_needs_slice", model=model.name)
    if single and model is not None:
        return Message("scan_needs_volume", model=model.name)
    whole_ml = volume.array.size * volume.voxel_ml
    if not single and not whole and whole_ml < SMALLEST_BRAIN_ML:
        return Message("scan_too_small", ml=whole_ml)
    return None


def _sample(volume: Volume) -> Volume:
    """Return every n-th voxel along each axis, so that statistics take no time."""
    step = max(1, round((volume.array.size / SAMPLE_VOXELS) ** (1 / 3)))
    affine = volume.affine @ np.diag([step, step, step, 1.0])
    return Volume(np.ascontiguousarray(volume.array[::step, ::step, ::step]), affine, volume.name)


def _value_doubts(volume: Volume, sampled: Volume, model: KnownModel | None, anything: bool) -> Iterator[Message]:
    """Yield doubts from the values of the scan."""
    sample = sampled.array
    if labels := _labels(volume, sample):
        yield Message("scan_label_map", labels=labels)
        return
    if anything:
        # The check cannot tell which modality a model of any part of the body was trained on; only the run can.
        return
    if _hounsfield(sample) and (model is None or not re.search(r"\bCT\b", model.modality)):
        if model is not None and model.modality:
            yield Message("scan_ct_not_modality", model=model.name, modality=model.modality)
        else:
            yield Message("scan_ct")


def labels_of(volume: Volume) -> int:
    """Return how many different values a volume has that looks like a label map; 0 for a scan."""
    return _labels(volume, _sample(volume).array)


def _labels(volume: Volume, sample: np.ndarray) -> int:
    whole = sample.dtype.kind in "biu" or bool((sample == np.rint(sample)).all())
    labels = int(np.unique(sample).size) if whole else 0
    few = 0 < labels <= MOST_LABELS
    return labels if few and _equal_neighbours(volume.array, background_of(sample)) > EQUAL_NEIGHBOURS else 0


def looks_like_ct(volume: Volume) -> bool:
    """Return whether the values of a scan are those of a CT in Hounsfield units: much air and much soft tissue."""
    return _hounsfield(_sample(volume).array)


def _hounsfield(sample: np.ndarray) -> bool:
    shares = [float(((sample >= low) & (sample <= high)).mean()) for low, high in (AIR_HU, TISSUE_HU)]
    return min(shares) >= SHARE_OF_EACH


def _equal_neighbours(array: np.ndarray, background: float) -> float:
    """Return the share of neighbouring voxels of the same value, where neither is background."""
    step = max(1, round((array.size / PAIRS) ** (1 / 3)))
    equal = count = 0
    for axis in range(3):
        if array.shape[axis] < 2:
            continue
        lines = np.moveaxis(array[tuple(slice(None, None, 1 if axis == n else step) for n in range(3))], axis, 0)
        first, second = lines[:-1:step], lines[1::step]
        both = (first != background) & (second != background)
        equal += int((first == second)[both].sum())
        count += int(both.sum())
    return equal / max(count, 1)


def _tissue_ml(sample: Volume) -> float:
    """Estimate the volume in mL that is not background."""
    signal = np.abs(sample.array.astype(np.float32) - np.float32(background_of(sample.array)))
    # The mean of the signal instead of a percentile, which would have to sort it.
    level = float(signal.mean(where=signal > 0)) if signal.any() else 0.0
    return float((signal > 0.08 * level).sum()) * sample.voxel_ml


def _skull(stripped: bool, odd: bool) -> Message:
    if stripped:
        return Message("scan_stripped")
    if odd:
        return Message("scan_not_stripped")
    return Message("scan_skull" if installed_version("deepbet") else "scan_skull_no_deepbet")


def _extent_doubts(volume: Volume, stripped: bool, tissue_ml: float) -> Iterator[Message]:
    """Yield doubts from the size of the scan and of what it shows."""
    extent = np.array(volume.array.shape[::-1]) * volume.spacing
    if extent.min() < SHORTEST_BRAIN_MM:
        yield Message("scan_part_missing", mm=float(extent.min()))
    elif stripped and tissue_ml < SMALL_BRAIN_ML:
        yield Message("scan_small_brain", ml=tissue_ml)
    elif not stripped and tissue_ml > LARGEST_HEAD_ML:
        yield Message("scan_larger_than_head", litres=tissue_ml / 1000)


def _grid_doubts(volume: Volume) -> Iterator[Message]:
    """Yield doubts from size and number of the voxels."""
    thickest = float(volume.spacing.max())
    if thickest > THICK_MM and not is_single_slice(volume):
        yield Message("scan_thick_slices", mm=thickest)
    installed, memory = _installed_memory_gb(), _memory_gb(volume)
    if installed is not None and memory > 0.8 * installed:
        yield Message("scan_much_memory", gb=memory, installed=installed)


def _installed_memory_gb() -> float | None:
    """Return the memory of the computer in GB; None where the system does not report it."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    except (AttributeError, ValueError, OSError):
        return None
