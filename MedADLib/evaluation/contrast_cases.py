"""Cases of the benchmark in other contrasts: healthy T1 scans turned into FLAIR, T2, PD or T1 spin echo scans.

Contrast, coils, noise and slices of a scan depend on the subject, so that all cases of a subject differ by the lesion
only. See `simulation.contrast_signal` for the signal, and `simulation.insertion` for shapes and positions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..io.sources import Source
from ..masks import bounding_slices
from ..preprocessing.brain_space import BrainSpace
from ..preprocessing.registration import affine_to_native, alignment_quality, resample
from ..training.data import read_scan
from ..volume import Volume
from .lesion_cases import Case, CaseName
from .simulation.acquisition import Acquisition
from .simulation.contrast_signal import FINDINGS, SCAN_CONTRASTS, SEVERITIES
from .simulation.insertion import LesionSpec, insert_lesion
from .simulation.tissue_mixture import tissue_shares

if TYPE_CHECKING:
    from ..runtime.progress import Progress

# Separates the random numbers of a scan from those of its lesions.
OF_SCANS, OF_LESIONS = 1, 2
# Empty voxels kept around a brain.
RIM = 2
PERCENTILE = 95


def contrast_case_names(subjects: Sequence[str], every: bool = False, places: int = 1) -> list[CaseName]:
    """List the cases of subjects: each scan untouched, and with each finding; see `lesion_cases.case_names`."""
    severities = tuple(SEVERITIES)
    names = [CaseName(subject) for subject in subjects]
    for i, subject in enumerate(subjects):
        for k, kind in enumerate(FINDINGS):
            for place in range(places):
                chosen = severities if every else (severities[(i + k + place) % len(severities)],)
                names += [CaseName(subject, kind, severity, place + 1) for severity in chosen]
    return names


@dataclass(frozen=True, eq=False)
class Anatomy:
    """A healthy brain to simulate scans of, cropped to the brain.

    Attributes:
        subject: Name of the scan.
        t1: The T1 scan, (Z, Y, X).
        brain: True in the brain, bool (Z, Y, X).
    """

    subject: str
    t1: Volume
    brain: np.ndarray

    @classmethod
    def read(cls, subject: str, scan: Source | Path) -> Anatomy:
        """Read a T1 scan and extract its brain."""
        volume, brain = read_scan(scan)
        box = tuple(slice(max(part.start - RIM, 0), part.stop + RIM) for part in bounding_slices(brain))
        return cls(subject, volume.within(box), brain[box])

    @cached_property
    def shares(self) -> np.ndarray:
        """Shares of the tissues, float32 (4, Z, Y, X)."""
        return tissue_shares(self.t1, self.brain)


@dataclass(eq=False)
class ContrastCases:
    """Maker of the cases of a contrast.

    Attributes:
        contrast: One of `SCAN_CONTRASTS`.
        scans: Healthy T1 scans by name.
        template: Space of the models.
        seed: Random seed.
    """

    contrast: str
    scans: Mapping[str, Source | Path]
    template: BrainSpace
    seed: int
    _last: Anatomy | None = field(default=None, repr=False)

    def anatomy(self, subject: str) -> Anatomy:
        """Return the brain of a subject; the last one is kept, since its cases follow each other."""
        if self._last is None or self._last.subject != subject:
            self._last = Anatomy.read(subject, self.scans[subject])
        return self._last

    def acquisition(self, subject: str) -> Acquisition:
        """Return how a subject is scanned."""
        key = [self.seed, OF_SCANS, SCAN_CONTRASTS.index(self.contrast), *subject.encode()]
        return Acquisition.draw(self.contrast, np.random.default_rng(key))

    def case(self, name: CaseName) -> Case:
        """Make a case; a kind that is no finding is an untouched scan."""
        anatomy, how = self.anatomy(name.subject), self.acquisition(name.subject)
        untouched, brain = how.scan(anatomy.t1, anatomy.brain, anatomy.shares)
        if name.kind not in FINDINGS:
            prepared = self.template.prepared(untouched, brain)
            return Case(name, prepared, np.zeros(prepared.mask.shape, bool), prepared.image)
        finding = FINDINGS[name.kind]
        key = [self.seed, OF_LESIONS, list(FINDINGS).index(name.kind), name.place, *name.subject.encode()]
        seed = int(np.random.default_rng(key).integers(2**31))
        # The contrast of the T1 scan with the lesion does not count, only its shape.
        shape = LesionSpec(finding.shape, "strong")
        lesion = insert_lesion(anatomy.t1, anatomy.brain, shape, seed, anatomy.shares)
        changed = (finding, SEVERITIES[name.contrast], lesion.layers)
        scan, brain = how.scan(anatomy.t1, anatomy.brain, anatomy.shares, changed)
        prepared = self.template.prepared(scan, brain)
        inside = lesion.mask.with_array(lesion.mask.array.astype(np.float32))
        truth = resample(inside, self.template.image, prepared.to_native) > 0.5
        return Case(name, prepared, truth & prepared.mask, prepared.standardised(untouched))

    def misalignment(self, subject: str) -> dict[str, str | float]:
        """Compare the alignment of a subject's scan of this contrast with that of its T1 scan.

        Returns:
            A row of ``alignment.tsv``: mean, 95th percentile and maximum of the distance in mm, over the voxels of the
            template's brain, between where the two alignments map it.
        """
        anatomy, how = self.anatomy(subject), self.acquisition(subject)
        image, mask = self.template.image, self.template.mask
        scan, brain = how.scan(anatomy.t1, anatomy.brain, anatomy.shares)
        known = affine_to_native(image, mask, anatomy.t1, anatomy.brain)
        found = affine_to_native(image, mask, scan, brain)
        points = image.ras_from_voxels(np.argwhere(mask))
        apart = points @ (found - known)[:3, :3].T + (found - known)[:3, 3]
        distance = np.linalg.norm(apart, axis=1)
        quality = alignment_quality(image, mask, scan, brain, found)
        return {
            "scan": subject,
            "acquisition": how.describe(),
            "mean mm": round(float(distance.mean()), 3),
            f"{PERCENTILE}th percentile mm": round(float(np.percentile(distance, PERCENTILE)), 3),
            "largest mm": round(float(distance.max()), 3),
            "information": round(quality.information, 3),
        }


def alignment_rows(cases: ContrastCases, subjects: Sequence[str], progress: Progress) -> list[dict[str, str | float]]:
    """Return the rows of ``alignment.tsv``."""
    rows = []
    for number, subject in enumerate(subjects):
        progress.update(number / len(subjects), subject)
        rows.append(cases.misalignment(subject))
    return rows
