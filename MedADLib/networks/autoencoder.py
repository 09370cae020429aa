"""Plain convolutional autoencoder with a dense bottleneck of chosen size."""

from __future__ import annotations

import torch
from torch import nn

HIDDEN = 1024


class AutoEncoder(nn.Module):
    """The autoencoder of AE4AD (Cai et al. 2024): the latent size alone limits what can be reconstructed.

    Strided convolutions (kernel 4, batch norm, ReLU) to a 5×5 grid of a 160×160 slice, two dense layers to the
    latent, and the mirror image back.

    Args:
        size: Slice size (Y, X); both divisible by 2 to the number of levels.
        channels: Channels of each level; every level halves the grid.
        latent: Latent size d.
    """

    def __init__(self, size: tuple[int, int], channels: tuple[int, ...], latent: int):
        super().__init__()
        self.grid = (channels[-1], size[0] >> len(channels), size[1] >> len(channels))
        flat = self.grid[0] * self.grid[1] * self.grid[2]
        down, before = [], 1
        for after in channels:
            down += [nn.Conv2d(before, after, 4, 2, 1, bias=False), nn.BatchNorm2d(after), nn.ReLU()]
            before = after
        self.encoder = nn.Sequential(
            *down, nn.Flatten(), nn.Linear(flat, HIDDEN), nn.BatchNorm1d(HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, latent)
        )
        self.expand = nn.Sequential(
            nn.Linear(latent, HIDDEN), nn.BatchNorm1d(HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, flat)
        )
        up: list[nn.Module] = []
        for after in reversed(channels[:-1]):
            up += [nn.ConvTranspose2d(before, after, 4, 2, 1, bias=False), nn.BatchNorm2d(after), nn.ReLU()]
            before = after
        self.decoder = nn.Sequential(*up, nn.ConvTranspose2d(before, 1, 4, 2, 1))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Reconstruct slices (N, 1, Y, X)."""
        return self.decoder(self.expand(self.encoder(images)).view(-1, *self.grid))

    def loss(
        self, images: torch.Tensor, masks: torch.Tensor, positions: torch.Tensor
    ) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """Mean squared error over the whole slice (AE4AD's ℓ2).

        Args:
            images: (N, 1, Y, X).
            masks: Brain, (N, 1, Y, X); only for the logged error.
            positions: (N,); not used.

        Returns:
            The loss, and ``error``: mean absolute error per brain pixel.
        """
        restored = self(images).float()
        squared = (restored - images).square()
        error = ((restored - images).abs() * masks).sum() / masks.sum().clamp_min(1)
        return squared.mean(), {"squared_error": squared.mean().detach(), "error": error.detach()}
