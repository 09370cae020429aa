"""The reference sampler: every place of every restoration, one after the other, with a key-value cache."""

from __future__ import annotations

from collections.abc import Callable

import torch

from ..networks.prior import Cache
from .draws import Draws, Origin


def sample_sequentially(draws: Draws, told: Callable[[float], None]) -> torch.Tensor:
    """Restorations of some slices; nothing of the likelihood pass is used, and nothing is skipped.

    Args:
        draws: What to draw.
        told: Called with the part done, in [0, 1]; may raise to stop.

    Returns:
        int64 (n, samples, length).
    """
    prior, (count, length), rows = draws.prior, draws.codes.shape, len(draws.samples)
    restored = draws.codes[:, None].repeat(1, rows, 1)
    layers, _, heads, _, width = draws.cache.keys.shape
    for number, drawn in enumerate(restored):
        position, kept = draws.positions[number : number + 1], draws.codes[number]
        cache = Cache(*(drawn.new_zeros(layers, rows, heads, length, width, dtype=torch.float32) for _ in range(2)))
        for place in range(length):
            logits = prior.extend(drawn, position.expand(rows), place, place + 1, cache)

            def history(row: int, drawn=drawn, position=position, place=place) -> Origin:
                return drawn[row], position, place

            if draws.places[number, place]:
                chosen = draws.choose(logits, draws.noise(number, place), history)
                if draws.limit is not None:
                    unlikely = draws.unlikely(logits, kept[place].expand(rows), history)
                    chosen = torch.where(unlikely, chosen, kept[place])
                drawn[:, place] = chosen
            told((number + (place + 1) / length) / count)
    return restored
