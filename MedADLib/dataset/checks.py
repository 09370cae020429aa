"""Check healthy scans before a training, which may take hours.

Errors are unusable files, copies, scans of clearly different kinds, and a full disk. Atypical scans only give warnings:
a healthy scan may be atypical, and only a person can decide.
"""

from __future__ import annotations

import logging
import re
import shutil
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from ..errors import InputError
from ..io.sources import Source
from ..messages import Message
from ..preprocessing.intensity import HISTOGRAM_EDGES
from ..runtime.numerics import evenly_spread
from ..runtime.progress import Progress
from .scan_statistics import ScanStatistics, statistics_of, two_kinds
from .split import FEWEST_BY_HAND

# Names of copied files on different systems: "a - Copy", "Copy of a", "a copy 2", "a (1)", "Kopie von a".
COPY = re.compile(r"(?:^|[\W_])(?:copy|copie|copia|kopie|duplicate)(?:$|[\W_\d])|\(\d+\)", re.IGNORECASE)
DIGITS = re.compile(r"(\d+)")

log = logging.getLogger(__name__)

# Names in a message.
SHOWN = 6
# Gaps between groups of scans, as `_gap` measures them. One kind: 42 T1 scans of one scanner 0.01, with those of two
# others, with and without skull, 0.03; 464 T1 slices 0.03, 1214 radiographs 0.03. Two kinds: T1 and FLAIR 0.06 to 0.08,
# T1 and T2 0.11 to 0.19. A radiograph and its negative have no gap.
DOUBTFUL, DIFFERENT = 0.05, 0.1
SMALLEST_KIND = 0.1
# How far apart, and how separable, two groups of images are by outline. Brains and radiographs: 0.42 or more, mainly
# 0.6 to 0.9. One kind: 8 radiographs below 0.4 in 98 of 100 draws and below 0.5 in 998 of 1000, 400 of them below 0.2;
# slices of brains below 0.4 at any height and direction.
DOUBTFUL_IMAGES, DIFFERENT_IMAGES = 0.4, 0.5
# Distance from the median histogram. Healthy T1 slices reach 0.09, radiographs 0.17, a T2 scan among T1 scans 0.2.
ATYPICAL, ATYPICAL_TIMES = 0.1, 4.0
# Factor between the voxel size or field of view of a scan and the median from which on it is atypical.
OTHER_SIZE = 1.6
# Most scans for comparing all pairs.
COMPARED = 400
BIDS_SUFFIX = re.compile(r"_([A-Za-z0-9]+)$")
CONTRASTS = ("T1w", "T2w", "FLAIR", "PDw", "T2starw", "inplaneT2", "bold", "dwi", "T1map", "T2map", "angio", "ct")


def kept_first(names: Iterable[str]) -> list[str]:
    """Sort the names of equal scans, the one to keep first.

    Names of copies come last, and numbers are compared as numbers. The order is the same on every computer.
    """
    return sorted(names, key=lambda name: (COPY.search(name) is not None, _natural(name), name))


def _natural(name: str) -> list[str | int]:
    # Texts and numbers alternate, so that each is compared with its own kind.
    return [int(part) if n % 2 else part.lower() for n, part in enumerate(DIGITS.split(name))]


def check_scans(
    scans: Mapping[str, Source],
    record: Path,
    skip_bad: bool = False,
    mixed: bool = False,
    progress: Progress | None = None,
    prepare: str = "auto",
    fewest: int = FEWEST_BY_HAND,
) -> dict[str, Source]:
    """Select the usable scans of a folder, and log warnings about atypical ones.

    Args:
        scans: Scans by name.
        record: JSON file with the statistics of the scans, so that the next training does not compute them again.
        skip_bad: Leave out unusable scans and copies.
        mixed: Accept scans of different kinds.
        progress: Receives each scan; may cancel.
        prepare: As in ``medad train``; only scans of brains must be large enough for a brain.
        fewest: Smallest number of usable scans.

    Returns:
        The usable scans by name.

    Raises:
        InputError: If scans cannot be used or are copies and `skip_bad` is not set, if they are of clearly different
            kinds, or if there are too few usable ones.
    """
    facts = statistics_of(scans, record, progress or Progress())
    if prepare == "brain" or (prepare == "auto" and _can_be_brains(facts)):
        facts = {name: replace(f, unfit=f.unfit_brain or f.unfit, doubt=f.doubt_brain) for name, f in facts.items()}
    copies = _copies(facts)
    bad = {name: fact.unfit for name, fact in facts.items() if fact.unfit}
    bad |= {name: Message("copy_of_scan", name=kept) for name, kept in copies.items()}
    if bad:
        reasons: dict[str, list[str]] = {}
        for name, reason in bad.items():
            reasons.setdefault(reason, []).append(name)
        listed = _listed([f"{_listed(names)}: {reason}" for reason, names in reasons.items()], "; ")
        if not skip_bad:
            raise InputError("unusable_scans", count=len(bad), total=len(scans), scans=listed)
        if copies:
            kept = _listed(sorted(set(copies.values())))
            log.warning(Message("copies_left_out", count=len(bad), total=len(scans), scans=listed, kept=kept))
        else:
            log.warning(Message("unusable_scans_left_out", count=len(bad), total=len(scans), scans=listed))
    usable = {name: source for name, source in scans.items() if name not in bad}
    if len(usable) < fewest:
        raise InputError("too_few_usable_scans", count=len(usable), fewest=fewest)
    facts = {name: facts[name] for name in usable}
    _refuse_slices_among_volumes(facts)
    if not mixed:
        _refuse_modalities(usable)
        _refuse_mixture(facts)
        _refuse_kinds_of_images(facts)
    for warning in (_atypical_scans(facts), _atypical_geometry(facts), _atypical_intensities(facts)):
        if warning:
            log.warning(warning)
    return usable


