"""Implicit field of intensity classes: an MLP of position and latent (Naval Marimont and Tarroni 2021)."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import nn

from .pixel_error import PixelError


def fourier_features(points: torch.Tensor, bands: int) -> torch.Tensor:
    """Concatenate coordinates (…, 3) in [-1, 1] with sines and cosines at doubling frequencies, (…, 3 + 6·bands).

    The first frequency has one wave across the cube [-1, 1] (Mildenhall et al. 2020).
    """
    scales = math.pi * 2.0 ** torch.arange(bands, dtype=points.dtype, device=points.device)
    angles = (points[..., None] * scales).flatten(-2)
    return torch.cat([points, angles.sin(), angles.cos()], dim=-1)


def within_ball(latents: torch.Tensor) -> torch.Tensor:
    """Project latents (N, latent) to the unit ball: those longer than 1 get length 1."""
    return latents / latents.norm(dim=1, keepdim=True).clamp_min(1)


class IntensityField(nn.Module):
    """MLP from position and latent to the logits of K intensity classes (Naval Marimont and Tarroni 2021).

    The latent is an additional input of every layer. It is the same for all points of a scan, so its contribution is
    computed once for each layer, as a shift of the layer's output. Latents are projected to the unit ball.

    Args:
        centres: Class centres.
        latent: Length of a latent.
        width: Width of each hidden layer.
        layers: Number of linear layers, including the last.
        bands: Frequency bands of the Fourier features.
    """

    def __init__(self, centres: Sequence[float], latent: int, width: int, layers: int, bands: int):
        super().__init__()
        self.bands, self.latent, self.width = bands, latent, width
        self.compare = PixelError("categorical", centres)
        before = [3 + 6 * bands, *[width] * (layers - 2)]
        self.layers = nn.ModuleList(nn.Linear(inputs, width) for inputs in before)
        self.head = nn.Linear(width, self.compare.channels)
        self.shifts = nn.Linear(latent, width * len(self.layers), bias=False)
        # Latents have length at most 1 and start much shorter: with the default initialisation they have little effect.
        nn.init.normal_(self.shifts.weight)

    def forward(self, points: torch.Tensor, latents: torch.Tensor) -> torch.Tensor:
        """Compute the logits (N, P, K) at points (N, P, 3) of scans with latents (N, latent)."""
        shifts = self.shifts(within_ball(latents)).unflatten(1, (len(self.layers), 1, self.width))
        features = fourier_features(points, self.bands)
        for number, layer in enumerate(self.layers):
            features = (layer(features) + shifts[:, number]).relu()
        return self.head(features)

    def errors(
        self, points: torch.Tensor, latents: torch.Tensor, intensities: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Compute the cross-entropy in nats of the scans' classes under the field, and the expected intensities.

        Args:
            points: (N, P, 3).
            latents: (N, latent).
            intensities: Intensities of the scans at these points, (N, P).

        Returns:
            Two tensors (N, P), float32.
        """
        logits = self(points, latents).flatten(0, 1)
        entropy = self.compare(logits, intensities.reshape(-1, 1))
        return entropy.view_as(intensities), self.compare.image(logits).view_as(intensities)


class AutoDecoder(nn.Module):
    """Auto-decoder (Park et al. 2019): a field and one latent for each training scan, trained together; no encoder."""

    def __init__(self, field: IntensityField, scans: int):
        super().__init__()
        self.field = field
        self.latents = nn.Parameter(torch.randn(scans, field.latent) * 0.1 / math.sqrt(field.latent))

    def loss(
        self, scans: torch.Tensor, points: torch.Tensor, intensities: torch.Tensor
    ) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """Compute the mean cross-entropy of scans by index, (N,), at points (N, P, 3) with intensities (N, P).

        Returns:
            The loss, and ``error`` (mean absolute error of the expected intensity) and ``latent_length``.
        """
        latents = self.latents[scans]
        entropy, expected = self.field.errors(points, latents, intensities)
        error = (expected.detach() - intensities).abs().mean()
        return entropy.mean(), {"error": error, "latent_length": within_ball(latents.detach()).norm(dim=1).mean()}
