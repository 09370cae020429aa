"""Samplers for CPUs: ragged batches of codes with a key-value cache.

The prior on stretches of different length in one pass: rows of several slices, each going on from its cache.

Static masks on a CPU: kept codes between two drawn ones go through the prior in one piece, and no row twice.

Dynamic masks on a CPU: the kept codes are taken for granted a few at a time, and judged when they are read.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch.nn.functional import scaled_dot_product_attention

from ...networks.code_prior import Block, Cache, CodePrior, product
from .draws import Draws

AS_IT_WAS = -1

# Most places that are read at once; about as many as there are between two drawn codes.
AHEAD = 24


class Stretch(NamedTuple):
    """Places in a row that are the same for all rows of one slice.

    Attributes:
        codes: int64 (R, length); those at `last` - 1 and later are not looked at.
        position: Slice coordinate, (1,).
        first: The first place.
        last: One more than the last place.
        cache: Of R or more rows, valid before `first`; R rows of it are written from there to `last`.
    """

    codes: torch.Tensor
    position: torch.Tensor
    first: int
    last: int
    cache: Cache

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and places."""
        return len(self.codes), self.last - self.first


def read_last(prior: CodePrior, stretches: Sequence[Stretch]) -> list[torch.Tensor]:
    """Logits (R, K) at the last place of each stretch.

    Of the places before it the last block gives keys and values only, for nothing else of it is asked for.
    """
    tokens = _through(prior, stretches, prior.blocks[:-1])
    block, number, width = prior.blocks[-1], len(prior.blocks) - 1, tokens.shape[-1]
    normed = block.attention_norm(tokens)
    weight, bias, convolved = block.project.weight, block.project.bias, block.project.convolved
    parts = product(normed, weight[width:], bias[width:], convolved)
    numbers = torch.arange(len(tokens), device=tokens.device)
    ends = torch.cat([part.view(stretch.shape)[:, -1] for stretch, part in _portions(stretches, numbers)])
    queries = product(normed[ends], weight[:width], bias[:width], convolved)
    asked, attended = queries.split([len(stretch.codes) for stretch in stretches]), []
    for (stretch, part), query in zip(_portions(stretches, parts), asked):
        rows, places = stretch.shape
        keys, values = part.view(rows, places, 2, block.heads, -1).permute(2, 0, 3, 1, 4)
        query = query.view(rows, 1, block.heads, -1).transpose(1, 2)
        attended.append(_attend(stretch, number, query, keys, values)[:, 0])
    attended = torch.cat(attended)
    logits = prior.head(prior.norm(block.finish(tokens[ends], attended)))
    return list(logits.split([len(stretch.codes) for stretch in stretches]))


def read_all(prior: CodePrior, stretches: Sequence[Stretch]) -> list[torch.Tensor]:
    """Logits (R, last - first, K) at every place of each stretch."""
    logits = prior.head(prior.norm(_through(prior, stretches, prior.blocks)))
    return [part.view(*stretch.shape, -1) for stretch, part in _portions(stretches, logits)]


def _through(prior: CodePrior, stretches: Sequence[Stretch], blocks: Sequence[Block]) -> torch.Tensor:
    """All tokens, one after the other, (Σ R·places, width), after some blocks; their keys and values are written."""
    tokens = torch.cat(
        [prior.tokens(s.codes, s.position.expand(len(s.codes)), s.first, s.last).flatten(0, 1) for s in stretches]
    )
    seen = [
        torch.ones(s.last - s.first, s.last, dtype=torch.bool, device=tokens.device).tril(s.first) for s in stretches
    ]
    for number, block in enumerate(blocks):
        parts, attended = block.project(block.attention_norm(tokens)), []
        for (stretch, part), mask in zip(_portions(stretches, parts), seen):
            queries, keys, values = part.view(*stretch.shape, 3, block.heads, -1).permute(2, 0, 3, 1, 4)
            attended.append(_attend(stretch, number, queries, keys, values, mask).flatten(0, 1))
        tokens = block.finish(tokens, torch.cat(attended))
    return tokens


def _portions(stretches: Sequence[Stretch], together: torch.Tensor) -> list[tuple[Stretch, torch.Tensor]]:
    """Each stretch with its part of what lies one after the other."""
    sizes = [len(stretch.codes) * (stretch.last - stretch.first) for stretch in stretches]
    return list(zip(stretches, together.split(sizes)))


def _attend(
    stretch: Stretch,
    number: int,
    queries: torch.Tensor,
    keys: torch.Tensor,
    values: torch.Tensor,
    seen: torch.Tensor | None = None,
) -> torch.Tensor:
    """Attention of the last places of a stretch to themselves and all before; keys and values are kept in the cache.

    Args:
        stretch: Which rows and places.
        number: Of the block.
        queries: (R, heads, places, head width); of all places, or of the last one.
        keys: Of all places.
        values: Of all places.
        seen: What each place sees, bool (places, last); None for the last one, which sees all.

    Returns:
        (R, places, width), heads side by side.
    """
    rows, first, last = len(keys), stretch.first, stretch.last
    for kept, new in zip((stretch.cache.keys, stretch.cache.values), (keys, values)):
        kept[number, :rows, :, first:last] = new
    attended = scaled_dot_product_attention(
        queries, stretch.cache.keys[number, :rows, :, :last], stretch.cache.values[number, :rows, :, :last], seen
    )
    return attended.transpose(1, 2).flatten(2)


