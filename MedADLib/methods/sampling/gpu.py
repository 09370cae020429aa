"""Fixed-point sampling for GPUs: all indices of all restorations at once, repeated until nothing changes.

With fixed noise, a restoration is the fixed point of "sample every code given the codes before it" (Jacobi iteration;
Wiggers and Hoogeboom 2020). The result of a pass is final up to and including the first index that changes, so at most
as many passes are needed as there are sampled indices; in practice, a few are.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from ...networks.code_prior import Cache
from .task import Origin, SamplingTask

# Lengths are rounded up to a multiple of this number, so that there are few different shapes.
BUCKET = 16
# Completed rows stay in the batch until they are a quarter of it, because removal copies the caches of the others.
CROWDED = 0.75


def sample_by_fixed_point(task: SamplingTask, on_progress: Callable[[float], None]) -> torch.Tensor:
    """Sample restorations of slices with a static or dynamic mask.

    The likelihood pass is the first pass of all samples. Each later pass starts after the first index that the previous
    one changed in any row, ends with the last index that may be resampled, and contains only rows that changed.

    Args:
        task: What to sample.
        on_progress: Called with the completed share, in [0, 1], after each pass; may raise to stop.

    Returns:
        int64 (n, samples, length).
    """
    prior, samples = task.prior, len(task.samples)
    passes = _Passes(task)
    ends, slice_of = passes.ends, np.repeat(np.arange(len(task.codes)), samples)
    active = np.flatnonzero(ends > 0)
    changed = passes.sample(task.logits, slice_of, active, 0, task.codes.shape[1])
    held, cache, done = active, None, 0.0
    while True:
        active = active[changed[active] + 1 < ends[active]]
        done = max(done, 1 - len(active) / len(ends))
        on_progress(done if len(active) else 1.0)
        if not len(active):
            return passes.guess.view(len(task.codes), samples, -1)
        last = int(ends[active].max())
        places = -(-(last - int(changed[active].min()) - 1) // BUCKET) * BUCKET
        first = max(last - places, 1)
        if cache is None or len(active) < CROWDED * len(held):
            if cache is None:
                source, chosen = task.cache, slice_of[active]
            else:
                source, chosen = cache, np.searchsorted(held, active)
            cache, held = _rows(source, chosen, last), active
        rows = passes.tensor(held)
        logits = prior.extend_all(passes.guess[rows], passes.positions[rows], first, last, cache)
        slot = np.zeros(len(ends), np.int64)
        slot[held] = np.arange(len(held))
        changed = passes.sample(logits, slot, active, first, last)


def _rows(cache: Cache, chosen: np.ndarray, last: int) -> Cache:
    """Copy some rows of a cache, up to an index."""
    indices = torch.from_numpy(chosen).to(cache.keys.device)
    return Cache(*(part[:, :, :, :last].index_select(1, indices) for part in cache))


class _Passes:
    """Current iterate of all restorations, and its update in a pass.

    Everything that determines shapes is on the host, so that a pass synchronises with the device once.
    """

    def __init__(self, task: SamplingTask):
        self.task, samples = task, len(task.samples)
        self.guess = task.codes.repeat_interleave(samples, 0)
        self.positions = task.positions.repeat_interleave(samples)
        numbers, places = (part.cpu().numpy() for part in task.places.nonzero(as_tuple=True))
        # Each (row, index) that may be resampled, with its noise.
        self.spot_rows = (numbers[:, None] * samples + np.arange(samples)).ravel()
        self.spot_places = np.repeat(places, samples)
        self.noise = task.noise_at(list(zip(numbers.tolist(), places.tolist())))
        self.kept = task.codes[self.tensor(self.spot_rows // samples), self.tensor(self.spot_places)]
        self.ends = np.zeros(len(self.guess), np.int64)
        np.maximum.at(self.ends, self.spot_rows, self.spot_places + 1)

    def tensor(self, array: np.ndarray) -> torch.Tensor:
        """Copy indices to the device."""
        return torch.from_numpy(array).to(self.guess.device)

    def sample(self, logits: torch.Tensor, slot: np.ndarray, active: np.ndarray, first: int, last: int) -> np.ndarray:
        """Sample the codes of active rows again, by logits (slots, last - first, K) from index `first` on.

        `slot` is the place of each row in the logits. Return the first changed index of each row, else a large number.
        """
        allowed = np.zeros(len(self.guess), bool)
        allowed[active] = True
        chosen = np.flatnonzero(allowed[self.spot_rows] & (self.spot_places >= first) & (self.spot_places < last))
        spots, rows, places = self.tensor(chosen), self.spot_rows[chosen], self.spot_places[chosen]
        logits = logits[self.tensor(slot[rows]), self.tensor(places - first)]
        noise, kept, where = self.noise[spots], self.kept[spots], (self.tensor(rows), self.tensor(places))
        found, close = self.task.largest(logits, noise)
        unlikely, unsure = torch.ones_like(close), torch.zeros_like(close)
        if self.task.limit is not None:
            unlikely, unsure = self.task.beyond(logits, kept)
        before = self.guess[where]
        different = torch.where(unlikely, found, kept) != before
        # The only synchronisation of a pass.
        different, close, unsure = torch.stack([different, close, unsure]).cpu().numpy()
        if close.any() or unsure.any():
            samples = len(self.task.samples)

            def history(spot: int) -> Origin:
                number = int(rows[spot]) // samples
                return self.guess[int(rows[spot])], self.task.positions[number : number + 1], int(places[spot])

            found = self.task.recompute_largest(found, np.flatnonzero(close).tolist(), noise, history)
            unlikely = self.task.recompute_beyond(unlikely, np.flatnonzero(unsure).tolist(), kept, history)
            different = (torch.where(unlikely, found, kept) != before).cpu().numpy()
        self.guess[where] = torch.where(unlikely, found, kept)
        changed = np.full(len(self.guess), np.iinfo(np.int64).max - 1)
        np.minimum.at(changed, rows[different], places[different])
        return changed
