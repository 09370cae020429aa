"""Find the brain: by the user's mask, by the outline of a skull-stripped scan, or by brain extraction (deepbet)."""

from __future__ import annotations

import hashlib
import io
import logging
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from importlib import metadata
from typing import TYPE_CHECKING

import numpy as np

from ..errors import InputError
from ..masks import bounding_slices
from ..messages import Message
from ..runtime.progress import Progress
from ..volume import Volume, check_grid, in_order_of, orientation, reoriented
from .empty_slices import background_of, check_slices, empty_slices, filled, without

if TYPE_CHECKING:
    import torch

log = logging.getLogger(__name__)

COARSE_MM = 3.0
EMPTY, DARK = 1e-3, 0.1
EMPTY_OF_DARK = 0.88
GREY_OF_BRIGHT = 0.3
LARGEST_BRAIN_ML = 2150.0
SMALLEST_BRAIN_ML = 200.0
# Share of the brain. Smaller pieces apart from the largest one are remains of other tissue.
LARGE_PIECE = 0.03
# Along any axis. In a scan of the body without a head, the extraction may return a slab as wide as the body.
SHORTEST_MM, LONGEST_MM = 70.0, 220.0
# More different values in a byte are intensities or percentages. Label maps of the cortex have larger numbers.
MOST_LABELS, LARGEST_BYTE = 64, 255
DEEPBET = "deepbet==1.0.2"
# The first turn may come from a poor mask of the turned head.
MOST_TURNS = 2
# deepbet is trained on T1 scans. Where its two networks agree less than this about the brain, other intensities of the
# same scan are tried: see docs/RESULTS.md for the agreement on scans of several contrasts.
LEAST_AGREEMENT = 0.95
# In bodies without a head, the networks agree to 0.79 at most on any intensities.
LEAST_OF_TRANSFERRED = 0.9
INVERTED, FOLDED = "inverted", "folded"
TRANSFERS = (INVERTED, FOLDED)
PARTS = {"": "part_extraction", INVERTED: "part_extraction_inverted", FOLDED: "part_extraction_folded"}
FINDER = "bbox_model.pt"
NETWORKS = {
    FINDER: "39a7b2b5f799faa1391ea97bfcdc0b9299f20d84f2316a4ff8918dc4685e40aa",
    "model.pt": "de8ee7c69654d0dd3935dc4a5d84571d8ecf4637a6bfc01df399c4c2bc86e0fd",
}


class NoBrainError(InputError):
    """Brain extraction found nothing that can be a brain."""

    def __init__(self, name: str):
        super().__init__("no_brain", name=name)


@dataclass(frozen=True, eq=False)
class Extraction:
    """A brain found by deepbet.

    Attributes:
        mask: The brain, bool (Z, Y, X), on the grid of the scan.
        agreement: Dice coefficient of the mask and that of the first network, which sees the whole scan instead of the
            box of the brain only: the measure of how far to trust the result on a scan of another contrast than T1.
        transfer: One of `TRANSFERS` that was applied to the intensities; empty for the intensities as they are.
    """

    mask: np.ndarray
    agreement: float
    transfer: str = ""


def is_skull_stripped(volume: Volume) -> bool:
    """Return whether only the brain is left in a scan, of any contrast and orientation.

    All dark voxels around a stripped brain have the same value. Around a head they differ: air is noisy, and where it
    was masked, bone and sinuses are still dark but not empty. Content larger than any brain is not a brain.
    """
    background = background_of(volume.array)
    coarse = _coarse(volume, background)
    signal, level = _signal(coarse, background)
    empty, dark = signal <= EMPTY * level, signal <= DARK * level
    # Resampling surrounds a stripped brain with ripples, also below the background; bone is always above it.
    grey = dark & ~empty & (coarse > background)
    bright = int((~dark).sum())
    return bool(
        0 < bright * COARSE_MM**3 / 1000.0 <= LARGEST_BRAIN_ML
        and empty.sum() >= EMPTY_OF_DARK * dark.sum()
        and grey.sum() <= GREY_OF_BRIGHT * bright
    )