def sample_by_segments(draws: Draws, told: Callable[[float], None]) -> torch.Tensor:
    """Restorations of some slices whose places to draw are known beforehand.

    The likelihood pass holds all there is to know before the first drawn code, and nothing is computed after the
    last. Samples are one row as long as they have drawn the same codes. The segments of all slices go through the
    prior together, for few rows make poor use of a processor.

    Args:
        draws: What to draw.
        told: Called with the part done, in [0, 1], after each drawn place; may raise to stop.

    Returns:
        int64 (n, samples, length).
    """
    restored = draws.codes[:, None].repeat(1, len(draws.samples), 1)
    growing = [_Rows(draws, number) for number in range(len(draws.codes)) if draws.places[number].any()]
    steps = max((len(rows.places) for rows in growing), default=0)
    for step in range(steps):
        growing = [rows for rows in growing if step < len(rows.places)]
        stretches = [rows.stretch(step) for rows in growing]
        started = [stretch for stretch in stretches if stretch is not None]
        logits = iter(read_last(draws.prior, started) if started else ())
        for rows, stretch in zip(growing, stretches):
            rows.draw(step, None if stretch is None else next(logits))
            if step + 1 == len(rows.places):
                restored[rows.number] = rows.restored()
        told((step + 1) / steps)
    return restored


class _Rows:
    """The different histories of one slice's samples, and their keys and values.

    Samples that have drawn nothing but the slice's own codes have no row: the likelihood pass is theirs.

    Args:
        draws: What to draw.
        number: Which slice.
    """

    def __init__(self, draws: Draws, number: int):
        self.draws, self.number = draws, number
        self.places: list[int] = draws.places[number].nonzero()[:, 0].tolist()
        self.own_codes, self.position = draws.codes[number], draws.positions[number : number + 1]
        self.prefix = draws.cache.rows(slice(number, number + 1))
        layers, _, heads, _, width = self.prefix.keys.shape
        # What is not written takes no memory yet.
        shape = (layers, len(draws.samples), heads, self.places[-1] + 1, width)
        self.cache = Cache(self.prefix.keys.new_empty(shape), self.prefix.values.new_empty(shape))
        self.codes = self.own_codes.repeat(len(draws.samples), 1)
        self.row_of, self.count = [AS_IT_WAS] * len(draws.samples), 0

    def stretch(self, step: int) -> Stretch | None:
        """What leads to a drawn place from the one before it; None if there are no rows yet."""
        if not self.count:
            return None
        first, last = self.places[step - 1] + 1, self.places[step] + 1
        return Stretch(self.codes[: self.count], self.position, first, last, self.cache)

    def draw(self, step: int, logits: torch.Tensor | None) -> None:
        """Draw the code of every sample at a place from the logits (R, K) of the rows, and split rows that differ."""
        place = self.places[step]
        unchanged = self.draws.logits[self.number, place][None]
        logits = unchanged if logits is None else torch.cat([logits, unchanged])
        chosen = self.draws.choose(
            logits[self.row_of],
            self.draws.noise(self.number, place),
            lambda sample: (self._history(self.row_of[sample]), self.position, place),
        )
        taken: set[int] = set()
        row_of: dict[tuple[int, int], int] = {(AS_IT_WAS, int(self.own_codes[place])): AS_IT_WAS}
        pairs = list(zip(self.row_of, chosen.tolist()))
        # Rows are filled in only after all were split: who splits off later must still find the codes before.
        for row, code in pairs:
            if (row, code) not in row_of:
                row_of[row, code] = row if row not in taken and row != AS_IT_WAS else self._split(row, place)
                taken.add(row)
        for (_, code), row in row_of.items():
            if row != AS_IT_WAS:
                self.codes[row, place] = code
        self.row_of = [row_of[pair] for pair in pairs]

    def restored(self) -> torch.Tensor:
        """Codes of the samples, int64 (S, length)."""
        return torch.stack([self._history(row) for row in self.row_of])

    def _history(self, row: int) -> torch.Tensor:
        return self.own_codes if row == AS_IT_WAS else self.codes[row]

    def _split(self, row: int, place: int) -> int:
        """A new row that is the same as another one up to a place."""
        new = self.count
        self.count += 1
        self.codes[new] = self._history(row)
        for kept, source in zip(self.cache, self.prefix if row == AS_IT_WAS else self.cache):
            kept[:, new, :, : place + 1] = source[:, 0 if row == AS_IT_WAS else row, :, : place + 1]
        return new


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
