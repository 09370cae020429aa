"""Affine registration of a brain to the model's template, on coarse grids."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import permutations, product
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

import numpy as np

from ..masks import bounding_slices
from ..messages import Message
from ..runtime.progress import Progress
from ..volume import LPS_RAS, Volume, check_grid

if TYPE_CHECKING:
    import SimpleITK as sitk

# Grid spacing in mm, and whether the outlines are aligned instead of the intensities. Outlines come first, because
# mutual information alone may converge to a wrong optimum if the contrast differs from that of the template.
LEVELS = ((8.0, True), (8.0, False), (4.0, False))
# Coordinates in units of a brain's radius: a step of the optimizer then moves the rim of the brain equally far by
# rotation, scaling and translation, and no step diverges where one of these is already right.
UNIT_MM = 80.0

# Several threads add in a varying order, and the result would not repeat bit for bit.
WORK_UNITS = 1
MARGIN_MM = 24.0
# No head has a tenth or ten times the volume of another; an alignment with such a change is rejected.
SMALLEST_CHANGE, LARGEST_CHANGE = 0.1, 10.0
LEAST_KEPT, EVERY = 0.7, 50
DARKEST = 0.25

# Bins of the joint histogram of mutual information.
BINS = 16
# The best unaligned start with a turned head holds at most 0.46 of the mutual information of a right alignment, in all
# scans at hand, and at least 1.04 of that of an alignment of a turned head from the upright start.
SUSPICIOUS, STARTS, CLEARLY_BETTER = 0.7, 2, 1.1
# Right alignments of T1 brains hold 0.47 or more of the entropy of the template, wrong ones of turned heads at most
# 0.35. Below this share, heads that are turned by other angles are searched: each of `TURNS` with each combination of
# these angles about x, y and z, which is no farther than about 25 degrees from any rotation.
POOR, TILTS = 0.4, (-30.0, 0.0, 30.0)
# The best ones that differ by so many degrees are moved to their maximum of mutual information.
CANDIDATES, APART, EVALUATIONS = 8, 40.0, 200
# In all scans at hand, alignments of brains of any contrast hold 0.31 or more of the entropy of the template and are
# distinct by 0.52 or more; those of other parts of the body hold 0.16 or less and are distinct by 0.07 or less.
LEAST_INFORMATION, LEAST_DISTINCT = 0.25, 0.2


def _turns() -> list[np.ndarray]:
    """Return the 24 rotations that map axes to axes, 3×3, the identity first."""
    found = []
    for order, signs in product(permutations(range(3)), product((1, -1), repeat=3)):
        turn = np.zeros((3, 3))
        turn[range(3), order] = signs
        if np.linalg.det(turn) > 0:
            found.append(turn)
    return sorted(found, key=lambda turn: -np.trace(turn))


TURNS = _turns()


@dataclass(frozen=True, eq=False)
class Level:
    """A template at one resolution.

    Attributes:
        spacing: Grid spacing in mm.
        image: Outline or intensities of the template, float32.
        near: Mask of the voxels that count for intensities; None if the outline is aligned.
    """

    spacing: float
    image: sitk.Image
    near: sitk.Image | None


# Levels of each template, which all scans use.
_known: WeakKeyDictionary[Volume, tuple[np.ndarray, tuple[Level, ...]]] = WeakKeyDictionary()


def template_levels(template: Volume, mask: np.ndarray) -> tuple[Level, ...]:
    """Return a template at each of `LEVELS`, computed once for each template; its voxels must not change.

    Args:
        template: The mean image.
        mask: Its brain, bool (Z, Y, X).
    """
    of, levels = _known.get(template, (None, ()))
    if of is not mask:
        levels = _levels(template, mask)
        _known[template] = (mask, levels)
    return levels


def _levels(template: Volume, mask: np.ndarray) -> tuple[Level, ...]:
    outline = template.with_array(mask.astype(np.float32))
    brain = template.with_array(np.where(mask, template.array, 0).astype(np.float32))
    near = template.with_array(_dilated(mask, template))
    return tuple(
        Level(spacing, coarse(outline, spacing), None)
        if by_outline
        else Level(spacing, coarse(brain, spacing), coarse(near, spacing) > 0.5)
        for spacing, by_outline in LEVELS
    )


def coarse(volume: Volume, spacing_mm: float) -> sitk.Image:
    """Smooth a volume and resample it to isotropic voxels, with coordinates in `UNIT_MM`."""
    import SimpleITK as sitk

    check_grid(volume, spacing_mm)
    image = volume.to_sitk()
    # Averaging whole voxels first takes a tenth of the time of smoothing all of them, without more blur.
    image = sitk.BinShrink(image, [max(1, int(spacing_mm / 2 / s)) for s in image.GetSpacing()])
    sigmas = [max(0.5 * np.sqrt(max(spacing_mm**2 - s**2, 1e-2)), 0.1) for s in image.GetSpacing()]
    image = sitk.SmoothingRecursiveGaussian(image, sigmas)
    size = [max(1, int(np.ceil(n * s / spacing_mm))) for n, s in zip(image.GetSize(), image.GetSpacing())]
    image = sitk.Resample(
        image, size, sitk.Transform(), sitk.sitkLinear, image.GetOrigin(), [spacing_mm] * 3, image.GetDirection(), 0.0
    )
    image.SetSpacing([spacing_mm / UNIT_MM] * 3)
    image.SetOrigin([value / UNIT_MM for value in image.GetOrigin()])
    return image


def _dilated(mask: np.ndarray, volume: Volume) -> np.ndarray:
    """Dilate a mask by about 6 mm, so that the outline of the brain takes part in the alignment."""
    import SimpleITK as sitk

    radius = [max(1, int(round(6.0 / s))) for s in volume.spacing]
    grown = sitk.BinaryDilate(volume.with_array(mask.astype(np.uint8)).to_sitk(), radius)
    return sitk.GetArrayFromImage(grown).astype(np.float32)


def affine_to_native(
    template: Volume,
    template_mask: np.ndarray,
    native: Volume,
    native_mask: np.ndarray,
    progress: Progress | None = None,
) -> np.ndarray:
    """Register a scan to the template: 12-parameter affine by mutual information.

    Mutual information (Mattes et al. 2003) tolerates another contrast. All voxels of the template's mask are used,
    on coarse grids, so the result is the same in every run. Where a head that is turned by 90° or 180° about its axes
    may match better, the best of these starts are aligned too, and where the result is still poor, the best of the
    other rotations. `alignment_quality` tells whether the result is an alignment.

    Args:
        template: The template's mean image.
        template_mask: Its brain, bool (Z, Y, X).
        native: The scan.
        native_mask: The scan's brain, bool (Z, Y, X).
        progress: Reports each resolution level; may cancel.

    Returns:
        4×4 matrix from template RAS mm to scan RAS mm.
    """
    import SimpleITK as sitk

    progress = progress or Progress()
    sitk.ProcessObject.SetGlobalWarningDisplay(False)
    native, native_mask = _cropped(native, native_mask)
    pair = _Pair.of(template, template_mask, native, native_mask)
    upright = _refined(pair, _start(template, template_mask, native, native_mask), progress)
    known = pair.information(_matrix(upright))
    starts = [_start(template, template_mask, native, native_mask, turn) for turn in TURNS[1:]]
    values = [pair.information(_matrix(start)) for start in starts]
    found = [upright]
    if max(values) > SUSPICIOUS * known:
        found += [_refined(pair, starts[number], progress) for number in np.argsort(values)[::-1][:STARTS]]
    most = max(pair.information(_matrix(transform)) for transform in found)
    if most < POOR * pair.entropy():
        centre = template.ras_from_voxels(_centre(template_mask)[None])[0]
        begin = _matrix(_start(template, template_mask, native, native_mask))
        for turn, shift in _searched(pair, begin, centre, SUSPICIOUS * most)[:STARTS]:
            start = _start(template, template_mask, native, native_mask, turn, shift)
            found.append(_refined(pair, start, progress))
    best = max(found, key=lambda transform: pair.information(_matrix(transform)))
    # A round phantom looks the same from several sides: it stays upright.
    return _matrix(best if pair.information(_matrix(best)) > CLEARLY_BETTER * known else upright)


def _searched(pair: _Pair, start: np.ndarray, centre: np.ndarray, least: float) -> list[tuple[np.ndarray, np.ndarray]]:
    """Search rotations of a head by any angle; takes a few seconds.

    Args:
        pair: The template and the scan.
        start: 4×4 matrix of the upright start, from template RAS mm to scan RAS mm.
        centre: The centre of the template, RAS mm.
        least: The mutual information that the best position must exceed.

    Returns:
        Rotations of the template about its centre, 3×3, and shifts of it in scan RAS mm, the best ones first; empty if
        none is good enough.
    """
    from scipy.optimize import minimize
    from scipy.spatial.transform import Rotation

    tilts = Rotation.from_euler("xyz", list(product(TILTS, repeat=3)), degrees=True)
    turns = np.concatenate([tilts.as_matrix() @ turn for turn in TURNS])

    def placed(turn: np.ndarray, shift: np.ndarray) -> np.ndarray:
        about, moved = np.eye(4), np.eye(4)
        about[:3, :3], about[:3, 3], moved[:3, 3] = turn, centre - turn @ centre, shift
        return moved @ start @ about

    values = [pair.information(placed(turn, np.zeros(3))) for turn in turns]
    chosen: list[np.ndarray] = []
    for number in np.argsort(values)[::-1]:
        if all(angle_of(turns[number] @ other.T) > APART for other in chosen):
            chosen.append(turns[number])
        if len(chosen) == CANDIDATES:
            break
    found = []
    for turn in chosen:

        def position(values: np.ndarray, turn: np.ndarray = turn) -> tuple[np.ndarray, np.ndarray]:
            return Rotation.from_rotvec(values[:3]).as_matrix() @ turn, UNIT_MM * values[3:]

        moved = minimize(
            lambda values, position=position: -pair.information(placed(*position(values))),
            np.zeros(6),
            method="Powell",
            options={"maxfev": EVALUATIONS, "direc": np.diag([0.2] * 3 + [0.1] * 3)},
        )
        found.append((-float(moved.fun), position(moved.x)))
    found.sort(key=lambda one: -one[0])
    return [position for value, position in found if value > least]


@dataclass(frozen=True)
class AlignmentQuality:
    """How well an alignment matches the template, measured on the coarse level, for any contrast.

    Attributes:
        information: Mutual information of template and scan, as a share of the entropy of the template, 0 to 1.
        distinct: 1 − mutual information with the best other turn of the template / mutual information, up to 1; near 0
            if a turned template matches equally well, so that the match is one of outlines at best.
    """

    information: float
    distinct: float

    @property
    def failed(self) -> bool:
        """Whether the alignment says nothing about where the scan shows what."""
        return self.information < LEAST_INFORMATION and self.distinct < LEAST_DISTINCT


def alignment_quality(
    template: Volume, template_mask: np.ndarray, native: Volume, native_mask: np.ndarray, matrix: np.ndarray
) -> AlignmentQuality:
    """Measure an alignment.

    Args:
        template: The template's mean image.
        template_mask: Its brain, bool (Z, Y, X).
        native: The scan.
        native_mask: The scan's brain, bool (Z, Y, X).
        matrix: 4×4 from template RAS mm to scan RAS mm, the result of `affine_to_native`.
    """
    pair = _Pair.of(template, template_mask, *_cropped(native, native_mask))
    found = pair.information(matrix)
    centre = template.ras_from_voxels(_centre(template_mask)[None])[0]
    others = []
    for turn in TURNS[1:]:
        about = np.eye(4)
        about[:3, :3], about[:3, 3] = turn, centre - turn @ centre
        others.append(pair.information(matrix @ about))
    whole = pair.entropy()
    return AlignmentQuality(found / max(whole, 1e-9), 1 - max(others) / max(found, 1e-9))


def best_turn(template: Volume, template_mask: np.ndarray, native: Volume, native_mask: np.ndarray) -> np.ndarray:
    """Return which of `TURNS` brings the template closest to a scan, 3×3, without an alignment.

    Only a turn that is clearly better than none counts; arguments as in `affine_to_native`.
    """
    native, native_mask = _cropped(native, native_mask)
    pair = _Pair.of(template, template_mask, native, native_mask)
    values = [pair.information(_matrix(_start(template, template_mask, native, native_mask, turn))) for turn in TURNS]
    best = int(np.argmax(values))
    return TURNS[best if values[best] > CLEARLY_BETTER * values[0] else 0]


def rotation_of(matrix: np.ndarray) -> np.ndarray:
    """Return the rotation, 3×3, that is closest to a 4×4 affine."""
    left, _, right = np.linalg.svd(matrix[:3, :3])
    return left @ right


def angle_of(rotation: np.ndarray) -> float:
    """Return the angle of a rotation, 3×3, in degrees, 0 to 180."""
    return float(np.degrees(np.arccos(np.clip((np.trace(rotation) - 1) / 2, -1, 1))))


@dataclass(frozen=True, eq=False)
class _Pair:
    """A template and a scan to align.

    Attributes:
        levels: The template at each of `LEVELS`.
        moving: Intensities of the scan in a standard range, cropped to its brain.
        outline: Its brain, 0 and 1.
        points: Positions of template voxels, RAS mm (N, 3), for the share of them that lies in the scan's brain.
        near: Positions of the template's voxels in and around its brain, on the first level of intensities, RAS mm.
        bins: The bin of each of them, by its intensity.
        coarse: The scan on that level, with its 4×4 affine from voxel indices (x, y, z) to RAS mm.
    """

    levels: tuple[Level, ...]
    moving: Volume
    outline: Volume
    points: np.ndarray
    near: np.ndarray
    bins: np.ndarray
    coarse: tuple[np.ndarray, np.ndarray]

    @classmethod
    def of(cls, template: Volume, template_mask: np.ndarray, native: Volume, native_mask: np.ndarray) -> _Pair:
        """Prepare a template and a cropped scan."""
        import SimpleITK as sitk

        levels = template_levels(template, template_mask)
        moving = native.with_array(_standard_range(native.array, native_mask))
        some = np.flatnonzero(template_mask)[::EVERY]
        points = template.ras_from_voxels(np.stack(np.unravel_index(some, template_mask.shape), axis=1))
        level = next(level for level in levels if level.near is not None)
        values, affine = _in_mm(level.image)
        inside = sitk.GetArrayFromImage(level.near) > 0
        near = np.argwhere(inside)[:, ::-1] @ affine[:3, :3].T + affine[:3, 3]
        outline = native.with_array(native_mask.astype(np.float32))
        scan = _in_mm(coarse(moving, level.spacing))
        return cls(levels, moving, outline, points, near, _binned(values[inside]), scan)

    def information(self, matrix: np.ndarray) -> float:
        """Return the mutual information (nats) of template and scan under a 4×4 matrix between their RAS mm."""
        from scipy.ndimage import map_coordinates

        array, affine = self.coarse
        to_voxels = np.linalg.inv(affine) @ matrix
        places = (self.near @ to_voxels[:3, :3].T + to_voxels[:3, 3])[:, ::-1]
        scan = _binned(map_coordinates(array, places.T, order=1, cval=0.0), 1.0)
        joint = np.bincount(self.bins * BINS + scan, minlength=BINS**2).reshape(BINS, BINS) / len(scan)
        apart = joint.sum(axis=1, keepdims=True) * joint.sum(axis=0, keepdims=True)
        some = joint > 0
        return float((joint[some] * np.log(joint[some] / apart[some])).sum())

    def entropy(self) -> float:
        """Return the entropy (nats) of the template, the largest possible mutual information."""
        share = np.bincount(self.bins, minlength=BINS) / len(self.bins)
        return float(-(share[share > 0] * np.log(share[share > 0])).sum())


def _binned(values: np.ndarray, top: float | None = None) -> np.ndarray:
    """Return the histogram bin of each value, from 0 to `top`, by default their maximum."""
    top = max(float(values.max(initial=0.0)), 1e-6) if top is None else top
    return np.clip((values * (BINS / top)).astype(int), 0, BINS - 1)


def _in_mm(image: sitk.Image) -> tuple[np.ndarray, np.ndarray]:
    """Return the voxels of a result of `coarse`, (Z, Y, X), and its affine from voxel indices (x, y, z) to RAS mm."""
    import SimpleITK as sitk

    lps = np.eye(4)
    lps[:3, :3] = np.array(image.GetDirection()).reshape(3, 3) * np.array(image.GetSpacing()) * UNIT_MM
    lps[:3, 3] = np.array(image.GetOrigin()) * UNIT_MM
    return sitk.GetArrayFromImage(image), LPS_RAS @ lps


def _refined(pair: _Pair, transform: sitk.AffineTransform, progress: Progress) -> sitk.AffineTransform:
    """Optimise an initial transform on each level."""
    import SimpleITK as sitk

    native, native_mask = pair.outline, pair.outline.array > 0

    def covered(transform: sitk.AffineTransform) -> float:
        return _covered(pair.points, _matrix(transform), native, native_mask)

    for number, level in enumerate(pair.levels):
        spacing = level.spacing
        progress.update(number / len(pair.levels), Message("progress_alignment", spacing=float(spacing)))
        registration = sitk.ImageRegistrationMethod()
        registration.SetNumberOfWorkUnits(WORK_UNITS)
        if level.near is None:
            registration.SetMetricAsMeanSquares()
        else:
            registration.SetMetricAsMattesMutualInformation(32)
            registration.SetMetricFixedMask(level.near)
        registration.SetMetricSamplingStrategy(registration.NONE)
        registration.SetInterpolator(sitk.sitkLinear)
        registration.SetOptimizerAsRegularStepGradientDescent(
            learningRate=spacing / 2 / UNIT_MM,
            minStep=spacing * 2e-3 / UNIT_MM,
            numberOfIterations=120,
            relaxationFactor=0.6,
            gradientMagnitudeTolerance=1e-6,
        )
        candidate = sitk.AffineTransform(transform)
        registration.SetInitialTransform(candidate, inPlace=True)
        moving = pair.outline if level.near is None else pair.moving
        try:
            registration.Execute(level.image, coarse(moving, spacing))
        except RuntimeError:
            # Masks that are not brains may not overlap at all; the quality of the alignment is measured afterwards.
            continue
        if _is_sound(candidate, covered(transform), covered(candidate)):
            transform = candidate
    return transform


def resample(moving: Volume, reference: Volume, reference_to_moving: np.ndarray) -> np.ndarray:
    """Resample a volume to the grid of a reference by linear interpolation, with 0 beyond its field of view.

    Args:
        moving: The volume to resample.
        reference: A volume on the wanted grid.
        reference_to_moving: 4×4 matrix from reference RAS mm to moving RAS mm.

    Returns:
        float32 array of the reference's shape (Z, Y, X).
    """
    import SimpleITK as sitk

    # Each voxel is computed on its own, so the result does not depend on the number of threads.
    result = sitk.Resample(
        moving.to_sitk(),
        [int(count) for count in reference.array.shape[::-1]],
        _transform(reference_to_moving),
        sitk.sitkLinear,
        reference.origin,
        reference.spacing.tolist(),
        reference.direction,
        0.0,
        sitk.sitkFloat32,
    )
    return sitk.GetArrayFromImage(result)


def _standard_range(array: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Scale intensities (Z, Y, X) between robust extremes within the mask to `DARKEST` to 1, float32; 0 outside it.

    The darkest tissue must differ from the empty background; otherwise a brain of dark tissue has no outline.
    """
    low, high = (float(value) for value in np.percentile(array[mask], (0.5, 99.5), overwrite_input=True))
    scaled = array.astype(np.float32)
    scaled -= low
    scaled /= (high - low) or 1.0
    np.clip(scaled, 0, 1, out=scaled)
    scaled *= 1 - DARKEST
    scaled += DARKEST
    scaled *= mask
    return scaled


