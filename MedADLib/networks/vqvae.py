"""VQ-VAE for slices or volumes: convolutional encoder, vector quantiser and decoder.

Layers of encoder and decoder, their order and the names of their weights are those of MONAI's VQ-VAE (Apache-2.0), and
a test compares them: weights trained with one load into the other. Importing MONAI takes longer than importing torch.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from .pixel_error import Error, PixelError

CONVOLUTIONS = {2: (nn.Conv2d, nn.ConvTranspose2d), 3: (nn.Conv3d, nn.ConvTranspose3d)}

DECAY = 0.99
DEAD_BELOW = 0.3

COMMITMENT = 0.25


class Convolution(nn.Sequential):
    """Convolution with the name ``conv``, followed by a ReLU unless it is bare."""

    def __init__(self, convolution: nn.Module, bare: bool = False):
        super().__init__()
        self.add_module("conv", convolution)
        if not bare:
            self.add_module("activation", nn.ReLU())


class ResidualUnit(nn.Module):
    """Residual unit: two convolutions of width 3, added to their input, and a ReLU."""

    def __init__(self, dimensions: int, channels: int):
        super().__init__()
        plain = CONVOLUTIONS[dimensions][0]
        self.conv1 = Convolution(plain(channels, channels, 3, padding=1))
        self.conv2 = Convolution(plain(channels, channels, 3, padding=1), bare=True)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Map features (N, channels, …) to features of the same shape."""
        return torch.relu_(features + self.conv2(self.conv1(features)))


class Encoder(nn.Module):
    """Encoder of images with `given` channels to a grid of vectors of `width`; every level halves the grid."""

    def __init__(self, dimensions: int, given: int, channels: Sequence[int], residual_layers: int, width: int):
        super().__init__()
        plain = CONVOLUTIONS[dimensions][0]
        blocks: list[nn.Module] = []
        for before, after in zip((given, *channels), channels):
            blocks.append(Convolution(plain(before, after, 4, stride=2, padding=1)))
            blocks += [ResidualUnit(dimensions, after) for _ in range(residual_layers)]
        blocks.append(Convolution(plain(channels[-1], width, 3, padding=1), bare=True))
        self.blocks = nn.ModuleList(blocks)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Map images (N, given, …) to vectors (N, width, …)."""
        for block in self.blocks:
            images = block(images)
        return images


class Decoder(nn.Module):
    """Decoder of vectors with `given` channels to images with `wanted` ones; `channels` in the encoder's order."""

    def __init__(self, dimensions: int, given: int, channels: Sequence[int], residual_layers: int, wanted: int):
        super().__init__()
        plain, transposed = CONVOLUTIONS[dimensions]
        upwards = tuple(reversed(channels))
        blocks: list[nn.Module] = [Convolution(plain(given, upwards[0], 3, padding=1), bare=True)]
        for level, (before, after) in enumerate(zip(upwards, (*upwards[1:], wanted))):
            blocks += [ResidualUnit(dimensions, before) for _ in range(residual_layers)]
            grown = transposed(before, after, 4, stride=2, padding=1)
            blocks.append(Convolution(grown, bare=level == len(upwards) - 1))
        self.blocks = nn.ModuleList(blocks)

    def forward(self, vectors: torch.Tensor) -> torch.Tensor:
        """Map vectors (N, given, …) to images (N, wanted, …)."""
        for block in self.blocks:
            vectors = block(vectors)
        return vectors


