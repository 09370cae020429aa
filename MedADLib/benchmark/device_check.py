"""Check of a GPU: maps of models there and on the CPU, times, memory, and restorations with too little memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol

import numpy as np

from ..methods.base import Method
from ..modelfile.model import Model
from ..runtime.device import run_on
from ..runtime.progress import Progress
from ..scoring.restoration import Restoration
from ..volume import Volume
from .timing import Seconds, timed

# Tolerances between the anomaly maps of a GPU and of the CPU, over the examined part: the mean difference in the unit
# of the map, and the share of voxels above the threshold in only one of them. Another rounding can change a code, and
# so some restored voxels; hence the largest difference has no limit.
MEAN, SHARE = 0.05, 1e-3
# Memory that torch may have, as a fraction of what a restoration takes; None sets no limit.
LIMITS: dict[str, float | None] = {"all": None, "half": 0.5, "none": 0.0}

Restore = Callable[[Method, np.ndarray, np.ndarray, str], Restoration]


class Memory(Protocol):
    """Memory of a device."""

    def start(self) -> None:
        """Free what is not used, and start to measure the peak."""

    def peak(self) -> int:
        """Return the largest number of bytes that torch had reserved since the start."""

    def limited(self, most: int) -> AbstractContextManager[None]:
        """Let torch reserve at most this number of bytes within the block."""


class CpuMemory:
    """Memory of the CPU, which is neither measured nor limited."""

    def start(self) -> None:
        """Do nothing."""

    def peak(self) -> int:
        """Return 0."""
        return 0

    def limited(self, most: int) -> AbstractContextManager[None]:
        """Set no limit."""
        return nullcontext()


class GpuMemory:
    """Memory of a GPU, as the allocator of torch reserves it for this process."""

    def __init__(self, device: str):
        self._device = device

    def start(self) -> None:
        """Free what is not used, and start to measure the peak."""
        import torch

        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(self._device)

    def peak(self) -> int:
        """Return the largest number of bytes that torch had reserved since the start."""
        import torch

        return torch.cuda.max_memory_reserved(self._device)

    @contextmanager
    def limited(self, most: int) -> Iterator[None]:
        """Let torch reserve at most this number of bytes within the block; beyond, it raises its out-of-memory error.

        What it had reserved before stays, so nothing should be in use at the start.
        """
        import torch

        whole = torch.cuda.get_device_properties(self._device).total_memory
        torch.cuda.empty_cache()
        torch.cuda.set_per_process_memory_fraction(min(most / whole, 1.0), self._device)
        try:
            yield
        finally:
            torch.cuda.set_per_process_memory_fraction(1.0, self._device)


@dataclass(frozen=True, eq=False)
class Case:
    """A prepared scan and a model that examines it.

    Attributes:
        name: Name of the model.
        method: Its method.
        image: Standard intensities, float32 (Z, Y, X).
        mask: Examined part, bool (Z, Y, X).
        map: Computes the anomaly map from the raw score, both (Z, Y, X).
        threshold: Default threshold of the map.
    """

    name: str
    method: Method
    image: np.ndarray
    mask: np.ndarray
    map: Callable[[np.ndarray], np.ndarray]
    threshold: float

    @classmethod
    def of(cls, model: Model, volume: Volume, brain: np.ndarray) -> Case:
        """Prepare a scan with its brain mask, bool (Z, Y, X), for a calibrated model."""
        prepared = model.template.prepared(volume, brain)
        calibration, spacing = model.calibration, model.template.image.spacing

        def anomaly_map(score: np.ndarray) -> np.ndarray:
            return np.maximum(calibration.anomaly_map(score, prepared.mask, spacing), 0)

        reference = calibration.reference
        threshold = reference.value_of(reference.threshold)
        return cls(model.name, model.method, prepared.image, prepared.mask, anomaly_map, threshold)


@dataclass(frozen=True)
class DeviceRun:
    """Restorations of one scan by one model on a device, compared with the CPU.

    Attributes:
        model: Name of the model.
        memory: Name of the limit of memory, see `LIMITS`.
        computed_on: The device that computed; the CPU if the memory did not suffice in smaller batches either.
        seconds: Time of a restoration, without a first one; with a limit of memory, of the only one.
        cpu_seconds: Time of the restoration on the CPU.
        peak_bytes: Largest memory that torch had reserved on the device.
        largest: Largest difference of the anomaly maps.
        mean: Mean difference of the anomaly maps over the examined part.
        share: Share of the examined part that is above the threshold in only one of the maps.
        sample: Relative difference of the sample scores of the methods.
        notes: Notes for the user.
    """

    model: str
    memory: str
    computed_on: str
    seconds: Seconds
    cpu_seconds: Seconds
    peak_bytes: int
    largest: float
    mean: float
    share: float
    sample: float
    notes: tuple[str, ...] = ()

    @property
    def agrees(self) -> bool:
        """Whether the map is that of the CPU within the tolerances."""
        return self.mean <= MEAN and self.share <= SHARE


def restored(method: Method, image: np.ndarray, mask: np.ndarray, device: str) -> Restoration:
    """Restore a prepared scan on a device."""
    return method.restore(image, mask, device=device)


@dataclass
class DeviceCheck:
    """Restores scans on a device and on the CPU, and compares the anomaly maps.

    Attributes:
        device: ``cpu`` or ``cuda:N``; on the CPU, both restorations are the same, and memory has no limit.
        runs: Number of timed restorations on the device.
        memory: Memory of the device; None takes that of `device`.
        restore: Restores a prepared scan on a device; it may raise torch's out-of-memory error.
    """

    device: str
    runs: int = 3
    memory: Memory | None = None
    restore: Restore = field(default=restored)

    def __post_init__(self) -> None:
        if self.memory is None:
            self.memory = CpuMemory() if self.device == "cpu" else GpuMemory(self.device)

    def check(self, case: Case, progress: Progress | None = None) -> list[DeviceRun]:
        """Return a row for each limit of memory; on the CPU, for all memory only."""
        progress, rows = progress or Progress(), []
        wanted, cpu_seconds = self._measured(case, "cpu", 1)[::2]
        peak = 0
        for number, (name, part) in enumerate(LIMITS.items()):
            if part is not None and self.device == "cpu":
                break
            progress.update((number + 1) / (len(LIMITS) + 1), f"{case.name}, memory: {name}")
            _to_cpu(case.method)
            self.memory.start()
            if part is None:
                # The first restoration loads libraries and chooses the arithmetic.
                self._run(case)
            with nullcontext() if part is None else self.memory.limited(int(part * peak)):
                found, (where, notes), seconds = self._measured(case, self.device, self.runs if part is None else 1)
            used = self.memory.peak()
            peak = peak or used
            compared = _compared(case, found, wanted)
            rows.append(DeviceRun(case.name, name, where, seconds, cpu_seconds, used, *compared, tuple(notes)))
        _to_cpu(case.method)
        return rows

    def _run(self, case: Case, device: str | None = None) -> tuple[Restoration, str, Sequence[str]]:
        work = partial(self.restore, case.method, case.image, case.mask)
        return run_on(device or self.device, work, case.method.networks().values())

    def _measured(self, case: Case, device: str, runs: int) -> tuple[Restoration, tuple[str, Sequence[str]], Seconds]:
        """Restore several times; return the last result, the device that computed it with the notes, and the times."""
        found = []
        seconds = timed(lambda: found.append(self._run(case, device)), runs, device)
        result, *how = found[-1]
        return result, tuple(how), seconds


def _to_cpu(method: Method) -> None:
    """Move all networks of a method to the CPU, so that nothing is left on a GPU."""
    for network in method.networks().values():
        network.cpu()


def _compared(case: Case, found: Restoration, wanted: Restoration) -> tuple[float, float, float, float]:
    """Return largest and mean difference of the maps, share above the threshold in one only, and that of the scores."""
    here, there = (case.map(result.score)[case.mask] for result in (found, wanted))
    apart = np.abs(here.astype(np.float64) - there)
    share = float(((here > case.threshold) != (there > case.threshold)).mean())
    sample = abs(found.sample_score - wanted.sample_score) / max(abs(wanted.sample_score), 1e-9)
    return float(apart.max()), float(apart.mean()), share, sample
