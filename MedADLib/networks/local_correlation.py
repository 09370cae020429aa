"""Local correlation: whether two pictures have the same structure, whatever their brightness and contrast."""

from __future__ import annotations

import torch
from torch.nn.functional import avg_pool2d, avg_pool3d, max_pool2d, max_pool3d

WINDOW = 9
# Of a window's sum of squares: what is flatter than this has no structure but rounding.
FLAT = 1e-5


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
    count = WINDOW ** (first.ndim - 2)
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
    near = pool(masks, WINDOW, stride=1, padding=WINDOW // 2)
    return 1 - (squared_correlation(first, second) * near).sum() / near.sum().clamp_min(1)


def _window_sum(values: torch.Tensor) -> torch.Tensor:
    """Sums over windows, one axis after the other."""
    dims = values.ndim - 2
    pool = avg_pool2d if dims == 2 else avg_pool3d
    for axis in range(dims):
        window = [WINDOW if other == axis else 1 for other in range(dims)]
        values = pool(values, window, stride=1, padding=[n // 2 for n in window]) * WINDOW
    return values
