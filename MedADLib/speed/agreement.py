"""A GPU against the CPU: how much faster the networks are there, and how far the maps are apart."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..methods.latent_restoration import LatentRestoration
from .timing import Seconds, timed

# How far raw scores of a GPU may be from those of the CPU, with intensities of 0 to 1: where the encoder rounds
# otherwise, a code is another one, and its place is restored otherwise.
LARGEST, MEAN = 0.2, 0.005


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
