"""What a decoder says of a pixel, and how far that is from the scan: an intensity, or a distribution over classes."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Literal

import torch
from torch import nn
from torch.nn.functional import cross_entropy

Error = Literal["l2", "l1", "categorical"]
FEWEST, MOST = 2, 64


def check_centres(error: str, centres: Sequence[float]) -> None:
    """Refuse class centres that do not go with the error, or that only a hostile model file would name.

    Raises:
        ValueError: Saying what is allowed.
    """
    if error != "categorical":
        if len(centres):
            raise ValueError("only a categorical error has class centres")
        return
    if not FEWEST <= len(centres) <= MOST:
        raise ValueError(f"a categorical error needs {FEWEST} to {MOST} class centres")
    # Written so that what is not a number is refused too.
    if not all(abs(centre) < 1e6 for centre in centres) or not all(a < b for a, b in pairwise(centres)):
        raise ValueError("class centres must be finite and increase")


class PixelError(nn.Module):
    """The error e of each pixel, and the picture that a decoder's output stands for.

    "l2" is (x − x̂)² and "l1" is |x − x̂|, of a decoder that gives x̂. "categorical" (Naval Marimont and Tarroni 2021,
    implicit field learning) is −log p_k in nats, with k the class whose centre c_k is nearest to x, of a decoder that
    gives the logits of p; its picture is the expected intensity Σ_k p_k·c_k. The most likely centre would be a
    cartoon of as many greys as there are classes, with contours where two classes are equally likely; the expected
    intensity is the guess of least squared error, as that of a decoder trained with it.

    Args:
        error: e.
        centres: c, increasing, if "categorical".
    """

    def __init__(self, error: Error, centres: Sequence[float] = ()):
        super().__init__()
        self.error = error
        self.channels = len(centres) if error == "categorical" else 1
        centres = torch.tensor(tuple(centres), dtype=torch.float32)
        # Model files have the centres among their parameters.
        self.register_buffer("centres", centres, persistent=False)
        self.register_buffer("bounds", (centres[1:] + centres[:-1]) / 2, persistent=False)

    def forward(self, decoded: torch.Tensor, images: torch.Tensor) -> torch.Tensor:
        """e of each pixel, float32.

        Args:
            decoded: The decoder's output, (N, channels, …).
            images: x, (N, 1, …).

        Returns:
            (N, 1, …).
        """
        if self.error == "categorical":
            return cross_entropy(decoded.float(), self.classes(images)[:, 0], reduction="none")[:, None]
        difference = decoded.float() - images
        return difference.square() if self.error == "l2" else difference.abs()

    def classes(self, images: torch.Tensor) -> torch.Tensor:
        """The nearest centre of each intensity, int64 of any shape."""
        return torch.bucketize(images.detach().contiguous(), self.bounds)

    def picture(self, decoded: torch.Tensor) -> torch.Tensor:
        """Standard intensities (N, 1, …), float32, of a decoder's output (N, channels, …)."""
        if self.error != "categorical":
            return decoded.float()
        return torch.einsum("nk...,k->n...", decoded.float().softmax(1), self.centres)[:, None]
