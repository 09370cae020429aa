"""The development benchmark: healthy scans kept for it, untouched and with simulated lesions of known extent."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from .preparation import Prepared, Template, prepare
from .registration import resample
from .scan_folder import Source
from .simulation import CONTRASTS, RADII_MM, LesionSpec, insert_lesion
from .training_data import read_scan
from .volume import Volume

KINDS = tuple(RADII_MM)


@dataclass(frozen=True)
class CaseName:
    """Which case: a subject, and what was put into the scan; an untouched scan has no kind.

    Attributes:
        subject: Scan name.
        kind: Lesion kind, or ``healthy``.
        contrast: Lesion contrast, or empty.
    """

    subject: str
    kind: str = "healthy"
    contrast: str = ""

    def __str__(self) -> str:
        return "_".join(part for part in (self.subject, self.kind, self.contrast) if part)


@dataclass(frozen=True, eq=False)
class Case:
    """A prepared scan and where its lesion is in model space.

    Attributes:
        name: Which case.
        prepared: The scan in model space.
        truth: Lesion, bool (Z, Y, X) on the model's grid; all False in an untouched scan.
    """

    name: CaseName
    prepared: Prepared
    truth: np.ndarray

    def brightened(self, value: float) -> Case:
        """The same with a lesion that is brighter by a standard intensity, as lesions are in T2-weighted scans."""
        if not value:
            return self
        image = (self.prepared.image + value * self.truth).astype(np.float32)
        return replace(self, prepared=replace(self.prepared, image=image))


def case_names(subjects: Sequence[str], every: bool = False) -> list[CaseName]:
    """The cases of some subjects: each untouched, and once with each lesion kind.

    The contrasts rotate over subjects and kinds, so that each kind meets each contrast equally often.

    Args:
        subjects: Scan names.
        every: Every kind with every contrast in every subject instead.
    """
    contrasts = tuple(CONTRASTS)
    names = [CaseName(subject) for subject in subjects]
    for i, subject in enumerate(subjects):
        for k, kind in enumerate(KINDS):
            chosen = contrasts if every else (contrasts[(i + k) % len(contrasts)],)
            names += [CaseName(subject, kind, contrast) for contrast in chosen]
    return names


def cases(
    names: Sequence[CaseName], scans: Mapping[str, Source | Path], template: Template, seed: int
) -> Iterator[Case]:
    """Make the cases one after the other; the same seed gives the same lesions.

    Args:
        names: Which cases.
        scans: Scans or their paths, by name.
        template: The space to bring them to.
        seed: Of places and shapes.
    """
    read: tuple[str, Volume, np.ndarray] | None = None
    for name in names:
        if read is None or read[0] != name.subject:
            read = (name.subject, *read_scan(scans[name.subject]))
        _, volume, brain = read
        truth = np.zeros(brain.shape, np.uint8)
        if name.kind != "healthy":
            place = int(np.random.default_rng([seed, *name.subject.encode(), KINDS.index(name.kind)]).integers(2**31))
            lesion = insert_lesion(volume, brain, LesionSpec(name.kind, name.contrast), place)
            volume, truth = lesion.volume, lesion.mask.array
        yield Case(name, *_prepared(volume, brain, truth, template))


def real_case(image: Path, truth: Path, template: Template) -> Case:
    """A case of a real scan with a mask of its lesions, found by a person.

    Raises:
        InputError: If image and mask are not on the same grid.
    """
    from .errors import InputError

    volume, brain = read_scan(image)
    mask = Volume.read(truth)
    if not volume.same_grid(mask):
        raise InputError(f"{truth} is not on the grid of {image}", "Resample the mask to the image first.")
    return Case(CaseName(volume.name, "real"), *_prepared(volume, brain, mask.array > 0, template))


def _prepared(volume: Volume, brain: np.ndarray, truth: np.ndarray, template: Template) -> tuple[Prepared, np.ndarray]:
    prepared = prepare(volume, brain, template)
    lesion = resample(volume.with_array(truth.astype(np.float32)), template.image, prepared.to_native) > 0.5
    return prepared, lesion & prepared.mask
