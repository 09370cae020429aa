"""Draw the thumbnail of the sample data: an axial slice of a head in T1-weighted MRI.

Schematic, so that no image of a person is needed. Run `python Resources/draw_thumbnails.py` to write it to
MedAD/Resources/Icons.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

WIDTH, HEIGHT, SUPERSAMPLING = 192, 128, 4
FOLDER = "MedAD/Resources/Icons"
AIR, SKIN, BONE, FLUID, GREY, WHITE = 8, 205, 28, 45, 118, 172


def draw_slice() -> np.ndarray:
    """Return the pixels of the thumbnail, (128, 192) uint8, the same on every machine."""
    rows, columns = HEIGHT * SUPERSAMPLING, WIDTH * SUPERSAMPLING
    y = 1 - (np.arange(rows)[:, None] + 0.5) / rows * 2
    x = ((np.arange(columns)[None, :] + 0.5) / columns * 2 - 1) * WIDTH / HEIGHT
    angle, radius = np.arctan2(y, x / 0.80), np.hypot(x / 0.80, y)
    folds = 0.018 * np.cos(22 * angle) + 0.010 * np.cos(37 * angle + 1)

    picture = np.full((rows, columns), float(AIR))
    for edge, value in ((0.96, SKIN), (0.90, BONE), (0.82, FLUID)):
        picture[radius < edge] = value
    cortex = radius < 0.79 + folds
    picture[cortex & (np.abs(x) > 0.012)] = GREY
    picture[(radius < 0.68 + 2.6 * folds) & (np.abs(x) > 0.030)] = WHITE
    picture[_ellipse(np.abs(x), y, (0.22, 0.05), (0.075, 0.17))] = GREY
    picture[_ellipse(np.abs(x) - 0.16 * np.abs(y), y, (0.055, 0.02), (0.045, 0.30))] = FLUID
    blocks = picture.reshape(HEIGHT, SUPERSAMPLING, WIDTH, SUPERSAMPLING)
    return np.round(blocks.mean(axis=(1, 3))).astype(np.uint8)


def draw_all() -> dict[str, np.ndarray]:
    """Return the thumbnails by file name."""
    return {"SampleHead.png": draw_slice()}


def _ellipse(x: np.ndarray, y: np.ndarray, centre: tuple[float, float], half: tuple[float, float]) -> np.ndarray:
    return ((x - centre[0]) / half[0]) ** 2 + ((y - centre[1]) / half[1]) ** 2 < 1


def main() -> None:
    """Write the thumbnails."""
    folder = Path(__file__).resolve().parent.parent / FOLDER
    for name, pixels in draw_all().items():
        Image.fromarray(pixels).save(folder / name, optimize=True)


if __name__ == "__main__":
    main()
