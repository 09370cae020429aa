"""Scans to try MedAD with: two of Slicer's own samples, offered once more under MedAD in the Sample Data module."""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import NamedTuple

CATEGORY = "MedAD"
# Addresses, file names and checksums are those that Slicer's own Sample Data module publishes for MRHead and
# MRBrainTumor1 (github.com/Slicer/Slicer, Modules/Scripted/SampleData/SampleData.py, as of 2026). With the same file
# names, a scan that Slicer has downloaded already is not downloaded again.
ADDRESS = "https://github.com/Slicer/SlicerTestingData/releases/download/SHA256/"


class Sample(NamedTuple):
    """One scan.

    Attributes:
        title: On its button, and its name for scripts; unlike Slicer's own names, which must go on finding its own.
        expect: What MedAD can and cannot show in it.
        node_name: Of the volume in the scene.
        file_name: In Slicer's cache.
        sha256: Of the file.
        thumbnail: File name of its picture, drawn by Resources/draw_thumbnails.py.
    """

    title: str
    expect: str
    node_name: str
    file_name: str
    sha256: str
    thumbnail: str


def samples() -> tuple[Sample, ...]:
    """The scans, in the language that Slicer speaks now."""
    from slicer.i18n import tr as _

    return (
        Sample(
            _("Head without known lesion\n(MRHead)"),
            _(
                "A T1-weighted head with its skull, so the brain is extracted first. No lesion is known in it: what is "
                "marked shows how MedAD errs on a scanner that its models have not seen."
            ),
            "MRHead",
            "MR-head.nrrd",
            "cc211f0dfd9a05ca3841ce1141b292898b2dd2d3f08286affadf823a7e58df93",
            "SampleHead.png",
        ),
        Sample(
            _("Brain tumour, contrast-enhanced\n(MRBrainTumor1)"),
            _(
                "A T1-weighted head with a tumour, taken after a contrast agent. The shipped models know T1 without "
                "contrast agent only, so vessels and membranes that light up may be marked beside the tumour or before "
                "it. An example of use, not a measure of how well MedAD finds tumours."
            ),
            "MRBrainTumor1",
            "RegLib_C01_1.nrrd",
            "998cb522173839c78657f4bc0ea907cea09fd04e44601f17c82ea27927937b95",
            "SampleTumour.png",
        ),
    )


def register(icon_folder: str | Path) -> bool:
    """Offer the scans in the Sample Data module. To be called when Slicer has started; again does no harm.

    Args:
        icon_folder: Where the thumbnails are.

    Returns:
        Whether there is a Sample Data module; a Slicer without one is fine too.
    """
    try:
        from SampleData import SampleDataLogic
    except ImportError:
        return False
    for sample in samples():
        SampleDataLogic.registerCustomSampleDataSource(
            category=CATEGORY,
            sampleName=sample.title,
            uris=ADDRESS + sample.sha256,
            fileNames=sample.file_name,
            nodeNames=sample.node_name,
            checksums=f"SHA256:{sample.sha256}",
            thumbnailFileName=str(Path(icon_folder) / sample.thumbnail),
            loadFileType="VolumeFile",
        )
    return True


def what_to_expect() -> str:
    """The scans and what to expect of them as HTML, for the module's help."""
    items = (f"<li><b>{escape(' '.join(each.title.split()))}</b>: {escape(each.expect)}</li>" for each in samples())
    return f"<ul>{''.join(items)}</ul>"
