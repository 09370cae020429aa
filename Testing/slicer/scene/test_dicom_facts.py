"""What Slicer's DICOM database tells about a volume: the kind of scan, and whether it has a spacing."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from support.dicom_frames import write_classic, write_frames
from support.mrml import slicer

from MedADLib.preprocessing.input_check import inspect
from MedADLib.slicer.scene.dicom_facts import lacks_spacing
from MedADLib.slicer.scene.volumes import volume_from_node
from MedADLib.volume import LPS_RAS, Volume

__all__ = ["slicer"]

FLAIR = {"EchoTime": 120.0, "RepetitionTime": 9000.0, "InversionTime": 2500.0}
PIXELS = np.arange(30, dtype=np.uint16).reshape(5, 6)


@pytest.fixture
def loaded(standalone, tmp_path, monkeypatch):
    """Add a volume that Slicer loaded from a DICOM file with these attributes."""
    files = {}
    database = SimpleNamespace(isOpen=True, fileForInstance=lambda uid: str(files.get(uid, "")))
    monkeypatch.setattr(slicer, "dicomDatabase", database, raising=False)

    def load(shape, write=write_classic, pixels=PIXELS, spacing=1.0, **attributes):
        uid = f"1.2.{len(files)}"
        files[uid] = write(tmp_path / f"{uid}.dcm", pixels, **attributes)
        affine = LPS_RAS @ np.diag([spacing, spacing, 3.0, 1.0])
        node = standalone.add_volume(Volume(np.arange(np.prod(shape), dtype=np.int16).reshape(shape), affine, "scan"))
        node.SetAttribute("DICOM.instanceUIDs", f"{uid} 9.9.9")
        return node

    load.database = database
    return load


def test_the_header_says_which_kind_of_scan_it_is(loaded):
    node = loaded((4, 5, 6), **FLAIR)
    volume = volume_from_node(node)
    assert volume.described == "flair" and volume.has_spacing and volume.has_orientation
    assert "DOE" not in repr(vars(volume)) and "4711" not in repr(vars(volume))
    assert volume_from_node(loaded((4, 5, 6))).described == ""


def test_an_enhanced_object_is_read_too(loaded):
    frames = [(PIXELS, {"position": [0, 0, 3 * number], "echo": 120.0}) for number in range(4)]
    node = loaded((4, 5, 6), write_frames, frames, RepetitionTime=9000.0, InversionTime=2500.0)
    assert volume_from_node(node).described == "flair"


def test_without_the_database_nothing_is_said(loaded, monkeypatch, tmp_path):
    node = loaded((4, 5, 6), **FLAIR)
    (tmp_path / "1.2.0.dcm").unlink()
    assert volume_from_node(node).described == ""
    loaded.database.isOpen = False
    assert volume_from_node(loaded((4, 5, 6), **FLAIR)).described == ""
    monkeypatch.delattr(slicer, "dicomDatabase")
    assert volume_from_node(node).described == ""


def test_a_damaged_header_says_nothing(loaded, tmp_path):
    node = loaded((1, 5, 6), **FLAIR)
    file = tmp_path / "1.2.0.dcm"
    file.write_bytes(file.read_bytes()[:200])
    volume = volume_from_node(node)
    assert volume.described == "" and volume.has_spacing and not lacks_spacing(node, volume)


@pytest.mark.parametrize(
    "given", [{"PixelSpacing": [0.2, 0.2]}, {"PixelSpacing": None, "ImagerPixelSpacing": [0.2, 0.2]}]
)
def test_a_radiograph_with_a_pixel_spacing_has_one_but_no_axes(loaded, given):
    attributes = {"Modality": "DX", "ImagePositionPatient": None, "ImageOrientationPatient": None, **given}
    volume = volume_from_node(loaded((1, 5, 6), spacing=0.2, **attributes))
    assert volume.has_spacing and not volume.has_orientation


def test_a_radiograph_without_a_pixel_spacing_is_measured_in_pixels(loaded):
    attributes = {"Modality": "CR", "ImagePositionPatient": None, "ImageOrientationPatient": None}
    node = loaded((1, 5, 6), PixelSpacing=None, **attributes)
    volume = volume_from_node(node)
    assert not volume.has_spacing and not volume.has_orientation
    assert [fact.code for fact in inspect(volume).facts][:2] == ["scan_size_pixels", "scan_without_spacing"]
    node.SetSpacing(0.2, 0.2, 1)
    assert volume_from_node(node).has_spacing, "the user has set it"


def test_an_assumed_spacing_of_a_volume_is_noticed(loaded):
    node = loaded((4, 5, 6), PixelSpacing=None)
    volume = volume_from_node(node)
    assert volume.has_spacing and lacks_spacing(node, volume)
    node.SetSpacing(0.9, 0.9, 1)
    assert not lacks_spacing(node, volume_from_node(node))
    given = loaded((4, 5, 6), spacing=1.0, PixelSpacing=[1.0, 1.0])
    assert not lacks_spacing(given, volume_from_node(given))
