"""One number for a scan from the scores of its slices, as FPI's submission to MOOD 2020 has it (Tan et al. 2020)."""

from __future__ import annotations

import numpy as np

ORDER = 3
WINDOW_SHARE = 0.1
TOP_SHARE = 0.25


def volume_score(profile: np.ndarray) -> float:
    """Mean of the highest quarter of a smoothed profile.

    Args:
        profile: Score of each slice, in order, (Z,), at least one.

    Returns:
        The score; of a single slice, its own.
    """
    smooth = np.sort(smoothed(profile, window_of(len(profile))))
    return float(smooth[-max(round(TOP_SHARE * len(smooth)), 1) :].mean())


def window_of(count: int) -> int:
    """The odd window nearest to a tenth of `count` slices, at least one more than the polynomial needs."""
    return max(2 * round((WINDOW_SHARE * count - 1) / 2) + 1, ORDER + 2)


def smoothed(profile: np.ndarray, window: int) -> np.ndarray:
    """Savitzky–Golay filter: each value becomes that of the cubic that fits its window best.

    At the ends, the values of the outermost whole window's cubic are taken.

    Args:
        profile: (Z,).
        window: Odd, above 3.

    Returns:
        (Z,), float64; the profile itself if it is shorter than the window.
    """
    profile = np.asarray(profile, np.float64)
    if len(profile) < window:
        return profile
    steps = np.linspace(-1, 1, window)
    basis = np.linalg.qr(np.vander(steps, ORDER + 1))[0]
    fits = np.lib.stride_tricks.sliding_window_view(profile, window) @ (basis @ basis.T)
    half = window // 2
    return np.concatenate([fits[0, :half], fits[:, half], fits[-1, half + 1 :]])
