"""Measure brain extraction on heads of several contrasts, made from T1 scans with labels of the brain.

Usage: MEDAD_DATA=folder python Testing/extraction_table.py docs/benchmark/extraction.tsv

The seven IXI heads of the test data have automatic labels of the brain (DLMUSE). Their tissues get other intensities:
by classes (T2, FLAIR, PD), by random transfer curves, and by inversion. Rows that the table has already are kept, so
an interrupted run goes on.
"""

from __future__ import annotations

import csv
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from scipy import ndimage

from MedADLib.io.reading import read_image
from MedADLib.preprocessing import brain_extraction
from MedADLib.preprocessing.brain_extraction import Extraction, NoBrainError
from MedADLib.runtime.progress import Progress
from MedADLib.volume import Volume, reoriented

COLUMNS = (*("head", "contrast", "way", "intensities", "dice", "surface_95_mm", "ml", "agreement", "cpu_seconds"),)
# Labels of DLMUSE: ventricles; white matter with brain stem, ventral diencephalon, fornix and corpus callosum.
FLUID = (4, 11, 49, 50, 51, 52)
WHITE = (*range(81, 95), 35, 40, 41, 44, 45, 61, 62, 95)
AIR, BONE, CSF, GREY, WHITE_MATTER, MUSCLE, FAT, EYE = range(8)
# Intensities of these classes, relative to the brightest.
FAMILIES = {
    "T2": (0.0, 0.06, 1.0, 0.55, 0.38, 0.22, 0.6, 1.0),
    "FLAIR": (0.0, 0.06, 0.12, 0.72, 0.55, 0.35, 0.6, 0.12),
    "PD": (0.0, 0.1, 0.8, 0.85, 0.65, 0.5, 0.8, 0.8),
}


def main() -> None:
    """Append the missing rows to the table."""
    path, data = Path(sys.argv[1]), Path(os.environ["MEDAD_DATA"])
    rows = list(csv.DictReader(path.open(), delimiter="\t")) if path.exists() else []
    known = {(row["head"], row["contrast"]) for row in rows}
    scans = sorted((data / "healthy_t1_ixi_2mm").glob("*T1_ds.nii.gz"))
    for number, scan in enumerate(scans):
        name = scan.name[:6]
        volume = reoriented(read_image(scan), "RAS")
        labels = reoriented(read_image(scan.with_name(scan.name.replace("_ds.", "_ds_DLMUSE."))), "RAS")
        labels = np.rint(labels.array).astype(int)
        for contrast, shown in contrasts(volume, labels, number):
            if (name, contrast) not in known:
                for row in measured(shown, labels > 0):
                    rows.append({"head": name, "contrast": contrast, **row})
                    print(*rows[-1].values(), flush=True)
                with path.open("w", newline="") as file:
                    writer = csv.DictWriter(file, COLUMNS, delimiter="\t", lineterminator="\n")
                    writer.writeheader()
                    writer.writerows(rows)


def measured(volume: Volume, truth: np.ndarray) -> Iterator[dict[str, object]]:
    """Yield a row of the extraction from the intensities as they are, and one of that which MedAD chooses."""
    done: dict[str, tuple[Extraction | None, float]] = {}
    extract = brain_extraction._extract

    def timed(volume: Volume, progress: Progress, transfer: str = "") -> Extraction:
        start = time.process_time()
        found = None
        try:
            found = extract(volume, progress, transfer)
        finally:
            done[transfer] = found, time.process_time() - start
        return found

    brain_extraction._extract = timed
    try:
        chosen = brain_extraction._of_any_contrast(volume, Progress(), None)
    except NoBrainError:
        chosen = None
    finally:
        brain_extraction._extract = extract
    whole = sum(seconds for _, seconds in done.values())
    for way, (found, seconds) in (("as it is", done[""]), ("chosen", (chosen, whole))):
        mask = brain_extraction._outline(volume) if found is None else found.mask
        yield {
            "way": way,
            "intensities": "whole foreground" if found is None else found.transfer or "as they are",
            "dice": f"{2 * (mask & truth).sum() / (mask.sum() + truth.sum()):.4f}",
            "surface_95_mm": f"{surface_distance(mask, truth, volume.spacing[::-1]):.1f}",
            "ml": f"{mask.sum() * volume.voxel_ml:.0f}",
            "agreement": "" if found is None else f"{found.agreement:.3f}",
            "cpu_seconds": f"{seconds:.1f}",
        }


def surface_distance(one: np.ndarray, other: np.ndarray, spacing: np.ndarray) -> float:
    """Return the 95th percentile of the distances in mm of the surface of each of two masks to the other's."""
    surfaces = [mask & ~ndimage.binary_erosion(mask) for mask in (one, other)]
    distances = [ndimage.distance_transform_edt(~surface, sampling=spacing) for surface in surfaces]
    return float(np.percentile(np.concatenate([distances[1][surfaces[0]], distances[0][surfaces[1]]]), 95))


