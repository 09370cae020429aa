"""The samplers on as many codes as a whole volume has in the literature, drawn from a prior that knows nothing."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch

from ..methods.resampling import Sampler, resample_codes
from ..networks.prior import CodePrior
from ..progress import Progress
from .timing import Seconds, timed

# 16³ codes of a volume; the prior's size is that of the shipped one.
GRID, CODES = (16, 16, 16), 256
WIDTH, LAYERS, HEADS = 128, 6, 4
# How many codes are drawn anew, anywhere: nearly the whole volume lies between the first and the last.
DRAWN = (20, 100)
SEED = 0


@dataclass(frozen=True)
class VolumeRace:
    """One sampler on one volume.

    Attributes:
        length: Codes of the volume.
        drawn: Of these, drawn anew.
        samples: Restorations.
        way: The sampler.
        seconds: Of all restorations.
        ratio: How many times as long as `segment`.
    """

    length: int
    drawn: int
    samples: int
    way: str
    seconds: Seconds
    ratio: float


def volume_race(samples: int, runs: int, progress: Progress | None = None, device: str = "cpu") -> list[VolumeRace]:
    """Time `segment` and `jacobi` on codes drawn at random, with as many cores as there are.

    With weights at random no restoration is likely to be the same as another one, which is the worst case.

    Args:
        samples: Restorations S.
        runs: How often.
        progress: Told before each.
        device: Where.

    Raises:
        AssertionError: If the two draw different codes.
    """
    progress, length, rows = progress or Progress(), math.prod(GRID), []
    torch.manual_seed(SEED)
    prior = CodePrior(CODES, length, WIDTH, LAYERS, HEADS, further=(GRID[2], GRID[1] * GRID[2])).to(device).eval()
    codes, position = torch.randint(CODES, (1, length)).to(device), torch.zeros(1, device=device)
    with torch.inference_mode():
        logits, cache = prior.fill(codes, position)
        for number, drawn in enumerate(DRAWN):
            places = torch.zeros(1, length, dtype=torch.bool, device=device)
            places[0, torch.randperm(length)[:drawn].to(device)] = True
            found: list[torch.Tensor] = []

            def draw(sampler: Sampler, places: torch.Tensor = places, found: list = found) -> None:
                key = (SEED, [0])
                found.append(
                    resample_codes(prior, codes, position, places, logits, cache, samples, key, sampler=sampler)
                )

            ways: list[Sampler] = ["segment", "jacobi"]
            seconds = []
            for step, way in enumerate(ways):
                progress.update((number + step / len(ways)) / len(DRAWN), f"{drawn} of {length} codes, {way}")
                seconds.append(timed(lambda way=way: draw(way), runs, device))
                assert torch.equal(found[-1], found[0]), f"{way} draws other codes"
            rows += [VolumeRace(length, drawn, samples, way, s, 1.0) for way, s in zip(ways, seconds)]
            rows[-1] = replace(rows[-1], ratio=seconds[1].median / seconds[0].median)
    return rows
