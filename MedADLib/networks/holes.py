"""Squares that are cut out of slices and filled with a random value, for networks that learn to fill them in."""

from __future__ import annotations

from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Holes:
    """How many squares, and how large; ceVAE's (Zimmerer et al. 2018) by default.

    Every image has squares of its own, and all of them are cut, also where they overlap.

    Attributes:
        fewest: Squares in an image, at least.
        most: Squares in an image, at most.
        smallest: Smallest side as a part of the shorter side of the image.
        largest: Largest side, the same.
    """

    fewest: int = 0
    most: int = 3
    smallest: float = 0.0
    largest: float = 0.5

    def __post_init__(self) -> None:
        if not 0 <= self.fewest <= self.most <= 16 or not 0 <= self.smallest <= self.largest <= 1:
            raise ValueError("an image can have 0 to 16 holes, with sides from 0 to 1 of its own")

    def __call__(self, images: torch.Tensor, masks: torch.Tensor) -> torch.Tensor:
        """Cut holes; the random numbers are drawn from PyTorch's own generator.

        Args:
            images: (N, 1, Y, X).
            masks: (N, 1, Y, X); nothing changes where they are 0, for there a filled square would give itself away.

        Returns:
            The images with holes; each hole has one value from U(0, 1) (standard intensities).
        """
        count, _, height, width = images.shape
        numbers = torch.randint(self.fewest, self.most + 1, (count,))
        rows, columns = torch.arange(height), torch.arange(width)
        filled = images
        for number in range(self.most):
            side = min(height, width) * (self.smallest + (self.largest - self.smallest) * torch.rand(count))
            top, left = torch.rand(count) * (height - side), torch.rand(count) * (width - side)
            fill = torch.rand(count, 1, 1, 1)
            tall = (rows >= top[:, None]) & (rows < (top + side)[:, None])
            wide = (columns >= left[:, None]) & (columns < (left + side)[:, None])
            square = (tall[:, :, None] & wide[:, None, :] & (number < numbers)[:, None, None])[:, None]
            filled = torch.where(square.to(images.device) & (masks > 0), fill.to(images), filled)
        return filled