def _can_be_brains(facts: Mapping[str, ScanStatistics]) -> bool:
    """Check whether most of the usable scans are large enough for brains; later steps examine their content."""
    usable = [fact for fact in facts.values() if not fact.unfit]
    return 2 * sum(not fact.unfit_brain for fact in usable) > len(usable)


def check_disk(folder: Path, needed: float, kept: float = 0.0) -> None:
    """Check that the disk of a folder, which need not exist yet, has room for `needed` bytes; `kept` of them exist.

    Raises:
        InputError: If the disk has too little space.
    """
    existing = next(path for path in (folder.resolve(), *folder.resolve().parents) if path.exists())
    free, missing = shutil.disk_usage(existing).free, needed - kept
    if free < missing:
        raise InputError("disk_too_small", folder=folder, needed=missing / 1e9, free=free / 1e9)


def _copies(facts: Mapping[str, ScanStatistics]) -> dict[str, str]:
    """Find copies: scans with the voxels of another scan, and the name of that scan."""
    equal: dict[str, list[str]] = {}
    for name, fact in facts.items():
        if not fact.unfit:
            equal.setdefault(fact.digest, []).append(name)
    ordered = [kept_first(names) for names in equal.values()]
    return {name: names[0] for names in ordered for name in names[1:]}


def _refuse_slices_among_volumes(facts: Mapping[str, ScanStatistics]) -> None:
    flat = [name for name, fact in facts.items() if fact.single]
    if flat and len(flat) < len(facts):
        deep = next(name for name in facts if name not in flat)
        raise InputError("slices_and_volumes", slices=len(flat), slice=flat[0], volume=deep)


def _refuse_modalities(scans: Mapping[str, Source]) -> None:
    """Refuse DICOM files with different modalities in their headers."""
    modalities = Counter(source.modality for source in scans.values() if source.modality)
    if len(modalities) > 1:
        raise InputError("mixed_modalities", modalities=_counted(modalities))


def _refuse_mixture(facts: Mapping[str, ScanStatistics]) -> None:
    """Refuse different contrasts by BIDS names, and two groups of scans with a wide gap between their intensities."""
    suffixes = Counter(match[1] for name in facts if (match := BIDS_SUFFIX.search(name)) and match[1] in CONTRASTS)
    if len(suffixes) > 1:
        raise InputError("mixed_contrasts", contrasts=_counted(suffixes))
    chosen = _compared(facts)
    gap, group = _gap(np.array([facts[name].histogram for name in chosen]))
    smaller = min(group.sum(), len(chosen) - group.sum())
    if smaller >= SMALLEST_KIND * len(chosen) and (found := _kinds(chosen, group, gap, DOUBTFUL)):
        if gap >= DIFFERENT:
            raise InputError("two_kinds_by_intensity", **found)
        log.warning(Message("perhaps_two_kinds_by_intensity", **found))


def _refuse_kinds_of_images(facts: Mapping[str, ScanStatistics]) -> None:
    """Refuse 2-D images of different objects by their outlines."""
    chosen = _compared(name for name, fact in facts.items() if fact.single)
    if chosen:
        kinds = two_kinds(np.array([facts[name].thumbnail for name in chosen]))
        distance = min(kinds.apart, kinds.tidy)
        if found := _kinds(chosen, kinds.group, distance, DOUBTFUL_IMAGES):
            if distance >= DIFFERENT_IMAGES:
                raise InputError("two_kinds_by_outline", **found)
            log.warning(Message("perhaps_two_kinds_by_outline", **found))


