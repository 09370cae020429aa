"""Measure which arithmetic is faster here: bfloat16 or float32, convolutions or matrix products."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from functools import cache, partial

import torch

from .code_prior import product

TRIALS = 16


@cache
def decodes_faster(device: str) -> bool:
    """Return whether convolutions are clearly faster in bfloat16; measured once in a process.

    On a processor with bfloat16 instructions it is about twice as fast, so the result is reproducible. On others it is
    many times slower, and nothing is measured.
    """
    if torch.device(device).type == "cpu" and not _known_to_processor():
        return False
    return bfloat16_is_faster(device)


@cache
def convolves_faster(device: str) -> bool:
    """Return whether matrix products are clearly faster as 1×1 convolutions; measured once in a process.

    Matrix products and convolutions use different libraries, and the faster one depends on the processor.
    """
    if torch.device(device).type != "cpu":
        return False
    tokens, weight, bias = torch.randn(400, 128), torch.randn(512, 128), torch.randn(512)
    return _second_is_faster(*(partial(product, tokens, weight, bias, convolved) for convolved in (False, True)))


def _known_to_processor() -> bool:
    """Return whether the processor has bfloat16 instructions (AVX-512 BF16 or AMX); False if torch cannot report it."""
    try:
        return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())
    except AttributeError:
        return False


def bfloat16_is_faster(device: str) -> bool:
    """Return whether a convolution is clearly faster in bfloat16 than in float32.

    The shortest times of alternate runs are compared, because other processes may be busy. On a GPU without bfloat16
    instructions some versions of torch refuse it, and nothing is measured.
    """
    if torch.device(device).type == "cuda" and not torch.cuda.is_bf16_supported():
        return False
    image = torch.randn(4, 32, 80, 80, device=device).to(memory_format=torch.channels_last)
    layer = torch.nn.Conv2d(32, 32, 3, padding=1, device=device).to(memory_format=torch.channels_last)

    def pass_through(reduced: bool) -> float:
        with torch.autocast(torch.device(device).type, torch.bfloat16, enabled=reduced):
            return float(layer(image).sum())

    return _second_is_faster(partial(pass_through, False), partial(pass_through, True))


def _second_is_faster(first: Callable[[], object], second: Callable[[], object]) -> bool:
    """Return whether the shortest run of the second is clearly shorter; on one core, where interruptions are rare."""
    seconds, before = [math.inf, math.inf], torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.inference_mode():
            for _ in range(TRIALS):
                for number, work in enumerate((first, second)):
                    started = time.perf_counter()
                    work()
                    seconds[number] = min(seconds[number], time.perf_counter() - started)
    finally:
        torch.set_num_threads(before)
    return seconds[1] < 0.8 * seconds[0]
