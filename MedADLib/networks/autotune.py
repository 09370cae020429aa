"""What a stopwatch decides: whether a training or a decoder runs in bfloat16, and products as convolutions."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path

import torch

from .code_prior import product

TRIALS = 16


def bfloat16_suits(device: str, record: Path) -> bool:
    """Whether bfloat16 is clearly faster than float32, or was when the training began.

    A busy computer may tell otherwise the next time, and a training cannot go on in another precision.

    Args:
        device: Where to train.
        record: JSON file that keeps the answer.
    """
    try:
        kept = json.loads(record.read_text(encoding="utf-8"))["bfloat16"]
    except (OSError, ValueError, TypeError, KeyError):
        kept = None
    if isinstance(kept, bool):
        return kept
    found = _faster(device)
    record.parent.mkdir(parents=True, exist_ok=True)
    record.write_text(json.dumps({"bfloat16": found}), encoding="utf-8")
    return found


@cache
def decodes_faster(device: str) -> bool:
    """Whether convolutions are clearly faster in bfloat16 here; asked once a process, and at once on old processors.

    Where the processor knows bfloat16 it is about twice as fast, so that the answer is the same every time; elsewhere
    it is many times slower.

    Args:
        device: Where to decode.
    """
    if torch.device(device).type == "cpu" and not _known_to_processor():
        return False
    return _faster(device)


@cache
def convolves_faster(device: str) -> bool:
    """Whether matrix products are clearly faster as 1×1 convolutions here; asked once a process.

    Which library a processor is better served by differs: products go to one, convolutions to another.

    Args:
        device: Where to compute; on a GPU never.
    """
    if torch.device(device).type != "cpu":
        return False
    tokens, weight, bias = torch.randn(400, 128), torch.randn(512, 128), torch.randn(512)
    return _second_is_faster(*(partial(product, tokens, weight, bias, convolved) for convolved in (False, True)))


def _known_to_processor() -> bool:
    """Whether the processor multiplies bfloat16 itself (AVX-512 BF16 or AMX); what torch cannot tell it has not."""
    try:
        return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())
    except AttributeError:
        return False


def _faster(device: str) -> bool:
    """A short trial of a convolution in both precisions, by turns; of each the quickest time, as others may be busy."""
    image = torch.randn(4, 32, 80, 80, device=device).to(memory_format=torch.channels_last)
    layer = torch.nn.Conv2d(32, 32, 3, padding=1, device=device).to(memory_format=torch.channels_last)

    def pass_through(reduced: bool) -> float:
        with torch.autocast(torch.device(device).type, torch.bfloat16, enabled=reduced):
            return float(layer(image).sum())

    return _second_is_faster(partial(pass_through, False), partial(pass_through, True))


def _second_is_faster(first: Callable[[], object], second: Callable[[], object]) -> bool:
    """Whether its quickest run is clearly quicker; on one core, which others leave alone for long enough."""
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
