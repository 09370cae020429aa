"""Small conditional U-Nets for slices: a segmenter of corruptions and a denoiser."""

from __future__ import annotations

import math
from itertools import pairwise

import torch
from torch import nn
from torch.nn.functional import avg_pool2d, binary_cross_entropy_with_logits, interpolate

from .losses import brain_mean

GROUPS = 8
WAVES = 4
HIDDEN = 64

# Most pixels are healthy: with this initial bias the training need not learn that first.
USUAL_LOGIT = -3.0


class UNet(nn.Module):
    """U-Net (Ronneberger et al. 2015), two convolutions per level, with optional conditions (FiLM, Perez et al. 2018).

    MONAI has U-Nets, but none that is both this small and conditional: its `UNet` and `BasicUNet` have no condition,
    its `DiffusionModelUNet` has several times the operations per level. Group norm is the same in training and
    inference and independent of the other slices of a batch.

    The conditions are numbers such as a slice's position in [-0.5, 0.5] or the degree of a corruption in [0, 1]. Sines
    and cosines of them scale and shift the features of every level; before training the scale is 1 and the shift 0.

    Args:
        channels: Channels of each level, multiples of 8; all levels except the first halve the grid.
        conditions: Number of conditions of each slice; 0 for none.
        inputs: Channels of a slice.
        outputs: Channels of the result.
    """

    def __init__(self, channels: tuple[int, ...], conditions: int = 0, inputs: int = 1, outputs: int = 1):
        super().__init__()
        self.down = nn.ModuleList([_Level(a, b, conditions > 0) for a, b in pairwise((inputs, *channels))])
        upwards = list(pairwise(reversed(channels)))
        self.up = nn.ModuleList([_Level(below + here, here, conditions > 0) for below, here in upwards])
        self.last = nn.Conv2d(channels[0], outputs, 1)
        self.tell = None
        if conditions:
            width = conditions * (2 * WAVES + 1)
            self.tell = nn.Sequential(nn.Linear(width, HIDDEN), nn.SiLU(), nn.Linear(HIDDEN, HIDDEN), nn.SiLU())
        # On a CPU, channels last takes about two thirds of the time.
        self.to(memory_format=torch.channels_last)

    def forward(self, images: torch.Tensor, conditions: torch.Tensor | None = None) -> torch.Tensor:
        """Apply the network to slices.

        Args:
            images: (N, inputs, Y, X), sides divisible by 2 to the number of levels less one.
            conditions: (N, conditions); None if the network has none.

        Returns:
            (N, outputs, Y, X).
        """
        embedded = None if self.tell is None else self.tell(_waves(conditions))
        features, skips = images.contiguous(memory_format=torch.channels_last), []
        for number, level in enumerate(self.down):
            features = level(avg_pool2d(features, 2) if number else features, embedded)
            skips.append(features)
        for level, skip in zip(self.up, reversed(skips[:-1])):
            features = level(torch.cat([interpolate(features, scale_factor=2, mode="nearest"), skip], 1), embedded)
        return self.last(features)


class _Level(nn.Module):
    """Two 3×3 convolutions; the condition scales and shifts the second before its activation."""

    def __init__(self, before: int, after: int, conditioned: bool):
        super().__init__()
        self.first = nn.Sequential(
            nn.Conv2d(before, after, 3, padding=1, bias=False), nn.GroupNorm(GROUPS, after), nn.SiLU()
        )
        self.second = nn.Sequential(nn.Conv2d(after, after, 3, padding=1, bias=False), nn.GroupNorm(GROUPS, after))
        self.change = None
        if conditioned:
            self.change = nn.Linear(HIDDEN, 2 * after)
            nn.init.zeros_(self.change.weight)
            nn.init.zeros_(self.change.bias)

    def forward(self, features: torch.Tensor, embedded: torch.Tensor | None) -> torch.Tensor:
        features = self.second(self.first(features))
        if self.change is not None:
            scale, shift = self.change(embedded)[:, :, None, None].chunk(2, dim=1)
            features = features * (1 + scale) + shift
        return nn.functional.silu(features)


def _waves(conditions: torch.Tensor) -> torch.Tensor:
    """Concatenate numbers (N, C) with sines and cosines of doubling frequency, (N, C * (2 * WAVES + 1))."""
    frequency = math.pi * 2.0 ** torch.arange(WAVES, device=conditions.device, dtype=conditions.dtype)
    angles = (conditions[:, :, None] * frequency).flatten(1)
    return torch.cat([conditions, torch.sin(angles), torch.cos(angles)], dim=1)


class CorruptionSegmenter(UNet):
    """U-Net that predicts the degree of corruption of each pixel, given the slice's position (FPI, Tan et al. 2020)."""

    def __init__(self, channels: tuple[int, ...]):
        super().__init__(channels, conditions=1)
        torch.nn.init.constant_(self.last.bias, USUAL_LOGIT)

    def predict(self, images: torch.Tensor, positions: torch.Tensor) -> torch.Tensor:
        """Predict the degree α̂ of slices (N, 1, Y, X) at positions (N,): (N, 1, Y, X), 0 to 1."""
        return torch.sigmoid(self(images, positions[:, None]).float())

    def loss(
        self, images: torch.Tensor, masks: torch.Tensor, positions: torch.Tensor, target: torch.Tensor
    ) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """Compute the binary cross-entropy with the degree as soft target, mean over the brain's pixels.

        Args:
            images: Corrupted slices, (N, 1, Y, X).
            masks: Brain, (N, 1, Y, X), 0 or 1.
            positions: (N,).
            target: Degree α, (N, 1, Y, X).

        Returns:
            The loss, and ``error``, the mean of |α̂ − α| over the brain.
        """
        logits = self(images, positions[:, None]).float()
        loss = brain_mean(binary_cross_entropy_with_logits(logits, target, reduction="none"), masks)
        error = brain_mean((torch.sigmoid(logits) - target).abs(), masks)
        return loss, {"error": error.detach(), "cross_entropy": loss.detach()}


class Denoiser(UNet):
    """U-Net that predicts the healthy slice from a noisy one, given the slice's position (DAE, Kascenas et al. 2022).

    The network predicts the difference to its input, which is 0 before training. The paper's network predicts the slice
    itself and must first learn the identity: on toy scans, after the same 300 steps, its error in healthy tissue is
    twice as large.
    """

    def __init__(self, channels: tuple[int, ...]):
        super().__init__(channels, conditions=1)
        torch.nn.init.zeros_(self.last.weight)
        torch.nn.init.zeros_(self.last.bias)

    def predict(self, images: torch.Tensor, positions: torch.Tensor) -> torch.Tensor:
        """Predict the pseudo-healthy image of slices (N, 1, Y, X) at positions (N,): (N, 1, Y, X)."""
        return images + self(images, positions[:, None]).float()

    def loss(
        self, images: torch.Tensor, masks: torch.Tensor, positions: torch.Tensor, target: torch.Tensor
    ) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """Compute the squared error, mean over the brain's pixels.

        Args:
            images: Noisy slices, (N, 1, Y, X).
            masks: Brain, (N, 1, Y, X), 0 or 1.
            positions: (N,).
            target: Healthy slices, (N, 1, Y, X).

        Returns:
            The loss, and ``error``, the mean absolute error over the brain.
        """
        difference = self.predict(images, positions) - target
        loss = brain_mean(difference.square(), masks)
        return loss, {"error": brain_mean(difference.abs(), masks).detach(), "squared_error": loss.detach()}
