"""What MorphAEus and MORPHADE learn from: a picture that is right in intensity, and a warp that is right in shape."""

from __future__ import annotations

from typing import Literal

import torch
from torch import nn

from .deformer import Morphed, Morphing
from .features import FeatureNetwork
from .local_correlation import unlikeness
from .losses import structure
from .warping import integrate, roughness, warp

PERCEPTUAL_WEIGHT = 0.5
WARM_UP = 0.3
SMOOTHNESS_LEAST, SMOOTHNESS_MOST = 1e-3, 3.0

# "rising" is MorphAEus, "joint" and "deformer" are the two steps of MORPHADE; "apart" is ours.
Phase = Literal["rising", "apart", "joint", "deformer"]
SMOOTHNESS = {"joint": 1.0, "deformer": 0.01}


class MorphLearner(nn.Module):
    """An autoencoder with its deformer, and the losses of a phase of their training.

    L_rec = mean (x − x_prior)² + α·P(x, x_prior). In the paper P is the squared difference of features of VGG19, whose
    weights cannot be had here: `losses.structure`, of features learned from the same healthy slices, takes its place.
    With the paper's α = .05 it was too weak: N, which has no eye for brightness, then shaped the prior alone. After 250
    steps on brains that was a ramp from dark to bright, out of which the deformer made folds of any kind. So α = .5,
    which is enough for radiographs; on brains the ramp was weaker after 250 steps, and not gone.

    L_morph = ½ [N(x, x_prior∘φ) + N(x_prior, x∘φ⁻¹)] + β·½·mean ‖∇v‖², N = `unlikeness`. Brightness is not seen by N:
    it is left to L_rec and so to the autoencoder, and the warp cannot make up for it. Both warps also teach the
    autoencoder, but for the phase "apart".

    - "rising" (MorphAEus): L_rec alone in the warm-up, then L_rec + L_morph; β rises with the training's progress t as
      clip(3 t, .001, 3). The warm-up is longer than the paper's 10 of 500 epochs, for trainings of hours are rare here
      and a prior that is no brain yet teaches the deformer nothing.
    - "apart": as "rising", but L_morph teaches the deformer alone, so that the prior cannot become what is easy to fold
      instead of what is like a brain.
    - "joint" (MORPHADE, first): L_rec + L_morph, β = 1, after the same warm-up.
    - "deformer" (MORPHADE, second): L_morph, β = .01; the autoencoder stays as it is.

    Args:
        network: What learns.
        features: The learned features of P; they stay as they are.
        phase: Which of the four.
    """

    def __init__(self, network: Morphing, features: FeatureNetwork, phase: Phase = "rising"):
        super().__init__()
        self.network, self.features, self.phase = network, features.requires_grad_(False), phase
        network.autoencoder.requires_grad_(phase != "deformer")

    def train(self, mode: bool = True) -> MorphLearner:
        """As ever, but an autoencoder that stays as it is keeps the statistics of its batch norms, too."""
        super().train(mode)
        if self.phase == "deformer":
            self.network.autoencoder.eval()
        return self

    def loss(
        self, images: torch.Tensor, masks: torch.Tensor, positions: torch.Tensor, progress: torch.Tensor
    ) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """The phase's loss.

        Args:
            images: (N, 1, Y, X) or (N, 1, Z, Y, X).
            masks: Brain, the same shape.
            positions: (N,); not used.
            progress: How much of the training is over, 0 to 1, the same number N times.

        Returns:
            The loss, and of it ``restoration`` (L_rec), ``unlikeness`` (of x and x_morph) and ``roughness``
            (½ mean ‖∇v‖²); ``error``: mean absolute error of x_prior per brain pixel.
        """
        part, log, total = float(progress[0]), {}, images.new_zeros(())
        drawn = self.network.autoencoder(images)
        if self.phase != "deformer":
            total = restoration = self.restoration(images, drawn.prior)
            log["restoration"] = restoration.detach()
        if part >= WARM_UP or self.phase == "deformer":
            fixed = drawn.detached() if self.phase == "apart" else drawn
            forth, back, rough = self.morphing(images, masks, self.network.fit(fixed))
            total = total + (forth + back) / 2 + self.smoothness(part) * rough
            log |= {"unlikeness": forth.detach(), "roughness": rough.detach()}
        error = ((drawn.prior - images).abs() * masks).sum() / masks.sum().clamp_min(1)
        return total, log | {"error": error.detach()}

    def smoothness(self, progress: float) -> float:
        """β at a part of the training."""
        if self.phase in SMOOTHNESS:
            return SMOOTHNESS[self.phase]
        return min(max(SMOOTHNESS_MOST * progress, SMOOTHNESS_LEAST), SMOOTHNESS_MOST)

    def restoration(self, images: torch.Tensor, prior: torch.Tensor) -> torch.Tensor:
        """L_rec; the features of volumes are those of their slices."""
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
        """N(x, x_prior∘φ), N(x_prior, x∘φ⁻¹) and ½ mean ‖∇v‖², each a scalar."""
        with torch.autocast(images.device.type, enabled=False):
            back = warp(images, integrate(-made.velocity))
            alike = unlikeness(images, made.morphed, masks), unlikeness(made.prior, back, masks)
            return *alike, roughness(made.velocity)