class Quantiser(nn.Module):
    """Vector quantiser (van den Oord et al. 2017) with a codebook of exponential moving averages.

    The codes are initialised with encoder outputs of the first batch, and a rarely used code is replaced by an encoder
    output with a large quantisation error; otherwise most of a small codebook is unused after the first steps.
    Distances and codebook stay in float32 under autocast, because bfloat16 changes the nearest code.
    """

    def __init__(self, codes: int, width: int):
        super().__init__()
        self.register_buffer("codebook", torch.zeros(codes, width))
        self.register_buffer("usage", torch.zeros(codes))
        self.register_buffer("sums", torch.zeros(codes, width))

    def indices(self, latent: torch.Tensor) -> torch.Tensor:
        """Find the nearest codes, int64 (N, H, W), of an encoder output (N, d, H, W); of volumes (N, d, D, H, W)."""
        with torch.autocast(latent.device.type, enabled=False):
            flat = latent.float().movedim(1, -1)
            return self._distances(flat.reshape(-1, flat.shape[-1])).argmin(dim=1).view(flat.shape[:-1])

    def embed(self, indices: torch.Tensor) -> torch.Tensor:
        """Look up the code vectors of indices (N, H, W), as (N, d, H, W) in float32."""
        return nn.functional.embedding(indices, self.codebook).movedim(-1, 1).contiguous()

    def forward(self, latent: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Quantise an encoder output (N, d, H, W) with straight-through gradients; in training, update the codebook.

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
        """Compute squared distances, up to a constant for each row, (rows, K)."""
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


class VQVAE(nn.Module):
    """VQ-VAE (van den Oord et al. 2017), conditioned on the slice position (Naval Marimont and Tarroni 2021).

    Encoder and decoder have a constant channel with the slice's position as additional input. With three dimensions,
    volumes (N, 1, Z, Y, X) take the place of slices, their codes are (N, d, h, w), and their position is 0.

    Args:
        channels: Channels of each level; every level halves the grid.
        residual_layers: Residual units of each level.
        codes: Codebook size K.
        width: Length of a code vector.
        error: Pixel error, "l1" or "categorical".
        centres: Class centres of a categorical error.
        dimensions: 2 for slices, 3 for volumes.
    """

    def __init__(
        self,
        channels: tuple[int, ...],
        residual_layers: int,
        codes: int,
        width: int,
        error: Error = "l1",
        centres: Sequence[float] = (),
        dimensions: int = 2,
    ):
        super().__init__()
        self.compare = PixelError(error, centres)
        self.encoder = Encoder(dimensions, 2, channels, residual_layers, width)
        self.decoder = Decoder(dimensions, width + 1, channels, residual_layers, self.compare.channels)
        self.quantiser = Quantiser(codes, width)
        self.to(memory_format=torch.channels_last if dimensions == 2 else torch.channels_last_3d)

    def encode(self, images: torch.Tensor, positions: torch.Tensor) -> torch.Tensor:
        """Encode slices (N, 1, Y, X) at positions (N,) in [-0.5, 0.5] to code indices, int64 (N, h, w)."""
        return self.quantiser.indices(self.encoder(_with_position(images, positions)))

    def decode(self, indices: torch.Tensor, positions: torch.Tensor) -> torch.Tensor:
        """Decode code indices (N, h, w) to (N, channels, Y, X); see `PixelError`."""
        return self.decoder(_with_position(self.quantiser.embed(indices), positions))

    def decode_images(self, indices: torch.Tensor, positions: torch.Tensor) -> torch.Tensor:
        """Decode code indices (N, h, w) to images (N, 1, Y, X), float32."""
        return self.compare.image(self.decode(indices, positions))

    def loss(
        self, images: torch.Tensor, masks: torch.Tensor, positions: torch.Tensor
    ) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """Compute the error plus the commitment loss.

        Args:
            images: (N, 1, Y, X).
            masks: Brain, (N, 1, Y, X), 0 or 1; the error is summed everywhere and divided by the brain's pixels.
            positions: (N,).

        Returns:
            The loss, and ``error`` (mean absolute error per brain pixel), ``commitment`` and ``codes_used`` (different
            codes of this batch).
        """
        quantised, indices, commitment = self.quantiser(self.encoder(_with_position(images, positions)))
        decoded, brain = self.decoder(_with_position(quantised, positions)), masks.sum().clamp_min(1)
        loss = self.compare(decoded, images).sum() / brain + COMMITMENT * commitment
        error = (self.compare.image(decoded.detach()) - images).abs().sum() / brain
        return loss, {"error": error, "commitment": commitment.detach(), "codes_used": indices.unique().numel()}


def _with_position(tensor: torch.Tensor, positions: torch.Tensor) -> torch.Tensor:
    """Append a constant channel with the position of each sample."""
    constant = positions.to(tensor.dtype).view(-1, *[1] * (tensor.ndim - 1)).expand(-1, 1, *tensor.shape[2:])
    return torch.cat([tensor, constant], dim=1)