def holds_brain(volume: Volume) -> bool:
    """Return whether a scan shows a whole brain: a stripped one, or one found by extraction, of the size of brains.

    Any other isolated organ of that size counts as a brain too.

    Raises:
        InputError: If the scan is not skull-stripped and the brain extraction is not installed.
    """
    if volume.array.size * volume.voxel_ml < SMALLEST_BRAIN_ML or _shortest(volume.array.shape, volume) < SHORTEST_MM:
        return False
    empty = empty_slices(volume)
    if empty.too_many:
        return False
    volume = filled(volume, empty)
    try:
        found = _outline(volume) if is_skull_stripped(volume) else _of_any_contrast(volume, Progress(), None).mask
    except NoBrainError:
        return False
    lengths = [part.stop - part.start for part in bounding_slices(found)]
    return bool(
        found.sum() * volume.voxel_ml >= SMALLEST_BRAIN_ML
        and _shortest(lengths, volume) >= SHORTEST_MM
        and (lengths * volume.spacing[::-1]).max() <= LONGEST_MM
    )


def brain_mask(
    volume: Volume,
    given: Volume | None = None,
    progress: Progress | None = None,
    turn_of: Callable[[Volume, np.ndarray], np.ndarray] | None = None,
) -> tuple[np.ndarray, Message]:
    """Find the part of a scan to examine: that of a mask `given`, see `given_mask`, or the brain.

    Args:
        volume: The scan.
        given: A mask.
        progress: Receives each step; may cancel.
        turn_of: Returns the rotation, 3×3 in RAS, from an upright head to that of a scan with a rough mask of its brain
            (Z, Y, X). The brain extraction expects an upright head: it misses that of a turned one, or finds too much.

    Returns:
        The mask, bool, shape (Z, Y, X), on the volume's grid, and its origin as a message. If no brain is found, the
        mask is the whole foreground, which its origin says (``part_foreground``).

    Empty slices inside the scan are interpolated for the search, and are not in the mask.

    Raises:
        InputError: If the given mask is empty or on another grid, the scan has too many empty slices, or it has a skull
            and the brain extraction is not installed.
        Cancelled: If the user asked to stop.
    """
    empty = check_slices(volume)
    found, how = _brain_mask(filled(volume, empty), given, progress or Progress(), turn_of)
    return without(found, empty), how


def _brain_mask(
    volume: Volume,
    given: Volume | None,
    progress: Progress,
    turn_of: Callable[[Volume, np.ndarray], np.ndarray] | None,
) -> tuple[np.ndarray, Message]:
    """Do the work of `brain_mask` for a scan without empty slices."""
    if given is not None:
        return given_mask(volume, given), Message("part_given_mask")
    progress.update(0.0, Message("progress_skull"))
    if is_skull_stripped(volume):
        return _outline(volume), Message("part_outline")
    progress.update(0.1, Message("progress_extraction"))
    try:
        found = _of_any_contrast(volume, progress, turn_of)
    except NoBrainError:
        return _outline(volume), Message("part_foreground")
    if found.agreement < LEAST_AGREEMENT:
        log.warning(Message("extraction_doubtful", name=volume.name, agreement=found.agreement))
    return found.mask, Message(PARTS[found.transfer], package=DEEPBET.replace("==", " "))


def brain_or_foreground(volume: Volume) -> np.ndarray:
    """Return the brain of a scan of a training or an evaluation, bool (Z, Y, X), see `brain_mask`.

    If no brain is found, it is the whole foreground, and the log has a warning.
    """
    mask, how = brain_mask(volume)
    if how.code == "part_foreground":
        log.warning(Message("whole_foreground_examined", name=volume.name))
    return mask