def _compared(names: Iterable[str]) -> list[str]:
    """Return at most `COMPARED` of the names, evenly spread."""
    names = sorted(names)
    return [names[n] for n in evenly_spread(len(names), COMPARED)]


def _kinds(names: list[str], group: np.ndarray, distance: float, least: float) -> dict[str, str | float]:
    """Name the two groups of scans for a message; empty if their distance is below the least."""
    if distance < least:
        return {}
    one, other = ([name for name, member in zip(names, group) if member == side] for side in (True, False))
    fewer, more = min(one, other, key=len), max(one, other, key=len)
    return {"fewer": _listed(fewer), "typical": more[0], "distance": distance}


def _gap(histograms: np.ndarray) -> tuple[float, np.ndarray]:
    """Find the widest gap in histograms (n, bins): return its length, and which are on one side, bool (n,).

    The gap is the longest edge of their minimum spanning tree under the Wasserstein-1 distance that leaves at least
    two histograms on either side: a single scan is an outlier and not a kind.
    """
    from scipy.sparse.csgraph import connected_components, minimum_spanning_tree
    from scipy.spatial.distance import cdist

    count, sums = len(histograms), np.cumsum(histograms, axis=1) * float(HISTOGRAM_EDGES[1] - HISTOGRAM_EDGES[0])
    # In a graph of scipy, a distance of 0 is no edge.
    tree = minimum_spanning_tree(np.maximum(cdist(sums, sums, "cityblock"), 1e-12)).toarray()
    for length in np.unique(tree)[:0:-1]:
        for edge in np.argwhere(tree == length):
            rest = tree.copy()
            rest[tuple(edge)] = 0
            _, part = connected_components(rest, directed=False)
            if 2 <= (part == part[0]).sum() <= count - 2:
                return float(length), part != part[0]
    return 0.0, np.zeros(count, bool)


def _atypical_scans(facts: Mapping[str, ScanStatistics]) -> Message | None:
    """Name the scans with a doubt of their own."""
    found = [f"{name}: {fact.doubt}" for name, fact in facts.items() if fact.doubt]
    return Message("atypical_scans", count=len(found), total=len(facts), scans=_listed(found)) if found else None


def _atypical_geometry(facts: Mapping[str, ScanStatistics]) -> Message | None:
    """Name the scans with a voxel size or field of view far from the median."""
    sizes = np.array([[*fact.spacing, *fact.extent] for fact in facts.values()])
    usual = np.median(sizes, axis=0)
    apart = np.abs(np.log(np.maximum(sizes, 1e-3) / np.maximum(usual, 1e-3))).max(axis=1)
    found = [
        f"{name} ({' x '.join(f'{step:.3g}' for step in fact.spacing)} mm; "
        f"{' x '.join(f'{mm:.0f}' for mm in fact.extent)} mm)"
        for (name, fact), far in zip(facts.items(), apart)
        if far > np.log(OTHER_SIZE)
    ]
    if not found:
        return None
    voxels = " x ".join(f"{step:.3g}" for step in usual[:3])
    return Message("atypical_geometry", count=len(found), total=len(facts), usual=voxels, scans=_listed(found))


def _atypical_intensities(facts: Mapping[str, ScanStatistics]) -> Message | None:
    """Name the scans with a histogram far from the median histogram."""
    sums = np.cumsum([fact.histogram for fact in facts.values()], axis=1)
    apart = np.abs(sums - np.median(sums, axis=0)).sum(axis=1) * float(HISTOGRAM_EDGES[1] - HISTOGRAM_EDGES[0])
    usual = float(np.median(apart))
    limit = max(ATYPICAL, ATYPICAL_TIMES * usual)
    order = np.argsort(-apart)
    names = list(facts)
    found = [f"{names[n]} ({apart[n]:.2f})" for n in order if apart[n] > limit]
    if not found:
        return None
    return Message("atypical_intensities", count=len(found), total=len(facts), usual=usual, scans=_listed(found))


def _listed(names: list[str], between: str = ", ") -> str:
    """Join the first few names, and count the rest, such as ``a, b, … (+5)``."""
    return between.join(names[:SHOWN]) + (f"{between}… (+{len(names) - SHOWN})" if len(names) > SHOWN else "")


def _counted(found: Counter[str]) -> str:
    """Write counts such as ``6 MR, 3 CT``."""
    return ", ".join(f"{count} {name}" for name, count in found.most_common())
