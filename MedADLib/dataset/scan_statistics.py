"""Statistics of each healthy scan, kept in a file, and the two kinds of 2-D images.

Whether pictures are of two clearly different kinds, such as brains and chests, by what they show in outline.

Pictures of one kind differ too, but between their two most different groups lies no gap, and the means of the groups
are still alike.

A look at each healthy scan: enough to compare it with the others, and kept so that it is taken once.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ..errors import InputError
from ..io.sources import Source
from ..preprocessing.input_check import InputReport, inspect
from ..preprocessing.intensity import standard_histogram
from ..preprocessing.slice_space import PlaneView, resized
from ..runtime.progress import Progress
from ..volume import Volume, is_single_slice

SIDE = 8
# Two or three odd pictures are no kind of their own.
SMALLEST_KIND, SMALLEST_SHARE = 3, 0.1
ROUNDS = 20

SAMPLE_VOXELS = 1e6
SPAN, DARK = (0.5, 99.5), 0.1


class TwoKinds(NamedTuple):
    """The most different two groups of pictures.

    Attributes:
        apart: 1 less the correlation of the groups' means.
        tidy: The mean silhouette: 1 if every picture is like its own group alone, 0 if like both.
        group: Which pictures are in the first, bool (n,).
    """

    apart: float
    tidy: float
    group: np.ndarray


def thumbnail(picture: np.ndarray) -> tuple[float, ...]:
    """A picture (rows, columns) in few numbers of mean 0 and length 1, the same for any gain and offset."""
    small = resized(picture.astype(np.float32), (SIDE, SIDE)).astype(np.float64).ravel()
    small -= small.mean()
    return tuple(np.round(small / max(float(np.linalg.norm(small)), 1e-12), 4).tolist())


def two_kinds(thumbnails: np.ndarray) -> TwoKinds:
    """Divide pictures into two groups by 2-means, begun along the direction in which they differ most.

    Args:
        thumbnails: (n, numbers), as `thumbnail` gives them.

    Returns:
        The groups; 0 apart if one of them is too small to be a kind.
    """
    count = len(thumbnails)
    if count < 2 * SMALLEST_KIND:
        return TwoKinds(0.0, 0.0, np.zeros(count, bool))
    group = np.linalg.svd(thumbnails - thumbnails.mean(axis=0), full_matrices=False)[0][:, 0] > 0
    for _ in range(ROUNDS):
        if group.all() or not group.any():
            break
        far = [((thumbnails - thumbnails[group == side].mean(axis=0)) ** 2).sum(axis=1) for side in (True, False)]
        group, before = far[0] < far[1], group
        if (group == before).all():
            break
    smaller = min(group.sum(), count - group.sum())
    if smaller < max(SMALLEST_KIND, SMALLEST_SHARE * count):
        return TwoKinds(0.0, 0.0, group)
    apart = 1.0 - np.corrcoef(thumbnails[group].mean(axis=0), thumbnails[~group].mean(axis=0))[0, 1]
    return TwoKinds(float(apart), _silhouette(1.0 - thumbnails @ thumbnails.T, group), group)


def _silhouette(distance: np.ndarray, group: np.ndarray) -> float:
    """The mean silhouette (Rousseeuw 1987) of two groups of at least two.

    Args:
        distance: (n, n), 0 on the diagonal.
        group: bool (n,).
    """
    sums = np.stack([distance[:, group].sum(axis=1), distance[:, ~group].sum(axis=1)])
    counts = np.array([group.sum(), (~group).sum()])
    own = np.where(group, sums[0] / (counts[0] - 1), sums[1] / (counts[1] - 1))
    other = np.where(group, sums[1] / counts[1], sums[0] / counts[0])
    return float(((other - own) / np.maximum(np.maximum(own, other), 1e-12)).mean())


@dataclass(frozen=True)
class Facts:
    """What a look at one scan finds.

    Attributes:
        digest: SHA-256 of shape and values, the same for copies in other files.
        single: Whether it is one slice.
        spacing: Along right, anterior, superior, in mm.
        extent: The same way, in mm.
        histogram: Of the values that are not dark, as fractions.
        thumbnail: Of a single slice, as `scan_statistics` has it; else empty.
        unfit: Why it cannot be used; empty if it can.
        doubt: What is odd about it; empty if nothing.
        unfit_brain: Why it cannot be used as a scan of a brain; empty if it can.
        doubt_brain: What is odd about it as a scan of a brain.
        size: Of the file, and
        changed: when it was changed, so that a look need not be repeated.
    """

    digest: str = ""
    single: bool = False
    spacing: tuple[float, ...] = ()
    extent: tuple[float, ...] = ()
    histogram: tuple[float, ...] = ()
    thumbnail: tuple[float, ...] = ()
    unfit: str = ""
    doubt: str = ""
    unfit_brain: str = ""
    doubt_brain: str = ""
    size: int = 0
    changed: int = 0


def seen(scans: Mapping[str, Source], record: Path, progress: Progress) -> dict[str, Facts]:
    """A look at every scan, or what an earlier look at the unchanged file found.

    Args:
        scans: By name.
        record: JSON file of earlier looks; written anew.
        progress: Told before each scan; may cancel.
    """
    try:
        read = json.loads(record.read_text(encoding="utf-8"))
        # An older version did not look for all of them.
        kept = {name: Facts(**fact) for name, fact in read.items() if fact.keys() == asdict(Facts()).keys()}
    except (OSError, ValueError, TypeError, AttributeError):
        kept = {}
    found: dict[str, Facts] = {}
    for number, (name, source) in enumerate(scans.items()):
        progress.update(number / len(scans), f"checking {name}, {number + 1} of {len(scans)}")
        size, changed = _stamp(source.path)
        if name in kept and (kept[name].size, kept[name].changed) == (size, changed):
            found[name] = kept[name]
        else:
            found[name] = replace(_look(source), size=size, changed=changed)
    record.parent.mkdir(parents=True, exist_ok=True)
    partial = record.with_name(f".partial-{record.name}")
    partial.write_text(json.dumps({name: asdict(fact) for name, fact in found.items()}), encoding="utf-8")
    partial.replace(record)
    return found


def _stamp(path: Path) -> tuple[int, int]:
    """Size and time of change of a file, or of all files of a folder."""
    try:
        states = [entry.stat() for entry in (path.iterdir() if path.is_dir() else (path,))]
    except OSError:
        return 0, 0
    return sum(state.st_size for state in states), max((state.st_mtime_ns for state in states), default=0)


def _look(source: Source) -> Facts:
    try:
        volume = source.read()
    except InputError as error:
        return Facts(unfit=error.problem)
    single = is_single_slice(volume)
    reports = (("", ""), ("", "")) if single else (_against(inspect(volume, whole=w)) for w in (True, False))
    (unfit, doubt), (unfit_brain, doubt_brain) = reports
    axes = np.abs(volume.affine[:3, :3] / volume.spacing).argmax(axis=1)
    spacing, counts = volume.spacing[axes], np.array(volume.array.shape[::-1])[axes]
    digest = hashlib.sha256(str(volume.array.shape).encode())
    digest.update(np.ascontiguousarray(volume.array, np.float32))
    sizes = tuple(spacing.tolist()), tuple((counts * spacing).tolist())
    faults = (unfit, doubt, unfit_brain, doubt_brain)
    outline = thumbnail(PlaneView.of(volume).picture(volume.array)) if single else ()
    return Facts(digest.hexdigest(), single, *sizes, _histogram(volume), outline, *faults)


def _against(report: InputReport) -> tuple[str, str]:
    """Why a scan cannot be used, and what is odd about it."""
    # A run may look at a label map, but there is nothing to learn from one.
    if report.verdict == "unfit" or "label map" in report.reason:
        return report.reason, ""
    return "", report.reason


def _histogram(volume: Volume) -> tuple[float, ...]:
    """Intensities without the dark background, which is cut off the same way in every scan.

    Looking for each scan's own background value instead would tell scans apart by their edges: whether air is noisy,
    or a body reaches the border.
    """
    step = max(1, round((volume.array.size / SAMPLE_VOXELS) ** (1 / 3)))
    # A slice has one axis that must not be thinned out.
    sample = volume.array[tuple(slice(None, None, step if count > 1 else 1) for count in volume.array.shape)]
    low, high = np.percentile(sample, SPAN)
    bright = sample[sample > low + DARK * (high - low)]
    return tuple(np.round(standard_histogram(bright if bright.size else sample), 6).tolist())