def _of_any_contrast(
    volume: Volume, progress: Progress, turn_of: Callable[[Volume, np.ndarray], np.ndarray] | None
) -> Extraction:
    """Extract the brain from a scan of any contrast: from its intensities as they are, and from others if in doubt.

    Only where the networks agree little about the brain, or there is none, the intensities are inverted and folded too.
    The extraction of the highest agreement is the result. Arguments as in `brain_mask`.

    Raises:
        NoBrainError: If none finds a brain.
    """
    known: dict[tuple[str, str], Extraction | None] = {}
    found = _upright(volume, progress, turn_of, ("",), known)
    if found is None or found.agreement < LEAST_AGREEMENT:
        progress.update(0.1, Message("progress_other_contrast"))
        other = _upright(volume, progress, turn_of, TRANSFERS, known)
        least = LEAST_OF_TRANSFERRED if found is None else max(LEAST_OF_TRANSFERRED, found.agreement)
        if other is not None and other.agreement > least:
            return other
    if found is None:
        raise NoBrainError(volume.name)
    return found


def _upright(
    volume: Volume,
    progress: Progress,
    turn_of: Callable[[Volume, np.ndarray], np.ndarray] | None,
    transfers: Sequence[str],
    known: dict[tuple[str, str], Extraction | None],
) -> Extraction | None:
    """Extract the brain with the best of some transfers, the head turned upright first; None if there is no brain."""
    found = _best(volume, progress, transfers, known)
    for _ in range(MOST_TURNS if turn_of is not None else 0):
        rough = approximate_brain(volume) if found is None else found.mask
        turn = np.eye(3) if rough is None else turn_of(volume, rough)
        if (turn == np.eye(3)).all():
            break
        back = np.eye(4)
        back[:3, :3] = turn.T
        volume = replace(volume, affine=back @ volume.affine)
        found = _best(volume, progress, transfers, known)
    return found


def _best(
    volume: Volume,
    progress: Progress,
    transfers: Sequence[str],
    known: dict[tuple[str, str], Extraction | None],
) -> Extraction | None:
    """Extract the brain with each of some transfers, and return the one of the highest agreement; None if none does.

    `known` keeps the extractions by orientation and transfer: a turn that is taken back costs nothing.
    """
    for key in ((orientation(volume), transfer) for transfer in transfers):
        if key not in known:
            try:
                known[key] = _extract(volume, progress, key[1])
            except NoBrainError:
                known[key] = None
    found = [known[orientation(volume), transfer] for transfer in transfers]
    return max((one for one in found if one is not None), key=lambda one: one.agreement, default=None)


def approximate_brain(volume: Volume) -> np.ndarray | None:
    """Find the brain on the coarse grid of deepbet's first network, which finds turned heads too.

    Returns:
        The mask, bool (Z, Y, X), on the grid of the scan; None if nothing of the size of a brain is found.

    Raises:
        InputError: If the brain extraction is not installed.
    """
    import torch

    scan = _tensor(reoriented(volume, "RAS"))
    with torch.inference_mode():
        small, low, high = _small(scan)
        found = _brain_probability(_network(FINDER), small, low, high).numpy() > 0.5
        if not found.any():
            return None
        inside = _resized(torch.from_numpy(_largest_piece(found)).float(), scan.shape, "nearest-exact").numpy() > 0.5
    if not SMALLEST_BRAIN_ML <= inside.sum() * volume.voxel_ml <= LARGEST_BRAIN_ML:
        return None
    return _on_grid_of(volume, inside)


def given_mask(volume: Volume, given: Volume) -> np.ndarray:
    """Return the voxels of a user's mask, bool (Z, Y, X), on the grid of the volume; see `inside_of`.

    Raises:
        InputError: If the mask is empty, on another grid than the volume, or it is not clear what is inside.
    """
    found = in_order_of(given, volume)
    if found is None:
        if sorted(given.array.shape) != sorted(volume.array.shape):
            mask_shape, shape = (" x ".join(map(str, v.array.shape[::-1])) for v in (given, volume))
            raise InputError("mask_not_on_grid", mask=given.name, name=volume.name, mask_shape=mask_shape, shape=shape)
        raise InputError("mask_elsewhere", mask=given.name, name=volume.name)
    mask = inside_of(found.array, given.name)
    if not mask.any():
        raise InputError("mask_empty", mask=given.name)
    return mask


