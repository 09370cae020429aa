"""Comparison of the samplers of latent restoration with each other and with other algorithms for the same prior."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from types import SimpleNamespace

import numpy as np
import torch

from ..methods.latent_restoration import LatentRestoration
from ..methods.sampling.resample import Sampler, resample_codes, sampler_for
from ..methods.sampling.task import gumbel
from ..methods.slicewise import examined_slices, slice_batch
from ..networks.code_prior import Cache, CodePrior, likelihood_of
from ..runtime.numerics import evenly_spread
from ..runtime.progress import Progress
from .timing import Seconds, cores, timed

TOGETHER = 8
# Number of restorations S in the paper.
PUBLISHED_SAMPLES = 15
SEED = 0
# Number of measured positions of a plain re-evaluation; each takes the same time.
INDICES = 10
SMALLEST_LESION = 20
DYNAMIC, WHOLE_GRID = "segment, dynamic mask", "whole grid at every place"
# The published code re-evaluates every code after its predecessors, as does the sampler that it is compared with.
LIKE = {WHOLE_GRID: DYNAMIC}


class MonaiTransformer(torch.nn.Module):
    """Adapter of our prior of slices to MONAI's `VQVAETransformerInferer`; positions are slice coordinates, (N,).

    Sequences of MONAI begin with a start token, and its logits have a column for it. The attention is that of our
    prior, which is faster than that of MONAI's transformer.
    """

    def __init__(self, prior: CodePrior, positions: torch.Tensor):
        super().__init__()
        self.prior, self.positions, self.max_seq_len = prior, positions, prior.length

    def forward(self, x: torch.Tensor, context: torch.Tensor | None = None) -> torch.Tensor:
        """Return logits (N, L, K + 1) of the codes after each token x, int64 (N, L); the first is the start token."""
        codes = torch.cat([x[:, 1:], x.new_zeros(len(x), 1)], dim=1)
        logits = self.prior(codes, self.positions)
        return torch.cat([logits, torch.full_like(logits[..., :1], -torch.inf)], dim=-1)


def monai_samples(prior: CodePrior, position: torch.Tensor, grid: tuple[int, int], samples: int) -> torch.Tensor:
    """Sample slices by MONAI's loop: all codes, in h·w forward passes over a growing prefix.

    The loop cannot start from the codes of a slice or keep some of them. The position is the slice coordinate, (1,);
    the result is int64 (samples, h, w).
    """
    from monai.inferers import VQVAETransformerInferer
    from monai.utils import Ordering

    vqvae = SimpleNamespace(num_embeddings=prior.codes, decode_samples=lambda codes: codes)
    ordering = Ordering("raster_scan", 2, (1, *grid))
    start = torch.full((samples, 1), prior.codes, device=position.device)
    transformer = MonaiTransformer(prior, position.expand(samples))
    return VQVAETransformerInferer().sample(grid, start, vqvae, transformer, ordering, verbose=False)


def reevaluated(
    prior: CodePrior,
    codes: torch.Tensor,
    position: torch.Tensor,
    limit: float,
    samples: int,
    noise_key: tuple[int, int],
    indices: range | None = None,
) -> torch.Tensor:
    """Restore as the published code does: evaluate the whole grid again at each position.

    At every position the whole samples pass through the prior; a code that is less likely than the limit given the
    restored codes before it is resampled.

    Args:
        prior: A prior of slices.
        codes: Codes of the slice, int64 (length,).
        position: Slice coordinate, (1,).
        limit: λ in nats.
        samples: Number of restorations S.
        noise_key: Random seed and slice number.
        indices: Token positions to evaluate, each of which takes the same time; None takes all.

    Returns:
        int64 (S, length).
    """
    restored = codes.repeat(samples, 1)
    for index in indices or range(len(codes)):
        logits = prior(restored, position.expand(samples))[:, index]
        unlikely = likelihood_of(logits, restored[:, index]) > limit
        fresh = (logits.float() + gumbel(noise_key, index, samples, prior.codes).to(logits.device)).argmax(dim=1)
        restored[:, index] = torch.where(unlikely, fresh, restored[:, index])
    return restored


@dataclass(frozen=True, eq=False)
class Coded:
    """Slices of a scan in the code space with their likelihoods.

    Attributes:
        numbers: Slice numbers.
        codes: int64 (n, length).
        positions: Slice coordinates, (n,).
        logits: (n, length, K).
        cache: Keys and values of the likelihood pass.
        unlikely: Codes to resample, bool (n, length).
    """

    numbers: list[int]
    codes: torch.Tensor
    positions: torch.Tensor
    logits: torch.Tensor
    cache: Cache
    unlikely: torch.Tensor

    @property
    def resampled(self) -> float:
        """Mean number of resampled codes per slice."""
        return float(self.unlikely.float().sum(1).mean())


@dataclass(frozen=True)
class Race:
    """Time of one sampler on some slices.

    Attributes:
        slices: "lesion" or "normal".
        way: The sampler or algorithm.
        codes: Mean number of codes per slice that the static mask resamples.
        seconds: Time of a slice with all its samples.
        ratio: Time over that of our sampler, see `LIKE`.
        share: Measured part of the work; the time is extrapolated to the rest.
    """

    slices: str
    way: str
    codes: float
    seconds: Seconds
    ratio: float
    share: str


def as_published(method: LatentRestoration, **settings) -> LatentRestoration:
    """Return the method with the number of restorations of the paper and other changed settings."""
    parameters = replace(method.parameters, **{"samples": PUBLISHED_SAMPLES} | settings)
    return type(method)(parameters, method.vqvae, method.prior)


def coded(method: LatentRestoration, image: np.ndarray, numbers: np.ndarray, device: str = "cpu") -> Coded:
    """Encode slices of a prepared scan (Z, Y, X) and compute their likelihoods."""
    method.vqvae.to(device)
    method.prior.to(device)
    batch, positions = slice_batch(image, numbers, device)
    codes = method.vqvae.encode(batch, positions).flatten(1)
    logits, cache = method.prior.fill(codes, positions)
    unlikely = likelihood_of(logits, codes) > method.parameters.restoration_nll
    return Coded(numbers.tolist(), codes, positions, logits, cache, unlikely)


def drawn_by(method: LatentRestoration, slices: Coded, sampler: Sampler, dynamic: bool = False) -> torch.Tensor:
    """Return restorations (n·S, length) of slices by one of our samplers."""
    p = method.parameters
    marked = torch.ones_like(slices.unlikely) if dynamic else slices.unlikely
    limit = p.restoration_nll if dynamic else None
    return resample_codes(
        method.prior, slices.codes, slices.positions, marked, slices.logits, slices.cache, p.samples,
        (SEED, slices.numbers), limit=limit, sampler=sampler,
    )  # fmt: skip


def race(
    method: LatentRestoration,
    image: np.ndarray,
    mask: np.ndarray,
    lesion: np.ndarray,
    runs: int,
    monai: bool = True,
    progress: Progress | None = None,
    device: str = "cpu",
) -> list[Race]:
    """Measure every sampler on slices with and without lesion; on a CPU with one core, as in a restoration.

    Args:
        method: A trained method; its number of restorations is used.
        image: A prepared scan, (Z, Y, X).
        mask: Its brain, (Z, Y, X).
        lesion: Its lesion, (Z, Y, X).
        runs: Number of runs; of slow algorithms each run covers a part of the work.
        monai: Whether to measure MONAI's loop.
        progress: Receives each sampler; may cancel.
        device: Device of the sampling.

    Returns:
        One row for each kind of slices and sampler; ratios are of medians in the same process.

    Raises:
        AssertionError: If two samplers draw different codes.
    """
    progress, rows = progress or Progress(), []
    used, sizes = examined_slices(mask), lesion.reshape(len(lesion), -1).sum(axis=1)
    kinds = {"lesion": used[sizes[used] >= SMALLEST_LESION], "normal": used[sizes[used] == 0]}
    kinds = {name: numbers[evenly_spread(len(numbers), TOGETHER)] for name, numbers in kinds.items() if len(numbers)}
    with torch.inference_mode(), cores(1):
        by_monai = cache(lambda: _by_monai(method, runs, device))
        for number, (name, numbers) in enumerate(kinds.items()):
            slices = coded(method, image, numbers, device)
            ways = _ways(method, slices, runs, by_monai if monai else None, device)
            for step, (way, (measure, share)) in enumerate(ways.items()):
                progress.update((number + step / len(ways)) / len(kinds), f"{name} slices, {way}")
                rows.append(Race(name, way, slices.resampled, measure(), 0.0, share))
    taken = {(row.slices, row.way): row.seconds.median for row in rows}
    engine = sampler_for("auto", device)
    return [
        replace(row, ratio=row.seconds.median / max(taken[row.slices, LIKE.get(row.way, engine)], 1e-9)) for row in rows
    ]


def _ways(
    method: LatentRestoration, slices: Coded, runs: int, monai: Callable[[], Seconds] | None, device: str
) -> dict[str, tuple[Callable[[], Seconds], str]]:
    """Return the samplers by name, each with its measurement per slice and the measured part of the work."""
    p, count, reference = method.parameters, len(slices.numbers), None

    def own(sampler: Sampler, dynamic: bool = False) -> Callable[[], Seconds]:
        def measure() -> Seconds:
            nonlocal reference
            found = []
            seconds = timed(lambda: found.append(drawn_by(method, slices, sampler, dynamic)), runs, device)
            if not dynamic:
                reference = found[0] if reference is None else reference
                assert torch.equal(found[0], reference), f"{sampler} draws other codes"
            return seconds.times(1 / count)

        return measure

    middle = count // 2
    codes, position = slices.codes[middle], slices.positions[middle : middle + 1]
    length = len(codes)
    indices = range(length // (2 * INDICES), length, max(length // INDICES, 1))
    key = (SEED, slices.numbers[middle])

    def plain() -> Seconds:
        again = lambda: reevaluated(method.prior, codes, position, p.restoration_nll, p.samples, key, indices)  # noqa: E731
        return timed(again, runs, device).times(length / len(indices))

    everything = f"{count} slices"
    ways = {
        "segment": (own("segment"), everything),
        "jacobi": (own("jacobi"), everything),
        "sequential with cache": (own("sequential"), everything),
        DYNAMIC: (own("segment", dynamic=True), everything),
        WHOLE_GRID: (plain, f"{len(indices)} of {length} places of 1 slice"),
    }
    if monai is not None:
        ways["MONAI's sampling"] = (monai, "1 slice; each takes as long")
    return ways


def _by_monai(method: LatentRestoration, runs: int, device: str) -> Seconds:
    """Measure MONAI's loop on one slice; its time does not depend on the scan."""
    p, position = method.parameters, torch.zeros(1, device=device)
    return timed(lambda: monai_samples(method.prior, position, p.grid, p.samples), runs, device)
