"""The header of one DICOM file, read without its pixels."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from .reading import silenced

if TYPE_CHECKING:
    import SimpleITK as sitk


class DicomHeader:
    """Tags of a DICOM image.

    Attributes:
        image: ITK's reader, which knows size, spacing and components of the image.
    """

    def __init__(self, image: sitk.ImageFileReader):
        self.image = image

    @classmethod
    def of(cls, path: Path) -> DicomHeader | None:
        """The header of a file; None for what is no image."""
        import SimpleITK as sitk

        reader = sitk.ImageFileReader()
        reader.SetImageIO("GDCMImageIO")
        reader.SetFileName(str(path))
        try:
            with silenced():
                reader.ReadImageInformation()
        except RuntimeError:
            return None
        return cls(reader)

    def has(self, key: str) -> bool:
        """Whether the header has a tag, such as ``0020|0032``."""
        return self.image.HasMetaDataKey(key)

    def tag(self, key: str) -> str:
        """The text of a tag without its padding; empty if the header lacks it."""
        return self.image.GetMetaData(key).strip(" \0") if self.has(key) else ""
