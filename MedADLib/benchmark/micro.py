"""Micro-benchmarks: GPU against CPU, forms of matrix products, and sampling of large code volumes.

A GPU against the CPU: how much faster the networks are there, and how far the maps are apart.

The prior's matrix products as linear layers and as 1×1 convolutions: which form this processor is faster at.

The samplers on as many codes as a whole volume has in the literature, drawn from a prior that knows nothing.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch

from ..methods.latent_restoration import LatentRestoration
from ..methods.sampling.resample import Sampler, resample_codes
from ..networks.code_prior import CodePrior, product
from ..runtime.progress import Progress
from .timing import Seconds, cores, timed

# How far raw scores of a GPU may be from those of the CPU, with intensities of 0 to 1: where the encoder rounds
# otherwise, a code is another one, and its place is restored otherwise.
LARGEST, MEAN = 0.2, 0.005

# Tokens that go through at once: few rows of a short stretch, a long stretch, a likelihood pass of some slices.
ROWS = (15, 60, 400, 1600)
RUNS = 30

# 16³ codes of a volume; the prior's size is that of the shipped one.
GRID, CODES = (16, 16, 16), 256
WIDTH, LAYERS, HEADS = 128, 6, 4
# How many codes are drawn anew, anywhere: nearly the whole volume lies between the first and the last.
DRAWN = (20, 100)
SEED = 0


@dataclass(frozen=True)
class Agreement:
    """The network part of one scan on two devices.

    Attributes:
        device: The other device.
        seconds: There, warm.
        cpu: On the CPU.
        largest: Difference of two raw scores.
        mean: Difference in the brain.
        sample: Of the sample score, as a part of it.
    """

    device: str
    seconds: Seconds
    cpu: Seconds
    largest: float
    mean: float
    sample: float

    @property
    def close(self) -> bool:
        """Whether the two say the same."""
        return self.largest <= LARGEST and self.mean <= MEAN


def agreement(method: LatentRestoration, image: np.ndarray, mask: np.ndarray, device: str, runs: int) -> Agreement:
    """Restore a prepared scan on both.

    Args:
        method: Trained.
        image: (Z, Y, X).
        mask: Its brain.
        device: The other device.
        runs: How often, after a first one there.
    """
    found = {}

    def restored(where: str) -> None:
        found[where] = method.restore(image, mask, device=where)

    restored(device)
    there, here = timed(lambda: restored(device), runs, device), timed(lambda: restored("cpu"), 1)
    apart = np.abs(found[device].score - found["cpu"].score)
    scores = [found[where].sample_score for where in (device, "cpu")]
    sample = abs(scores[0] - scores[1]) / max(abs(scores[1]), 1e-9)
    return Agreement(device, there, here, float(apart.max()), float(apart[mask].mean()), sample)


@dataclass(frozen=True)
class Product:
    """One layer with so many tokens.

    Attributes:
        rows: Tokens.
        wide: Numbers of a token, before and after.
        linear: As a linear layer.
        convolution: As a 1×1 convolution, channels last.
    """

    rows: int
    wide: tuple[int, int]
    linear: Seconds
    convolution: Seconds

    @property
    def ratio(self) -> float:
        """How many times as long the convolution takes; of the fastest runs, for others may be busy."""
        return self.convolution.least / self.linear.least


def products(prior: CodePrior) -> list[Product]:
    """Time the layers of one block of a prior on one core.

    Args:
        prior: On the CPU.
    """
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
