"""The reference sampler: every place of every restoration, one after the other, with a key-value cache."""

from __future__ import annotations

from collections.abc import Callable

import torch

from ..networks.prior import Cache
from .draws import Draws, Origin


def sample_sequentially(draws: Draws, told: Callable[[float], None]) -> torch.Tensor:
    """Restorations of some slices, all together; nothing of the likelihood pass is used, and nothing is skipped.

    Args:
        draws: What to draw.
        told: Called with the part done, in [0, 1], after each place; may raise to stop.

    Returns:
        int64 (n, samples, length).
    """
    prior, (count, length), rows = draws.prior, draws.codes.shape, len(draws.samples)
    restored = draws.codes.repeat_interleave(rows, 0)
    positions = draws.positions.repeat_interleave(rows)
    layers, _, heads, _, width = draws.cache.keys.shape
    empty = draws.logits.new_zeros(layers, len(restored), heads, length, width, dtype=torch.float32)
    cache = Cache(empty, empty.clone())
    for place in range(length):
        logits = prior.extend(restored, positions, place, place + 1, cache)
        for number in draws.places[:, place].nonzero()[:, 0].tolist():
            mine, kept = slice(number * rows, (number + 1) * rows), draws.codes[number, place].expand(rows)

            def history(row: int, number=number, place=place) -> Origin:
                return restored[number * rows + row], draws.positions[number : number + 1], place

            chosen = draws.choose(logits[mine], draws.noise(number, place), history)
            if draws.limit is not None:
                unlikely = draws.unlikely(logits[mine], kept, history)
                chosen = torch.where(unlikely, chosen, kept)
            restored[mine, place] = chosen
        told((place + 1) / length)
    return restored.view(count, rows, length)
