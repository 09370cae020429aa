"""Healthy and abnormal 2-D images that took no part in training, and how well one score of each image tells them."""

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
    from ..preprocessing.slice_space import PlaneTemplate

ABNORMAL_HELP = (
    "abnormal 2-D images: a folder or an NPZ file; else, with --healthy-label, the images with other labels in the "
    "healthy NPZ files, only those of their arrays test_* where there are any. They are compared with healthy images "
    "that took no part in training: the split's benchmark, which is the arrays test_* of NPZ files, or, without one, "
    "its calibration images"
)


@dataclass(frozen=True, eq=False)
class LabelledImage:
    """An image in model space.

    Attributes:
        name: Of the scan.
        image: Standard intensities, float32 (1, Y, X).
        mask: What is examined, bool (1, Y, X).
        abnormal: Whether it is.
    """

    name: str
    image: np.ndarray
    mask: np.ndarray
    abnormal: bool


def abnormal_scans(healthy: Path, abnormal: Path | None, healthy_label: int | None) -> dict[str, Source]:
    """Where the abnormal images are, as `ABNORMAL_HELP` says.

    Args:
        healthy: Folder or NPZ file of the healthy ones.
        abnormal: Folder or NPZ file; of the latter, pictures labelled healthy are left out.
        healthy_label: Of healthy pictures in NPZ files.

    Returns:
        By name; nothing if there is neither a folder nor a label.

    Raises:
        InputError: If there should be some and there are none.
    """
    if abnormal is not None:
        return find_scans(abnormal, healthy_label=healthy_label, healthy=False, skip_bad=True)
    if healthy_label is None:
        return {}
    found = find_scans(healthy, healthy_label=healthy_label, healthy=False, skip_bad=True)
    parts = {name: source.place.part for name, source in found.items() if source.place is not None}
    return {name: found[name] for name, part in parts.items() if part == "test" or "test" not in parts.values()}


def held_out(split: Split, part: str | None = None) -> tuple[str, tuple[str, ...]]:
    """Healthy images that no weights were learned from: of a part, or of the benchmark, or else for calibration.

    Returns:
        The part and its names.

    Raises:
        InputError: If the part is empty.
    """
    part = part or ("benchmark" if split.benchmark else "calibration")
    if not (names := getattr(split, part)):
        raise InputError("split_part_empty", part=part)
    return part, names


def refuse_both(healthy: Mapping[str, Source], abnormal: Mapping[str, Source]) -> None:
    """Refuse images that are healthy and abnormal; raises InputError with the first."""
    places = {(source.path.resolve(), source.place) for source in healthy.values()}
    for name, source in abnormal.items():
        if (source.path.resolve(), source.place) in places:
            raise InputError("healthy_and_abnormal", name=name)


def labelled_images(
    healthy: Mapping[str, Source], abnormal: Mapping[str, Source], template: PlaneTemplate, progress: Progress
) -> list[LabelledImage]:
    """Bring images to a model's space, first the healthy ones.

    Args:
        healthy: By name.
        abnormal: By name.
        template: The space.
        progress: Told before each image.

    Raises:
        InputError: If an image cannot be used or is no single slice.
    """
    from ..training.data import brought

    found, count = [], len(healthy) + len(abnormal)
    for sick, scans in ((False, healthy), (True, abnormal)):
        for name, source in scans.items():
            progress.update(len(found) / count, f"preparing {name}, {len(found) + 1} of {count}")
            # The scan on its own grid is not needed again, and may be large.
            scan = brought(source, template)
            found.append(LabelledImage(name, scan.image, scan.mask, sick))
    return found


def image_level(
    method: Method, images: Sequence[LabelledImage], device: str = "cpu", progress: Progress | None = None
) -> dict[str, float]:
    """How well a method's sample score tells abnormal images from healthy ones.

    Args:
        method: Trained.
        images: Of both kinds.
        device: Where to compute.
        progress: May cancel.

    Returns:
        ``image_auroc`` and ``image_ap``; nothing if there are no images.
    """
    if not images:
        return {}
    scores = [method.restore(i.image, i.mask, device=device, progress=progress).sample_score for i in images]
    curve = Curve.of(np.array(scores), np.array([image.abnormal for image in images]))
    return {"image_auroc": curve.auroc(), "image_ap": curve.average_precision()}
