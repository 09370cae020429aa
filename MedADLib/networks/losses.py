"""Reconstruction losses as error maps, and the local correlation of two images.

Each reconstruction loss is the mean of a map that is also the pixel score.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import nn
from torch.nn.functional import (
    avg_pool2d,
    avg_pool3d,
    conv1d,
    interpolate,
    max_pool2d,
    max_pool3d,
    normalize,
    pad,
    relu,
)

CORRELATION_WINDOW = 9
# Smallest sum of squares of a window: below it, the window contains rounding errors only.
FLAT = 1e-5

Loss = Literal["l2", "l1", "ssim", "perceptual"]
SSIM_WINDOW, SIGMA = 11, 1.5
DEPTH = 2
# (0.01 L)² and (0.03 L)² of Wang et al. 2004, for intensities of range L = 1.
C1, C2 = 1e-4, 9e-4


def brain_mean(values: torch.Tensor, masks: torch.Tensor) -> torch.Tensor:
    """Compute the mean of values (N, 1, Y, X) over masks of the same shape, 0 or 1; 0 if the masks are empty."""
    return (values * masks).sum() / masks.sum().clamp_min(1)


def squared_correlation(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    """Compute the squared correlation cc² in a window of 9 × 9 (× 9) pixels around each pixel.

    It is 0 where either image is flat; outside the image, intensities are 0. MONAI's
    `LocalNormalizedCrossCorrelationLoss` has the same values with the opposite sign; a test compares them. On a CPU it
    takes 2.6 times the time.

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


def dissimilarity(first: torch.Tensor, second: torch.Tensor, masks: torch.Tensor) -> torch.Tensor:
    """Compute N = 1 − mean cc² over the windows that overlap the mask.

    cc² is 0 in flat background even where two images agree, so its mean over a whole slice would mostly measure the
    amount of background. Therefore windows without brain are excluded. Windows at the edge of the brain are included,
    because its outline is structure too.

    Args:
        first: (N, 1, Y, X) or (N, 1, Z, Y, X), float32.
        second: The same shape.
        masks: Examined pixels, 0 or 1, the same shape.

    Returns:
        A scalar.
    """
    pool = max_pool2d if masks.ndim == 4 else max_pool3d
    near = pool(masks, CORRELATION_WINDOW, stride=1, padding=CORRELATION_WINDOW // 2)
    return 1 - brain_mean(squared_correlation(first, second), near)


def _window_sum(values: torch.Tensor) -> torch.Tensor:
    """Sum over windows, one axis after the other."""
    dims = values.ndim - 2
    pool = avg_pool2d if dims == 2 else avg_pool3d
    for axis in range(dims):
        window = [CORRELATION_WINDOW if other == axis else 1 for other in range(dims)]
        values = pool(values, window, stride=1, padding=[n // 2 for n in window]) * CORRELATION_WINDOW
    return values


def error_map(
    loss: Loss, restored: torch.Tensor, images: torch.Tensor, features: nn.Module | None, window: int = SSIM_WINDOW
) -> torch.Tensor:
    """Compute the error e(x, x̂) of each pixel; it is 0 for equal images.

    Args:
        loss: "l2" (x − x̂)²; "l1" |x − x̂|; "ssim" 1 − SSIM(x, max(x̂, 0)) + max(−x̂, 0) (Bergmann et al. 2019);
            "perceptual", see `perceptual` (proposed for medical images by Shvetsova et al. 2021).
        restored: x̂, float32 (N, 1, Y, X).
        images: x, float32 (N, 1, Y, X).
        features: Feature network of a perceptual loss; None for the others.
        window: Width of the window of "ssim", odd.

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
        # For a negated image, both factors of SSIM change their sign and the product does not. Negative intensities
        # therefore count as 0 and add their magnitude to the error.
        return 1 - ssim(relu(restored), images, window) + relu(-restored)


def ssim(first: torch.Tensor, second: torch.Tensor, window: int = SSIM_WINDOW) -> torch.Tensor:
    """Compute the structural similarity (SSIM) around each pixel (Wang et al. 2004); 1 for equal images.

    (2 μ₁μ₂ + C₁)(2 σ₁₂ + C₂) / ((μ₁² + μ₂² + C₁)(σ₁² + σ₂² + C₂)) in an 11×11 Gaussian window with σ = 1.5, or
    one of another odd width, with reflection at the border; the images (N, C, Y, X) have more than half of its pixels
    along each axis.

    MONAI's `compute_ssim_and_cs` has the same values without the border, and a test compares them. Here the windows of
    rows and of columns are products with matrices: on a CPU, two convolutions with one channel take ten times the time
    for images of 160 × 160, and thirty times for feature maps of 40 × 40.
    """
    down, across = (_window_matrix(size, window, first.device) for size in first.shape[2:])

    def mean(values: torch.Tensor) -> torch.Tensor:
        return down @ (values @ across.T)

    mean1, mean2 = mean(first), mean(second)
    # Rounding may give a flat neighbourhood a variance below 0.
    variance1 = (mean(first.square()) - mean1.square()).clamp_min(0)
    variance2 = (mean(second.square()) - mean2.square()).clamp_min(0)
    covariance = mean(first * second) - mean1 * mean2
    similarity = (2 * mean1 * mean2 + C1) * (2 * covariance + C2)
    return similarity / ((mean1.square() + mean2.square() + C1) * (variance1 + variance2 + C2))


def _window_matrix(size: int, window: int, device: torch.device) -> torch.Tensor:
    """Return the weights (size, size) of all pixels of a line in the window around each, reflected at the ends."""
    radius = window // 2
    line = torch.exp(-0.5 * (torch.arange(-radius, radius + 1, device=device) / SIGMA).square())
    # A convolution of all unit vectors.
    units = pad(torch.eye(size, device=device)[None], (radius, radius), mode="reflect")
    return conv1d(units.movedim(0, 1), (line / line.sum()).view(1, 1, -1))[:, 0].T


def perceptual(restored: torch.Tensor, images: torch.Tensor, features: nn.Module) -> torch.Tensor:
    """Compute the perceptual error (x − x̂)² + `structure`.

    The squared error determines what the features are insensitive to, such as brightness. Arguments and result are
    those of `structure`.
    """
    return (restored - images).square() + structure(restored, images, features)


def structure(restored: torch.Tensor, images: torch.Tensor, features: nn.Module) -> torch.Tensor:
    """Compute the structural error: the mean over levels l of ‖u_l(x) − u_l(x̂)‖², upsampled.

    u_l is the normalised feature vector at a position, as in LPIPS (Zhang et al. 2018); l are the two deepest levels.
    The norm of a feature vector mostly depends on brightness, which a small latent reproduces poorly in healthy tissue
    too. `features` returns a list of (N, C, Y', X'), the deepest last; images and result are (N, 1, Y, X).
    """
    total = torch.zeros_like(images)
    for true, given in zip(features(images)[-DEPTH:], features(restored)[-DEPTH:]):
        difference = normalize(true, dim=1, eps=1e-3) - normalize(given, dim=1, eps=1e-3)
        squared = difference.square().sum(1, keepdim=True)
        total = total + interpolate(squared, size=images.shape[2:], mode="bilinear", align_corners=False)
    return total / DEPTH
