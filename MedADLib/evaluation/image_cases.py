"""Healthy and abnormal 2-D images that took no part in training, and the accuracy of their sample scores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..dataset.discovery import find_scans
from ..dataset.split import Split
from ..errors import InputError
from ..io.sources import Source
from ..runtime.progress import Progress
from ..scoring.metrics import Curve

if TYPE_CHECKING:
    from ..methods.base import Method
    from ..preprocessing.slice_space import SliceSpace

ABNORMAL_HELP = (
    "abnormal 2-D images: a folder or an NPZ file; without it, --healthy-label selects the images with other labels in "
    "the healthy NPZ files, only from their arrays test_* if these exist. They are compared with healthy images "
    "that took no part in training: the benchmark of the split (the arrays test_* of NPZ files) or, without one, "
    "its calibration images"
)


@dataclass(frozen=True, eq=False)
class LabelledImage:
    """An image in model space.

    Attributes:
        name: Name of the scan.
        image: Standard intensities, float32 (1, Y, X).
        mask: Examined part, bool (1, Y, X).
        abnormal: Whether the image is abnormal.
    """

    name: str
    image: np.ndarray
    mask: np.ndarray
    abnormal: bool


def abnormal_scans(healthy: Path, abnormal: Path | None, healthy_label: int | None) -> dict[str, Source]:
    """Find the abnormal images, as described in `ABNORMAL_HELP`.

    Without `abnormal` and `healthy_label` there are none. Images of an NPZ file with the healthy label are left out.

    Raises:
        InputError: If no image is found.
    """
    if abnormal is not None:
        return find_scans(abnormal, healthy_label=healthy_label, healthy=False, skip_bad=True)
    if healthy_label is None:
        return {}
    found = find_scans(healthy, healthy_label=healthy_label, healthy=False, skip_bad=True)
    parts = {name: source.place.part for name, source in found.items() if source.place is not None}
    return {name: found[name] for name, part in parts.items() if part == "test" or "test" not in parts.values()}


def held_out(split: Split, part: str | None = None) -> tuple[str, tuple[str, ...]]:
    """Select healthy images that took no part in training: a part, or the benchmark, or the calibration images.

    Returns the name of the part and the names of its images; raises InputError if the part is empty.
    """
    part = part or ("benchmark" if split.benchmark else "calibration")
    if not (names := getattr(split, part)):
        raise InputError("split_part_empty", part=part)
    return part, names


def refuse_both(healthy: Mapping[str, Source], abnormal: Mapping[str, Source]) -> None:
    """Raise InputError for the first image that is among the healthy and the abnormal images."""
    places = {(source.path.resolve(), source.place) for source in healthy.values()}
    for name, source in abnormal.items():
        if (source.path.resolve(), source.place) in places:
            raise InputError("healthy_and_abnormal", name=name)


def labelled_images(
    healthy: Mapping[str, Source], abnormal: Mapping[str, Source], template: SliceSpace, progress: Progress
) -> list[LabelledImage]:
    """Bring images to the space of a model, the healthy ones first.

    Raises:
        InputError: If an image cannot be used or is not a single slice.
    """
    from ..training.data import prepared_scan

    found, count = [], len(healthy) + len(abnormal)
    for is_abnormal, scans in ((False, healthy), (True, abnormal)):
        for name, source in scans.items():
            progress.update(len(found) / count, f"preparing {name}, {len(found) + 1} of {count}")
            # Keep the image in model space only: the scan on its own grid may be large.
            scan = prepared_scan(source, template)
            found.append(LabelledImage(name, scan.image, scan.mask, is_abnormal))
    return found


def image_level(
    method: Method, images: Sequence[LabelledImage], device: str = "cpu", progress: Progress | None = None
) -> dict[str, float]:
    """Measure how well the sample score of a method separates abnormal from healthy images.

    Returns ``image_auroc`` and ``image_ap``; empty without images.
    """
    if not images:
        return {}
    scores = [method.restore(i.image, i.mask, device=device, progress=progress).sample_score for i in images]
    curve = Curve.of(np.array(scores), np.array([image.abnormal for image in images]))
    return {"image_auroc": curve.auroc(), "image_ap": curve.average_precision()}
