"""Draws the icon: a brain seen from above with one place that glows.

Run `python Resources/draw_icon.py` (or `make icon`) to write Resources/MedAD.png, the extension's icon, and
MedAD/Resources/Icons/MedAD.png, the module's.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

SIZE = 128
SUPERSAMPLING = 6
FILES = ("Resources/MedAD.png", "MedAD/Resources/Icons/MedAD.png")

OUTLINE = (38, 44, 66)
SULCUS = (88, 98, 130)
LIT, SHADED = (238, 240, 248), (172, 182, 208)
HEAT = ((92, 18, 110), (187, 55, 84), (249, 130, 20), (252, 225, 110), (255, 255, 235))

# Furrows of the right half: Bezier curves in picture coordinates from -1 to 1 (x right, y up); the left mirrors them.
SULCI = (
    ((0.13, 0.70), (0.22, 0.60), (0.28, 0.76), (0.42, 0.62)),
    ((0.13, 0.38), (0.30, 0.52), (0.36, 0.24), (0.72, 0.42)),
    ((0.30, 0.14), (0.42, 0.02), (0.52, 0.24), (0.66, 0.12)),
    ((0.13, 0.04), (0.28, -0.16), (0.42, -0.02), (0.56, -0.14)),
    ((0.13, -0.34), (0.30, -0.20), (0.42, -0.48), (0.72, -0.30)),
    ((0.13, -0.66), (0.24, -0.54), (0.34, -0.72), (0.50, -0.60)),
)
SPOT, SPOT_RADIUS = (0.41, 0.24), 0.36


def draw_icon(size: int = SIZE, supersampling: int = SUPERSAMPLING) -> np.ndarray:
    """The icon's pixels, (size, size, 4) uint8 RGBA, the same on every machine."""
    count = size * supersampling
    axis = ((np.arange(count) + 0.5) / count * 2 - 1).astype(np.float64)
    x, y = axis[None, :], -axis[:, None]

    edge = _outline(x, y)
    shade = np.clip(0.70 + 0.30 * y - 0.28 * x, 0, 1)[..., None]
    colour = shade * np.array(LIT) + (1 - shade) * np.array(SHADED)

    fissure = np.abs(x) - (0.020 + 0.03 * np.clip((np.abs(y) - 0.6) / 0.35, 0, 1))
    furrow = np.minimum.reduce([_distance(np.abs(x), y, curve) for curve in SULCI]) - 0.026
    colour = np.where((furrow < 0)[..., None], np.array(SULCUS), colour)

    distance = np.hypot(x - SPOT[0], y - SPOT[1]) / SPOT_RADIUS
    warmth = np.clip(1 - distance, 0, 1)
    opacity = np.clip(warmth * 2.6, 0, 1)[..., None]
    colour = opacity * _heat(warmth) + (1 - opacity) * colour

    colour = np.where(((fissure < 0) | (edge < 0.055))[..., None], np.array(OUTLINE), colour)
    alpha = (edge > 0).astype(np.float64)
    return _reduce(colour, alpha, supersampling)


def _outline(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """How far inside the brain's lobed outline each point lies, about in units of the picture's half width."""
    narrowing = 0.83 - 0.05 * y
    angle = np.arctan2(y, x / narrowing)
    radius = np.hypot(x / narrowing, y)
    notch = np.exp(-((np.abs(np.abs(angle) - np.pi / 2) / 0.075) ** 2))
    lobes = 0.020 * np.cos(16 * angle + np.pi) - 0.075 * notch
    return (0.975 + lobes - radius) * 0.87


def _distance(x: np.ndarray, y: np.ndarray, curve: tuple[tuple[float, float], ...], steps: int = 12) -> np.ndarray:
    """The distance of each point to a cubic Bezier curve, drawn as short straight pieces."""
    t = np.linspace(0, 1, steps + 1)[:, None]
    a, b, c, d = (np.array(point) for point in curve)
    points = (1 - t) ** 3 * a + 3 * t * (1 - t) ** 2 * b + 3 * t**2 * (1 - t) * c + t**3 * d
    nearest = np.full(np.broadcast_shapes(x.shape, y.shape), np.inf)
    for start, end in zip(points[:-1], points[1:]):
        along = end - start
        place = np.clip(((x - start[0]) * along[0] + (y - start[1]) * along[1]) / (along @ along), 0, 1)
        nearest = np.minimum(nearest, np.hypot(x - start[0] - place * along[0], y - start[1] - place * along[1]))
    return nearest


def _heat(warmth: np.ndarray) -> np.ndarray:
    stops = np.linspace(0, 1, len(HEAT))
    return np.stack([np.interp(warmth, stops, channel) for channel in np.array(HEAT, float).T], axis=-1)


def _reduce(colour: np.ndarray, alpha: np.ndarray, factor: int) -> np.ndarray:
    """Averages blocks of factor x factor pixels, weighting colours by their opacity so that no dark fringe appears."""
    size = len(alpha) // factor

    def blocks(image: np.ndarray) -> np.ndarray:
        return image.reshape(size, factor, size, factor, -1).mean(axis=(1, 3))

    coverage = blocks(alpha)
    mixed = blocks(colour * alpha[..., None]) / np.maximum(coverage, 1e-9)
    return np.round(np.concatenate([mixed, coverage * 255], axis=-1)).astype(np.uint8)


def main() -> None:
    """Writes the icon to every place that needs it."""
    root = Path(__file__).resolve().parent.parent
    icon = Image.fromarray(draw_icon())
    for name in FILES:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        icon.save(root / name, optimize=True)


if __name__ == "__main__":
    main()