def _cropped(volume: Volume, mask: np.ndarray) -> tuple[Volume, np.ndarray]:
    """Crop volume and mask to the brain with a margin of `MARGIN_MM`; voxels keep their positions in space."""
    box = []
    for found, size, spacing in zip(bounding_slices(mask), mask.shape, volume.spacing[::-1]):
        margin = int(np.ceil(MARGIN_MM / spacing))
        box.append(slice(max(found.start - margin, 0), min(found.stop + margin, size)))
    return volume.within(tuple(box)), mask[tuple(box)]


def _covered(points: np.ndarray, matrix: np.ndarray, native: Volume, native_mask: np.ndarray) -> float:
    """Return the share of template points (N, 3), RAS mm, that a 4×4 matrix maps into the scan's brain."""
    to_voxels = np.linalg.inv(native.affine) @ matrix
    voxels = np.rint(points @ to_voxels[:3, :3].T + to_voxels[:3, 3]).astype(int)[:, ::-1]
    inside = ((voxels >= 0) & (voxels < native_mask.shape)).all(axis=1)
    return float(native_mask[tuple(voxels[inside].T)].sum() / len(points))


def _is_sound(candidate: sitk.AffineTransform, before: float, after: float) -> bool:
    """Return whether an alignment changes the size of the brain plausibly and still covers the brain."""
    change = np.linalg.det(np.reshape(candidate.GetMatrix(), (3, 3)))
    return SMALLEST_CHANGE < change < LARGEST_CHANGE and after > LEAST_KEPT * before


