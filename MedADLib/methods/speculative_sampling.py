"""Dynamic masks on a CPU: the kept codes are taken for granted a few at a time, and judged when they are read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch

from ..networks.prior import Cache
from ..networks.stretches import Stretch, read_all
from .draws import Draws

# Most places that are read at once; about as many as there are between two drawn codes.
AHEAD = 24


@dataclass(eq=False)
class _Branch:
    """A history that some samples of a slice share.

    Attributes:
        number: Which slice.
        codes: Restored before `place`, the slice's own after; int64 (length,).
        samples: Which samples.
        place: The first one that is not judged yet.
        ahead: How many are read next: twice as many as the last draw was away, for draws come in crowds.
        cache: Keys and values, of one row.
    """

    number: int
    codes: torch.Tensor
    samples: list[int]
    place: int
    ahead: int
    cache: Cache


def sample_speculatively(draws: Draws, told: Callable[[float], None]) -> torch.Tensor:
    """Restorations of some slices whose codes are judged given the restored ones before them.

    Where a sample leaves the slice's own codes, or those of the samples with it, a branch with its own keys and
    values begins. Branches of all slices are read together. The likelihood pass is the first branch, read already.

    Args:
        draws: What to draw, with a limit.
        told: Called with the part done, in [0, 1]; may raise to stop.

    Returns:
        int64 (n, samples, length).
    """
    restored = draws.codes[:, None].repeat(1, len(draws.samples), 1)
    open_branches: list[_Branch] = []
    for number, codes in enumerate(draws.codes):
        whole = _Branch(
            number, codes, list(range(len(draws.samples))), 0, AHEAD, draws.cache.rows(slice(number, number + 1))
        )
        open_branches += _scan(draws, whole, draws.logits[number])
    ends = [int(places.nonzero().max()) + 1 if places.any() else 0 for places in draws.places]
    todo = max(sum(len(branch.samples) for branch in open_branches), 1)
    while open_branches:
        for branch in [branch for branch in open_branches if branch.place >= ends[branch.number]]:
            restored[branch.number, branch.samples] = branch.codes
            open_branches.remove(branch)
        stretches = [_stretch(draws, branch, ends[branch.number]) for branch in open_branches]
        if stretches:
            found = zip(list(open_branches), read_all(draws.prior, stretches))
            open_branches += [new for branch, logits in found for new in _scan(draws, branch, logits[0])]
        left = sum(len(b.samples) * (ends[b.number] - b.place) / ends[b.number] for b in open_branches)
        open_branches = [branch for branch in open_branches if branch.samples]
        told(1 - min(left / todo, 1))
    return restored


def _stretch(draws: Draws, branch: _Branch, end: int) -> Stretch:
    """The next places of a branch."""
    last = min(branch.place + branch.ahead, end)
    position = draws.positions[branch.number : branch.number + 1]
    return Stretch(branch.codes[None], position, branch.place, last, branch.cache)


def _scan(draws: Draws, branch: _Branch, logits: torch.Tensor) -> list[_Branch]:
    """Judge places that were read; what draws another code leaves the branch.

    Args:
        draws: What to draw.
        branch: Left with the samples that stay, and after the places.
        logits: (L, K) of the branch from its next place on.

    Returns:
        The new branches.
    """
    first, number = branch.place, branch.number
    position, kept = draws.positions[number : number + 1], draws.codes[number]
    window, new = slice(first, first + len(logits)), []
    unlikely = draws.unlikely(logits, kept[window], lambda row: (branch.codes, position, first + row))
    for place in (first + (unlikely & draws.places[number, window]).nonzero()[:, 0]).tolist():
        samples = list(branch.samples)
        chosen = draws.choose(
            logits[place - first].expand(len(samples), -1),
            draws.noise(number, place)[samples],
            lambda row, place=place: (branch.codes, position, place),
        ).tolist()
        branch.samples = [sample for sample, code in zip(samples, chosen) if code == kept[place]]
        for code in dict.fromkeys(code for code in chosen if code != kept[place]):
            codes = branch.codes.clone()
            codes[place] = code
            leaving = [sample for sample, other in zip(samples, chosen) if other == code]
            near = min(2 * (place + 1 - first), AHEAD)
            new.append(_Branch(number, codes, leaving, place + 1, near, _copy(branch.cache, place + 1)))
        if not branch.samples:
            break
    branch.place, branch.ahead = window.stop, min(2 * branch.ahead, AHEAD)
    return new


def _copy(cache: Cache, seen: int) -> Cache:
    """Room for keys and values of all places; those before `seen` are copied, and the others take no memory yet."""
    copied = Cache(torch.empty_like(cache.keys), torch.empty_like(cache.values))
    for target, source in zip(copied, cache):
        target[:, :, :, :seen] = source[:, :, :, :seen]
    return copied
