"""Cases of the benchmark: untouched healthy scans, simulated lesions in them, and real scans with a lesion mask."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..errors import InputError
from ..io.reading import read_if_lacking, read_mask_by_header
from ..io.reading_options import AS_THE_HEADER_SAYS, ReadingOptions
from ..io.sources import Source
from ..messages import Message
from ..preprocessing.brain_extraction import brain_or_foreground
from ..preprocessing.brain_space import BrainSpace, PreparedBrain
from ..preprocessing.registration import resample
from ..scoring.calibration import Pooling
from ..scoring.metrics import Curve
from ..training.data import read_scan
from ..volume import Volume, in_order_of
from .detectors import SEED
from .simulation.insertion import CONTRASTS, RADII_MM, UNSEEN, LesionSpec, insert_lesion

if TYPE_CHECKING:
    from ..methods.base import Method

# The unseen families are reported apart.
KINDS = tuple(kind for kind in RADII_MM if kind not in UNSEEN)

log = logging.getLogger(__name__)

# A slice counts as abnormal where the lesion covers at least this many pixels; fewer are neither healthy nor abnormal.
LESION_PIXELS = 20


@dataclass(frozen=True)
class CaseName:
    """Name of a case: a subject and the lesion inserted into the scan.

    Attributes:
        subject: Name of the scan.
        kind: Kind of lesion, or ``healthy`` for an untouched scan.
        contrast: Contrast of the lesion, or empty.
        place: Number of the place in this subject, from 1; each kind of lesion has places of its own.
    """

    subject: str
    kind: str = "healthy"
    contrast: str = ""
    place: int = 1

    def __str__(self) -> str:
        place = f"place{self.place}" if self.place > 1 else ""
        return "_".join(part for part in (self.subject, self.kind, self.contrast, place) if part)

    def lesion_seed(self, seed: int) -> int:
        """Return the random seed of the lesion; place 1 has the seed that it had before there were several."""
        place = [self.place] if self.place > 1 else []
        key = [seed, *self.subject.encode(), list(RADII_MM).index(self.kind), *place]
        return int(np.random.default_rng(key).integers(2**31))


@dataclass(frozen=True, eq=False)
class CaseImage:
    """A prepared scan without the way back to its own grid, as stored for a comparison.

    Attributes:
        image: Standard intensities, float32 (Z, Y, X), 0 outside the brain.
        mask: Brain, bool (Z, Y, X).
    """

    image: np.ndarray
    mask: np.ndarray


@dataclass(frozen=True, eq=False)
class Case:
    """A prepared scan and its lesion in model space.

    Attributes:
        name: Name of the case.
        prepared: The scan in model space.
        truth: Lesion, bool (Z, Y, X) on the model's grid; all False in an untouched scan.
        healthy: The scan without the lesion in the alignment, bias field and intensity scaling of `prepared`, float32
            (Z, Y, X); None if it is not known.
    """

    name: CaseName
    prepared: PreparedBrain | CaseImage
    truth: np.ndarray
    healthy: np.ndarray | None = None

    def brightened(self, value: float) -> Case:
        """Return the case with a lesion brighter by this standard intensity, as in T2-weighted scans."""
        if not value:
            return self
        image = (self.prepared.image + value * self.truth).astype(np.float32)
        return replace(self, prepared=replace(self.prepared, image=image))


def case_names(subjects: Sequence[str], every: bool = False, places: int = 1, unseen: bool = False) -> list[CaseName]:
    """List the cases of subjects: each scan untouched, and once with each kind of lesion, or with `every` combination.

    The contrasts rotate over subjects, kinds and places, so that each kind meets each contrast equally often.

    Args:
        subjects: Names of the scans.
        every: Whether each kind has each contrast, at the same place.
        places: Places of each kind in a subject.
        unseen: Whether to add the unseen families, at their first place.
    """
    contrasts = tuple(CONTRASTS)
    names = [CaseName(subject) for subject in subjects]
    for i, subject in enumerate(subjects):
        for k, kind in enumerate(RADII_MM if unseen else KINDS):
            for place in range(1 if kind in UNSEEN else places):
                chosen = contrasts if every else (contrasts[(i + k + place) % len(contrasts)],)
                names += [CaseName(subject, kind, contrast, place + 1) for contrast in chosen]
    return names


def cases(
    names: Sequence[CaseName], scans: Mapping[str, Source | Path], template: BrainSpace, seed: int
) -> Iterator[Case]:
    """Generate the cases one by one from scans by name; the same random seed gives the same lesions."""
    read: tuple[str, Volume, np.ndarray] | None = None
    for name in names:
        if read is None or read[0] != name.subject:
            read = (name.subject, *read_scan(scans[name.subject]))
        _, volume, brain = read
        truth, untouched = np.zeros(brain.shape, np.uint8), volume
        if name.kind != "healthy":
            spec = LesionSpec(name.kind, name.contrast)
            lesion = insert_lesion(volume, brain, spec, name.lesion_seed(seed))
            volume, truth = lesion.volume, lesion.mask.array
        prepared, inside = _prepared(volume, brain, truth, template)
        healthy = prepared.image if volume is untouched else prepared.standardised(untouched)
        yield Case(name, prepared, inside, healthy)


def real_case(image: Path, truth: Path, template: BrainSpace, options: ReadingOptions = AS_THE_HEADER_SAYS) -> Case:
    """Read a real scan with a manual mask of its lesions: 0.5 or more inside.

    Args:
        image: File of the scan.
        truth: File of the mask, in any voxel order.
        template: Space of the model.
        options: What the user says about files that cannot be read without it.

    Raises:
        InputError: If image and mask are not on the same grid.
    """
    volume = read_if_lacking(image, options)
    brain = template.examined(volume)[0] if template.any_contrast else brain_or_foreground(volume)
    mask = in_order_of(read_mask_by_header(truth, volume, options), volume)
    if mask is None:
        raise InputError("evaluation_mask_not_on_grid", mask=truth, image=image)
    return Case(CaseName(volume.name, "real"), *_prepared(volume, brain, mask.array >= 0.5, template))


def _prepared(
    volume: Volume, brain: np.ndarray, truth: np.ndarray, template: BrainSpace
) -> tuple[PreparedBrain, np.ndarray]:
    prepared = template.prepared(volume, brain)
    lesion = resample(volume.with_array(truth.astype(np.float32)), template.image, prepared.to_native) > 0.5
    return prepared, lesion & prepared.mask


def lesion_cases(subjects: Sequence[str], scans: Mapping[str, Source], template: BrainSpace) -> list[Case]:
    """Return the scan of each subject untouched and with one lesion of each kind; empty if a simulation fails."""
    try:
        return list(cases(case_names(subjects), scans, template, SEED))
    except InputError as error:
        log.warning(Message("lesions_not_simulated", reason=str(error)))
        return []


def lesion_level(
    method: Method, made: Sequence[Case], pooling: Pooling, spacing: Sequence[float], device: str = "cpu"
) -> dict[str, float]:
    """Measure how well the pooled map of a method separates lesions: voxel by voxel and slice by slice.

    A slice with a lesion is compared with the same slice of the same subject without it, since a reconstruction is
    worse at the base of the brain than in its middle, with or without a lesion. `spacing` is (x, y, z) in mm.

    Returns:
        ``slice_auroc`` and ``slice_ap`` of the mean of a slice, and ``pixel_auroc`` and ``pixel_ap`` of all brain
        voxels of the scans with a lesion; empty without lesions.
    """
    untouched = {case.name.subject: case for case in made if not case.truth.any()}
    maps = {}
    for case in made:
        score = method.restore(case.prepared.image, case.prepared.mask, device=device).score
        maps[case.name] = pooling.applied(score, case.prepared.mask, spacing)
    pixels, truths, slices, abnormal = [], [], [], []
    for case in made:
        mask, own = case.prepared.mask, untouched[case.name.subject]
        if case is own:
            continue
        pixels.append(maps[case.name][mask])
        truths.append(case.truth[mask])
        for z in np.flatnonzero(case.truth.sum(axis=(1, 2)) >= LESION_PIXELS):
            if own.prepared.mask[z].any():
                for one in (case, own):
                    slices.append(float(maps[one.name][z][one.prepared.mask[z]].mean()))
                    abnormal.append(one is case)
    if not abnormal:
        return {}
    by_slice = Curve.of(np.array(slices), np.array(abnormal))
    by_pixel = Curve.of(np.concatenate(pixels), np.concatenate(truths))
    return {
        "slice_auroc": by_slice.auroc(),
        "slice_ap": by_slice.average_precision(),
        "pixel_auroc": by_pixel.auroc(),
        "pixel_ap": by_pixel.average_precision(),
    }
