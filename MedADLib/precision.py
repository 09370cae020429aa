"""Whether a training, or the decoder of an inference, runs in bfloat16: where a stopwatch says that it is faster."""

from __future__ import annotations

import json
import math
import time
from functools import cache
from pathlib import Path

import torch

TRIALS = 12


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
    seconds = [math.inf, math.inf]
    with torch.inference_mode():
        for _ in range(TRIALS):
            for reduced in (False, True):
                with torch.autocast(torch.device(device).type, torch.bfloat16, enabled=reduced):
                    started = time.perf_counter()
                    float(layer(image).sum())
                    seconds[reduced] = min(seconds[reduced], time.perf_counter() - started)
    return seconds[1] < 0.8 * seconds[0]
