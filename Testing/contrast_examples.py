"""Draws the page of example contrasts, Resources/Training/contrasts.png, from the prepared scans of a training.

    python Testing/contrast_examples.py WORK [FILE]

WORK is the work folder of a training on ds002748 (CC0). Each row has one family: two scans in turn, each in a contrast
of its own; the first three images have intensities for each tissue, the others are curves over the T1.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw
from safetensors.numpy import load_file

from MedADLib.corruption.contrasts.anatomy import Anatomy
from MedADLib.corruption.contrasts.contrast import CLASSES, CURVE, FAMILIES, Contrast

ROOT = Path(__file__).resolve().parents[1]
SCANS, SPACING = ("sub-03_T1w", "sub-27_T1w"), (1.5, 1.2, 1.2)
# Heights of the slices as parts of the field of view.
HEIGHTS = (0.46, 0.53, 0.64)
ROWS, COLUMNS = slice(6, 156), slice(19, 141)
LABELS = {
    "t1": "like T1",
    "t2": "like T2",
    "flair": "like FLAIR",
    "pd": "like PD",
    "t1c": "like T1 with agent",
    "any": "any contrast",
}


def tile(plane: np.ndarray, label: str = "") -> np.ndarray:
    """Return a slice with the front at the top as bytes, with a label."""
    shown = Image.fromarray(np.clip(plane[::-1][ROWS, COLUMNS] * 255, 0, 255).astype(np.uint8))
    ImageDraw.Draw(shown).text((3, 1), label, fill=255)
    return np.array(shown)


def main(work: Path, target: Path) -> None:
    """Draw the page."""
    scans = []
    for number, name in enumerate(SCANS):
        kept = load_file(work / "prepared" / f"{name}.safetensors")
        scans.append(Anatomy.of(kept["image"], kept["mask"] > 0, SPACING, number))
    planes = [int(height * len(scans[0].image)) for height in HEIGHTS]
    first = [tile(scan.image[plane].astype(np.float32)) for scan in scans for plane in planes]
    rows = [[tile(scans[0].image[planes[0]].astype(np.float32), "the T1 scans"), *first[1:]]]
    for order, family in enumerate(FAMILIES):
        row = []
        for number in range(6):
            random = np.random.default_rng([order, number])
            drawn = Contrast.draw(random, family, (CLASSES, CURVE)[number // 3])
            image, _ = drawn.apply(scans[number % 2], [planes[number % 3]])
            row.append(tile(image[0], "" if number else LABELS[family]))
        rows.append(row)
    Image.fromarray(np.vstack([np.hstack(row) for row in rows])).save(target, optimize=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2] if len(sys.argv) > 2 else ROOT / "Resources/Training/contrasts.png"))
