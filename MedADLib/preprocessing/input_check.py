"""What MedAD thinks of a scan before it runs, in a tenth of a second: size, skull, and whether the model fits.

Unfit is only what a run would refuse; what is told from the values, such as that a scan is a CT, is doubt. The contrast
of an MR scan is not guessed: how bright the brain's core is against its rim, for one, was right in 56 T1 scans of two
scanners and wrong in the T1 and T2 of a third and in the MNI template. The run itself compares with the training scans.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np

from ..runtime.versions import installed_version
from ..volume import Volume, is_single_slice
from .brain_extraction import SMALLEST_BRAIN_ML, background_of, is_skull_stripped

SAMPLE_VOXELS, PAIRS = 2_000_000, 300_000
THICK_MM = 5.0
# No healthy adult's brain is smaller along any axis; less means that a part is not in the scan.
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
    """What the check needs to know of a model; `ModelSummary` has it.

    Attributes:
        name: For messages.
        modality: The kind of scan it knows; empty if it does not say.
        kind: ``3-D``, ``2-D`` or ``3-D field``.
    """

    name: str
    modality: str
    kind: str


@dataclass(frozen=True)
class InputReport:
    """What to tell of a scan.

    Attributes:
        lines: Size, content and, where there is a model or a doubt, the verdict; for people.
        verdict: ``fits`` as far as can be seen, ``doubtful`` (it runs, but the result may mean nothing), or ``unfit``
            (a run would refuse it).
        reason: Why it is doubtful or unfit; empty if it fits.
    """

    lines: tuple[str, ...]
    verdict: Verdict
    reason: str


def inspect(volume: Volume, model: KnownModel | None = None, masked: bool = False, whole: bool = False) -> InputReport:
    """Look at a scan.

    Args:
        volume: The scan; its voxels may be of any number type.
        model: The chosen model, if there is one.
        masked: Whether the user gives the mask to examine, so that the skull does not matter.
        whole: Whether the scan need not show a brain, as for a model of whole fields of view.
    """
    single, whole = is_single_slice(volume), whole or (model is not None and model.kind == "3-D field")
    lines = [_size(volume)]
    unfit = values_unfit(volume.array) or _shape_unfit(volume, model, single, whole)
    if unfit:
        return InputReport((*lines, f"unfit: {unfit}"), "unfit", unfit)
    sample = _sample(volume)
    doubts = list(_value_doubts(volume, sample, model, whole))
    if single:
        lines.append("a single slice, examined in its whole field of view")
    elif masked:
        lines.append("examined inside the given mask")
    elif whole:
        lines.append("examined in its whole field of view")
    else:
        stripped = is_skull_stripped(volume)
        tissue_ml = _tissue_ml(sample)
        if stripped and tissue_ml < 0.75 * SMALLEST_BRAIN_ML:
            unfit = "; ".join([*doubts, f"it shows only {tissue_ml:.0f} mL, too little for a brain"])
            return InputReport((*lines, f"unfit: {unfit}"), "unfit", unfit)
        doubts += _extent_doubts(volume, stripped, tissue_ml)
        lines.append(_skull(stripped, bool(doubts)))
    doubts += _grid_doubts(volume)
    if doubts:
        return InputReport((*lines, f"doubtful: {'; '.join(doubts)}"), "doubtful", "; ".join(doubts))
    if model is not None:
        lines.append(f"fits {model.name}, if it is {model.modality}" if model.modality else f"fits {model.name}")
    return InputReport(tuple(lines), "fits", "")


def _size(volume: Volume) -> str:
    voxels, spacing = volume.array.shape[::-1], volume.spacing
    extent = np.array(voxels) * spacing
    text = (
        f"{' × '.join(map(str, voxels))} voxels of {' × '.join(f'{step:.3g}' for step in spacing)} mm, "
        f"{' × '.join(f'{length:.0f}' for length in extent)} mm"
    )
    memory = _memory_gb(volume)
    return f"{text}; needs about {memory:.0f} GB of memory" if memory >= MUCH_GB else text


def _memory_gb(volume: Volume) -> float:
    return MEMORY_GB + MEMORY_GB_PER_VOXEL * volume.array.size


def values_unfit(array: np.ndarray) -> str:
    """Why no run can use these voxels, (Z, Y, X); empty if it can."""
    if array.size == 0:
        return "it has no voxels"
    # Two numbers that are infinite or no number if any voxel is: one pass each, no copy.
    low, high = float(array.min()), float(array.max())
    if not (np.isfinite(low) and np.isfinite(high)):
        return "some values are no numbers (NaN or infinite); replace them first"
    return f"all its values are {low:g}" if low == high else ""


def _shape_unfit(volume: Volume, model: KnownModel | None, single: bool, whole: bool) -> str:
    """Why the model cannot take a volume of this shape."""
    if model is not None and model.kind == "2-D":
        return "" if single else f"{model.name} knows single slices; choose a 3-D model, or give one slice"
    if single and model is not None:
        return f"a single slice, and {model.name} knows volumes; choose a 2-D model"
    whole_ml = volume.array.size * volume.voxel_ml
    if not single and not whole and whole_ml < SMALLEST_BRAIN_ML:
        return f"its whole field of view has {whole_ml:.0f} mL, less than a brain. Is the voxel spacing in millimetres?"
    return ""


def _sample(volume: Volume) -> Volume:
    """Every n-th voxel along each axis, so that statistics take no time."""
    step = max(1, round((volume.array.size / SAMPLE_VOXELS) ** (1 / 3)))
    affine = volume.affine @ np.diag([step, step, step, 1.0])
    return Volume(np.ascontiguousarray(volume.array[::step, ::step, ::step]), affine, volume.name)


def _value_doubts(volume: Volume, sampled: Volume, model: KnownModel | None, anything: bool) -> Iterator[str]:
    """What the values say against the scan."""
    sample = sampled.array
    whole = sample.dtype.kind in "biu" or bool((sample == np.rint(sample)).all())
    labels = np.unique(sample).size if whole else 0
    if whole and labels <= MOST_LABELS and _equal_neighbours(volume.array, background_of(sample)) > EQUAL_NEIGHBOURS:
        yield f"it looks like a label map, with {labels} different values, not like a scan"
        return
    if anything:
        # Which modality a model of any part of the body learned, only the run itself can tell.
        return
    air, tissue = (float(((sample >= low) & (sample <= high)).mean()) for low, high in (AIR_HU, TISSUE_HU))
    if min(air, tissue) >= SHARE_OF_EACH and (model is None or not re.search(r"\bCT\b", model.modality)):
        knows = f", and {model.name} knows {model.modality}" if model is not None and model.modality else ""
        yield f"its values are those of a CT (Hounsfield units){knows}"


def _equal_neighbours(array: np.ndarray, background: float) -> float:
    """The share of neighbouring voxels of the same value, where neither is background."""
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
    """About how much is not background."""
    signal = np.abs(sample.array.astype(np.float32) - np.float32(background_of(sample.array)))
    # The mean of what is there instead of a percentile, which would have to sort it.
    level = float(signal.mean(where=signal > 0)) if signal.any() else 0.0
    return float((signal > 0.08 * level).sum()) * sample.voxel_ml


def _skull(stripped: bool, odd: bool) -> str:
    if stripped:
        return "skull-stripped"
    if odd:
        return "not skull-stripped"
    extra = "" if installed_version("deepbet") else ", which needs deepbet"
    return f"with skull: the brain will be cut out first (about 10 s without a GPU{extra})"


def _extent_doubts(volume: Volume, stripped: bool, tissue_ml: float) -> Iterator[str]:
    """What the size of what is shown says against the scan."""
    extent = np.array(volume.array.shape[::-1]) * volume.spacing
    if extent.min() < SHORTEST_BRAIN_MM:
        yield f"it covers only {extent.min():.0f} mm along one axis, so part of the brain is missing"
    elif stripped and tissue_ml < SMALL_BRAIN_ML:
        yield f"it shows only {tissue_ml:.0f} mL, and a whole brain has 900 to 1700 mL"
    elif not stripped and tissue_ml > LARGEST_HEAD_ML:
        yield f"it shows {tissue_ml / 1000:.0f} litres, more than a head"


def _grid_doubts(volume: Volume) -> Iterator[str]:
    """What the voxels' size and number say against the scan."""
    thickest = float(volume.spacing.max())
    if thickest > THICK_MM and not is_single_slice(volume):
        yield f"its slices are {thickest:.1f} mm thick, and what is thinner may be missed"
    installed, memory = _installed_memory_gb(), _memory_gb(volume)
    if installed is not None and memory > 0.8 * installed:
        yield f"it needs about {memory:.0f} GB of memory, and this computer has {installed:.0f} GB"


def _installed_memory_gb() -> float | None:
    """The computer's memory; None where the system does not say."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    except (AttributeError, ValueError, OSError):
        return None
