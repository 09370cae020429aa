"""The scans offered in Slicer's Sample Data module."""

from __future__ import annotations

import struct
import sys
import types
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
import pytest
from support.source_code import ROOT

pytest.importorskip("slicer.util", reason="slicer-core is not installed (pip install trame-slicer[standalone])")

from MedADLib.slicer import sampledata

ICONS = ROOT / "MedAD" / "Resources" / "Icons"
SLICERS_OWN = {"MRHead", "MRBrainTumor1", "MRBrainTumor2", "CTChest", "CTMRBrain"}


@pytest.fixture
def language(monkeypatch):
    """Slicer's translations: by default the English texts."""
    module = types.ModuleType("slicer.i18n")
    module.tr = lambda text: text
    monkeypatch.setitem(sys.modules, "slicer.i18n", module)
    return module


@pytest.fixture
def registered(monkeypatch):
    """What a stand-in for Slicer's Sample Data module was told, by category; the same source twice counts once."""
    sources = {}

    class SampleDataLogic:
        @staticmethod
        def registerCustomSampleDataSource(
            category="Custom",
            sampleName=None,
            uris=None,
            fileNames=None,
            nodeNames=None,
            customDownloader=None,
            thumbnailFileName=None,
            loadFileType="VolumeFile",
            loadFiles=None,
            loadFileProperties=None,
            checksums=None,
        ):
            source = (sampleName, uris, fileNames, nodeNames, thumbnailFileName, loadFileType, checksums)
            assert all(isinstance(value, str) for value in source)
            if source not in sources.setdefault(category, []):
                sources[category].append(source)

    module = types.ModuleType("SampleData")
    module.SampleDataLogic = SampleDataLogic
    monkeypatch.setitem(sys.modules, "SampleData", module)
    return sources


def test_the_scan_is_offered_with_checksum_and_picture(language, registered):
    assert sampledata.register(ICONS) is True
    assert list(registered) == ["MedAD"]
    assert [source[3] for source in registered["MedAD"]] == ["MRHead"]
    for title, uri, file_name, _node, thumbnail, kind, checksum in registered["MedAD"]:
        assert title not in SLICERS_OWN, "Slicer finds samples for scripts by this name"
        assert kind == "VolumeFile" and file_name.endswith(".nrrd")
        folder, _slash, digest = uri.rpartition("/")
        assert folder == "https://github.com/Slicer/SlicerTestingData/releases/download/SHA256"
        assert checksum == f"SHA256:{digest}" and len(bytes.fromhex(digest)) == 32
        assert picture_size(thumbnail) == (192, 128)


def test_registering_again_adds_nothing(language, registered):
    sampledata.register(str(ICONS))
    before = {category: list(sources) for category, sources in registered.items()}
    sampledata.register(ICONS)
    assert registered == before


def test_a_slicer_without_sample_data_is_fine(language, monkeypatch):
    monkeypatch.setitem(sys.modules, "SampleData", None)
    assert sampledata.register(ICONS) is False


def test_titles_and_texts_are_translated(language, registered):
    language.tr = lambda text: f"«{text}»"
    sampledata.register(ICONS)
    assert all(source[0].startswith("«") for source in registered["MedAD"])
    assert all(sample.expect.startswith("«") for sample in sampledata.samples())


def test_no_scan_outside_the_scope_of_the_models_is_offered(language):
    """The shipped models know T1 without contrast agent; both tumours among Slicer's samples are contrast-enhanced."""
    assert not {sample.node_name for sample in sampledata.samples()} & {"MRBrainTumor1", "MRBrainTumor2"}


def test_the_button_and_the_help_say_what_to_expect(language):
    (sample,) = sampledata.samples()
    assert "without known lesion" in sample.title and "false positive" in sample.title
    page = ElementTree.fromstring(f"<html>{sampledata.what_to_expect()}</html>")
    (head,) = ("".join(item.itertext()) for item in page.iter("li"))
    assert "No lesion is known" in head and "skull" in head and "without contrast agent" in head
    assert "false positives" in head and "make demo" in head


def test_pictures_are_what_the_script_draws(monkeypatch):
    image = pytest.importorskip("PIL.Image")
    monkeypatch.syspath_prepend(str(ROOT / "Resources"))
    import draw_thumbnails

    for name, pixels in draw_thumbnails.draw_all().items():
        path = ICONS / name
        assert path.stat().st_size < 20_000
        with image.open(path) as saved:
            difference = np.abs(np.asarray(saved.convert("L")).astype(int) - pixels)
        assert difference.max() <= 1, f"run python Resources/draw_thumbnails.py: {name} is not what it draws"


def picture_size(path):
    data = Path(path).read_bytes()[:24]
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    return struct.unpack(">II", data[16:24])
