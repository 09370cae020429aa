"""Micro-benchmarks: two forms of matrix products, and sampling of large code volumes."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import partial

import torch

from ..methods.sampling.resample import Sampler, resample_codes
from ..networks.code_prior import CodePrior, product
from ..runtime.progress import Progress
from .timing import Seconds, cores, timed

# Tokens of one pass: few rows of a short ragged batch, a long ragged batch, a likelihood pass of several slices.
ROWS = (15, 60, 400, 1600)
RUNS = 30

# 16³ codes of a volume; the size of the prior is that of the shipped one.
GRID, CODES = (16, 16, 16), 256
WIDTH, LAYERS, HEADS = 128, 6, 4
# Numbers of resampled codes at random positions: nearly the whole volume lies between the first and the last.
RESAMPLED = (20, 100)
SEED = 0


@dataclass(frozen=True)
class Product:
    """One layer of the prior in two forms.

    Attributes:
        rows: Number of tokens.
        wide: Features of a token before and after the layer.
        linear: Time as a linear layer.
        convolution: Time as a 1×1 convolution, channels last.
    """

    rows: int
    wide: tuple[int, int]
    linear: Seconds
    convolution: Seconds

    @property
    def ratio(self) -> float:
        """Time of the convolution over that of the linear layer, of the fastest runs: other processes slow the rest."""
        return self.convolution.least / self.linear.least


def products(prior: CodePrior) -> list[Product]:
    """Time the layers of one block of a prior on one core."""
    block, found = prior.blocks[0], []
    with torch.inference_mode(), cores(1):
        for layer in (block.project, block.merge, block.widen, block.narrow):
            after, before = layer.weight.shape
            for rows in ROWS:
                tokens = torch.randn(rows, before, generator=torch.Generator().manual_seed(rows))
                forms = (partial(product, tokens, layer.weight, layer.bias, convolved) for convolved in (False, True))
                found.append(Product(rows, (before, after), *(timed(form, RUNS) for form in forms)))
    return found


@dataclass(frozen=True)
class VolumeRace:
    """One sampler on one volume.

    Attributes:
        length: Number of codes of the volume.
        resampled: Number of resampled codes.
        samples: Number of restorations.
        way: The sampler.
        seconds: Time of all restorations.
        ratio: Time over that of `segment`.
    """

    length: int
    resampled: int
    samples: int
    way: str
    seconds: Seconds
    ratio: float


def volume_race(samples: int, runs: int, progress: Progress | None = None, device: str = "cpu") -> list[VolumeRace]:
    """Measure `segment` and `jacobi` on random codes with all cores.

    The prior has random weights, so that hardly any two restorations are equal, which is the worst case.

    Raises:
        AssertionError: If the two draw different codes.
    """
    progress, length, rows = progress or Progress(), math.prod(GRID), []
    torch.manual_seed(SEED)
    prior = CodePrior(CODES, length, WIDTH, LAYERS, HEADS, further=(GRID[2], GRID[1] * GRID[2])).to(device).eval()
    codes, position = torch.randint(CODES, (1, length)).to(device), torch.zeros(1, device=device)
    with torch.inference_mode():
        logits, cache = prior.fill(codes, position)
        for number, resampled in enumerate(RESAMPLED):
            marked = torch.zeros(1, length, dtype=torch.bool, device=device)
            marked[0, torch.randperm(length)[:resampled].to(device)] = True
            found: list[torch.Tensor] = []

            def draw(sampler: Sampler, marked: torch.Tensor = marked, found: list = found) -> None:
                key = (SEED, [0])
                found.append(
                    resample_codes(prior, codes, position, marked, logits, cache, samples, key, sampler=sampler)
                )

            ways: list[Sampler] = ["segment", "jacobi"]
            seconds = []
            for step, way in enumerate(ways):
                progress.update((number + step / len(ways)) / len(RESAMPLED), f"{resampled} of {length} codes, {way}")
                seconds.append(timed(lambda way=way: draw(way), runs, device))
                assert torch.equal(found[-1], found[0]), f"{way} draws other codes"
            rows += [VolumeRace(length, resampled, samples, way, s, 1.0) for way, s in zip(ways, seconds)]
            rows[-1] = replace(rows[-1], ratio=seconds[1].median / seconds[0].median)
    return rows
