"""Reconstruction losses: each is the mean of a map that is also a pixel score.

Local correlation: whether two pictures have the same structure, whatever their brightness and contrast.

How far a reconstruction is from its slice: every loss is the mean of the map that is also the pixel score.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import nn
from torch.nn.functional import (
    avg_pool2d,
    avg_pool3d,
    conv2d,
    interpolate,
    max_pool2d,
    max_pool3d,
    normalize,
    pad,
    relu,
)

CORRELATION_WINDOW = 9
# Of a window's sum of squares: what is flatter than this has no structure but rounding.
FLAT = 1e-5

Loss = Literal["l2", "l1", "ssim", "perceptual"]
SSIM_WINDOW, SIGMA = 11, 1.5
DEPTH = 2
# (0.01 L)² and (0.03 L)² of Wang et al. 2004, for intensities whose range L is 1.
C1, C2 = 1e-4, 9e-4


def squared_correlation(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    """cc² of the 9 × 9 (× 9) pixels around each pixel; 0 where either picture is flat, and beyond the edge all is 0.

    The same as MONAI's `LocalNormalizedCrossCorrelationLoss` but for the sign, in half the time on a CPU.

    Args:
        first: (N, 1, Y, X) or (N, 1, Z, Y, X), float32.
        second: The same shape.

    Returns:
        The same shape, 0 to 1.
    """
    products = torch.cat([first, second, first * first, second * second, first * second], dim=1)
    count = CORRELATION_WINDOW ** (first.ndim - 2)
    a, b, aa, bb, ab = (_window_sum(products)).split(1, dim=1)
    shared = ab - a * b / count
    spread_a, spread_b = (aa - a * a / count).clamp_min(FLAT), (bb - b * b / count).clamp_min(FLAT)
    return shared * shared / (spread_a * spread_b)


def unlikeness(first: torch.Tensor, second: torch.Tensor, masks: torch.Tensor) -> torch.Tensor:
    """N = 1 − mean cc² over the windows that hold some of what is examined.

    cc² is 0 in flat background, however well two pictures agree there. Its mean over a whole slice would mostly tell
    how much background the slice has, so windows without any brain do not count; those at the brain's edge do, as its
    outline is structure too. Of a picture that is examined everywhere, all windows count.

    Args:
        first: (N, 1, Y, X) or (N, 1, Z, Y, X), float32.
        second: The same shape.
        masks: What is examined, 0 or 1, the same shape.

    Returns:
        A scalar.
    """
    pool = max_pool2d if masks.ndim == 4 else max_pool3d
    near = pool(masks, CORRELATION_WINDOW, stride=1, padding=CORRELATION_WINDOW // 2)
    return 1 - (squared_correlation(first, second) * near).sum() / near.sum().clamp_min(1)


def _window_sum(values: torch.Tensor) -> torch.Tensor:
    """Sums over windows, one axis after the other."""
    dims = values.ndim - 2
    pool = avg_pool2d if dims == 2 else avg_pool3d
    for axis in range(dims):
        window = [CORRELATION_WINDOW if other == axis else 1 for other in range(dims)]
        values = pool(values, window, stride=1, padding=[n // 2 for n in window]) * CORRELATION_WINDOW
    return values


def error_map(loss: Loss, restored: torch.Tensor, images: torch.Tensor, features: nn.Module | None) -> torch.Tensor:
    """The error of each pixel, 0 where nothing differs.

    Args:
        loss: "l2" (x − x̂)²; "l1" |x − x̂|; "ssim" 1 − SSIM(x, max(x̂, 0)) + max(−x̂, 0) (Bergmann et al. 2019);
            "perceptual", see `perceptual` (the idea for medical scans: Shvetsova et al. 2021).
        restored: x̂, float32 (N, 1, Y, X).
        images: x, float32 (N, 1, Y, X).
        features: The feature network of a perceptual loss.

    Returns:
        float32 (N, 1, Y, X); the loss is its mean.
    """
    if loss == "l2":
        return (restored - images).square()
    if loss == "l1":
        return (restored - images).abs()
    with torch.autocast(images.device.type, enabled=False):
        if loss == "perceptual":
            return perceptual(restored, images, features)
        # Of a negative picture, SSIM's two factors are both negative and their product is as good as of the right one:
        # intensities below 0 count as 0, and cost what they are below it.
        return 1 - ssim(relu(restored), images) + relu(-restored)


def ssim(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    """Structural similarity of each pixel's surroundings (Wang et al. 2004), 1 where they are the same.

    (2 μ₁μ₂ + C₁)(2 σ₁₂ + C₂) / ((μ₁² + μ₂² + C₁)(σ₁² + σ₂² + C₂)) in an 11×11 Gaussian window with σ = 1.5; the border
    is mirrored.

    Args:
        first: (N, 1, Y, X), 6 pixels or more each way.
        second: The same shape.

    Returns:
        (N, 1, Y, X).
    """
    radius = SSIM_WINDOW // 2
    line = torch.exp(-0.5 * (torch.arange(-radius, radius + 1, device=first.device) / SIGMA).square())
    line = line / line.sum()

    def mean(values: torch.Tensor) -> torch.Tensor:
        padded = pad(values, (radius,) * 4, mode="reflect")
        return conv2d(conv2d(padded, line.view(1, 1, 1, -1)), line.view(1, 1, -1, 1))

    mean1, mean2 = mean(first), mean(second)
    # Rounding may leave a flat neighbourhood with a variance below 0.
    variance1 = (mean(first.square()) - mean1.square()).clamp_min(0)
    variance2 = (mean(second.square()) - mean2.square()).clamp_min(0)
    covariance = mean(first * second) - mean1 * mean2
    likeness = (2 * mean1 * mean2 + C1) * (2 * covariance + C2)
    return likeness / ((mean1.square() + mean2.square() + C1) * (variance1 + variance2 + C2))


def perceptual(restored: torch.Tensor, images: torch.Tensor, features: nn.Module) -> torch.Tensor:
    """Difference in structure, and a little in brightness: (x − x̂)² + `structure`.

    The squared error keeps the picture from drifting where the features do not look. Arguments and result are those of
    `structure`.
    """
    return (restored - images).square() + structure(restored, images, features)


def structure(restored: torch.Tensor, images: torch.Tensor, features: nn.Module) -> torch.Tensor:
    """Difference in structure: the mean over l of ‖u_l(x) − u_l(x̂)‖².

    u_l is the feature vector of a place divided by its length, as in LPIPS (Zhang et al. 2018), of the two deepest
    levels; upsampled. The length of a feature mostly tells how bright a place is, which a small latent gets wrong in
    healthy tissue too.

    Args:
        restored: (N, 1, Y, X).
        images: (N, 1, Y, X).
        features: Gives a list of (N, C, Y', X'), the deepest last.

    Returns:
        (N, 1, Y, X).
    """
    total = torch.zeros_like(images)
    for true, given in zip(features(images)[-DEPTH:], features(restored)[-DEPTH:]):
        difference = normalize(true, dim=1, eps=1e-3) - normalize(given, dim=1, eps=1e-3)
        squared = difference.square().sum(1, keepdim=True)
        total = total + interpolate(squared, size=images.shape[2:], mode="bilinear", align_corners=False)
    return total / DEPTH
