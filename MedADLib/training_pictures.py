"""Pictures that show whether a model has learned: reconstructions of unseen scans, and samples of its prior."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from .methods.latent_restoration import LatentRestoration
from .methods.method import Method
from .methods.resampling import resample_codes
from .methods.volume_restoration import VolumeRestoration
from .slices import examined_slices
from .training_data import HealthyData

COLUMNS = 8


def write_pictures(method: Method, data: HealthyData, folder: Path, name: str) -> list[Path]:
    """Write ``NAME-reconstructions.png`` and, for a method with a prior, ``NAME-samples.png``.

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
    if isinstance(method, LatentRestoration):
        written.append(folder / f"{name}-samples.png")
        drawn = _drawn_slices(method, 3, flat)
        _montage([(f"drawn from the prior {n + 1}", [d[n] for d in drawn], 1.0) for n in range(3)], written[1])
    return written


def _drawn_slices(method: LatentRestoration, count: int, flat: bool) -> list[np.ndarray]:
    """For each column, slices (count, Y, X) that the prior draws: of volumes, several heights of the same ones."""
    if isinstance(method, VolumeRestoration):
        volumes = prior_samples(method, 0.0, count)
        heights = np.linspace(0.1, 0.9, COLUMNS) * (volumes.shape[1] - 1)
        return [volumes[:, int(height)] for height in heights]
    positions = np.zeros(COLUMNS) if flat else np.linspace(-0.4, 0.4, COLUMNS, dtype=np.float32)
    return [prior_samples(method, float(position), count, n if flat else 0) for n, position in enumerate(positions)]


def prior_samples(method: LatentRestoration, position: float, count: int, seed: int = 0) -> np.ndarray:
    """Slices drawn from the prior alone, (count, Y, X), or volumes, (count, Z, Y, X).

    Args:
        method: Trained.
        position: Slice coordinate in [-0.5, 0.5]; 0 for volumes.
        count: How many.
        seed: Of the noise.
    """
    grid, length = method.parameters.grid, method.prior.length
    with torch.inference_mode():
        where = torch.tensor([position])
        codes = torch.zeros(1, length, dtype=torch.long)
        logits, cache = method.prior.fill(codes, where)
        everything = torch.ones(length, dtype=torch.bool)
        key = (seed, int(round((position + 0.5) * 1e6)))
        drawn = resample_codes(method.prior, codes[0], where, everything, logits[0], cache, count, key)
        return method.vqvae.pictures(drawn.view(count, *grid), where.expand(count))[:, 0].numpy()


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
