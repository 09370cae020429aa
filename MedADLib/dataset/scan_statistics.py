"""Statistics of healthy scans for comparing them, stored in a file, and the division of 2-D images into two kinds."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ..errors import InputError
from ..io.sources import Source
from ..preprocessing.input_check import InputReport, inspect
from ..preprocessing.intensity import standard_histogram
from ..preprocessing.slice_space import SliceView, resized
from ..runtime.atomic_files import write_json
from ..runtime.numerics import k_means
from ..runtime.progress import Progress
from ..volume import Volume, extent_ras, fingerprint, is_single_slice, spacing_ras

SIDE = 8
# Fewer images are outliers and not a kind.
SMALLEST_KIND, SMALLEST_SHARE = 3, 0.1
ROUNDS = 20

SAMPLE_VOXELS = 1e6
RANGE, DARK = (0.5, 99.5), 0.1


class TwoKinds(NamedTuple):
    """The division of images into the two most different groups.

    Images of one kind differ too, but there is no gap between their groups (`tidy` is small), and the means of the
    groups are similar (`apart` is small).

    Attributes:
        apart: 1 minus the correlation of the means of the groups.
        tidy: Mean silhouette: 1 if every image resembles only its own group, 0 if it resembles both.
        group: Members of the first group, bool (n,).
    """

    apart: float
    tidy: float
    group: np.ndarray


def thumbnail(image: np.ndarray) -> tuple[float, ...]:
    """Reduce an image (rows, columns) to a vector of mean 0 and length 1, which is invariant to gain and offset."""
    small = resized(image.astype(np.float32), (SIDE, SIDE)).astype(np.float64).ravel()
    small -= small.mean()
    return tuple(np.round(small / max(float(np.linalg.norm(small)), 1e-12), 4).tolist())


def two_kinds(thumbnails: np.ndarray) -> TwoKinds:
    """Divide thumbnails (n, numbers) into two groups by k-means, started along their first principal component.

    Returns:
        The groups; `apart` and `tidy` are 0 if a group is too small to be a kind.
    """
    count = len(thumbnails)
    if count < 2 * SMALLEST_KIND:
        return TwoKinds(0.0, 0.0, np.zeros(count, bool))
    group = np.linalg.svd(thumbnails - thumbnails.mean(axis=0), full_matrices=False)[0][:, 0] > 0
    if not group.all() and group.any():
        start = np.stack([thumbnails[group == side].mean(axis=0) for side in (False, True)])
        group = k_means(thumbnails, start, ROUNDS)[1] == 1
    smaller = min(group.sum(), count - group.sum())
    if smaller < max(SMALLEST_KIND, SMALLEST_SHARE * count):
        return TwoKinds(0.0, 0.0, group)
    apart = 1.0 - np.corrcoef(thumbnails[group].mean(axis=0), thumbnails[~group].mean(axis=0))[0, 1]
    return TwoKinds(float(apart), _silhouette(1.0 - thumbnails @ thumbnails.T, group), group)


def _silhouette(distance: np.ndarray, group: np.ndarray) -> float:
    """Compute the mean silhouette (Rousseeuw 1987) of two groups of 2 or more from their distances (n, n)."""
    sums = np.stack([distance[:, group].sum(axis=1), distance[:, ~group].sum(axis=1)])
    counts = np.array([group.sum(), (~group).sum()])
    own = np.where(group, sums[0] / (counts[0] - 1), sums[1] / (counts[1] - 1))
    other = np.where(group, sums[1] / counts[1], sums[0] / counts[0])
    return float(((other - own) / np.maximum(np.maximum(own, other), 1e-12)).mean())


@dataclass(frozen=True)
class ScanStatistics:
    """Statistics of one scan; a scan that cannot be read has only `unfit`.

    Attributes:
        digest: SHA-256 of shape and values, which copies in other files share.
        fingerprint: Result of `volume.fingerprint`.
        single: Whether the scan is a single slice.
        spacing: Voxel size along right, anterior, superior in mm.
        extent: Field of view along right, anterior, superior in mm.
        histogram: Histogram of the values above the dark background, as fractions.
        thumbnail: Result of `thumbnail` for a single slice; else empty.
        unfit: Why the scan cannot be used; empty if it can.
        doubt: What is atypical about it; empty if nothing.
        unfit_brain: Why it cannot be used as a scan of a brain; empty if it can.
        doubt_brain: What is atypical about it as a scan of a brain.
        size: Size of the file in bytes.
        changed: Time of its last change in ns.
    """

    digest: str = ""
    fingerprint: str = ""
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


def statistics_of(scans: Mapping[str, Source], record: Path, progress: Progress) -> dict[str, ScanStatistics]:
    """Compute the statistics of every scan; unchanged files use those of an earlier run in `record`, a file."""
    try:
        read = json.loads(record.read_text(encoding="utf-8"))
        # Statistics of an older version lack some fields.
        names = asdict(ScanStatistics()).keys()
        kept = {name: ScanStatistics(**fact) for name, fact in read.items() if fact.keys() == names}
    except (OSError, ValueError, TypeError, AttributeError):
        kept = {}
    found: dict[str, ScanStatistics] = {}
    for number, (name, source) in enumerate(scans.items()):
        progress.update(number / len(scans), f"checking {name}, {number + 1} of {len(scans)}")
        size, changed = 0, 0
        with suppress(OSError):
            size, changed = source.fingerprint()
        if name in kept and (kept[name].size, kept[name].changed) == (size, changed):
            found[name] = kept[name]
        else:
            found[name] = replace(_measured(source), size=size, changed=changed)
    record.parent.mkdir(parents=True, exist_ok=True)
    write_json(record, {name: asdict(fact) for name, fact in found.items()})
    return found


def fingerprints_in(record: Path) -> dict[str, str]:
    """Read the fingerprints of the scans, by name, that `statistics_of` has written to a record."""
    return {name: fact["fingerprint"] for name, fact in json.loads(record.read_text(encoding="utf-8")).items()}


def _measured(source: Source) -> ScanStatistics:
    try:
        volume = source.read()
    except InputError as error:
        return ScanStatistics(unfit=error.problem)
    single = is_single_slice(volume)
    reports = (("", ""), ("", "")) if single else (_against(inspect(volume, whole=w)) for w in (True, False))
    (unfit, doubt), (unfit_brain, doubt_brain) = reports
    digest = hashlib.sha256(str(volume.array.shape).encode())
    digest.update(np.ascontiguousarray(volume.array, np.float32))
    sizes = tuple(spacing_ras(volume).tolist()), tuple(extent_ras(volume).tolist())
    faults = (unfit, doubt, unfit_brain, doubt_brain)
    outline = thumbnail(SliceView.of(volume).image(volume.array)) if single else ()
    return ScanStatistics(digest.hexdigest(), fingerprint(volume), single, *sizes, _histogram(volume), outline, *faults)


def _against(report: InputReport) -> tuple[str, str]:
    """Why a scan cannot be used, and what is atypical about it."""
    # A detection accepts a label map, but a training must not learn from one.
    if report.verdict == "unfit" or "label map" in report.reason:
        return report.reason, ""
    return "", report.reason


def _histogram(volume: Volume) -> tuple[float, ...]:
    """Compute the histogram of the intensities above a dark background, which has the same definition in every scan.

    An estimate of the background of each scan would separate scans by noise in the air, or by a body that reaches the
    border.
    """
    step = max(1, round((volume.array.size / SAMPLE_VOXELS) ** (1 / 3)))
    # A single slice keeps its axis of one voxel.
    sample = volume.array[tuple(slice(None, None, step if count > 1 else 1) for count in volume.array.shape)]
    low, high = np.percentile(sample, RANGE)
    bright = sample[sample > low + DARK * (high - low)]
    return tuple(np.round(standard_histogram(bright if bright.size else sample), 6).tolist())