def contrasts(volume: Volume, labels: np.ndarray, number: int) -> Iterator[tuple[str, Volume]]:
    """Yield a T1 head with labels (Z, Y, X) in several contrasts, in RAS order; the number seeds their randomness."""
    yield "T1", volume
    tissues = classes(volume.array, labels)
    for kind, (family, means) in enumerate(FAMILIES.items()):
        random = np.random.default_rng(100 * number + kind)
        yield family, volume.with_array(acquired(by_class(volume.array, tissues, means, random), random))
    scaled = volume.array / np.percentile(volume.array, 99.5)
    for kind in range(2):
        random = np.random.default_rng(1000 + 100 * number + kind)
        knots = np.concatenate([[0.0, 0.04], np.linspace(0.08, 1.2, 7)])
        values = np.concatenate([[0.0, 0.02], random.uniform(0.1, 1.0, 7)])
        yield f"curve {kind + 1}", volume.with_array(acquired(np.interp(scaled, knots, values), random))
    random = np.random.default_rng(5000 + number)
    inverse = np.where(tissues != AIR, np.maximum(1.1 - scaled, 0.02), scaled)
    yield "inverse", volume.with_array(acquired(inverse, random))


def classes(array: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return the tissue of each voxel of a T1 head, uint8 (Z, Y, X): of the brain by labels, of the rest by shells."""
    brain, fluid, white = labels > 0, np.isin(labels, FLUID), np.isin(labels, WHITE)
    light, grey, dark = (np.median(array[part]) for part in (white, brain & ~white & ~fluid, fluid))
    smooth = ndimage.gaussian_filter(array, 0.7)
    head = ndimage.binary_fill_holes(closed(smooth > 0.18 * light, 9) | brain)
    head = np.stack([ndimage.binary_fill_holes(plane) for plane in head])
    hull = ndimage.binary_fill_holes(closed(brain, 6))
    found = np.full(array.shape, AIR, np.uint8)
    around = head & ~brain
    found[around & (array < 0.28 * light)] = BONE
    found[around & (array >= 0.28 * light)] = MUSCLE
    found[around & (smooth > 0.8 * light)] = FAT
    # The eyes are large, dark, and below and before the middle of the brain.
    balls = dilated(eroded(head & ~hull & (smooth > 0.12 * light) & (smooth < 0.4 * light), 3.5), 3.5)
    places = np.argwhere(brain)
    balls[:, : places[:, 1].max() - 12] = False
    balls[int(places[:, 0].mean()) + 5 :] = False
    found[balls] = EYE
    found[dilated(hull, 1.01) & ~brain & (array < 0.45 * light)] = CSF
    found[brain] = np.where(white[brain], WHITE_MATTER, GREY)
    found[brain & (fluid | (array < (dark + grey) / 2))] = CSF
    return found


def by_class(array: np.ndarray, tissues: np.ndarray, means: tuple[float, ...], random: np.random.Generator):
    """Give each tissue another mean, and keep the texture of the T1 scan, with a random sign."""
    jitter = 1 + random.normal(0, 0.06, len(means))
    shown, own, total = (np.full(array.shape, tiny, np.float32) for tiny in (0.0, 0.0, 1e-6))
    for tissue, mean in enumerate(means):
        inside = tissues == tissue
        if inside.any():
            share = ndimage.gaussian_filter(inside.astype(np.float32), 0.5)
            shown += share * np.float32(mean * jitter[tissue])
            own += share * array[inside].mean()
            total += share
    top = np.percentile(array, 99.5)
    texture = random.choice([-0.3, 0.3]) * (array - own / total) / top
    return shown / total + np.where(tissues == AIR, 0.6 * array / top, texture)


def acquired(image: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Add a smooth bias field and Rician noise of 1 to 3 % of white, float32."""
    field = ndimage.zoom(random.normal(0, 0.12, (4, 4, 4)), [size / 4 for size in image.shape], order=3)
    noise = random.uniform(0.01, 0.03)
    real = np.maximum(image, 0) * np.exp(field) + random.normal(0, noise, image.shape)
    return (1000 * np.hypot(real, random.normal(0, noise, image.shape))).astype(np.float32)


def dilated(mask: np.ndarray, radius: float) -> np.ndarray:
    """Dilate a mask by a ball of a radius in voxels."""
    return ndimage.distance_transform_edt(~mask) <= radius


def eroded(mask: np.ndarray, radius: float) -> np.ndarray:
    """Erode a mask by a ball of a radius in voxels, as if all beyond its array were outside."""
    return ndimage.distance_transform_edt(np.pad(mask, 1))[1:-1, 1:-1, 1:-1] > radius


def closed(mask: np.ndarray, radius: int) -> np.ndarray:
    """Close a mask by a ball of a radius in voxels."""
    rim = radius + 2
    return eroded(dilated(np.pad(mask, rim), radius), radius)[rim:-rim, rim:-rim, rim:-rim]


if __name__ == "__main__":
    main()