def inside_of(values: np.ndarray, name: str) -> np.ndarray:
    """Return where a mask is inside: where it is not 0, or where its probability is at least one half.

    Two values are outside and inside, the lower one outside. Whole numbers from 0 are labels. Fractions from 0 to 1
    are probabilities. Anything else can mean several things.

    Args:
        values: Values of the mask, (Z, Y, X).
        name: Name of the mask, for messages.

    Returns:
        Whether each voxel is inside, bool (Z, Y, X).

    Raises:
        InputError: If the values can mean several things.
    """
    low, high = values.min(), values.max()
    if values.dtype == bool or ((values == low) | (values == high)).all():
        if low < 0 < high:
            return values > 0
        if low == 0 or low == high > 0:
            return values != 0
    distinct = np.unique(values)
    low, high = float(low), float(high)
    if (distinct == np.rint(distinct)).all():
        small = len(distinct) <= MOST_LABELS or (high > LARGEST_BYTE and len(distinct) <= LARGEST_BYTE)
        if low == 0 and small:
            return values != 0
    elif low >= 0 and high <= 1 + 1e-3:
        log.warning(Message("mask_probabilities", mask=name))
        return values >= 0.5
    raise InputError("mask_ambiguous", mask=name, low=low, high=high, count=len(distinct))


def _shortest(counts: Sequence[int], volume: Volume) -> float:
    """Return the shortest side in mm of a box of `counts` voxels along (z, y, x)."""
    return float((np.asarray(counts) * volume.spacing[::-1]).min())


def _coarse(volume: Volume, background: float) -> np.ndarray:
    """Sample the nearest voxels on a grid of `COARSE_MM`; interpolation would blur the constant background."""
    check_grid(volume, COARSE_MM)
    chosen, beyond = [], []
    for count, step in zip(volume.array.shape, volume.spacing[::-1]):
        nearest = np.floor(np.arange(max(1, round(count * step / COARSE_MM))) * COARSE_MM / step + 0.5).astype(int)
        chosen.append(nearest[nearest < count])
        beyond.append((0, int((nearest >= count).sum())))
    return np.pad(volume.array[np.ix_(*chosen)], beyond, constant_values=background)


def _signal(array: np.ndarray, background: float) -> tuple[np.ndarray, float]:
    """Return the distance of each voxel from the background value, and that of bright tissue."""
    signal = np.abs(array - np.float32(background))
    present = signal[signal > 0]
    return signal, float(np.percentile(present, 95)) if present.size else 0.0


def _outline(volume: Volume) -> np.ndarray:
    """Return the largest connected piece of the foreground and others of the size of parts of a brain, holes filled."""
    background = background_of(volume.array)
    box = bounding_slices(volume.array != np.float32(background))
    mask = np.zeros(volume.array.shape, bool)
    if box is not None:
        signal, level = _signal(volume.array[box], background)
        # Interpolation leaves faint ripples around a brain, and dark fluid inside it is filled as a hole.
        mask[box] = _largest_piece(signal > 0.02 * level, LARGE_PIECE, volume.name)
    return mask


def _largest_piece(mask: np.ndarray, kept: float = 1.0, name: str = "") -> np.ndarray:
    """Return the largest face-connected piece of a mask (Z, Y, X), holes filled.

    Args:
        mask: Any mask, bool.
        kept: Pieces above this share of the mask are kept too, with a warning.
        name: Name of the scan, for the warning.
    """
    import SimpleITK as sitk

    pieces = sitk.ConnectedComponent(sitk.GetImageFromArray(mask.view(np.uint8)))
    labels = sitk.GetArrayViewFromImage(pieces)
    # Slice by slice, because bincount converts labels to integers of twice their size.
    counts = sum(np.bincount(plane.ravel(), minlength=int(labels.max()) + 1) for plane in labels)
    largest = int(counts[1:].argmax()) + 1
    chosen = pieces == largest
    others = [number for number in np.flatnonzero(counts > kept * counts[1:].sum()) if number not in (0, largest)]
    for number in others:
        chosen = chosen | (pieces == int(number))
    if others:
        share = float(counts[others].sum() / counts[1:].sum())
        log.warning(Message("brain_in_pieces", name=name, count=len(others) + 1, share=share))
    # One voxel of padding joins the background around a brain that touches the border.
    padded = sitk.ConstantPad(chosen, [1] * 3, [1] * 3, 0)
    del labels, pieces, chosen
    return sitk.GetArrayFromImage(sitk.BinaryFillhole(padded))[1:-1, 1:-1, 1:-1] > 0


