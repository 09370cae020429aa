"""The colours of a result: heat for the value of a voxel, cool colours for the rank of a region."""

from __future__ import annotations

import numpy as np

HEAT_KNOTS = np.array([0.0, 0.25, 0.5, 0.75, 1.0])
HEAT_LIGHTNESS = np.array([25.0, 40.75, 56.5, 72.25, 88.0])
HEAT_CHROMA = np.array([48.0, 80.0, 100.0, 95.0, 90.0])
HEAT_HUE = np.array([10.0, 36.0, 48.0, 69.0, 92.0])
OPAQUE_AT = 0.5
# Found by a search over sRGB: every colour differs from the next two (cyclically) by at least 17, and from the visible
# part of the heat scale by at least 20 (CIEDE2000), also for protanopes and deuteranopes (Machado et al. 2009); for
# others, it differs from the next four by at least 20.
REGION_COLOURS = (
    *((128, 255, 255), (0, 128, 255), (32, 160, 160), (0, 96, 96)),
    *((64, 64, 192), (192, 192, 255), (160, 128, 128), (160, 64, 128)),
)
WHITE_D65 = np.array([0.95047, 1.0, 1.08883])
RGB_FROM_XYZ = np.array(
    [[3.2404542, -1.5371385, -0.4985314], [-0.9692660, 1.8760108, 0.0415560], [0.0556434, -0.2040259, 1.0572252]]
)


def heat_colours(count: int = 256) -> np.ndarray:
    """Return the heat scale of 2 or more colours: dark red, red, orange, strong yellow, from transparent to opaque.

    Lightness rises by equal steps, so that equal differences in the map look equal and the order survives in grey. All
    colours are about as saturated as a screen can show them: a pale end would vanish on bright white matter, where an
    overlay of half opacity makes it paler.

    Returns:
        Shape (count, 4): red, green, blue, alpha in [0, 1]; alpha rises from 0 to 1 at the middle of the scale.
    """
    position = np.linspace(0.0, 1.0, count)
    lightness = np.interp(position, HEAT_KNOTS, HEAT_LIGHTNESS)
    chroma = np.interp(position, HEAT_KNOTS, HEAT_CHROMA)
    hue = np.radians(np.interp(position, HEAT_KNOTS, HEAT_HUE))
    rgb = _rgb_from_lab(np.stack([lightness, chroma * np.cos(hue), chroma * np.sin(hue)], axis=1))
    return np.column_stack([rgb, np.minimum(1.0, position / OPAQUE_AT)])


def region_colour(rank: int) -> tuple[float, float, float]:
    """Return the colour of a region by its rank from 1, unlike those of the next four ranks and the heat scale.

    Returns:
        Red, green, blue in [0, 1]. The colour depends on the rank only, not on the number of regions.
    """
    red, green, blue = REGION_COLOURS[(rank - 1) % len(REGION_COLOURS)]
    return red / 255, green / 255, blue / 255


def _rgb_from_lab(lab: np.ndarray) -> np.ndarray:
    """Convert CIELAB colours to sRGB values in [0, 1], both of shape (N, 3), clipped to the gamut."""
    y = (lab[:, 0] + 16.0) / 116.0
    steps = np.stack([y + lab[:, 1] / 500.0, y, y - lab[:, 2] / 200.0], axis=1)
    knee = 6.0 / 29.0
    xyz = np.where(steps > knee, steps**3, 3.0 * knee**2 * (steps - 4.0 / 29.0)) * WHITE_D65
    linear = np.clip(xyz @ RGB_FROM_XYZ.T, 0.0, 1.0)
    return np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1.0 / 2.4) - 0.055)
