"""Networks, warping and losses of MorphAEus (Bercea et al. 2023) and MORPHADE (Avci et al. 2024).

An autoencoder computes a coarse pseudo-healthy image, and a deformer the velocity field that warps it to the scan.
MONAI's `Warp` and `DVF2DDF` compute the same deformations, and tests compare the results. The functions here stay,
because detections use them and importing MONAI takes seconds; on a CPU they also take less than half of MONAI's time.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from typing import Literal, NamedTuple

import torch
from torch import nn
from torch.nn.functional import grid_sample, interpolate

from .features import FeatureNetwork
from .losses import brain_mean, dissimilarity, structure

STEPS = 7

LEVELS = 3
WIDTH = 32
FLOW_SPREAD = 1e-5
CONV = {2: nn.Conv2d, 3: nn.Conv3d}
UP = {2: nn.ConvTranspose2d, 3: nn.ConvTranspose3d}
NORM = {2: nn.BatchNorm2d, 3: nn.BatchNorm3d}
LINEAR = {2: "bilinear", 3: "trilinear"}

PERCEPTUAL_WEIGHT = 0.5
WARM_UP = 0.3
SMOOTHNESS_LEAST, SMOOTHNESS_MOST = 1e-3, 3.0

# "rising" is MorphAEus, "joint" and "deformer" are the two steps of MORPHADE; "apart" is neither.
Phase = Literal["rising", "apart", "joint", "deformer"]
SMOOTHNESS = {"joint": 1.0, "deformer": 0.01}


def warp(images: torch.Tensor, displacement: torch.Tensor) -> torch.Tensor:
    """Warp images x, (N, C, Y, X) or (N, C, Z, Y, X): x∘φ with φ(p) = p + u(p), linear, with border values outside.

    The displacement u is in pixels, (N, 2, Y, X) along Y, X, or (N, 3, Z, Y, X) along Z, Y, X.
    """
    return _sample(images, _normalised(displacement))


def integrate(velocity: torch.Tensor) -> torch.Tensor:
    """Integrate a stationary velocity to the displacement at time 1 by scaling and squaring (Arsigny et al. 2006).

    With φ the flow of v, that of −v is φ⁻¹. Both are in pixels, with shape and components as in `warp`.
    """
    normalised = _normalised(velocity) / 2**STEPS
    for _ in range(STEPS):
        normalised = normalised + _sample(normalised, normalised)
    return (normalised * _pixels(normalised)).flip(1)


def jacobian_determinant(displacement: torch.Tensor) -> torch.Tensor:
    """Compute det(∂φ/∂p) of φ(p) = p + u(p): the ratio of volume before to after the warp; at 0 or below, φ folds.

    Central differences, one-sided at the edges.

    Args:
        displacement: u in pixels, (N, 2, Y, X) or (N, 3, Z, Y, X).

    Returns:
        (N, 1, Y, X) or (N, 1, Z, Y, X).
    """
    dims = displacement.shape[1]
    slopes = torch.stack(torch.gradient(displacement, dim=list(range(2, 2 + dims))), dim=2)
    matrices = slopes.movedim((1, 2), (-2, -1)) + torch.eye(dims, device=displacement.device)
    return torch.linalg.det(matrices)[:, None]


def roughness(velocity: torch.Tensor) -> torch.Tensor:
    """Compute ½·mean ‖∇v‖² with MONAI's `DiffusionLoss`.

    Central differences in all directions, mean over components and over interior pixels. Only trainings need it:
    importing MONAI takes seconds.

    Args:
        velocity: v in pixels, (N, 2, Y, X) or (N, 3, Z, Y, X), at least 3 pixels along each axis.

    Returns:
        A scalar.
    """
    from monai.losses import DiffusionLoss

    with warnings.catch_warnings():
        # MONAI indexes with lists of slices, which PyTorch deprecates.
        warnings.simplefilter("ignore", UserWarning)
        return 0.5 * DiffusionLoss()(velocity)


def _sample(images: torch.Tensor, normalised: torch.Tensor) -> torch.Tensor:
    grid = _identity(normalised.shape[2:], normalised.device) + normalised.movedim(1, -1)
    return grid_sample(images, grid, mode="bilinear", padding_mode="border", align_corners=True)


def _normalised(displacement: torch.Tensor) -> torch.Tensor:
    """Convert pixels to PyTorch's `grid_sample` units: X first, in halves of the grid's width."""
    flipped = displacement.flip(1)
    return flipped / _pixels(flipped)


def _pixels(field: torch.Tensor) -> torch.Tensor:
    """Return the factor from `grid_sample` units to pixels, X first: half of the grid's width."""
    halves = [max(n - 1, 1) / 2 for n in reversed(field.shape[2:])]
    return torch.tensor(halves, device=field.device).view(1, -1, *(1,) * len(halves))


