"""Results of images without spacing or orientation: pixels and % in place of mL and mm, no letters, one row."""

from __future__ import annotations

import csv
import json
from dataclasses import replace

import numpy as np
import pytest
from support.image_files import write, write_slice
from support.phantoms import one_thread  # noqa: F401
from support.radiograph_phantoms import radiograph, toy_plane_model
from support.raised import raises
from support.synthetic import brain_volume, synthetic_detection

from MedADLib import Settings, detect, load_model
from MedADLib.cli.main import main
from MedADLib.errors import InputError
from MedADLib.io.child_reading import in_child
from MedADLib.io.reading import read_image
from MedADLib.io.sources import named_scan
from MedADLib.results.decisions import Decision, accepted
from MedADLib.results.exchange import read_volume, write_volume
from MedADLib.results.figure import draw
from MedADLib.results.reading import reopen, stored_results
from MedADLib.results.text import amount, count_of_regions, provenance_text, top_regions
from MedADLib.volume import reoriented

PIXELS = radiograph(101, lesion=(0.4, 0.2)).array[0, ::-1].astype(np.int16)
PLACED = ("ImageOrientationPatient", "ImagePositionPatient", "PixelSpacing", "ImagerPixelSpacing")


@pytest.fixture
def png(tmp_path):
    return write(tmp_path / "chest.png", PIXELS.astype(np.uint16))


@pytest.fixture
def run(one_thread, tmp_path, capsys):  # noqa: F811
    """Runs ``medad detect`` with a toy 2-D model; gives exit code, output, errors and the folder of the results."""

    def call(path, *options):
        out = tmp_path / "out"
        words = ["detect", path, "-o", out, "--model", toy_plane_model(), *options]
        try:
            code = main([str(word) for word in words])
        except SystemExit as ended:
            code = ended.code
        printed = capsys.readouterr()
        return code, printed.out, printed.err, out

    return call


@pytest.fixture
def drawn(monkeypatch, tmp_path):
    from matplotlib.figure import Figure

    figures, save = [], Figure.savefig
    monkeypatch.setattr(Figure, "savefig", lambda self, *args, **kw: (figures.append(self), save(self, *args, **kw))[1])

    def call(detection):
        draw(detection, tmp_path / "drawn.png")
        return figures[-1]

    return call


def computed_radiograph(path, spaced=True):
    """Write a computed radiograph, with pixels of 4 mm or of unknown size."""
    import pydicom

    write_slice(path, PIXELS, (0, 0, 0), _0008_0060="CR", _0008_0016="1.2.840.10008.5.1.4.1.1.1")
    file = pydicom.dcmread(path)
    for keyword in PLACED:
        file.pop(keyword, None)
    if spaced:
        file.ImagerPixelSpacing = [4, 4]
    file.save_as(path)
    return path


def examined(path, **settings):
    return detect(named_scan(path).read(), load_model(toy_plane_model()), Settings(**settings))


def texts_of(figure):
    return [text.get_text() for text in [*figure.texts, *(text for axes in figure.axes for text in axes.texts)]]


def letters_of(figure):
    return sorted(text for text in texts_of(figure) if text in set("RLAPSI"))


def test_a_file_says_whether_it_has_spacing_and_orientation(png, tmp_path):
    np.savez(tmp_path / "set.npz", images=np.stack([PIXELS, PIXELS]))
    write_slice(tmp_path / "mr.dcm", PIXELS, (0, 0, 0))
    brain_volume().write(tmp_path / "brain.nii.gz")
    wanted = {"chest.png": (False, False), "set.npz#1": (False, False), "mr.dcm": (True, True)}
    for name, facts in {**wanted, "brain.nii.gz": (True, True)}.items():
        volume = named_scan(tmp_path / name).read()
        assert (volume.has_spacing, volume.has_orientation) == facts, name


@pytest.mark.parametrize("spaced", [True, False])
def test_a_radiograph_has_no_orientation_and_only_the_spacing_in_its_file(tmp_path, spaced):
    volume = named_scan(computed_radiograph(tmp_path / "cr.dcm", spaced)).read()
    assert (volume.has_spacing, volume.has_orientation) == (spaced, False)


def test_what_a_file_lacks_stays_known_on_every_way(png, tmp_path):
    volume = named_scan(png).read()
    with in_child():
        read = named_scan(png).read()
    write_volume(volume, tmp_path / "exchanged")
    box = (slice(0, 1), slice(2, 9), slice(3, 9))
    changed = [volume.with_array(volume.array + 1), volume.within(box), reoriented(volume, "RAS")]
    for one in (read, read_volume(tmp_path / "exchanged"), *changed):
        assert not one.has_spacing and not one.has_orientation
    write_volume(brain_volume(), tmp_path / "brain")
    assert read_volume(tmp_path / "brain").has_spacing


def test_an_image_has_pixels_and_percent_in_place_of_ml_and_mm(png, run, drawn):
    code, out, _, folder = run(png)
    assert code == 0 and " pixels (" in out and " % of the image)" in out and "peak at column " in out
    facts = json.loads((folder / "chest.json").read_text())
    (found,) = (reopen(stored) for stored in stored_results(folder))
    in_figure, provenance = "\n".join(texts_of(drawn(found))), provenance_text(found)
    for text in (out, "\n".join(facts["summary"]), in_figure, provenance):
        assert " mL" not in text and "(mL)" not in text and " mm" not in text
    for text in (out, "\n".join(facts["summary"]), in_figure):
        assert "% of a healthy image" in text
    count = int((found.labels.array == 1).sum())
    column, row = (int(part) for part in top_regions(found)[0].rsplit("column ")[1].split(", row "))
    assert f"1. {count} pixels ({100 * count / PIXELS.size:.2g} % of the image)" in out
    assert found.anomaly.array[0, row, column] == np.float32(found.regions[0].peak)
    with (folder / "chest_regions.tsv").open(newline="") as stream:
        first = next(csv.DictReader(stream, delimiter="\t"))
    assert first["pixels"] == str(count) and first["volume_ml"] == first["peak_r"] == first["box_s_max"] == ""
    assert int(first["voxel_x_stop"]) > int(first["voxel_x_start"])


