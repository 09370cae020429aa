"""Builds the template of a model of single slices: its grid, chosen from the pictures, and their mean."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from .errors import InputError
from .intensity import standard_histogram
from .plane import PlaneTemplate
from .plane_grid import PlaneView
from .preparation import Template, resemblance
from .progress import Progress
from .template import limits_of
from .volume import Volume

FEWEST = 3
# The networks halve a picture five times.
MULTIPLE = 32
SMALLEST_SIDE, LARGEST_SIDE = 64, 160
LOOKED_AT = 64


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
    if len(names) < FEWEST:
        raise InputError(f"{len(names)} images are too few for a template", f"Give at least {FEWEST} healthy images.")
    progress = progress or Progress()
    sample = [names[n] for n in np.unique(np.linspace(0, len(names) - 1, min(LOOKED_AT, len(names))).astype(int))]
    views = []
    for index, name in enumerate(sample):
        progress.update(0.2 * index / len(sample), f"size of {name}")
        views.append(PlaneView.of(read(name)))
    template = PlaneTemplate.empty(plane_size(views, longest))
    shape, images, masks = template.image.array.shape, [], []
    total, count, histogram = np.zeros(shape), np.zeros(shape), np.zeros(template.histogram.shape)
    for index, name in enumerate(names):
        progress.update(0.2 + 0.8 * index / len(names), f"template of {describe(template)}: {name}")
        volume = read(name)
        prepared = template.prepared(volume, template.examined(volume)[0])
        total, count = total + np.where(prepared.mask, prepared.image, 0), count + prepared.mask
        histogram += standard_histogram(prepared.image[prepared.mask])
        images.append(prepared.image.astype(np.float16))
        masks.append(prepared.mask)
    mean = np.where(count > 0, total / np.maximum(count, 1), 0).astype(np.float32)
    mask = count > 0.5 * len(names)
    template = replace(
        template, image=template.image.with_array(mean), mask=mask, histogram=histogram / histogram.sum()
    )
    seen = [resemblance(i, i, m, template) for i, m in ((i.astype(np.float32), m) for i, m in zip(images, masks))]
    return replace(template, limits=limits_of(seen))


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


def describe(template: Template | PlaneTemplate) -> str:
    """The space in words, such as ``single slices of 160 x 128 pixels``."""
    slices, rows, columns = template.image.array.shape
    if isinstance(template, PlaneTemplate):
        return f"single slices of {columns} x {rows} pixels, examined in the whole field of view"
    spacing = " x ".join(f"{step:g}" for step in template.image.spacing)
    return f"brains of {columns} x {rows} x {slices} voxels of {spacing} mm"
