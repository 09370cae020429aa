"""Files of a comparison: each prepared case once, and what each detector found in it.

A case holds the voxels of the brain. A detector's file holds its raw score there, sums that describe its restoration,
time and memory, and a few slices of the restoration for figures.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from ..masks import connected_components
from ..preprocessing.space import CEILING
from ..runtime.atomic_files import replacing
from ..scoring.restoration import Restoration
from .detectors import Detector, Kept
from .lesion_cases import Case, CaseImage, CaseName
from .restoration_quality import RestorationSums

STATUS, RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")


@dataclass(frozen=True)
class StoredCase:
    """A case of a comparison and its files.

    Attributes:
        label: Its name, unique in the comparison.
        name: Subject, kind, contrast and place; the kind "real" has the name of the scan as contrast.
        make: Makes the case.
        folder: Folder of the files.
        suffix: Part of the file names: seed and other options.
        template: Part of the name of the prepared case: the template.
    """

    label: str
    name: CaseName
    make: Callable[[], Case]
    folder: Path
    suffix: str
    template: str

    def case(self) -> Case:
        """Return the case from its file, or make it and write the file."""
        file = self.folder / "cases" / f"{self.label}_{self.suffix}_{self.template}.npz"
        if not file.is_file():
            case = self.make()
            mask, truth, healthy = case.prepared.mask, case.truth, case.healthy
            known = np.empty(0, np.float32) if healthy is None else healthy[truth]
            file.parent.mkdir(exist_ok=True)
            with replacing(file) as unfinished:
                np.savez_compressed(unfinished, image=case.prepared.image[mask], mask=mask, truth=truth, healthy=known)
            return case
        with np.load(file, allow_pickle=False) as content:
            mask, truth, known = content["mask"], content["truth"], content["healthy"]
            image = np.zeros(mask.shape, np.float32)
            image[mask] = content["image"]
        healthy = None
        if truth.any() == bool(len(known)):
            healthy = image.copy()
            healthy[truth] = known
        return Case(self.name, CaseImage(image, mask), truth, healthy)

    def scored(self, detector: Detector) -> Path:
        """Return the path of the file of a detector."""
        return self.folder / "scores" / f"{self.label}_{self.suffix}_{detector.key}.npz"

    def score(self, detectors: Sequence[Detector]) -> None:
        """Score the case by the detectors that have no file of it yet."""
        case: Case | None = None
        for detector in detectors:
            file = self.scored(detector)
            if not _complete(file):
                case = case or self.case()
                found, seconds, peak_mb = measured(partial(detector.score, case.prepared))
                file.parent.mkdir(exist_ok=True)
                with replacing(file) as unfinished:
                    np.savez(unfinished, **self._content(detector, case, found), seconds=seconds, peak_mb=peak_mb)

    def kept(self, detector: Detector) -> Kept:
        """Read what a detector found."""
        with np.load(self.scored(detector), allow_pickle=False) as content:
            mask, truth = (np.unpackbits(content[name])[: int(content["shape"].prod())].astype(bool) for name in
                           ("mask", "truth"))  # fmt: skip
            mask, truth = mask.reshape(content["shape"]), truth.reshape(content["shape"])
            values = content["values"]
            # An ensemble has a map for each member.
            score = np.zeros((*values.shape[:-1], *mask.shape), np.float32)
            score[..., mask] = values
            return Kept(
                self.name.kind, self.name.contrast, mask, truth, score, float(content["sample"]), self.name.subject,
                self.label, RestorationSums.from_array(content["sums"]) if detector.restores else None,
                float(content["seconds"]), float(content["peak_mb"]),
                dict(zip(content["heights"].tolist(), content["slices"])),
            )  # fmt: skip

    def _content(self, detector: Detector, case: Case, found: Restoration) -> dict[str, np.ndarray]:
        """Return the arrays to store for a detector."""
        prepared, mask = case.prepared, case.prepared.mask
        heights = _heights(self.name.kind, case) if detector.restores else np.empty(0, int)
        slices = np.clip(found.restored[heights] * (255 / CEILING), 0, 255).astype(np.uint8)
        sums = np.zeros(10)
        if detector.restores:
            sums = RestorationSums.of(found.restored, prepared.image, mask, case.truth, case.healthy).as_array()
        return {
            "values": found.score[..., mask].astype(np.float32),
            "shape": np.array(mask.shape),
            "mask": np.packbits(mask),
            "truth": np.packbits(case.truth),
            "sample": np.float64(found.sample_score),
            "sums": sums,
            "heights": heights,
            "slices": slices,
        }


def _complete(file: Path) -> bool:
    """Return whether a file of scores is there and of this form; an earlier version stored whole maps."""
    if not file.is_file():
        return False
    with np.load(file, allow_pickle=False) as content:
        return "values" in content and "sums" in content


def _heights(kind: str, case: Case) -> np.ndarray:
    """Return the slices of the restoration that figures may show: through each lesion, or all of a healthy brain."""
    if kind == "calibration":
        return np.empty(0, int)
    if not case.truth.any():
        return np.flatnonzero(case.prepared.mask.any(axis=(1, 2)))
    return np.unique([height for height, _, _ in centres(lesion_labels(kind, case.truth))])


def lesion_labels(kind: str, truth: np.ndarray) -> np.ndarray:
    """Number the lesions of a case from 1, (Z, Y, X).

    Connected parts are lesions, but an unseen family has one lesion in a case: a tube or patch of cortex that is
    thinner than the voxels of the model falls into parts there.
    """
    from .simulation.insertion import UNSEEN

    return truth.astype(np.uint8) if kind in UNSEEN else connected_components(truth)


def centres(labels: np.ndarray) -> list[tuple[int, int, int]]:
    """Return a voxel (z, y, x) of each numbered part, in the slice with most of it and near its middle there."""
    from scipy.ndimage import find_objects

    found = []
    for number, box in enumerate(find_objects(labels), start=1):
        part = labels[box] == number
        height = int(part.sum(axis=(1, 2)).argmax())
        inside = np.argwhere(part[height])
        row, column = inside[((inside - inside.mean(axis=0)) ** 2).sum(axis=1).argmin()]
        found.append((box[0].start + height, box[1].start + int(row), box[2].start + int(column)))
    return found


def measured(work: Callable[[], Restoration]) -> tuple[Restoration, float, float]:
    """Return the result of a function, its seconds, and the peak memory of the process meanwhile in MB.

    The memory is NaN where the system does not tell it (other than Linux); it includes what the process held before.
    """
    try:
        RESET.write_text("5")
        known = True
    except OSError:
        known = False
    start = time.perf_counter()
    found = work()
    seconds, peak = time.perf_counter() - start, float("nan")
    if known:
        lines = [line.split() for line in STATUS.read_text().splitlines() if line.startswith("VmHWM:")]
        peak = int(lines[0][1]) / 1024 if lines else peak
    return found, seconds, peak