def _extract(volume: Volume, progress: Progress, transfer: str = "") -> Extraction:
    """Extract the brain by deepbet's two networks (Fisch et al. 2024): a bounding box, then the outline inside it.

    Args:
        volume: The scan.
        progress: Receives each step; may cancel.
        transfer: One of `TRANSFERS` to apply to the intensities first, or "".

    Raises:
        NoBrainError: If nothing of the size of a brain is found.
    """
    import torch

    finder, segmenter = (_network(name) for name in NETWORKS)
    scan = _tensor(reoriented(volume, "RAS"))
    with torch.inference_mode():
        small, low, high = _small(scan)
        curve = _curve(small.numpy(), low, high, transfer)
        if curve is not None:
            small, low, high = _through(small, curve), 0.0, 1.0
        progress.update(0.2, Message("progress_brain"))
        found = _brain_probability(finder, small, low, high).numpy() > 0.5
        # The segmenter takes most of the time, and a part of the body is often too large already.
        if transfer and found.mean() * scan.numel() * volume.voxel_ml > 1.5 * LARGEST_BRAIN_ML:
            raise NoBrainError(volume.name)
        box = _box_around(found, scan.shape, volume.name)
        progress.update(0.4, Message("progress_outline"))
        detail = _resized(scan[box], (256,) * 3, "nearest-exact")
        if curve is not None:
            detail = _through(detail, curve)
        probability = _brain_probability(segmenter, detail, low, high)
        progress.update(0.9, Message("progress_outline"))
        inside = _resized(probability, scan[box].shape, "trilinear").numpy() > 0.5
    if not SMALLEST_BRAIN_ML <= inside.sum() * volume.voxel_ml <= LARGEST_BRAIN_ML:
        raise NoBrainError(volume.name)
    mask = np.zeros(scan.shape, bool)
    mask[box] = _largest_piece(inside, LARGE_PIECE, volume.name)
    return Extraction(_on_grid_of(volume, mask), _agreement(mask, found), transfer)


def _agreement(mask: np.ndarray, small: np.ndarray) -> float:
    """Return the Dice coefficient of a mask and another one on a coarse grid of the same box, both (x, y, z)."""
    nearest = [((np.arange(n) + 0.5) * count / n).astype(int) for n, count in zip(small.shape, mask.shape)]
    sampled = mask[np.ix_(*nearest)]
    return float(2 * (sampled & small).sum() / max(int(sampled.sum() + small.sum()), 1))


def _curve(small: np.ndarray, low: float, high: float, transfer: str) -> np.ndarray | None:
    """Return the transfer curve of the intensities of a head; the air around it stays dark.

    `INVERTED` swaps dark and bright: a brain that is darker than the scalp becomes the brighter part. `FOLDED` makes
    the median of the head, which is often brain, the brightest value, so that fluid and fat are darker than it.

    Args:
        small: The scan on the grid of the first network.
        low: Its black.
        high: Its white.
        transfer: One of `TRANSFERS`, or "".

    Returns:
        Intensities of the scan, and what they become, from 0 to 1, shape (2, N); None without a transfer.
    """
    if not transfer:
        return None
    scale = (high - low) or 1.0
    scaled = np.clip((small - low) / scale, 0, 1)
    air = _air_threshold(scaled)
    if transfer == INVERTED:
        knots, values = (0.0, air, air + 1e-4, 1.0), (0.0, 0.3 * air, 1.05 - air, 0.05)
    else:
        head = scaled[scaled > air]
        median = float(np.median(head)) if head.size else 1.0
        drop = 0.9 / max(median, 1 - median)
        knots = (0.0, air, air + 1e-4, median, 1.0)
        values = (0.0, 0.3 * air, 1 - drop * (median - air), 1.0, 1 - drop * (1 - median))
    return np.array([low + scale * np.array(knots), values])


