"""2-D images in files of every kind."""

from __future__ import annotations

import numpy as np
import SimpleITK as sitk

GREY = np.random.default_rng(0).integers(0, 255, (5, 7), dtype=np.uint8)


def write(path, array, colour=False):
    sitk.WriteImage(sitk.GetImageFromArray(array, isVector=colour), str(path))
    return path
