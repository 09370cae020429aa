"""Resample improbable codes from the prior, with the sampler that suits the device."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

import torch

from ...networks.code_prior import Cache, CodePrior
from ...runtime.device import codes_at_once
from .cpu import sample_by_segments, sample_speculatively
from .gpu import sample_by_fixed_point
from .task import Origin, SamplingTask

Sampler = Literal["auto", "segment", "jacobi", "sequential"]


def sample_sequentially(task: SamplingTask, on_progress: Callable[[float], None]) -> torch.Tensor:
    """Sample restorations of slices index by index: the reference sampler, without results of the likelihood pass.

    Args:
        task: What to sample.
        on_progress: Called with the completed share, in [0, 1], after each index; may raise to stop.

    Returns:
        int64 (n, samples, length).
    """
    prior, (count, length), rows = task.prior, task.codes.shape, len(task.samples)
    restored = task.codes.repeat_interleave(rows, 0)
    positions = task.positions.repeat_interleave(rows)
    layers, _, heads, _, width = task.cache.keys.shape
    empty = task.logits.new_zeros(layers, len(restored), heads, length, width, dtype=torch.float32)
    cache = Cache(empty, empty.clone())
    for place in range(length):
        logits = prior.extend(restored, positions, place, place + 1, cache)
        for number in task.places[:, place].nonzero()[:, 0].tolist():
            mine, kept = slice(number * rows, (number + 1) * rows), task.codes[number, place].expand(rows)

            def history(row: int, number=number, place=place) -> Origin:
                return restored[number * rows + row], task.positions[number : number + 1], place

            chosen = task.choose(logits[mine], task.noise(number, place), history)
            if task.limit is not None:
                unlikely = task.unlikely(logits[mine], kept, history)
                chosen = torch.where(unlikely, chosen, kept)
            restored[mine, place] = chosen
        on_progress((place + 1) / length)
    return restored.view(count, rows, length)


def resample_codes(
    prior: CodePrior,
    codes: torch.Tensor,
    position: torch.Tensor,
    places: torch.Tensor,
    logits: torch.Tensor,
    cache: Cache,
    samples: int,
    noise_key: tuple[int, int | Sequence[int]],
    on_progress: Callable[[float], None] = lambda done: None,
    limit: float | None = None,
    sampler: Sampler = "auto",
) -> torch.Tensor:
    """Restore slices or volumes: sample improbable codes in raster order and keep the others.

    Sampling is the argmax of logits plus Gumbel noise; the noise depends on `noise_key`, index and sample number only.
    All samplers give the same codes, see `SamplingTask`.

    Args:
        prior: The prior.
        codes: Codes of one slice, int64 (length,), or of several, (n, length); likewise below.
        position: Slice coordinates, (n,).
        places: Indices to resample, bool (length,) or (n, length); with a limit, candidates.
        logits: Logits of the slices' own codes, (length, K) or (n, length, K).
        cache: Cache of the slices' own codes, with n samples.
        samples: Number of restorations S of each slice.
        noise_key: Seed, and slice number or numbers.
        on_progress: Called with the completed share, in [0, 1]; may raise to stop.
        limit: None for a static mask; λ in nats for a dynamic one: a code of `places` is resampled if its negative
            log-likelihood, given the restored codes before it, is larger.
        sampler: Sampling algorithm, see `sampler_for`.

    Returns:
        int64 (n·S, length), slice after slice.
    """
    length, seed = codes.shape[-1], noise_key[0]
    codes, places, logits = codes.view(-1, length), places.view(-1, length), logits.view(-1, length, prior.codes)
    numbers = [noise_key[1]] if isinstance(noise_key[1], int) else list(noise_key[1])
    sample = _function(sampler_for(sampler, codes.device), limit)
    # The caches of all samples of a volume may not fit into memory.
    capacity = codes_at_once(str(codes.device))
    together = max(capacity // (length * samples), 1)
    at_once = min(max(capacity // length, 1), samples)
    slices = [range(start, min(start + together, len(codes))) for start in range(0, len(codes), together)]
    parts = [range(start, min(start + at_once, samples)) for start in range(0, samples, at_once)]
    restored, done, whole = [], 0, len(codes) * samples
    for some in slices:
        here, found = slice(some.start, some.stop), []
        own = codes[here], position[here], places[here], logits[here], cache.rows(here)
        keys = [(seed, number) for number in numbers[here]]
        for part in parts:
            share = len(some) * len(part) / whole
            task = SamplingTask(prior, *own, part, samples, keys, limit)
            found.append(sample(task, lambda fraction, done=done, share=share: on_progress(done + share * fraction)))
            done += share
        restored.append(torch.cat(found, dim=1).flatten(0, 1))
    return torch.cat(restored)


def sampler_for(sampler: Sampler, device: torch.device | str) -> Sampler:
    """Resolve "auto": "segment" on a CPU, "jacobi" on a GPU, where many rows take as long as one."""
    if sampler != "auto":
        return sampler
    return "segment" if torch.device(device).type == "cpu" else "jacobi"


def _function(sampler: Sampler, limit: float | None) -> Callable[[SamplingTask, Callable[[float], None]], torch.Tensor]:
    if sampler == "segment":
        return sample_by_segments if limit is None else sample_speculatively
    return {"jacobi": sample_by_fixed_point, "sequential": sample_sequentially}[sampler]