def test_the_figure_of_an_image_is_one_row_without_letters(png, one_thread, drawn):  # noqa: F811
    found = examined(png)
    figure = drawn(found)
    assert letters_of(figure) == []
    images = [axes for axes in figure.axes if axes.images and axes.images[0].get_array().shape == PIXELS.shape]
    assert len(images) == 3 + len(found.regions)
    assert len({axes.get_position().y0 for axes in images[:3]}) == 1
    assert not {"axial", "coronal", "sagittal"} & {word for text in texts_of(figure) for word in text.split()}


def test_a_slice_of_an_mri_keeps_mm_and_letters(tmp_path, one_thread, drawn):  # noqa: F811
    write_slice(tmp_path / "mr.dcm", PIXELS, (0, 0, 0))
    found = examined(tmp_path / "mr.dcm")
    figure = drawn(found)
    assert letters_of(figure) == sorted("RLAP" * 3)
    assert any("axial, 0 mm" in text for text in texts_of(figure))
    assert " mL in all" in count_of_regions(found) and "mm left" in top_regions(found)[0]
    assert "has_spacing" not in found.provenance["input"]


def test_a_radiograph_with_spacing_has_square_mm_and_no_letters(tmp_path, one_thread, drawn):  # noqa: F811
    found = examined(computed_radiograph(tmp_path / "cr.dcm"))
    assert letters_of(drawn(found)) == []
    area = int((found.labels.array == 1).sum()) * 4 * 4
    assert f"1. {area:.0f} mm² (" in top_regions(found)[0] and "peak at column" in top_regions(found)[0]
    assert " mL" not in count_of_regions(found)


def test_the_figure_of_a_head_is_as_before(drawn):
    figure = drawn(synthetic_detection())
    assert letters_of(figure) == sorted("RLAPRLSIAPSI" * 3) and any("coronal, " in text for text in texts_of(figure))


def test_a_result_of_an_earlier_version_stays_in_ml(png, run):
    *_, folder = run(png)
    facts = json.loads((folder / "chest.json").read_text())
    del facts["input"]["has_spacing"], facts["input"]["has_orientation"], facts["summary"]
    (folder / "chest.json").write_text(json.dumps(facts))
    (found,) = (reopen(stored) for stored in stored_results(folder))
    assert " mL in all" in count_of_regions(found)


def test_the_smallest_region_is_in_pixels_or_ml(png, run, tmp_path):
    sizes = {}
    for limit in (0, 120, 100000):
        code, out, _, folder = run(png, "--smallest-region", f"{limit}px")
        facts = json.loads((folder / "chest.json").read_text())
        labels = read_image(folder / "chest_regions.nii.gz", uniform=True).array.astype(int)
        sizes[limit] = np.bincount(labels[labels > 0], minlength=1)[1:]
        assert code == 0 and facts["settings"]["smallest_region_px"] == limit
    assert (sizes[0] < 120).any() and len(sizes[120]) and (sizes[120] >= 120).all() and not len(sizes[100000])
    brain = synthetic_detection().volume
    assert Settings().on(brain).as_json() == Settings().as_json()
    assert Settings().on(named_scan(png).read()).smallest_region_px == 50
    assert Settings.from_json(Settings(smallest_region_px=20).as_json()).smallest_region_px == 20


def test_a_smallest_region_in_the_wrong_unit_is_refused(png, run, tmp_path):
    brain_volume().write(tmp_path / "brain.nii.gz")
    for path, size, words in (
        (png, "0.05ml", "20px"),
        (tmp_path / "brain.nii.gz", "20px", "0.05ml"),
        (png, "20", "no unit"),
        (png, "2.5px", "out of range"),
    ):
        code, _, err, folder = run(path, "--smallest-region", size)
        assert code in (1, 2) and words in err and not list(folder.glob("*"))
    with raises(InputError, "pixels_for_images"):
        Settings(smallest_region_px=20).on(brain_volume())
    for px in (-1, 2.5, True, "20"):
        with raises(InputError, "smallest_region_pixels"):
            Settings(smallest_region_px=px)


def test_only_specks_is_said_everywhere(png, run, drawn):
    code, out, _, folder = run(png, "--smallest-region", "4000px")
    (found,) = (reopen(stored) for stored in stored_results(folder))
    facts = json.loads((folder / "chest.json").read_text())
    for text in (out, "\n".join(facts["summary"]), "\n".join(texts_of(drawn(found)))):
        assert "only specks above" in text and "each smaller than 4000 pixels" in text
    head = synthetic_detection()
    blank = head.labels.with_array(np.zeros_like(head.labels.array))
    settings = {"settings": {"smallest_region_ml": 50.0}}
    specks = replace(head, regions=(), labels=blank, provenance={**head.provenance, **settings})
    assert "only specks above a rarity of 3, each smaller than 50 mL" in count_of_regions(specks)


def test_rejected_regions_are_no_specks():
    head = synthetic_detection()
    none = accepted(head, {region.rank: Decision(False, "x") for region in head.regions})
    assert count_of_regions(none).startswith("no region above")


def test_sizes_of_a_head_stay_in_ml():
    head = synthetic_detection()
    assert amount(head, 12.345) == "12.3 mL"
