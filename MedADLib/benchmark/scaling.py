"""Scaling of the restoration time with slices, samples, λ, threads and the size of the scan."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from ..detection import Settings, detect
from ..methods.latent_restoration import LatentRestoration
from ..methods.slicewise import examined_slices
from ..modelfile.model import Model
from ..preprocessing.registration import resample
from ..runtime.numerics import evenly_spread
from ..runtime.progress import Progress
from ..volume import Volume
from .samplers import as_published
from .standard_scan import StandardScan
from .timing import Seconds, cores

SLICES = (10, 50, 100, 200)
SAMPLES = (1, 5, 10, 15, 30)
# λ relative to that of the model.
LIMITS = (1.5, 1.0, 0.75, 0.5, 0.25)
THREADS = (1, 2)
SIDES = (128, 192, 256, 320)
FEW = 10
PARTS = ("encode", "nll", "restore", "decode")


@dataclass(frozen=True)
class Growth:
    """One point of a curve.

    Attributes:
        what: Varied quantity: "slices", "samples", "λ", "threads" or "voxels along a side".
        value: Its value.
        part: "encode", "nll", "restore", "decode" or "all".
        seconds: Wall-clock time; the medians of the parts need not add up to that of "all".
        codes: Mean number of resampled codes per slice.
    """

    what: str
    value: float
    part: str
    seconds: Seconds
    codes: float


def growth(
    model: Model, scan: StandardScan, runs: int, progress: Progress | None = None, device: str = "cpu"
) -> list[Growth]:
    """Measure all curves."""
    progress, rows = progress or Progress(), []
    points = list(_points(model, scan, device))
    for number, (what, value, measure) in enumerate(points):
        taken = []
        for run in range(runs):
            progress.update((number + run / runs) / len(points), f"{what} {value:g}")
            seconds, codes = measure()
            taken.append(seconds | {"all": sum(seconds.values())})
        parts = [name for name in (*PARTS, "all") if name in taken[0]]
        rows += [Growth(what, value, part, Seconds.of([run[part] for run in taken]), codes) for part in parts]
    return rows


Measure = Callable[[], tuple[dict[str, float], float]]


def _points(model: Model, scan: StandardScan, device: str) -> Iterator[tuple[str, float, Measure]]:
    """Generate every point of every curve with its measurement: seconds by part, and resampled codes per slice."""
    method, image, mask = model.method, scan.prepared.image, scan.prepared.mask

    def restored(count: int | None = None, threads: int | None = None, **settings) -> Measure:
        changed = as_published(method, **settings)
        return lambda: _restored(changed, *some_slices(image, mask, count or FEW), threads, device)

    for count in SLICES:
        yield "slices", count, restored(count)
    for samples in SAMPLES:
        yield "samples", samples, restored(samples=samples)
    for part in LIMITS:
        limit = part * method.parameters.restoration_nll
        yield "λ", limit, restored(restoration_nll=limit)
    for threads in THREADS if device == "cpu" else ():
        yield "threads", threads, restored(threads=threads)
    for side in SIDES:
        yield "voxels along a side", side, lambda side=side: _detected(model, scan.volume, scan.brain, side, device)


def some_slices(image: np.ndarray, mask: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Limit image and mask to a number of slices, evenly spread from the lowest to the highest.

    For more slices than the scan has, every slice is repeated next to itself, so that each keeps the relative height in
    the brain that the prior expects.
    """
    times = -(-count // len(examined_slices(mask)))
    image, mask = (np.repeat(array, times, axis=0) for array in (image, mask))
    only = np.zeros_like(mask)
    examined = examined_slices(mask)
    chosen = examined[evenly_spread(len(examined), count)]
    only[chosen] = mask[chosen]
    return image, only


def _restored(
    method: LatentRestoration, image: np.ndarray, mask: np.ndarray, threads: int | None, device: str
) -> tuple[dict[str, float], float]:
    progress = Progress()
    with cores(threads):
        progress.stage("rest", 0.0, 1.0)
        facts = method.restore(image, mask, device=device, progress=progress).facts
        progress.finish()
    return progress.seconds, facts[f"codes_redrawn_per_{method.unit}"]


def _detected(model: Model, scan: Volume, brain: Volume, side: int, device: str) -> tuple[dict[str, float], float]:
    """Run `detect` on a scan of side³ voxels over the same field of view."""
    shape = (side,) * 3
    spacing = [n * s / side for n, s in zip(scan.array.shape[::-1], scan.spacing)]
    affine = scan.affine.copy()
    for axis in range(3):
        affine[:3, axis] *= spacing[axis] / scan.spacing[axis]
    grid = Volume(np.zeros(shape, np.float32), affine, scan.name)
    head, inside = (grid.with_array(resample(volume, grid, np.eye(4))) for volume in (scan, brain))
    progress = Progress()
    mask = inside.with_array((inside.array > 0.5).astype(np.uint8))
    found = detect(head, model, Settings(mask=mask, device=device), progress)
    return progress.seconds, found.provenance["facts"].get("codes_redrawn_per_slice", 0.0)
