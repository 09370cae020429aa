"""Reproducible sampling of codes, independent of batching, and restorations without duplicates."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch

from ...networks.code_prior import Cache, CodePrior, likelihood_of
from ...runtime.device import slices_at_once, to_device

# Relative to the largest logit: about ten times the float32 rounding error of a pass, with any batch.
CLOSE = 2e-5

# Codes (length,), slice position (1,) and index of some logits.
Origin = tuple[torch.Tensor, torch.Tensor, int]
# Returns the origin of a row of logits.
History = Callable[[int], Origin]


@dataclass(frozen=True, eq=False)
class Distinct:
    """Different restorations, slice after slice.

    Attributes:
        codes: int64 (m, length).
        counts: Multiplicity of each restoration, (m,).
        owners: Index of the slice of each, (m,).
        sizes: Number of different restorations of each slice.
    """

    codes: torch.Tensor
    counts: torch.Tensor
    owners: torch.Tensor
    sizes: list[int]

    @classmethod
    def of(cls, copies: torch.Tensor) -> Distinct:
        """Find the different restorations of n slices among all, (n, S, length); synchronises with a GPU."""
        owners = torch.arange(len(copies), device=copies.device).repeat_interleave(copies.shape[1])
        rows, counts = torch.unique(torch.cat([owners[:, None], copies.flatten(0, 1)], 1), dim=0, return_counts=True)
        sizes = torch.bincount(rows[:, 0], minlength=len(copies)).tolist()
        return cls(rows[:, 1:], counts, rows[:, 0], sizes)


def decoding_batches(sizes: Sequence[int], device: str) -> Iterator[range]:
    """Group slices by their numbers of restorations for decoding: one slice on a CPU, as many as fit on a GPU."""
    most = 1 if device == "cpu" else slices_at_once(device)
    first, held = 0, 0
    for number, size in enumerate(sizes):
        if number > first and held + size > most:
            yield range(first, number)
            first, held = number, 0
        held += size
    yield range(first, len(sizes))


def gumbel(key: tuple[int, int], place: int, samples: int, codes: int) -> torch.Tensor:
    """Sample standard Gumbel noise (samples, codes) at an index; more samples do not change the first rows."""
    generator = np.random.default_rng([*key, place])
    return torch.from_numpy(generator.gumbel(size=(samples, codes)).astype(np.float32))


@dataclass(frozen=True, eq=False)
class SamplingTask:
    """A sampling task, and the definition of its result.

    A code is the argmax of its logits plus Gumbel noise. If the two largest values are so close that rounding, which
    depends on batch size and computer, could exchange them, the logits are recomputed in float64 from the codes before
    alone. The same holds for codes with a likelihood near the limit. Therefore all samplers give exactly the same
    codes.

    Attributes:
        prior: The prior.
        codes: Codes of the slices or volumes, int64 (n, length).
        positions: Slice coordinates, (n,).
        places: Indices to resample, bool (n, length); with a limit, candidates.
        logits: Logits of these codes, (n, length, K).
        cache: Cache of these codes, n rows.
        samples: Restorations to compute, a range within 0 … `total`.
        total: Number S of all restorations of a slice.
        keys: Seed and number of each slice.
        limit: λ in nats of a dynamic mask: a code is resampled if its negative log-likelihood, given the restored codes
            before it, is larger. None for a static mask: all `places`.
    """

    prior: CodePrior
    codes: torch.Tensor
    positions: torch.Tensor
    places: torch.Tensor
    logits: torch.Tensor
    cache: Cache
    samples: range
    total: int
    keys: Sequence[tuple[int, int]]
    limit: float | None = None

    def noise(self, number: int, place: int) -> torch.Tensor:
        """Return the noise (S, K) of the samples at an index of a slice."""
        return self.noise_at([(number, place)])

    def noise_at(self, spots: Sequence[tuple[int, int]]) -> torch.Tensor:
        """Return the noise (n·S, K) of the samples at spots (slice, index), copied to the device at once."""
        samples = slice(self.samples.start, self.samples.stop)
        found = [gumbel(self.keys[number], place, self.total, self.prior.codes)[samples] for number, place in spots]
        noise = torch.cat(found) if found else torch.zeros(0, self.prior.codes)
        return to_device(noise, str(self.codes.device))

    def choose(self, logits: torch.Tensor, noise: torch.Tensor, history: History) -> torch.Tensor:
        """Sample codes from logits (m, K) with noise (m, K); int64 (m,)."""
        chosen, close = self.largest(logits, noise)
        return self.recompute_largest(chosen, close.nonzero()[:, 0].tolist(), noise, history)

    def unlikely(self, logits: torch.Tensor, codes: torch.Tensor, history: History) -> torch.Tensor:
        """Find the codes (m,) with a negative log-likelihood above the limit under logits (m, K); bool (m,)."""
        found, close = self.beyond(logits, codes)
        return self.recompute_beyond(found, close.nonzero()[:, 0].tolist(), codes, history)

    def largest(self, logits: torch.Tensor, noise: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Sample as `choose` does, in float32 only; also return whether the decision is too close; int64, bool (m,)."""
        logits = logits.float()
        leaders, chosen = (logits + noise).topk(min(2, logits.shape[1]), dim=1)
        close = (leaders[:, 0] - leaders[:, -1] < self._margin(logits)) & (logits.shape[1] > 1)
        return chosen[:, 0].clone(), close

    def beyond(self, logits: torch.Tensor, codes: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Compare as `unlikely` does, in float32 only; also return whether the decision is too close; bool (m,)."""
        nll = likelihood_of(logits, codes)
        return nll > self.limit, (nll - self.limit).abs() < self._margin(logits.float())

    def recompute_largest(
        self, chosen: torch.Tensor, close: Sequence[int], noise: torch.Tensor, history: History
    ) -> torch.Tensor:
        """Sample the codes of some rows again in float64."""
        for row in close:
            chosen[row] = (self._exact(*history(row)) + noise[row].double()).argmax()
        return chosen

    def recompute_beyond(
        self, found: torch.Tensor, close: Sequence[int], codes: torch.Tensor, history: History
    ) -> torch.Tensor:
        """Compare the codes of some rows with the limit again in float64."""
        for row in close:
            found[row] = -self._exact(*history(row)).log_softmax(0)[codes[row]] > self.limit
        return found

    @staticmethod
    def _margin(logits: torch.Tensor) -> torch.Tensor:
        return CLOSE * (1 + logits.abs().amax(1))

    def _exact(self, codes: torch.Tensor, position: torch.Tensor, place: int) -> torch.Tensor:
        """Compute the logits (K,) at an index in float64."""
        return self._double(codes[None, : place + 1], position.double())[0, place]

    @cached_property
    def _double(self) -> CodePrior:
        return copy.deepcopy(self.prior).double()
