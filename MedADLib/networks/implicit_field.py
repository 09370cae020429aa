"""Implicit field (Naval Marimont and Tarroni 2021): which intensity class any place of a brain has, given a code."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import nn

from .pixel_error import PixelError


def fourier_features(points: torch.Tensor, bands: int) -> torch.Tensor:
    """Coordinates, and their sine and cosine at frequencies that double from band to band (Mildenhall et al. 2020).

    Args:
        points: (…, 3), each coordinate in [-1, 1].
        bands: How many frequencies, from half a wave over the cube on.

    Returns:
        (…, 3 + 6·bands).
    """
    scales = math.pi * 2.0 ** torch.arange(bands, dtype=points.dtype, device=points.device)
    angles = (points[..., None] * scales).flatten(-2)
    return torch.cat([points, angles.sin(), angles.cos()], dim=-1)


def within_ball(latents: torch.Tensor) -> torch.Tensor:
    """Latents (N, latent) as they are, or shortened to length 1."""
    return latents / latents.norm(dim=1, keepdim=True).clamp_min(1)


class IntensityField(nn.Module):
    """An MLP from place and latent to the logits of K intensity classes (Naval Marimont and Tarroni 2021).

    Every layer is given the latent besides the output of the layer before. Since it is the same for all points of a
    scan, its share of a layer is computed once: it shifts the layer's output. A latent longer than 1 counts as if it
    had length 1.

    Args:
        centres: Class centres.
        latent: Length of a latent.
        width: Of each hidden layer.
        layers: Linear layers, the last among them.
        bands: Of the Fourier features.
    """

    def __init__(self, centres: Sequence[float], latent: int, width: int, layers: int, bands: int):
        super().__init__()
        self.bands, self.latent, self.width = bands, latent, width
        self.compare = PixelError("categorical", centres)
        before = [3 + 6 * bands, *[width] * (layers - 2)]
        self.layers = nn.ModuleList(nn.Linear(inputs, width) for inputs in before)
        self.head = nn.Linear(width, self.compare.channels)
        self.shifts = nn.Linear(latent, width * len(self.layers), bias=False)
        # Latents are at most 1 long and begin much shorter: with the usual start they would hardly be heard.
        nn.init.normal_(self.shifts.weight)

    def forward(self, points: torch.Tensor, latents: torch.Tensor) -> torch.Tensor:
        """Logits (N, P, K) at points (N, P, 3) of scans with latents (N, latent)."""
        shifts = self.shifts(within_ball(latents)).unflatten(1, (len(self.layers), 1, self.width))
        features = fourier_features(points, self.bands)
        for number, layer in enumerate(self.layers):
            features = (layer(features) + shifts[:, number]).relu()
        return self.head(features)

    def errors(
        self, points: torch.Tensor, latents: torch.Tensor, intensities: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Cross-entropy in nats between classes and field, and the field's expected intensities.

        Args:
            points: (N, P, 3).
            latents: (N, latent).
            intensities: Of the scans there, (N, P).

        Returns:
            Two tensors (N, P), float32.
        """
        logits = self(points, latents).flatten(0, 1)
        entropy = self.compare(logits, intensities.reshape(-1, 1))
        return entropy.view_as(intensities), self.compare.picture(logits).view_as(intensities)


class AutoDecoder(nn.Module):
    """A field that is learned together with a latent for each training scan; there is no encoder (Park et al. 2019).

    Args:
        field: Left with the trained weights.
        scans: Training scans.
    """

    def __init__(self, field: IntensityField, scans: int):
        super().__init__()
        self.field = field
        self.latents = nn.Parameter(torch.randn(scans, field.latent) * 0.1 / math.sqrt(field.latent))

    def loss(
        self, scans: torch.Tensor, points: torch.Tensor, intensities: torch.Tensor
    ) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """Mean cross-entropy.

        Args:
            scans: Numbers of training scans, (N,).
            points: Places in each, (N, P, 3).
            intensities: There, (N, P).

        Returns:
            The loss, and of it ``error``, the mean absolute error of the expected intensity, and ``latent_length``.
        """
        latents = self.latents[scans]
        entropy, expected = self.field.errors(points, latents, intensities)
        error = (expected.detach() - intensities).abs().mean()
        return entropy.mean(), {"error": error, "latent_length": within_ball(latents.detach()).norm(dim=1).mean()}