def _identity(size: Sequence[int], device: torch.device) -> torch.Tensor:
    lines = [torch.linspace(-1, 1, n, device=device) if n > 1 else torch.zeros(1, device=device) for n in size]
    return torch.stack(torch.meshgrid(*lines, indexing="ij")[::-1], dim=-1)


def levels_of(size: Sequence[int]) -> int:
    """Return the number of halvings, rounded up, from a grid to 1 × 1."""
    return math.ceil(math.log2(max(size)))


class AutoencoderOutput(NamedTuple):
    """Output of the autoencoder.

    Attributes:
        prior: x_prior, (N, 1, Y, X).
        encoded: Features of the encoder on the grids that are halved 1, 2, ... times.
        decoded: Features of the decoder on the grids that are halved 0, 1, 2, ... times.
    """

    prior: torch.Tensor
    encoded: list[torch.Tensor]
    decoded: list[torch.Tensor]

    def detached(self) -> AutoencoderOutput:
        """Return the same values without gradients to the autoencoder."""
        return AutoencoderOutput(self.prior.detach(), *([part.detach() for part in parts] for parts in self[1:]))


class Morphed(NamedTuple):
    """A deformed prior, all float32.

    Attributes:
        prior: x_prior, (N, 1, Y, X).
        velocity: v in pixels, (N, 2, Y, X) along Y, X; of volumes (N, 3, Z, Y, X).
        displacement: u in pixels, the same shape.
        morphed: x_morph = x_prior∘φ with φ(p) = p + u(p).
    """

    prior: torch.Tensor
    velocity: torch.Tensor
    displacement: torch.Tensor
    morphed: torch.Tensor

    def jacobian(self) -> torch.Tensor:
        """Compute det(∂φ/∂p) of each pixel, (N, 1, Y, X)."""
        return jacobian_determinant(self.displacement)


class PriorAutoencoder(nn.Module):
    """Autoencoder of MorphAEus (Bercea et al. 2023): encodes an image to a 1 × 1 grid and decodes x_prior.

    Down: 3×3 convolution with stride 2, batch norm, swish. Up: linear interpolation to the next grid, 3×3 convolution,
    batch norm, swish; last a 1×1 convolution. Odd sizes are halved and rounded up (5 to 3), so that any size ends at
    1 × 1.

    Two differences from the paper: its last layer is a sigmoid, for intensities from 0 to 1; standard intensities
    exceed 1, and these values distinguish many lesions, so here the last layer is linear. Its latent is normalised
    over batches of 64; in the smaller batches of a CPU, a 1 × 1 grid has too few values for that, so the last level of
    the encoder has no batch norm.

    Args:
        size: Size of images (Y, X) or volumes (Z, Y, X).
        channels: Channels of each level, `levels_of(size)` in number.

    Raises:
        ValueError: If the number of levels is wrong.
    """

    def __init__(self, size: Sequence[int], channels: Sequence[int]):
        super().__init__()
        if len(channels) != levels_of(size):
            raise ValueError(f"a size of {tuple(size)} needs {levels_of(size)} levels, not {len(channels)}")
        dims = self.dims = len(size)
        self.down = nn.ModuleList(
            _layer(dims, before, after, stride=2) for before, after in zip((1, *channels[:-1]), channels[:-1])
        )
        self.down.append(nn.Sequential(CONV[dims](channels[-2], channels[-1], 3, 2, 1), nn.SiLU()))
        self.up = nn.ModuleList(
            _layer(dims, before, after, stride=1) for before, after in zip((*channels[1:], channels[-1]), channels)
        )
        self.last = CONV[dims](channels[0], 1, 1)

    def forward(self, images: torch.Tensor) -> AutoencoderOutput:
        """Compute x_prior of images (N, 1, Y, X), and the features of all levels."""
        encoded = []
        for layer in self.down:
            encoded.append(layer(encoded[-1] if encoded else images))
        grids = [tuple(part.shape[2:]) for part in (images, *encoded)]
        decoded = [encoded[-1]]
        for layer, grid in zip(reversed(self.up), reversed(grids[:-1])):
            wide = interpolate(decoded[0], size=grid, mode=LINEAR[self.dims], align_corners=False)
            decoded.insert(0, layer(wide))
        return AutoencoderOutput(self.last(decoded[0]).float(), encoded, decoded)


