"""Builds the template of a model of single slices: its grid, chosen from the pictures, and their mean."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from .errors import InputError
from .mean_template import mean_learned, sampled
from .plane import PlaneTemplate
from .plane_grid import PlaneView
from .progress import Progress
from .volume import Volume

# The networks halve a picture five times.
MULTIPLE = 32
SMALLEST_SIDE, LARGEST_SIDE = 64, 160


def build_plane_template(
    names: Sequence[str],
    read: Callable[[str], Volume],
    longest: int | None = None,
    progress: Progress | None = None,
) -> PlaneTemplate:
    """A template of healthy single slices, read one at a time because there may be thousands.

    Args:
        names: Of the pictures, at least 3.
        read: Gives a picture by its name.
        longest: Pixels along the longer side of the model's grid; None chooses.
        progress: Told after each picture.

    Raises:
        InputError: If there are fewer than 3 pictures, or the size is not possible.
        Cancelled: If the user asked to stop.
    """
    progress, views, sample = progress or Progress(), [], sampled(names)
    for index, name in enumerate(sample):
        progress.update(0.2 * index / len(sample), f"size of {name}")
        views.append(PlaneView.of(read(name)))
    return mean_learned(PlaneTemplate.empty(plane_size(views, longest)), names, read, progress, start=0.2)


def plane_size(views: Sequence[PlaneView], longest: int | None = None) -> tuple[int, int]:
    """Rows and columns of a grid that suits pictures: their median shape, and no more pixels than they have.

    Args:
        views: Of the pictures.
        longest: Pixels along the longer side, a multiple of `MULTIPLE`; None takes what the pictures have, from
            `SMALLEST_SIDE` to `LARGEST_SIDE`.

    Raises:
        InputError: If `longest` is not possible.
    """
    if longest is None:
        pixels = float(np.median([max(view.extent_mm) / min(view.spacing) for view in views]))
        longest = int(np.clip(pixels // MULTIPLE * MULTIPLE, SMALLEST_SIDE, LARGEST_SIDE))
    if longest % MULTIPLE or not MULTIPLE <= longest <= 512:
        raise InputError(f"a size of {longest} pixels is not possible", f"Give a multiple of {MULTIPLE} up to 512.")
    # Height by width; of the logarithm, so that upright and lying pictures count alike.
    aspect = float(np.exp(np.median([np.log(view.extent_mm[0] / view.extent_mm[1]) for view in views])))
    shorter = longest * min(aspect, 1 / aspect)
    shorter = min(longest, int(np.ceil(round(shorter, 3) / MULTIPLE)) * MULTIPLE)
    return (longest, shorter) if aspect > 1 else (shorter, longest)
