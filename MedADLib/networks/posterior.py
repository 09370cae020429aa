"""Normal distributions that encoders give, and how far they are from each other."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import torch

# Beyond e⁻¹⁰…e¹⁰ a variance says no more, and its square would leave half precision.
LIMIT = 10.0
# Standard normal numbers of a tensor's shape and device.
Draw = Callable[[torch.Tensor], torch.Tensor]


class Normal(NamedTuple):
    """Independent normal distributions; tensors of one shape, (N, …)."""

    mean: torch.Tensor
    log_variance: torch.Tensor

    @classmethod
    def of(cls, both: torch.Tensor) -> Normal:
        """Of a network's output with means and log variances one after the other along axis 1, in float32."""
        mean, log_variance = both.float().chunk(2, dim=1)
        return cls(mean, log_variance.clamp(-LIMIT, LIMIT))

    def at(self, draw: Draw | None) -> torch.Tensor:
        """A sample μ + σ·ε; the mean if nothing is drawn."""
        return self.mean if draw is None else self.mean + (0.5 * self.log_variance).exp() * draw(self.mean)

    def log_density(self, values: torch.Tensor) -> torch.Tensor:
        """log N(values; μ, σ²) = −½·log 2π − ½·log σ² − ½·(values − μ)²/σ², elementwise."""
        distance = (values - self.mean).square() * (-self.log_variance).exp()
        return -0.5 * (math.log(2 * math.pi) + self.log_variance + distance)

    def divergence(self, other: Normal) -> torch.Tensor:
        """KL(self ‖ other) = ½·[log σ₂²/σ₁² + (σ₁² + (μ₁ − μ₂)²)/σ₂² − 1], elementwise."""
        ratio = self.log_variance - other.log_variance
        distance = (self.mean - other.mean).square() * (-other.log_variance).exp()
        return 0.5 * (ratio.exp() + distance - 1 - ratio)

    def divergence_from_standard(self) -> torch.Tensor:
        """KL(self ‖ N(0, 1)), elementwise."""
        return 0.5 * (self.log_variance.exp() + self.mean.square() - 1 - self.log_variance)


def per_image(values: torch.Tensor) -> torch.Tensor:
    """Sums over all but the first axis, (N,)."""
    return values.flatten(1).sum(1)