class Deformer(nn.Module):
    """Deformer: a velocity field from the features of encoder and decoder on the grids halved 3, 2 and 1 times.

    On each grid, the features of both and the output of the coarser grid pass through a transposed 3×3 convolution
    with stride 2 to 32 channels, batch norm and swish; last a 3×3 convolution to the velocity, with weights initialised
    from N(0, 1e-5²), so that there is almost no deformation at first.

    Args:
        dims: 2 or 3.
        channels: Channels of the autoencoder's levels; at least 4.
    """

    def __init__(self, dims: int, channels: Sequence[int]):
        super().__init__()
        self.stages, self.after = nn.ModuleList(), nn.ModuleList()
        for level in range(LEVELS, 0, -1):
            carried = 0 if level == LEVELS else WIDTH
            before = channels[level - 1] + channels[level] + carried
            self.stages.append(UP[dims](before, WIDTH, 3, 2, 1, bias=False))
            self.after.append(nn.Sequential(NORM[dims](WIDTH), nn.SiLU()))
        self.flow = CONV[dims](WIDTH, dims, 3, 1, 1)
        nn.init.normal_(self.flow.weight, std=FLOW_SPREAD)
        nn.init.zeros_(self.flow.bias)

    def forward(self, output: AutoencoderOutput) -> torch.Tensor:
        """Compute the velocity in pixels, float32 (N, 2, Y, X) along Y, X; of volumes (N, 3, Z, Y, X)."""
        carried: list[torch.Tensor] = []
        for level, stage, after in zip(range(LEVELS, 0, -1), self.stages, self.after):
            given = torch.cat([output.encoded[level - 1], output.decoded[level], *carried], dim=1)
            carried = [after(stage(given, output_size=output.decoded[level - 1].shape[2:]))]
        return self.flow(carried[0]).float()


class Morphing(nn.Module):
    """Autoencoder and deformer of MorphAEus.

    Args:
        size: Size of images (Y, X) or volumes (Z, Y, X).
        channels: Channels of the autoencoder's levels.
    """

    def __init__(self, size: Sequence[int], channels: Sequence[int]):
        super().__init__()
        self.autoencoder = PriorAutoencoder(size, channels)
        self.deformer = Deformer(len(size), channels)

    def forward(self, images: torch.Tensor) -> Morphed:
        """Compute x_prior and x_morph of images (N, 1, Y, X) or (N, 1, Z, Y, X)."""
        return self.fit(self.autoencoder(images))

    def fit(self, output: AutoencoderOutput) -> Morphed:
        """Deform the output of the autoencoder; the fields are float32 even if the features are not."""
        velocity = self.deformer(output)
        with torch.autocast(velocity.device.type, enabled=False):
            displacement = integrate(velocity)
            return Morphed(output.prior, velocity, displacement, warp(output.prior, displacement))


def _layer(dims: int, before: int, after: int, stride: int) -> nn.Sequential:
    return nn.Sequential(CONV[dims](before, after, 3, stride, 1, bias=False), NORM[dims](after), nn.SiLU())