def _start(
    template: Volume,
    template_mask: np.ndarray,
    native: Volume,
    native_mask: np.ndarray,
    turn: np.ndarray = TURNS[0],
    shift: np.ndarray | float = 0.0,
) -> sitk.AffineTransform:
    """Return the initial transform: equal centres of mass, one scale from both brain volumes; units of `UNIT_MM`.

    Args:
        template: The template's mean image.
        template_mask: Its brain, bool (Z, Y, X).
        native: The scan.
        native_mask: The scan's brain, bool (Z, Y, X).
        turn: Rotation of the template about its centre in RAS coordinates, 3×3.
        shift: Of the template from the centre of the scan, RAS mm.
    """
    import SimpleITK as sitk

    fixed_centre = template.ras_from_voxels(_centre(template_mask)[None])[0]
    moving_centre = native.ras_from_voxels(_centre(native_mask)[None])[0]
    ratio = native_mask.sum() * native.voxel_ml / (template_mask.sum() * template.voxel_ml)
    scale = float(np.clip(ratio, 0.5, 2.0)) ** (1 / 3)
    lps = LPS_RAS[:3, :3]
    transform = sitk.AffineTransform(3)
    transform.SetCenter((lps @ fixed_centre / UNIT_MM).tolist())
    transform.SetMatrix((lps @ turn @ lps * scale).ravel().tolist())
    transform.SetTranslation((lps @ (moving_centre + shift - fixed_centre) / UNIT_MM).tolist())
    return transform