def _through(image: torch.Tensor, curve: np.ndarray) -> torch.Tensor:
    """Apply a transfer curve to intensities, (x, y, z)."""
    import torch

    return torch.from_numpy(np.interp(image.numpy(), *curve).astype(np.float32))


def _air_threshold(head: np.ndarray) -> float:
    """Return the largest intensity of the air around a head: half the threshold of Otsu, since fluid is dark too."""
    import SimpleITK as sitk

    otsu = sitk.OtsuThresholdImageFilter()
    otsu.SetNumberOfHistogramBins(64)
    otsu.Execute(sitk.GetImageFromArray(head))
    return 0.5 * float(otsu.GetThreshold())


def _tensor(oriented: Volume) -> torch.Tensor:
    """Convert a volume in RAS order to the order of deepbet's networks, (x, y, z)."""
    import torch

    return torch.from_numpy(np.ascontiguousarray(oriented.array.transpose(2, 1, 0), np.float32))


def _small(scan: torch.Tensor) -> tuple[torch.Tensor, float, float]:
    """Return a scan (x, y, z) on the grid of the first network, with its black and white."""
    import torch

    small = _resized(scan, (128,) * 3, "nearest-exact")
    low, high = torch.quantile(small, torch.tensor([0.005, 0.995])).tolist()
    return small, low, high


def _on_grid_of(volume: Volume, mask: np.ndarray) -> np.ndarray:
    """Bring a mask (x, y, z) of the scan in RAS order to the order of its own axes, (Z, Y, X)."""
    found = Volume(mask.transpose(2, 1, 0), reoriented(volume, "RAS").affine, volume.name)
    return np.ascontiguousarray(reoriented(found, orientation(volume)).array)


def _network(name: str) -> torch.jit.ScriptModule:
    """Load one of deepbet's networks; TorchScript can execute any code, so only a file with the vetted hash."""
    import torch

    try:
        files = metadata.files("deepbet") or []
        path = next(file.locate() for file in files if file.name == name)
        data = path.read_bytes()
    except (metadata.PackageNotFoundError, StopIteration, OSError) as error:
        raise InputError("deepbet_missing", package=DEEPBET) from error
    if hashlib.sha256(data).hexdigest() != NETWORKS[name]:
        raise InputError("deepbet_not_vetted", file=name, package=DEEPBET)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return torch.jit.load(io.BytesIO(data), map_location="cpu").eval()


def _resized(image: torch.Tensor, shape: tuple[int, ...], mode: str) -> torch.Tensor:
    from torch.nn.functional import interpolate

    return interpolate(image[None, None], tuple(shape), mode=mode)[0, 0]


def _brain_probability(network: torch.jit.ScriptModule, image: torch.Tensor, low: float, high: float) -> torch.Tensor:
    """Return the brain probability for an image, normalised like the training images of deepbet."""
    clipped = ((image - low) / ((high - low) or 1.0)).clamp(0, 1)
    normalised = (clipped - clipped.mean()) / clipped.std().clamp(min=1e-6)
    return network((0.226 * normalised + 0.449)[None, None])[0, 1]


def _box_around(found: np.ndarray, shape: tuple[int, ...], name: str) -> tuple[slice, ...]:
    """Return the box of the brain on the scan's grid, with a margin of a tenth on each side."""
    if not found.any():
        raise NoBrainError(name)
    found = _largest_piece(found)
    box = []
    for axis in range(3):
        profile = found.mean(axis=tuple(other for other in range(3) if other != axis))
        inside = np.flatnonzero(profile > 0.02)
        if not inside.size:
            raise NoBrainError(name)
        scale, margin = shape[axis] / found.shape[axis], 0.1 * (inside[-1] + 1 - inside[0])
        start, stop = (inside[0] - margin) * scale, (inside[-1] + 1 + margin) * scale
        box.append(slice(max(0, round(start)), min(shape[axis], round(stop))))
    return tuple(box)
