"""A detection of two blobs in any scan, without a model or a test framework."""

from __future__ import annotations

import numpy as np

from MedADLib.detection import Detection, Settings, content_hash
from MedADLib.scoring.healthy_reference import Threshold
from MedADLib.scoring.regions import find_regions
from MedADLib.volume import Volume
from support.references import healthy_reference

# Centre as a part of each axis (z, y, x), height as a z-score, radius as a part of the shortest side.
BLOBS = (((0.55, 0.6, 0.35), 9.0, 0.16), ((0.5, 0.4, 0.66), 4.6, 0.12), ((0.4, 0.65, 0.6), 2.4, 0.1))


def two_blobs(volume: Volume, settings: Settings, model: str) -> Detection:
    """Two blobs above the default threshold, a z-score of 3, and one below it, on a smooth background.

    Args:
        volume: The scan; voxels above 0 are the brain.
        settings: Mask, threshold and seed take effect; fast mode is recorded only.
        model: Name to record.
    """
    inside = volume.array > 0 if settings.mask is None else settings.mask.array > 0
    places = volume.ras_from_voxels(np.indices(volume.array.shape).reshape(3, -1).T).reshape(*volume.array.shape, 3)
    side = float((np.array(volume.array.shape[::-1]) * volume.spacing).min())
    anomaly = np.full(volume.array.shape, 0.4, dtype=np.float64)
    for centre, height, size in BLOBS:
        voxel = np.array(centre) * (np.array(volume.array.shape) - 1)
        distance = np.linalg.norm(places - volume.ras_from_voxels(voxel[None])[0], axis=-1)
        anomaly = np.maximum(anomaly, height * (1.0 - (distance / (size * side)) ** 2))
    anomaly = volume.with_array(np.where(inside, anomaly, 0).astype(np.float32), f"{volume.name}_anomaly")
    reference = healthy_reference()
    wanted = settings.threshold or Threshold(1.0, "ml")
    threshold = reference.value_of(wanted)
    labels, regions = find_regions(anomaly, threshold, reference.region_p_value, settings.smallest_region_ml)
    typical = float(np.median(volume.array[inside])) if inside.any() else 0.0
    healthy = np.where(anomaly.array > 1.0, typical, volume.array).astype(np.float32)
    return Detection(
        volume=volume,
        mask=volume.with_array(inside.astype(np.uint8), f"{volume.name}_mask"),
        anomaly=anomaly,
        restored=volume.with_array(healthy, f"{volume.name}_restored"),
        labels=volume.with_array(labels, f"{volume.name}_regions"),
        regions=regions,
        threshold=threshold,
        expected_false_positive_ml=reference.expected_false_positive_ml(threshold),
        score=7.5,
        p_value=reference.sample_p_value(7.5),
        healthy_count=reference.count,
        reference=reference,
        provenance={
            "model": {"name": model, "version": "1.0.0", "sha256": "ab" * 32},
            "method": "stub",
            "seed": settings.seed,
            "settings": {
                "threshold": str(wanted),
                "smallest_region_ml": settings.smallest_region_ml,
                "fast": settings.fast,
                **({"force": True} if settings.force else {}),
            },
            "device": "cpu",
            "input": {"name": volume.name, "sha256": content_hash(volume)},
            "brain_mask": "given" if settings.mask is not None else "outline of the skull-stripped scan",
            "versions": {"medad": "0.1.0"},
            "seconds": {"restoration": 0.1},
        },
        warnings=("the scan is from a scanner that the model does not know",),
    )
