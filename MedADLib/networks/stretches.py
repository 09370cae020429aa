"""The prior on stretches of different length in one pass: rows of several slices, each going on from its cache."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch.nn.functional import scaled_dot_product_attention

from .prior import Block, Cache, CodePrior
from .product import product


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
