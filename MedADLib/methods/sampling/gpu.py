"""Fixed-point sampling for GPUs: all places of all restorations at once, again until nothing changes.

With its noise held fixed, a restoration is the fixed point of "draw every place given the codes before it" (Wiggers
and Hoogeboom 2020). What a pass finds up to and including the first place that it changes is final, so that as many
passes as there are drawn places are enough; a few are.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from ...networks.code_prior import Cache
from .draws import Draws, Origin

# Lengths are rounded up to a multiple of it, so that there are few different shapes.
BUCKET = 16
# Rows that are done stay in the batch until they are a quarter of it, for leaving copies the caches of the others.
CROWDED = 0.75


def sample_by_fixed_point(draws: Draws, told: Callable[[float], None]) -> torch.Tensor:
    """Restorations of some slices, with a static or dynamic mask.

    The likelihood pass is the first pass of all samples. Each later one begins after the first place that the one
    before it changed in any row, ends with the last place that can be drawn, and has only rows that still changed.

    Args:
        draws: What to draw.
        told: Called with the part done, in [0, 1], after each pass; may raise to stop.

    Returns:
        int64 (n, samples, length).
    """
    prior, samples = draws.prior, len(draws.samples)
    passes = _Passes(draws)
    ends, slice_of = passes.ends, np.repeat(np.arange(len(draws.codes)), samples)
    active = np.flatnonzero(ends > 0)
    changed = passes.draw(draws.logits, slice_of, active, 0, draws.codes.shape[1])
    held, cache, done = active, None, 0.0
    while True:
        active = active[changed[active] + 1 < ends[active]]
        done = max(done, 1 - len(active) / len(ends))
        told(done if len(active) else 1.0)
        if not len(active):
            return passes.guess.view(len(draws.codes), samples, -1)
        last = int(ends[active].max())
        places = -(-(last - int(changed[active].min()) - 1) // BUCKET) * BUCKET
        first = max(last - places, 1)
        if cache is None or len(active) < CROWDED * len(held):
            if cache is None:
                source, chosen = draws.cache, slice_of[active]
            else:
                source, chosen = cache, np.searchsorted(held, active)
            cache, held = _rows(source, chosen, last), active
        rows = passes.tensor(held)
        logits = prior.extend_all(passes.guess[rows], passes.positions[rows], first, last, cache)
        slot = np.zeros(len(ends), np.int64)
        slot[held] = np.arange(len(held))
        changed = passes.draw(logits, slot, active, first, last)


def _rows(cache: Cache, chosen: np.ndarray, last: int) -> Cache:
    """Copies of some rows of a cache, up to a place."""
    indices = torch.from_numpy(chosen).to(cache.keys.device)
    return Cache(*(part[:, :, :, :last].index_select(1, indices) for part in cache))


class _Passes:
    """The present guess of all restorations, and how a pass draws it anew.

    What decides about shapes lies on the host, so that a pass waits for the device once.

    Args:
        draws: What to draw.
    """

    def __init__(self, draws: Draws):
        self.draws, samples = draws, len(draws.samples)
        self.guess = draws.codes.repeat_interleave(samples, 0)
        self.positions = draws.positions.repeat_interleave(samples)
        numbers, places = (part.cpu().numpy() for part in draws.places.nonzero(as_tuple=True))
        # Each (row, place) that may be drawn, with its noise.
        self.spot_rows = (numbers[:, None] * samples + np.arange(samples)).ravel()
        self.spot_places = np.repeat(places, samples)
        self.noise = draws.noise_at(list(zip(numbers.tolist(), places.tolist())))
        self.kept = draws.codes[self.tensor(self.spot_rows // samples), self.tensor(self.spot_places)]
        self.ends = np.zeros(len(self.guess), np.int64)
        np.maximum.at(self.ends, self.spot_rows, self.spot_places + 1)

    def tensor(self, array: np.ndarray) -> torch.Tensor:
        """Indices on the device."""
        return torch.from_numpy(array).to(self.guess.device)

    def draw(self, logits: torch.Tensor, slot: np.ndarray, active: np.ndarray, first: int, last: int) -> np.ndarray:
        """Draw the codes of some rows and places anew.

        Args:
            logits: (slots, last - first, K).
            slot: Where in `logits` each row is, (rows,).
            active: Rows to draw.
            first: The first place.
            last: One more than the last place.

        Returns:
            The first place of each row that changed, (rows,); a large number where none did.
        """
        allowed = np.zeros(len(self.guess), bool)
        allowed[active] = True
        chosen = np.flatnonzero(allowed[self.spot_rows] & (self.spot_places >= first) & (self.spot_places < last))
        spots, rows, places = self.tensor(chosen), self.spot_rows[chosen], self.spot_places[chosen]
        logits = logits[self.tensor(slot[rows]), self.tensor(places - first)]
        noise, kept, where = self.noise[spots], self.kept[spots], (self.tensor(rows), self.tensor(places))
        found, close = self.draws.largest(logits, noise)
        unlikely, unsure = torch.ones_like(close), torch.zeros_like(close)
        if self.draws.limit is not None:
            unlikely, unsure = self.draws.beyond(logits, kept)
        before = self.guess[where]
        different = torch.where(unlikely, found, kept) != before
        # The one wait of a pass.
        different, close, unsure = torch.stack([different, close, unsure]).cpu().numpy()
        if close.any() or unsure.any():
            samples = len(self.draws.samples)

            def history(spot: int) -> Origin:
                number = int(rows[spot]) // samples
                return self.guess[int(rows[spot])], self.draws.positions[number : number + 1], int(places[spot])

            found = self.draws.settle_largest(found, np.flatnonzero(close).tolist(), noise, history)
            unlikely = self.draws.settle_beyond(unlikely, np.flatnonzero(unsure).tolist(), kept, history)
            different = (torch.where(unlikely, found, kept) != before).cpu().numpy()
        self.guess[where] = torch.where(unlikely, found, kept)
        changed = np.full(len(self.guess), np.iinfo(np.int64).max - 1)
        np.minimum.at(changed, rows[different], places[different])
        return changed
