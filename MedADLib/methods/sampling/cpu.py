"""Samplers for CPUs: ragged batches with a key-value cache, for static and dynamic masks.

One pass of the prior processes segments of different lengths from several slices, each with its own cache. With a
static mask, the kept codes between two sampled ones form one segment, and equal histories are processed once. With a
dynamic mask, segments are speculative: the kept codes are assumed, and checked after the pass.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch.nn.functional import scaled_dot_product_attention

from ...networks.code_prior import Block, Cache, CodePrior, product
from .task import SamplingTask

UNCHANGED = -1

# Longest speculative segment: about the distance between two sampled codes.
AHEAD = 24


class Segment(NamedTuple):
    """Consecutive indices, the same for all rows of one slice.

    Attributes:
        codes: int64 (R, length); those at `last` - 1 and later are not used.
        position: Slice coordinate, (1,).
        first: First index.
        last: Last index plus one.
        cache: Cache of R or more rows, valid before `first`; R rows of it are written from `first` to `last`.
    """

    codes: torch.Tensor
    position: torch.Tensor
    first: int
    last: int
    cache: Cache

    @property
    def shape(self) -> tuple[int, int]:
        """Number of rows and indices."""
        return len(self.codes), self.last - self.first


def read_last(prior: CodePrior, segments: Sequence[Segment]) -> list[torch.Tensor]:
    """Compute the logits (R, K) at the last index of each segment.

    For the indices before it, the last block computes keys and values only.
    """
    tokens = _through(prior, segments, prior.blocks[:-1])
    block, number, width = prior.blocks[-1], len(prior.blocks) - 1, tokens.shape[-1]
    normed = block.attention_norm(tokens)
    weight, bias, convolved = block.project.weight, block.project.bias, block.project.convolved
    parts = product(normed, weight[width:], bias[width:], convolved)
    numbers = torch.arange(len(tokens), device=tokens.device)
    ends = torch.cat([part.view(segment.shape)[:, -1] for segment, part in _portions(segments, numbers)])
    queries = product(normed[ends], weight[:width], bias[:width], convolved)
    split, attended = queries.split([len(segment.codes) for segment in segments]), []
    for (segment, part), query in zip(_portions(segments, parts), split):
        rows, places = segment.shape
        keys, values = part.view(rows, places, 2, block.heads, -1).permute(2, 0, 3, 1, 4)
        query = query.view(rows, 1, block.heads, -1).transpose(1, 2)
        attended.append(_attend(segment, number, query, keys, values)[:, 0])
    attended = torch.cat(attended)
    logits = prior.head(prior.norm(block.finish(tokens[ends], attended)))
    return list(logits.split([len(segment.codes) for segment in segments]))


def read_all(prior: CodePrior, segments: Sequence[Segment]) -> list[torch.Tensor]:
    """Compute the logits (R, last - first, K) at every index of each segment."""
    logits = prior.head(prior.norm(_through(prior, segments, prior.blocks)))
    return [part.view(*segment.shape, -1) for segment, part in _portions(segments, logits)]


def _through(prior: CodePrior, segments: Sequence[Segment], blocks: Sequence[Block]) -> torch.Tensor:
    """Apply blocks to the concatenated tokens, (Σ R·indices, width), and write their keys and values."""
    tokens = torch.cat(
        [prior.tokens(s.codes, s.position.expand(len(s.codes)), s.first, s.last).flatten(0, 1) for s in segments]
    )
    seen = [
        torch.ones(s.last - s.first, s.last, dtype=torch.bool, device=tokens.device).tril(s.first) for s in segments
    ]
    for number, block in enumerate(blocks):
        parts, attended = block.project(block.attention_norm(tokens)), []
        for (segment, part), mask in zip(_portions(segments, parts), seen):
            queries, keys, values = part.view(*segment.shape, 3, block.heads, -1).permute(2, 0, 3, 1, 4)
            attended.append(_attend(segment, number, queries, keys, values, mask).flatten(0, 1))
        tokens = block.finish(tokens, torch.cat(attended))
    return tokens


def _portions(segments: Sequence[Segment], concatenated: torch.Tensor) -> list[tuple[Segment, torch.Tensor]]:
    """Split a concatenated tensor into the parts of the segments."""
    sizes = [len(segment.codes) * (segment.last - segment.first) for segment in segments]
    return list(zip(segments, concatenated.split(sizes)))


def _attend(
    segment: Segment,
    number: int,
    queries: torch.Tensor,
    keys: torch.Tensor,
    values: torch.Tensor,
    seen: torch.Tensor | None = None,
) -> torch.Tensor:
    """Attend from a segment to itself and all indices before, and store keys and values in the cache of a block.

    Queries are (R, heads, indices, head width): of all indices, with a mask `seen` (indices, last), or of the last one.
    The result is (R, indices, width), with concatenated heads.
    """
    rows, first, last = len(keys), segment.first, segment.last
    for kept, new in zip((segment.cache.keys, segment.cache.values), (keys, values)):
        kept[number, :rows, :, first:last] = new
    attended = scaled_dot_product_attention(
        queries, segment.cache.keys[number, :rows, :, :last], segment.cache.values[number, :rows, :, :last], seen
    )
    return attended.transpose(1, 2).flatten(2)


def sample_by_segments(task: SamplingTask, on_progress: Callable[[float], None]) -> torch.Tensor:
    """Sample restorations of slices with a static mask, in segments between the sampled codes.

    The likelihood pass gives the logits of the first sampled code, and nothing is computed after the last one. Samples
    with equal codes so far share a row. The prior processes the segments of all slices together, because a processor
    computes many rows more efficiently than few.

    Args:
        task: What to sample.
        on_progress: Called with the completed share, in [0, 1], after each sampled index; may raise to stop.

    Returns:
        int64 (n, samples, length).
    """
    restored = task.codes[:, None].repeat(1, len(task.samples), 1)
    growing = [_Rows(task, number) for number in range(len(task.codes)) if task.places[number].any()]
    steps = max((len(rows.places) for rows in growing), default=0)
    for step in range(steps):
        growing = [rows for rows in growing if step < len(rows.places)]
        segments = [rows.segment(step) for rows in growing]
        started = [segment for segment in segments if segment is not None]
        logits = iter(read_last(task.prior, started) if started else ())
        for rows, segment in zip(growing, segments):
            rows.sample(step, None if segment is None else next(logits))
            if step + 1 == len(rows.places):
                restored[rows.number] = rows.restored()
        on_progress((step + 1) / steps)
    return restored


class _Rows:
    """The different histories of one slice's samples, and their keys and values.

    Samples equal to the slice's own codes have no row: they use the cache of the likelihood pass.
    """

    def __init__(self, task: SamplingTask, number: int):
        self.task, self.number = task, number
        self.places: list[int] = task.places[number].nonzero()[:, 0].tolist()
        self.own_codes, self.position = task.codes[number], task.positions[number : number + 1]
        self.prefix = task.cache.rows(slice(number, number + 1))
        layers, _, heads, _, width = self.prefix.keys.shape
        # Uninitialised memory is not allocated before it is written.
        shape = (layers, len(task.samples), heads, self.places[-1] + 1, width)
        self.cache = Cache(self.prefix.keys.new_empty(shape), self.prefix.values.new_empty(shape))
        self.codes = self.own_codes.repeat(len(task.samples), 1)
        self.row_of, self.count = [UNCHANGED] * len(task.samples), 0

    def segment(self, step: int) -> Segment | None:
        """Return the segment from one sampled index to the next; None if there are no rows yet."""
        if not self.count:
            return None
        first, last = self.places[step - 1] + 1, self.places[step] + 1
        return Segment(self.codes[: self.count], self.position, first, last, self.cache)

    def sample(self, step: int, logits: torch.Tensor | None) -> None:
        """Sample the code of every sample at an index from the logits (R, K) of the rows; split rows that differ."""
        place = self.places[step]
        unchanged = self.task.logits[self.number, place][None]
        logits = unchanged if logits is None else torch.cat([logits, unchanged])
        chosen = self.task.choose(
            logits[self.row_of],
            self.task.noise(self.number, place),
            lambda sample: (self._history(self.row_of[sample]), self.position, place),
        )
        taken: set[int] = set()
        row_of: dict[tuple[int, int], int] = {(UNCHANGED, int(self.own_codes[place])): UNCHANGED}
        pairs = list(zip(self.row_of, chosen.tolist()))
        # Write the codes after all splits: a later split copies the codes of its source row.
        for row, code in pairs:
            if (row, code) not in row_of:
                row_of[row, code] = row if row not in taken and row != UNCHANGED else self._split(row, place)
                taken.add(row)
        for (_, code), row in row_of.items():
            if row != UNCHANGED:
                self.codes[row, place] = code
        self.row_of = [row_of[pair] for pair in pairs]

    def restored(self) -> torch.Tensor:
        """Return the codes of the samples, int64 (S, length)."""
        return torch.stack([self._history(row) for row in self.row_of])

    def _history(self, row: int) -> torch.Tensor:
        return self.own_codes if row == UNCHANGED else self.codes[row]

    def _split(self, row: int, place: int) -> int:
        """Copy a row up to an index into a new row, and return its number."""
        new = self.count
        self.count += 1
        self.codes[new] = self._history(row)
        for kept, source in zip(self.cache, self.prefix if row == UNCHANGED else self.cache):
            kept[:, new, :, : place + 1] = source[:, 0 if row == UNCHANGED else row, :, : place + 1]
        return new


@dataclass(eq=False)
class _Branch:
    """A history that some samples of a slice have in common.

    Attributes:
        number: Index of the slice.
        codes: Restored codes before `place`, the slice's own after it; int64 (length,).
        samples: Indices of the samples.
        place: First index that is not checked yet.
        ahead: Length of the next segment: twice the distance to the last resampled code, because they form clusters.
        cache: Keys and values of one row.
    """

    number: int
    codes: torch.Tensor
    samples: list[int]
    place: int
    ahead: int
    cache: Cache


def sample_speculatively(task: SamplingTask, on_progress: Callable[[float], None]) -> torch.Tensor:
    """Sample restorations of slices with a dynamic mask, in speculative segments.

    Each code is checked given the restored codes before it. Where a sample differs from its branch, a new branch with
    its own keys and values starts. One pass processes the branches of all slices. The likelihood pass is the first
    segment of all.

    Args:
        task: What to sample, with a limit.
        on_progress: Called with the completed share, in [0, 1]; may raise to stop.

    Returns:
        int64 (n, samples, length).
    """
    restored = task.codes[:, None].repeat(1, len(task.samples), 1)
    open_branches: list[_Branch] = []
    for number, codes in enumerate(task.codes):
        whole = _Branch(
            number, codes, list(range(len(task.samples))), 0, AHEAD, task.cache.rows(slice(number, number + 1))
        )
        open_branches += _scan(task, whole, task.logits[number])
    ends = [int(places.nonzero().max()) + 1 if places.any() else 0 for places in task.places]
    todo = max(sum(len(branch.samples) for branch in open_branches), 1)
    while open_branches:
        for branch in [branch for branch in open_branches if branch.place >= ends[branch.number]]:
            restored[branch.number, branch.samples] = branch.codes
            open_branches.remove(branch)
        segments = [_segment(task, branch, ends[branch.number]) for branch in open_branches]
        if segments:
            found = zip(list(open_branches), read_all(task.prior, segments))
            open_branches += [new for branch, logits in found for new in _scan(task, branch, logits[0])]
        left = sum(len(b.samples) * (ends[b.number] - b.place) / ends[b.number] for b in open_branches)
        open_branches = [branch for branch in open_branches if branch.samples]
        on_progress(1 - min(left / todo, 1))
    return restored


def _segment(task: SamplingTask, branch: _Branch, end: int) -> Segment:
    """Return the next segment of a branch."""
    last = min(branch.place + branch.ahead, end)
    position = task.positions[branch.number : branch.number + 1]
    return Segment(branch.codes[None], position, branch.place, last, branch.cache)


def _scan(task: SamplingTask, branch: _Branch, logits: torch.Tensor) -> list[_Branch]:
    """Check a branch's next codes by logits (L, K) and move on; return new branches of samples with another code."""
    first, number = branch.place, branch.number
    position, kept = task.positions[number : number + 1], task.codes[number]
    window, new = slice(first, first + len(logits)), []
    unlikely = task.unlikely(logits, kept[window], lambda row: (branch.codes, position, first + row))
    for place in (first + (unlikely & task.places[number, window]).nonzero()[:, 0]).tolist():
        samples = list(branch.samples)
        chosen = task.choose(
            logits[place - first].expand(len(samples), -1),
            task.noise(number, place)[samples],
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
    """Copy a cache up to the index `seen`; the remaining memory is not initialised."""
    copied = Cache(torch.empty_like(cache.keys), torch.empty_like(cache.values))
    for target, source in zip(copied, cache):
        target[:, :, :, :seen] = source[:, :, :, :seen]
    return copied
