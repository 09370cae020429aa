"""The noise of each draw of a code, and restorations without duplicates.

Restorations of several slices without those that occur twice, and which of them are decoded together.

Which code is drawn: one definition of the noise, and of what is unlikely, that no batching can change.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch

from ...networks.code_prior import Cache, CodePrior, likelihood_of
from ...runtime.device import slices_at_once
from ..slicewise import brought

# Of the largest logit: some ten times what float32 loses in a pass, with whatever batch.
CLOSE = 2e-5

Origin = tuple[torch.Tensor, torch.Tensor, int]

History = Callable[[int], Origin]


@dataclass(frozen=True, eq=False)
class Distinct:
    """Different restorations, slice after slice.

    Attributes:
        codes: int64 (m, length).
        counts: How many restorations are such, (m,).
        owners: Which slice each is of, (m,).
        sizes: How many each slice has.
    """

    codes: torch.Tensor
    counts: torch.Tensor
    owners: torch.Tensor
    sizes: list[int]

    @classmethod
    def of(cls, copies: torch.Tensor) -> Distinct:
        """Those among the restorations (n, S, length) of n slices; a GPU is waited for."""
        owners = torch.arange(len(copies), device=copies.device).repeat_interleave(copies.shape[1])
        rows, counts = torch.unique(torch.cat([owners[:, None], copies.flatten(0, 1)], 1), dim=0, return_counts=True)
        sizes = torch.bincount(rows[:, 0], minlength=len(copies)).tolist()
        return cls(rows[:, 1:], counts, rows[:, 0], sizes)


def together(sizes: Sequence[int], device: str) -> Iterator[range]:
    """Slices whose restorations go through the decoder in one batch: on a CPU one, on a GPU as many as fit.

    Args:
        sizes: How many restorations each slice has.
        device: ``cpu``, ``cuda`` or ``cuda:N``.
    """
    most = 1 if device == "cpu" else slices_at_once(device)
    first, held = 0, 0
    for number, size in enumerate(sizes):
        if number > first and held + size > most:
            yield range(first, number)
            first, held = number, 0
        held += size
    yield range(first, len(sizes))


"""Codes (length,), slice position (1,) and place that logits belong to."""


"""What some row of logits belongs to."""


def gumbel(key: tuple[int, int], place: int, samples: int, codes: int) -> torch.Tensor:
    """Standard Gumbel noise (samples, codes) of a place; the first samples are the same however many are drawn."""
    generator = np.random.default_rng([*key, place])
    return torch.from_numpy(generator.gumbel(size=(samples, codes)).astype(np.float32))


@dataclass(frozen=True, eq=False)
class Draws:
    """What is asked of a sampler.

    A code is drawn as the largest of its logits plus Gumbel noise. Where two codes are so close that another batch
    size, or another computer, might have rounded them the other way, the logits are computed again in float64 from
    the codes before alone; so it is where a code is just about as likely as the limit. All samplers then draw the
    same codes for certain, not only mostly.

    Attributes:
        prior: The prior.
        codes: Of the slices or volumes, int64 (n, length).
        positions: Slice coordinates, (n,).
        places: Places to draw anew, bool (n, length); with a limit, places that may be.
        logits: Of these codes, (n, length, K).
        cache: Of these codes, n rows.
        samples: Which restorations to make, a range within 0 … `drawn`.
        drawn: All restorations of a slice S.
        keys: Seed and number of each slice.
        limit: λ in nats of a dynamic mask: a code is drawn anew if, given the restored codes before it, it is less
            likely than that. None is a static mask: just the `places`.
    """

    prior: CodePrior
    codes: torch.Tensor
    positions: torch.Tensor
    places: torch.Tensor
    logits: torch.Tensor
    cache: Cache
    samples: range
    drawn: int
    keys: Sequence[tuple[int, int]]
    limit: float | None = None

    def noise(self, number: int, place: int) -> torch.Tensor:
        """Noise (S, K) of the samples at a place of a slice."""
        return self.noise_at([(number, place)])

    def noise_at(self, spots: Sequence[tuple[int, int]]) -> torch.Tensor:
        """Noise (n·S, K) of the samples at spots (slice, place), brought to the device in one piece."""
        samples = slice(self.samples.start, self.samples.stop)
        found = [gumbel(self.keys[number], place, self.drawn, self.prior.codes)[samples] for number, place in spots]
        noise = torch.cat(found) if found else torch.zeros(0, self.prior.codes)
        return brought(noise, str(self.codes.device))

    def choose(self, logits: torch.Tensor, noise: torch.Tensor, history: History) -> torch.Tensor:
        """Draw from logits (m, K) with noise (m, K); int64 (m,)."""
        chosen, close = self.largest(logits, noise)
        return self.settle_largest(chosen, close.nonzero()[:, 0].tolist(), noise, history)

    def unlikely(self, logits: torch.Tensor, codes: torch.Tensor, history: History) -> torch.Tensor:
        """Whether codes (m,) are less likely than the limit under logits (m, K); bool (m,)."""
        found, close = self.beyond(logits, codes)
        return self.settle_beyond(found, close.nonzero()[:, 0].tolist(), codes, history)

    def largest(self, logits: torch.Tensor, noise: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """As `choose`, in float32 alone, and whether the second largest is too close to tell; int64, bool (m,)."""
        logits = logits.float()
        leaders, chosen = (logits + noise).topk(min(2, logits.shape[1]), dim=1)
        close = (leaders[:, 0] - leaders[:, -1] < self._margin(logits)) & (logits.shape[1] > 1)
        return chosen[:, 0].clone(), close

    def beyond(self, logits: torch.Tensor, codes: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """As `unlikely`, in float32 alone, and whether the limit is too close to tell; bool (m,)."""
        nll = likelihood_of(logits, codes)
        return nll > self.limit, (nll - self.limit).abs() < self._margin(logits.float())

    def settle_largest(
        self, chosen: torch.Tensor, close: Sequence[int], noise: torch.Tensor, history: History
    ) -> torch.Tensor:
        """Chosen codes with those of some rows chosen again in float64."""
        for row in close:
            chosen[row] = (self._exact(*history(row)) + noise[row].double()).argmax()
        return chosen

    def settle_beyond(
        self, found: torch.Tensor, close: Sequence[int], codes: torch.Tensor, history: History
    ) -> torch.Tensor:
        """Judgements with those of some rows made again in float64."""
        for row in close:
            found[row] = -self._exact(*history(row)).log_softmax(0)[codes[row]] > self.limit
        return found

    @staticmethod
    def _margin(logits: torch.Tensor) -> torch.Tensor:
        return CLOSE * (1 + logits.abs().amax(1))

    def _exact(self, codes: torch.Tensor, position: torch.Tensor, place: int) -> torch.Tensor:
        """Logits (K,) at a place in float64."""
        return self._double(codes[None, : place + 1], position.double())[0, place]

    @cached_property
    def _double(self) -> CodePrior:
        return copy.deepcopy(self.prior).double()
