"""Vector quantiser with a moving-average codebook that does not collapse."""

from __future__ import annotations

import torch
from torch import nn

DECAY = 0.99
DEAD_BELOW = 0.3


class Quantiser(nn.Module):
    """Nearest-code quantiser (van den Oord et al. 2017), codebook by exponential moving averages.

    Codes start on encoder outputs of the first batch, and a code that is hardly used moves to an encoder output
    that its present code serves badly; otherwise most of a small codebook dies in the first steps.
    Distances and codebook stay in float32 under autocast, for bfloat16 changes which code is nearest.

    Args:
        codes: Codebook size K.
        width: Length d of a code vector.
    """

    def __init__(self, codes: int, width: int):
        super().__init__()
        self.register_buffer("codebook", torch.zeros(codes, width))
        self.register_buffer("usage", torch.zeros(codes))
        self.register_buffer("sums", torch.zeros(codes, width))

    def indices(self, latent: torch.Tensor) -> torch.Tensor:
        """The nearest code of each place.

        Args:
            latent: Encoder output, (N, d, H, W); of volumes (N, d, D, H, W), and so on below.

        Returns:
            int64 (N, H, W).
        """
        with torch.autocast(latent.device.type, enabled=False):
            flat = latent.float().movedim(1, -1)
            return self._distances(flat.reshape(-1, flat.shape[-1])).argmin(dim=1).view(flat.shape[:-1])

    def embed(self, indices: torch.Tensor) -> torch.Tensor:
        """Code vectors of indices (N, H, W) as (N, d, H, W) in float32."""
        return nn.functional.embedding(indices, self.codebook).movedim(-1, 1).contiguous()

    def forward(self, latent: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Quantise, straight-through; in training mode the codebook follows.

        Args:
            latent: Encoder output, (N, d, H, W).

        Returns:
            Quantised latent (N, d, H, W), indices (N, H, W), commitment loss (mean squared distance to the code).
        """
        with torch.autocast(latent.device.type, enabled=False):
            latent = latent.float()
            if self.training and float(self.usage.sum()) == 0:
                self._start(latent)
            indices = self.indices(latent)
            if self.training:
                self._follow(latent.detach(), indices)
            quantised = self.embed(indices)
            commitment = nn.functional.mse_loss(latent, quantised.detach())
            return latent + (quantised - latent).detach(), indices, commitment

    def _distances(self, flat: torch.Tensor) -> torch.Tensor:
        """Squared distances up to a constant of each row, (rows, K)."""
        return self.codebook.square().sum(1) - 2 * flat @ self.codebook.T

    @torch.no_grad()
    def _start(self, latent: torch.Tensor) -> None:
        flat = latent.movedim(1, -1).reshape(-1, latent.shape[1])
        chosen = flat[torch.randperm(len(flat), device=flat.device)[: len(self.codebook)]]
        repeats = -(-len(self.codebook) // len(chosen))
        chosen = chosen.repeat(repeats, 1)[: len(self.codebook)]
        self.codebook.copy_(chosen + 1e-4 * torch.randn_like(chosen))
        self.usage.fill_(1.0)
        self.sums.copy_(self.codebook)

    @torch.no_grad()
    def _follow(self, latent: torch.Tensor, indices: torch.Tensor) -> None:
        flat = latent.movedim(1, -1).reshape(-1, latent.shape[1])
        chosen = indices.reshape(-1)
        counts = torch.bincount(chosen, minlength=len(self.codebook)).to(flat.dtype)
        sums = torch.zeros_like(self.sums).index_add_(0, chosen, flat)
        self.usage.mul_(DECAY).add_(counts, alpha=1 - DECAY)
        self.sums.mul_(DECAY).add_(sums, alpha=1 - DECAY)
        self.codebook.copy_(self.sums / self.usage.clamp_min(1e-5)[:, None])
        dead = self.usage < DEAD_BELOW
        if bool(dead.any()):
            badly = (flat - self.codebook[chosen]).square().sum(1)
            places = torch.multinomial(badly + 1e-12, int(dead.sum()), replacement=True)
            self.codebook[dead] = flat[places]
            self.sums[dead] = flat[places]
            self.usage[dead] = 1.0
