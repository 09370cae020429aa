"""Pixel errors of decoders that predict an intensity or a distribution over intensity classes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import nn
from torch.nn.functional import cross_entropy

Error = Literal["l2", "l1", "categorical"]
FEWEST, MOST = 2, 64


class PixelError(nn.Module):
    """Error e of each pixel, and the image that a decoder's output represents.

    "l2" is (x − x̂)² and "l1" is |x − x̂|, for a decoder of x̂. "categorical" (Naval Marimont and Tarroni 2021, implicit
    field learning) is −log p_k in nats, with k the class with centre c_k nearest to x, for a decoder of the logits of
    p; its image is the expected intensity Σ_k p_k·c_k. The expected intensity minimises the squared error. The most
    probable centre would have as many grey levels as classes, and contours where two classes are equally probable.

    Args:
        error: e.
        centres: c, increasing, if "categorical".
    """

    def __init__(self, error: Error, centres: Sequence[float] = ()):
        super().__init__()
        self.error = error
        self.channels = len(centres) if error == "categorical" else 1
        centres = torch.tensor(tuple(centres), dtype=torch.float32)
        # Model files store the centres as parameters.
        self.register_buffer("centres", centres, persistent=False)
        self.register_buffer("bounds", (centres[1:] + centres[:-1]) / 2, persistent=False)

    def forward(self, decoded: torch.Tensor, images: torch.Tensor) -> torch.Tensor:
        """Compute e of each pixel, float32 (N, 1, …), of decoder output (N, channels, …) and images x, (N, 1, …)."""
        if self.error == "categorical":
            return cross_entropy(decoded.float(), self.classes(images)[:, 0], reduction="none")[:, None]
        difference = decoded.float() - images
        return difference.square() if self.error == "l2" else difference.abs()

    def classes(self, images: torch.Tensor) -> torch.Tensor:
        """Return the index of the nearest centre of each intensity, int64 of any shape."""
        return torch.bucketize(images.detach().contiguous(), self.bounds)

    def image(self, decoded: torch.Tensor) -> torch.Tensor:
        """Convert a decoder's output (N, channels, …) to standard intensities (N, 1, …), float32."""
        if self.error != "categorical":
            return decoded.float()
        return torch.einsum("nk...,k->n...", decoded.float().softmax(1), self.centres)[:, None]
