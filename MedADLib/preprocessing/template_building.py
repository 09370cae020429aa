"""Build the template of a model from healthy scans: grid, mean image, and intensity statistics."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeVar

import numpy as np

from ..errors import InputError
from ..runtime.numerics import evenly_spread
from ..runtime.progress import Progress
from ..volume import Volume, extent_ras, spacing_ras
from .brain_space import BrainSpace, PreparedBrain
from .grids import brain_grid, slice_size, volume_grid
from .intensity import BRIGHTEST, DARKEST, IntensityUnit, bias_field, landmark_values, standard_histogram
from .registration import affine_to_native, resample
from .slice_space import SliceSpace, SliceView
from .space import FEWEST, LOOKED_AT, ReferenceSpace, limits_of
from .volume_space import VolumeSpace

Space = TypeVar("Space", bound=ReferenceSpace)

ROUNDS = 2


def build_template(
    scans: Sequence[tuple[Volume, np.ndarray]],
    shape: tuple[int, int, int] | None = None,
    spacing: tuple[float, float, float] | None = None,
    progress: Progress | None = None,
) -> tuple[BrainSpace, list[PreparedBrain]]:
    """Build a mirror-symmetric affine mean brain with its intensity standard.

    The scan of median brain volume is the first reference. The mean of all scans aligned to the reference, averaged
    with its mirror image, is the next one.

    Args:
        scans: Pairs of a volume and its brain mask, at least 3.
        shape: Model grid (Z, Y, X); without it and `spacing`, both are chosen from the scans, see `grids`.
        spacing: Voxel spacing along (x, y, z) in mm; the axes are those of RAS.
        progress: Reports each scan; may cancel.

    Returns:
        The template with limits from its own scans, and each scan prepared in it.

    Raises:
        InputError: If there are fewer than 3 scans.
        Cancelled: If the user asked to stop.
    """
    if len(scans) < FEWEST:
        raise InputError("template_few_scans", count=len(scans), fewest=FEWEST)
    progress = progress or Progress()
    if shape is None or spacing is None:
        shape, spacing = brain_grid([volume for volume, _ in scans])
    reference, mask = _first_reference(scans, shape, spacing)
    for number in range(ROUNDS):
        images, masks, marks = [], [], []
        for index, (volume, brain) in enumerate(scans):
            progress.update((number + index / len(scans)) / (ROUNDS + 1), f"template round {number + 1}: {volume.name}")
            image, inside = _aligned(reference, mask, volume, brain)
            marks.append(_unit(landmark_values(image[inside])))
            images.append(_standard(image, inside, marks[-1]))
            masks.append(inside)
        mean = np.mean([np.where(m, i, 0) for i, m in zip(images, masks)], axis=0)
        cover = np.mean(masks, axis=0)
        reference, mask = _symmetric(reference.with_array(mean.astype(np.float32)), cover)
    template = BrainSpace.without_mean(shape, reference.affine, landmarks=np.mean(marks, axis=0))
    template = replace(template, image=reference, mask=mask)
    prepared = []
    for index, (volume, brain) in enumerate(scans):
        progress.update((ROUNDS + index / len(scans)) / (ROUNDS + 1), f"preparing {volume.name}")
        prepared.append(template.prepared(volume, brain))
    return _with_limits(template, prepared)


def _with_limits(template: BrainSpace, prepared: list[PreparedBrain]) -> tuple[BrainSpace, list[PreparedBrain]]:
    """Compute the final mean, and limits that every training scan keeps with a margin."""
    cover = np.mean([p.mask for p in prepared], axis=0)
    mean = np.mean([p.image for p in prepared], axis=0)
    mean = 0.5 * (mean + mean[:, :, ::-1])
    mask = 0.5 * (cover + cover[:, :, ::-1]) > 0.5
    corrected = [p.scaling.backward(p.image) for p in prepared]
    histogram = np.mean([standard_histogram(c[p.mask]) for c, p in zip(corrected, prepared)], axis=0)
    image = template.image.with_array(np.where(mask, mean, 0).astype(np.float32))
    final = replace(template, image=image, mask=mask, histogram=histogram)
    seen = [final.similarity(c, p.image, p.mask) for c, p in zip(corrected, prepared)]
    final = replace(final, limits=limits_of(seen))
    return final, [replace(p, template=final, similarity=s) for p, s in zip(prepared, seen)]


def _first_reference(
    scans: Sequence[tuple[Volume, np.ndarray]], shape: tuple[int, int, int], spacing: tuple[float, float, float]
) -> tuple[Volume, np.ndarray]:
    """Return the scan of median brain volume, centred on the model's grid, and its brain there."""
    order = np.argsort([brain.sum() * volume.voxel_ml for volume, brain in scans])
    volume, brain = scans[int(order[len(order) // 2])]
    affine = np.diag([*spacing, 1.0])
    affine[:3, 3] = -0.5 * (np.array(shape[::-1]) - 1) * spacing
    grid = Volume(np.zeros(shape, np.float32), affine, "template")
    points = volume.ras_from_voxels(np.argwhere(brain))
    shift = np.eye(4)
    shift[:3, 3] = 0.5 * (points.min(axis=0) + points.max(axis=0))
    inside = resample(volume.with_array(brain.astype(np.float32)), grid, shift) > 0.5
    image = resample(_brain_only(volume, brain), grid, shift)
    return grid.with_array(_standard(image, inside, _unit(landmark_values(image[inside])))), inside


def _aligned(reference: Volume, mask: np.ndarray, volume: Volume, brain: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return a scan on the reference's grid, bias-corrected, and its brain there."""
    to_native = affine_to_native(reference, mask, volume, brain)
    inside = resample(volume.with_array(brain.astype(np.float32)), reference, to_native) > 0.5
    image = resample(_brain_only(volume, brain), reference, to_native)
    return image / bias_field(reference.with_array(image), inside), inside


def _brain_only(volume: Volume, brain: np.ndarray) -> Volume:
    """Return the intensities of the brain in units of `IntensityUnit`, 0 outside."""
    values = IntensityUnit.of(volume.array, brain).forward(volume.array)
    return volume.with_array(np.where(brain, values, np.float32(0)))


def _unit(marks: np.ndarray) -> np.ndarray:
    """Scale landmarks so that the darkest and the brightest are `DARKEST` and `BRIGHTEST`."""
    return DARKEST + (BRIGHTEST - DARKEST) * (marks - marks[0]) / (marks[-1] - marks[0])


def _standard(image: np.ndarray, inside: np.ndarray, unit_marks: np.ndarray) -> np.ndarray:
    """Scale an image linearly like its landmarks, 0 outside."""
    low, high = np.percentile(image[inside], (1, 99))
    scaled = unit_marks[0] + (unit_marks[-1] - unit_marks[0]) * (image - low) / (high - low)
    return np.where(inside, np.clip(scaled, 0, 1.5), 0).astype(np.float32)


def _symmetric(reference: Volume, cover: np.ndarray) -> tuple[Volume, np.ndarray]:
    """Make the mean symmetric: apply half of the transform to its mirror image, then average with its mirror image."""
    from scipy.linalg import sqrtm

    mask = cover > 0.5
    mirrored = reference.with_array(np.ascontiguousarray(reference.array[:, :, ::-1]))
    there = affine_to_native(mirrored, np.ascontiguousarray(mask[:, :, ::-1]), reference, mask)
    half = np.real(sqrtm(there))
    image = resample(reference, reference, half)
    brain = resample(reference.with_array(cover.astype(np.float32)), reference, half)
    image = 0.5 * (image + image[:, :, ::-1])
    brain = 0.5 * (brain + brain[:, :, ::-1])
    return reference.with_array(image.astype(np.float32)), brain > 0.5


def sampled(names: Sequence[str]) -> list[str]:
    """Return at most `LOOKED_AT` of the names, evenly spread.

    Raises:
        InputError: If there are too few for a template.
    """
    if len(names) < FEWEST:
        raise InputError("template_few_scans", count=len(names), fewest=FEWEST)
    return [names[n] for n in evenly_spread(len(names), LOOKED_AT)]


def with_mean(
    template: Space, names: Sequence[str], read: Callable[[str], Volume], progress: Progress, start: float
) -> Space:
    """Compute the mean of healthy images, and limits from them, for a template without a mean.

    The images are read by name, one at a time because there may be thousands; `start` is the first progress fraction.
    """
    shape, images, masks = template.image.array.shape, [], []
    total, count, histogram = np.zeros(shape), np.zeros(shape), np.zeros(template.histogram.shape)
    grid = " x ".join(map(str, shape[::-1]))
    for index, name in enumerate(names):
        progress.update(start + (1 - start) * index / len(names), f"template of {grid} voxels: {name}")
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
    seen = [template.similarity(i, i, m) for i, m in ((i.astype(np.float32), m) for i, m in zip(images, masks))]
    return replace(template, limits=limits_of(seen))


def build_volume_template(
    names: Sequence[str], read: Callable[[str], Volume], progress: Progress | None = None
) -> VolumeSpace:
    """Build the template of a model of volumes from at least 3 scans: a grid chosen from them, and their mean.

    Raises:
        InputError: If there are fewer than 3 scans, or one cannot be used.
        Cancelled: If the user asked to stop.
    """
    progress, spacings, extents, sample = progress or Progress(), [], [], sampled(names)
    for index, name in enumerate(sample):
        progress.update(0.2 * index / len(sample), f"size of {name}")
        volume = read(name)
        spacings.append(spacing_ras(volume))
        extents.append(extent_ras(volume))
    return with_mean(VolumeSpace.empty(*volume_grid(spacings, extents)), names, read, progress, start=0.2)


def build_slice_template(
    names: Sequence[str], read: Callable[[str], Volume], longest: int | None = None, progress: Progress | None = None
) -> SliceSpace:
    """Build the template of a model of single slices: a grid chosen from healthy images, and their mean.

    Args:
        names: Names of the images, at least 3; each is read on its own.
        read: Returns an image by its name.
        longest: Pixels along the longer side of the model's grid; None chooses by `slice_size`.
        progress: Reports each image; may cancel.

    Raises:
        InputError: If there are fewer than 3 images, or the size is not possible.
        Cancelled: If the user asked to stop.
    """
    progress, views, sample = progress or Progress(), [], sampled(names)
    for index, name in enumerate(sample):
        progress.update(0.2 * index / len(sample), f"size of {name}")
        views.append(SliceView.of(read(name)))
    return with_mean(SliceSpace.empty(slice_size(views, longest)), names, read, progress, start=0.2)
