"""What a U-Net can learn from corrupted slices: where they were corrupted, or what they were before."""

from __future__ import annotations

import torch
from torch.nn.functional import binary_cross_entropy_with_logits

from .unet import UNet

# Most pixels are healthy: a network that begins by saying so need not spend its first steps on that.
USUAL_LOGIT = -3.0


class CorruptionSegmenter(UNet):
    """Says how strongly each pixel was corrupted; told the slice's position (FPI, Tan et al. 2020).

    Args:
        channels: See `UNet`.
    """

    def __init__(self, channels: tuple[int, ...]):
        super().__init__(channels, conditions=1)
        torch.nn.init.constant_(self.last.bias, USUAL_LOGIT)

    def predict(self, images: torch.Tensor, positions: torch.Tensor) -> torch.Tensor:
        """The degree α̂ of slices (N, 1, Y, X) at positions (N,): (N, 1, Y, X), 0 to 1."""
        return torch.sigmoid(self(images, positions[:, None]).float())

    def loss(
        self, images: torch.Tensor, masks: torch.Tensor, positions: torch.Tensor, target: torch.Tensor
    ) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """Binary cross-entropy with the degree as soft target, mean over the brain's pixels.

        Args:
            images: Corrupted slices, (N, 1, Y, X).
            masks: Brain, (N, 1, Y, X), 0 or 1.
            positions: (N,).
            target: Degree α, (N, 1, Y, X).

        Returns:
            The loss; logged is its ``error``, the mean of |α̂ − α| over the brain.
        """
        logits = self(images, positions[:, None]).float()
        brain = masks.sum().clamp_min(1)
        loss = (binary_cross_entropy_with_logits(logits, target, reduction="none") * masks).sum() / brain
        error = ((torch.sigmoid(logits) - target).abs() * masks).sum() / brain
        return loss, {"error": error.detach(), "cross_entropy": loss.detach()}


class Denoiser(UNet):
    """Gives the healthy slice back; told the slice's position (DAE, Kascenas et al. 2022).

    The network's last layer says what to add to the slice, and before training that is nothing. The paper's predicts
    the slice itself, and has to learn first to copy what is healthy: on toy scans, after the same 300 steps, it leaves
    twice the error in healthy tissue.

    Args:
        channels: See `UNet`.
    """

    def __init__(self, channels: tuple[int, ...]):
        super().__init__(channels, conditions=1)
        torch.nn.init.zeros_(self.last.weight)
        torch.nn.init.zeros_(self.last.bias)

    def predict(self, images: torch.Tensor, positions: torch.Tensor) -> torch.Tensor:
        """The healthy version of slices (N, 1, Y, X) at positions (N,): (N, 1, Y, X)."""
        return images + self(images, positions[:, None]).float()

    def loss(
        self, images: torch.Tensor, masks: torch.Tensor, positions: torch.Tensor, target: torch.Tensor
    ) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """Squared error, mean over the brain's pixels.

        Args:
            images: Noisy slices, (N, 1, Y, X).
            masks: Brain, (N, 1, Y, X), 0 or 1.
            positions: (N,).
            target: Healthy slices, (N, 1, Y, X).

        Returns:
            The loss; logged is ``error``, the mean absolute error over the brain.
        """
        difference = (self.predict(images, positions) - target) * masks
        brain = masks.sum().clamp_min(1)
        loss = difference.square().sum() / brain
        return loss, {"error": (difference.abs().sum() / brain).detach(), "squared_error": loss.detach()}