def _centre(mask: np.ndarray) -> np.ndarray:
    """Return the mean index (z, y, x) of a mask's voxels; from its profiles, because a list of voxels takes memory."""
    per_slice, in_plane = mask.sum(axis=(1, 2)), mask.sum(axis=0)
    profiles = (per_slice, in_plane.sum(axis=1), in_plane.sum(axis=0))
    return np.array([np.arange(len(profile)) @ profile for profile in profiles]) / per_slice.sum()


def _matrix(transform: sitk.AffineTransform) -> np.ndarray:
    """Return the 4×4 RAS matrix, in mm, of an ITK affine transform of `UNIT_MM` coordinates."""
    matrix = np.array(transform.GetMatrix()).reshape(3, 3)
    centre, translation = np.array(transform.GetCenter()), np.array(transform.GetTranslation())
    lps = np.eye(4)
    lps[:3, :3] = matrix
    lps[:3, 3] = UNIT_MM * (translation + centre - matrix @ centre)
    return LPS_RAS @ lps @ LPS_RAS


def _transform(ras: np.ndarray) -> sitk.AffineTransform:
    """Return the ITK transform of a 4×4 RAS matrix."""
    import SimpleITK as sitk

    lps = LPS_RAS @ ras @ LPS_RAS
    transform = sitk.AffineTransform(3)
    transform.SetMatrix(lps[:3, :3].ravel().tolist())
    transform.SetTranslation(lps[:3, 3].tolist())
    return transform