class MorphLearner(nn.Module):
    """Losses of one phase of the training of MorphAEus (Bercea et al. 2023) or MORPHADE (Avci et al. 2024).

    L_rec = mean (x − x_prior)² + α·P(x, x_prior). In the paper, P is the squared difference of features of VGG19. Those
    weights are not available here; `losses.structure`, on features learned from the same healthy slices, replaces it.
    With the paper's α = .05 it was too weak: N, which is invariant to brightness, then dominated the prior. After 250
    steps on brains, the prior was a ramp from dark to bright, which the deformer folded arbitrarily. Hence α = .5,
    which suffices for radiographs; on brains, a weaker ramp remained after 250 steps.

    L_morph = ½ [N(x, x_prior∘φ) + N(x_prior, x∘φ⁻¹)] + β·½·mean ‖∇v‖², N = `dissimilarity`. N is invariant to
    brightness: L_rec alone determines it, through the autoencoder, and the warp cannot compensate for it. Both warps
    have gradients to the autoencoder, except in the phase "apart".

    - "rising" (MorphAEus): L_rec alone in the warm-up, then L_rec + L_morph; β rises with the training's progress t as
      clip(3 t, .001, 3). The warm-up is longer than the paper's 10 of 500 epochs, because trainings here are shorter
      and the deformer cannot learn from a prior that does not yet resemble a brain.
    - "apart": as "rising", but L_morph trains the deformer only, so that the prior does not become an image that is
      easy to fold instead of an image of a brain.
    - "joint" (MORPHADE, first step): L_rec + L_morph, β = 1, after the same warm-up.
    - "deformer" (MORPHADE, second step): L_morph, β = .01; the autoencoder is frozen.

    Args:
        network: Network to train.
        features: Learned features of P, frozen.
        phase: One of the four phases.
    """

    def __init__(self, network: Morphing, features: FeatureNetwork, phase: Phase = "rising"):
        super().__init__()
        self.network, self.features, self.phase = network, features.requires_grad_(False), phase
        network.autoencoder.requires_grad_(phase != "deformer")

    def train(self, mode: bool = True) -> MorphLearner:
        """Set the mode; a frozen autoencoder stays in eval mode, so that its batch norm statistics do not change."""
        super().train(mode)
        if self.phase == "deformer":
            self.network.autoencoder.eval()
        return self

    def loss(
        self, images: torch.Tensor, masks: torch.Tensor, positions: torch.Tensor, progress: torch.Tensor
    ) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """Compute the loss of the phase.

        Args:
            images: (N, 1, Y, X) or (N, 1, Z, Y, X).
            masks: Brain, the same shape.
            positions: (N,); not used.
            progress: Completed share of the training, 0 to 1, the same number N times.

        Returns:
            The loss, and its parts ``restoration`` (L_rec), ``unlikeness`` (N of x and x_morph) and ``roughness``
            (½ mean ‖∇v‖²); ``error``: mean absolute error of x_prior per brain pixel.
        """
        part, log, total = float(progress[0]), {}, images.new_zeros(())
        output = self.network.autoencoder(images)
        if self.phase != "deformer":
            total = restoration = self.restoration(images, output.prior)
            log["restoration"] = restoration.detach()
        if part >= WARM_UP or self.phase == "deformer":
            fixed = output.detached() if self.phase == "apart" else output
            forth, back, rough = self.morphing(images, masks, self.network.fit(fixed))
            total = total + (forth + back) / 2 + self.smoothness(part) * rough
            log |= {"unlikeness": forth.detach(), "roughness": rough.detach()}
        return total, log | {"error": brain_mean((output.prior - images).abs(), masks).detach()}

    def smoothness(self, progress: float) -> float:
        """Return β at a completed share of the training."""
        if self.phase in SMOOTHNESS:
            return SMOOTHNESS[self.phase]
        return min(max(SMOOTHNESS_MOST * progress, SMOOTHNESS_LEAST), SMOOTHNESS_MOST)

    def restoration(self, images: torch.Tensor, prior: torch.Tensor) -> torch.Tensor:
        """Compute L_rec; the features of volumes are those of their slices."""
        pair = prior, images
        if images.ndim == 5:
            pair = tuple(volumes.movedim(2, 1).flatten(0, 1) for volumes in pair)
        with torch.autocast(images.device.type, enabled=False):
            seen = structure(*pair, self.features).mean()
        return (images - prior).square().mean() + PERCEPTUAL_WEIGHT * seen

    @staticmethod
    def morphing(
        images: torch.Tensor, masks: torch.Tensor, made: Morphed
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Compute N(x, x_prior∘φ), N(x_prior, x∘φ⁻¹) and ½ mean ‖∇v‖², each a scalar."""
        with torch.autocast(images.device.type, enabled=False):
            back = warp(images, integrate(-made.velocity))
            both = dissimilarity(images, made.morphed, masks), dissimilarity(made.prior, back, masks)
            return *both, roughness(made.velocity)
