"""Images and DICOM slices in files, and what reading a broken file raises."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from MedADLib.errors import InputError
from MedADLib.io.reading import read_image
from MedADLib.volume import stem

GREY = np.random.default_rng(0).integers(0, 255, (5, 7), dtype=np.uint8)


def write(path, array, colour=False):
    sitk.WriteImage(sitk.GetImageFromArray(array, isVector=colour), str(path))
    return path


TAGS = {
    "0008|0008": "ORIGINAL\\PRIMARY",
    "0008|0060": "MR",
    "0010|0010": "DOE^JANE",
    "0010|0020": "PATIENT-4711",
    "0020|000d": "1.2.3",
    "0020|000e": "1.2.3.4",
    "0020|0011": "7",
    "0020|0037": "1\\0\\0\\0\\1\\0",
    "0028|1052": "0",
    "0028|1053": "1",
}


SERIES = (np.random.default_rng(1).random((6, 12, 16)) * 1000).astype(np.int16)


def write_slice(path: Path, pixels: np.ndarray, position, **tags):
    image = sitk.GetImageFromArray(pixels[None])
    image.SetSpacing((1.5, 2.0, 3.0))
    place = "\\".join(f"{value:g}" for value in position)
    number = {"0008|0018": f"1.2.3.4.{path.stem}", "0020|0032": place}
    for key, value in {**TAGS, **number, **{key.replace("_", "|")[1:]: value for key, value in tags.items()}}.items():
        image.SetMetaData(key, value)
    writer = sitk.ImageFileWriter()
    writer.KeepOriginalImageUIDOn()
    writer.SetFileName(str(path))
    writer.Execute(image)


def refused(path, *codes):
    """Assert that reading fails with one of these codes, in one line that names the file, and return the message."""
    with pytest.raises(InputError) as caught:
        read_image(path)
    message = str(caught.value)
    assert caught.value.code in codes
    assert "\n" not in message and stem(path).encode("ascii", "backslashreplace").decode() in message
    assert caught.value.remedy
    return caught.value.message
