"""Sample scans: a sample of Slicer, registered once more under MedAD in the Sample Data module.

Only scans that fit the shipped models are registered: T1-weighted heads of adults without contrast agent. Slicer has
none with a known lesion; `make demo` makes one.
"""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import NamedTuple

CATEGORY = "MedAD"
# Address, file name and checksum are those that Slicer's own Sample Data module publishes for MRHead
# (github.com/Slicer/Slicer, Modules/Scripted/SampleData/SampleData.py, as of 2026). With the same file name, Slicer
# does not download a scan twice.
ADDRESS = "https://github.com/Slicer/SlicerTestingData/releases/download/SHA256/"


class Sample(NamedTuple):
    """One scan.

    Attributes:
        title: On its button, with what to expect, because Slicer gives the button no tooltip. Also its name for
            scripts, so it differs from Slicer's own names.
        expect: What MedAD can and cannot show in the scan, in full.
        node_name: Of the volume in the scene.
        file_name: In Slicer's cache.
        sha256: Of the file.
        thumbnail: File name of its image, drawn by Resources/draw_thumbnails.py.
    """

    title: str
    expect: str
    node_name: str
    file_name: str
    sha256: str
    thumbnail: str


def samples() -> tuple[Sample, ...]:
    """Return the scans, with texts in Slicer's language."""
    from slicer.i18n import tr as _

    return (
        Sample(
            _("Head without known lesion (MRHead):\nwhat is marked is a false positive"),
            _(
                "A T1-weighted head without contrast agent, as the shipped models need it. It has its skull, so the "
                "brain is extracted first. No lesion is known in it, and its scanner differs from that of the "
                "training data: count what is marked as false positives. To see a lesion marked, load the scan that "
                "'make demo' writes."
            ),
            "MRHead",
            "MR-head.nrrd",
            "cc211f0dfd9a05ca3841ce1141b292898b2dd2d3f08286affadf823a7e58df93",
            "SampleHead.png",
        ),
    )


def register(icon_folder: str | Path) -> bool:
    """Register the scans with their thumbnails in the Sample Data module, after Slicer has started; later calls do
    nothing.

    Returns whether there is a Sample Data module.
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
    """Return the scans and what to expect of them as HTML, for the module's help."""
    items = (f"<li><b>{escape(' '.join(each.title.split()))}</b>: {escape(each.expect)}</li>" for each in samples())
    return f"<ul>{''.join(items)}</ul>"
