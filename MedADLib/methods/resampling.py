"""Draws the unlikely codes of a slice or volume anew from the prior, several times."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from ..networks.prior import Cache, CodePrior

# Samples of a volume would fill the memory with their caches if all were drawn at once.
PLACES_AT_ONCE = 1 << 13


def resample_codes(
    prior: CodePrior,
    codes: torch.Tensor,
    position: torch.Tensor,
    unlikely: torch.Tensor,
    logits: torch.Tensor,
    cache: Cache,
    samples: int,
    noise_key: tuple[int, int],
    told: Callable[[float], None] = lambda done: None,
) -> torch.Tensor:
    """Restorations of one slice or volume: codes marked unlikely are sampled, the others kept, in raster order.

    The places before the first unlikely code are never evaluated again, for `logits` and `cache` of the likelihood
    pass hold them; the kept codes between two unlikely ones go through the prior in one piece; nothing is evaluated
    after the last. Sampling adds Gumbel noise to the logits and takes the largest; the noise depends on
    `noise_key`, place and sample number only.

    Args:
        prior: The prior.
        codes: Codes of the slice, int64 (length,).
        position: Slice coordinate, (1,).
        unlikely: Places to sample, bool (length,).
        logits: Of the slice's own codes, (length, K).
        cache: Of the slice's own codes, with one sample.
        samples: How many restorations S.
        noise_key: Seed and slice number.
        told: Called with the part done, in [0, 1], after each place; may raise to stop.

    Returns:
        int64 (S, length).
    """
    restored = codes.repeat(samples, 1)
    places = unlikely.nonzero()[:, 0].tolist()
    if not places:
        return restored
    for part in torch.arange(samples).split(max(PLACES_AT_ONCE // len(codes), 1)):
        own, positions = cache.copies(0, len(part)), position.expand(len(part))
        drawn = restored[part[0] : part[-1] + 1]
        current = logits[places[0]].expand(len(part), -1)
        for number, place in enumerate(places):
            if number:
                current = prior.extend(drawn, positions, places[number - 1] + 1, place + 1, own)
            noise = gumbel(noise_key, place, samples, prior.codes)[part].to(current.device)
            drawn[:, place] = (current.float() + noise).argmax(dim=1)
            told((int(part[0]) + len(part) * (number + 1) / len(places)) / samples)
    return restored


def gumbel(key: tuple[int, int], place: int, samples: int, codes: int) -> torch.Tensor:
    """Standard Gumbel noise (samples, codes) of a place; the first samples are the same however many are drawn."""
    generator = np.random.default_rng([*key, place])
    return torch.from_numpy(generator.gumbel(size=(samples, codes)).astype(np.float32))
