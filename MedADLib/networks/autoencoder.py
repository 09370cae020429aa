"""Autoencoders of AE4AD (Cai et al. 2024): one backbone, and variants that differ in bottleneck, output or loss."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

import torch
from torch import nn
from torch.nn.functional import normalize, relu

from .conv_autoencoder import ConvDecoder, ConvEncoder, Expansion
from .features import FeatureNetwork
from .losses import Loss, brain_mean, error_map

Variant = Literal["plain", "uncertain", "memory", "spatial", "constrained"]
ENTROPY_WEIGHT = 2e-4
RHO = 1.0
# exp(±7) is a factor of 1100. Without a limit, the log-variance of exact background would decrease without bound.
LARGEST_LOG_VARIANCE = 7.0


class Memory(nn.Module):
    """Memory of healthy codes (MemAE, Gong et al. 2019): replaces a code by a sparse average of learned codes.

    The weights of a code z over the slots m_i are w = softmax(cos(z, m_i)). Weights below λ become 0 by a
    differentiable hard shrinkage, ŵ_i = max(w_i − λ, 0)·w_i / (|w_i − λ| + ε), and the others are divided by their sum.
    Gong et al. recommend λ of 1 to 3 times 1/slots; 1/slots is used, with which at least one weight remains.
    """

    def __init__(self, slots: int, latent: int):
        super().__init__()
        self.threshold = 1 / slots
        self.items = nn.Parameter(torch.randn(slots, latent))

    def forward(self, codes: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Replace codes (N, latent) by averages of the slots; also return weights (N, slots), at least 0, of sum 1."""
        # In half precision, rounding would decide whether weights near λ become 0.
        with torch.autocast(codes.device.type, enabled=False):
            weights = torch.softmax(normalize(codes.float(), dim=1) @ normalize(self.items, dim=1).T, dim=1)
            above = weights - self.threshold
            kept = relu(above) * weights / (above.abs() + 1e-12)
            kept = kept / kept.sum(dim=1, keepdim=True).clamp_min(1e-12)
            return kept @ self.items, kept


def entropy(weights: torch.Tensor) -> torch.Tensor:
    """Compute the mean of −Σ_i w_i log w_i in nats, of weights (N, slots)."""
    return -(weights * weights.clamp_min(1e-12).log()).sum(dim=1).mean()


class Reconstruction(NamedTuple):
    """Output of an autoencoder for slices (N, 1, Y, X).

    Attributes:
        code: Output of the encoder.
        restored: x̂, float32 (N, 1, Y, X).
        log_variance: s of each pixel, float32 (N, 1, Y, X); None except for AE-U.
        weights: Weights of the memory's slots, (N, slots); None except for MemAE.
    """

    code: torch.Tensor
    restored: torch.Tensor
    log_variance: torch.Tensor | None
    weights: torch.Tensor | None


class AutoEncoder(nn.Module):
    """Autoencoder with a bottleneck: the latent size limits what can be reconstructed (AE4AD, Cai et al. 2024).

    With e the error map of `losses.error_map` and z = E(x), the loss of each variant is

    - plain: mean e(x, x̂);
    - uncertain, AE-U (Mao et al. 2020): mean[exp(−s) e(x, x̂) + s] with a second output s, the log-variance;
    - memory, MemAE (Gong et al. 2019): mean e(x, x̂) + 2e-4·H(ŵ), where x̂ is decoded from the memory's output for z;
    - spatial: as plain, but z is a grid of 1×1 convolutions instead of one dense vector;
    - constrained (Chen and Konukoglu 2018): mean e(x, x̂) + ρ·mean (z − E(x̂))², ρ = 1.

    Args:
        size: Slice size (Y, X); both divisible by 2 to the number of levels.
        channels: Channels of each level; every level halves the grid.
        latent: Latent size d; of each grid position if spatial.
        variant: Variant, see above.
        error: Error e.
        slots: Number of memory slots N.
    """

    def __init__(
        self,
        size: Sequence[int],
        channels: Sequence[int],
        latent: int,
        variant: Variant = "plain",
        error: Loss = "l2",
        slots: int = 25,
    ):
        super().__init__()
        self.variant, self.error = variant, error
        bottleneck = "spatial" if variant == "spatial" else "dense"
        self.encoder = ConvEncoder(size, channels, latent, bottleneck)
        self.expand = Expansion(size, channels, latent, bottleneck)
        self.decoder = ConvDecoder(channels, 2 if variant == "uncertain" else 1)
        self.memory = Memory(slots, latent) if variant == "memory" else None
        # Trained before and frozen, so that the error measure does not change during training.
        self.features = FeatureNetwork().requires_grad_(False) if error == "perceptual" else None

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Reconstruct slices (N, 1, Y, X)."""
        return self.reconstruct(images).restored

    def reconstruct(self, images: torch.Tensor) -> Reconstruction:
        """Reconstruct slices (N, 1, Y, X); return codes, log-variance and memory weights too."""
        code, weights = self.encoder(images), None
        used = code
        if self.memory is not None:
            used, weights = self.memory(code)
        output = self.decoder(self.expand(used)).float()
        spread = output[:, 1:].clamp(-LARGEST_LOG_VARIANCE, LARGEST_LOG_VARIANCE) if output.shape[1] == 2 else None
        return Reconstruction(code, output[:, :1], spread, weights)

    def score(self, images: torch.Tensor, made: Reconstruction) -> torch.Tensor:
        """Compute e(x, x̂) of each pixel, for AE-U exp(−s)·e(x, x̂); float32 (N, 1, Y, X)."""
        error = error_map(self.error, made.restored, images, self.features)
        return error if made.log_variance is None else torch.exp(-made.log_variance) * error

    def loss(
        self, images: torch.Tensor, masks: torch.Tensor, positions: torch.Tensor
    ) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """Compute the loss of the variant over whole slices; see the class.

        Args:
            images: (N, 1, Y, X).
            masks: Brain, (N, 1, Y, X); only for the logged error.
            positions: (N,); not used.

        Returns:
            The loss, and ``error``: mean absolute error per brain pixel, ``squared_error`` per pixel of the slice, and
            ``score``: the mean pixel score.
        """
        made = self.reconstruct(images)
        score = self.score(images, made).mean()
        loss = score
        if made.log_variance is not None:
            loss = loss + made.log_variance.mean()
        if made.weights is not None:
            loss = loss + ENTROPY_WEIGHT * entropy(made.weights)
        if self.variant == "constrained":
            loss = loss + RHO * (made.code - self.encoder(made.restored)).float().square().mean()
        difference = made.restored.detach() - images
        error = brain_mean(difference.abs(), masks)
        return loss, {"squared_error": difference.square().mean(), "error": error, "score": score.detach()}
