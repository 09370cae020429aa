"""Whether a skull-stripped brain looks T1-weighted: its white matter, deep inside, is brighter than its rim.

In T2-weighted scans the fluid around the brain makes the rim bright, and in FLAIR the cortex is brighter than white
matter, so that rim and core are about the same. Nothing is said of scans with a skull.
"""

from __future__ import annotations

import numpy as np

from .volume import Volume

COARSE_MM = 3.0
RIM_MM, CORE_MM = (2.0, 8.0), (18.0, 36.0)
# On the scans at hand: T1 from 1.20 to 1.55, FLAIR and T2 from 0.90 to 1.05.
T1_AT_LEAST = 1.12
FEWEST_VOXELS = 500


def core_to_rim(volume: Volume, background: float) -> float | None:
    """How bright the core of a stripped brain is, its rim being 1.

    Args:
        volume: The scan.
        background: Its value around the brain.

    Returns:
        The ratio of the medians; None where there is too little of either.
    """
    import SimpleITK as sitk

    image = volume.to_sitk()
    resampler = sitk.ResampleImageFilter()
    resampler.SetReferenceImage(image)
    resampler.SetSize([max(1, round(n * step / COARSE_MM)) for n, step in zip(image.GetSize(), image.GetSpacing())])
    resampler.SetOutputSpacing([COARSE_MM] * 3)
    # Edges of interpolated voxels would mix brain and background.
    resampler.SetInterpolator(sitk.sitkNearestNeighbor)
    resampler.SetDefaultPixelValue(background)
    signal = sitk.GetArrayFromImage(resampler.Execute(image)).astype(np.float32) - np.float32(background)
    brain = np.abs(signal) > 0.02 * np.percentile(np.abs(signal), 99)
    # One voxel of padding, so that the border of the image counts as the outside.
    padded = sitk.BinaryFillhole(sitk.GetImageFromArray(np.pad(brain, 1).astype(np.uint8)))
    padded.SetSpacing([COARSE_MM] * 3)
    distance = sitk.SignedMaurerDistanceMap(padded, insideIsPositive=True, squaredDistance=False, useImageSpacing=True)
    depth = sitk.GetArrayFromImage(distance)[1:-1, 1:-1, 1:-1]
    rim, core = (signal[(depth > low) & (depth < high)] for low, high in (RIM_MM, CORE_MM))
    if min(rim.size, core.size) < FEWEST_VOXELS or np.median(rim) <= 0:
        return None
    return float(np.median(core) / np.median(rim))
