"""Pictures that show whether a model has learned: reconstructions of unseen scans, and samples of its prior."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from .methods.method import Method
from .methods.volume_restoration import VolumeRestoration
from .prior_pictures import slices_from_prior
from .slices import examined_slices
from .training_data import HealthyData

COLUMNS, DRAWS = 8, 3


def write_pictures(method: Method, data: HealthyData, folder: Path, name: str) -> list[Path]:
    """Write ``NAME-reconstructions.png`` and, for a method whose latents have a prior, ``NAME-samples.png``.

    Args:
        method: Trained.
        data: Slices of the first validation scan are reconstructed, or, of single slices, the first scans.
        folder: Where to write.
        name: The model's name.

    Returns:
        The files written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    flat = len(data.validation[0][0]) == 1
    images, restored, scores, examined = [], [], [], []
    for image, mask in data.validation[: COLUMNS if flat else 1]:
        used = examined_slices(mask)
        shown = used if flat else used[np.linspace(len(used) * 0.08, len(used) * 0.92, COLUMNS).astype(int)]
        only = np.zeros_like(mask)
        only[shown] = mask[shown]
        result = method.restore(image, mask if isinstance(method, VolumeRestoration) else only, seed=0)
        for kept, volume in ((images, image), (restored, result.restored), (scores, result.score)):
            kept += [volume[z] for z in shown]
        examined.append(result.score[only])
    top = float(np.percentile(np.concatenate(examined), 99.5))
    written = [folder / f"{name}-reconstructions.png"]
    rows = [("unseen healthy scan", images, 1.0), ("restored", restored, 1.0), ("raw score", scores, top)]
    _montage(rows, written[0])
    if drawn := slices_from_prior(method, DRAWS, COLUMNS, flat):
        written.append(folder / f"{name}-samples.png")
        _montage([(f"drawn from the prior {n + 1}", [d[n] for d in drawn], 1.0) for n in range(DRAWS)], written[1])
    return written


def _montage(rows: list[tuple[str, list[np.ndarray], float]], path: Path) -> None:
    """Rows of slices with a label each; the last number is the white of the row."""
    figure = Figure(figsize=(COLUMNS * 1.5, len(rows) * 1.5 + 0.1), facecolor="black")
    FigureCanvasAgg(figure)
    for number, (label, pictures, white) in enumerate(rows):
        for column, picture in enumerate(pictures):
            axes = figure.add_axes((column / COLUMNS, 1 - (number + 1) / len(rows), 1 / COLUMNS, 1 / len(rows)))
            axes.imshow(picture, cmap="gray", vmin=0, vmax=white, origin="lower")
            axes.axis("off")
            if column == 0:
                axes.text(3, 3, label, color="white", fontsize=8)
    figure.savefig(path, dpi=80, facecolor="black")
