"""2-D images become single slices with the values that were stored."""

from __future__ import annotations

import numpy as np
import pytest
from support.image_files import GREY, SERIES, write, write_slice

from MedADLib.errors import InputError
from MedADLib.io.images import Place, places_in, read_place, read_raster
from MedADLib.io.reading import read_image
from MedADLib.preprocessing.slice_space import SliceView
from MedADLib.volume import is_single_slice

COLOUR = np.random.default_rng(1).integers(0, 255, (5, 7, 3), dtype=np.uint8)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_grey_png_keeps_its_values_its_rows_and_its_columns(tmp_path, dtype):
    array = GREY.astype(dtype) * (200 if dtype == np.uint16 else 1)
    volume = read_raster(write(tmp_path / "a.png", array), "a")
    assert volume.array.dtype == np.float32 and np.array_equal(volume.array[0], array)
    assert is_single_slice(volume) and volume.name == "a" and volume.spacing.tolist() == [1, 1, 1]
    # Upright in the model's space is the first row on top, which is anterior.
    assert np.array_equal(SliceView.of(volume).image(volume.array), array[::-1, ::-1])


def test_colours_become_luminance_and_transparency_is_left_out(tmp_path):
    wanted = COLOUR.astype(float) @ [0.299, 0.587, 0.114]
    transparent = np.concatenate([COLOUR, np.full((5, 7, 1), 9, np.uint8)], axis=2)
    for name, array in (("rgb.png", COLOUR), ("rgba.png", transparent)):
        volume = read_raster(write(tmp_path / name, array, True), name)
        assert volume.array.shape == (1, 5, 7) and np.allclose(volume.array[0], wanted, atol=1e-3)


def test_a_jpeg_is_read(tmp_path):
    smooth = np.add.outer(np.arange(32), np.arange(40)).astype(np.uint8) * 2
    volume = read_raster(write(tmp_path / "a.JPG", smooth), "a")
    assert np.abs(volume.array[0] - smooth).max() < 6


def test_a_dicom_picture_is_what_a_run_on_its_folder_reads(tmp_path):
    write_slice(tmp_path / "1.dcm", SERIES[2], (-10, -20, 5), _0020_0037="0\\1\\0\\0\\0\\-1")
    volume, run = read_raster(tmp_path / "1.dcm", "x"), read_image(tmp_path)
    assert np.array_equal(volume.array[0], SERIES[2])
    pictures = [SliceView.of(one).image(one.array) for one in (volume, run)]
    assert np.array_equal(*pictures) and SliceView.of(volume) == SliceView.of(run)


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.dcm"])
@pytest.mark.parametrize("content", [b"", b"nothing of the kind", b"\x89PNG\r\n\x1a\n" + b"\0" * 40])
def test_what_is_no_picture_is_refused(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError) as refused:
        read_raster(tmp_path / name, "a")
    assert refused.value.code == "not_decoded" and name in refused.value.problem


def test_a_picture_without_contrast_or_of_one_line_is_refused(tmp_path):
    with pytest.raises(InputError) as refused:
        read_raster(write(tmp_path / "flat.png", np.full((4, 4), 7, np.uint8)), "flat")
    assert (refused.value.code, refused.value.parameters["value"]) == ("constant", 7)
    with pytest.raises(InputError) as refused:
        read_raster(write(tmp_path / "line.png", GREY[:1]), "line")
    assert refused.value.code == "single_line" and "line.png" in refused.value.problem


def test_an_npz_of_one_picture_and_of_a_stack(tmp_path):
    np.savez(tmp_path / "one.npz", picture=GREY)
    np.savez(tmp_path / "many.npz", images=np.stack([GREY, GREY // 2, GREY // 3]), ids=np.arange(3))
    assert places_in(tmp_path / "one.npz") == [Place("picture", None)]
    assert places_in(tmp_path / "many.npz") == [Place("images", n) for n in range(3)]
    assert np.array_equal(read_place(tmp_path / "one.npz", Place("picture", None), "a").array[0], GREY)
    assert np.array_equal(read_place(tmp_path / "many.npz", Place("images", 1), "a").array[0], GREY // 2)


def test_coloured_arrays(tmp_path):
    wanted = COLOUR.astype(float) @ [0.299, 0.587, 0.114]
    np.savez(tmp_path / "a.npz", one=COLOUR, stack=np.stack([COLOUR, COLOUR]), grey=COLOUR[None, ..., :1])
    assert places_in(tmp_path / "a.npz") == [Place("grey", 0), Place("one", None), Place("stack", 0), Place("stack", 1)]
    for place in (Place("one", None), Place("stack", 1)):
        assert np.allclose(read_place(tmp_path / "a.npz", place, "a").array[0], wanted, atol=1e-3)
    assert np.array_equal(read_place(tmp_path / "a.npz", Place("grey", 0), "a").array[0], COLOUR[..., 0])


def test_of_labelled_pictures_only_healthy_ones_are_taken_and_nobody_guesses_which(tmp_path):
    file = tmp_path / "medmnist.npz"
    np.savez(file, train_images=np.stack([GREY] * 4), train_labels=np.array([[0], [1], [0], [1]]))
    with pytest.raises(InputError) as refused:
        places_in(file)
    assert (refused.value.code, refused.value.parameters["labels"]) == ("several_labels", "0, 1")
    assert places_in(file, 1) == [Place("train_images", 1), Place("train_images", 3)]
    with pytest.raises(InputError) as refused:
        places_in(file, 5)
    assert refused.value.code == "no_image_arrays"


def test_arrays_that_are_no_pictures_are_refused(tmp_path):
    np.savez(tmp_path / "objects.npz", a=np.array([{}, None], dtype=object))
    np.savez(tmp_path / "names.npz", a=np.array(["x"]))
    np.savez(tmp_path / "deep.npz", a=np.zeros((2, 3, 4, 5)))
    np.savez(tmp_path / "nan.npz", a=np.where(GREY > 99, np.nan, GREY))
    (tmp_path / "broken.npz").write_bytes(b"PK\3\4 and no more")
    codes = {"objects": "bad_npz", "names": "no_image_arrays", "deep": "not_an_image_stack", "broken": "bad_npz"}
    for name, code in codes.items():
        with pytest.raises(InputError) as refused:
            places_in(tmp_path / f"{name}.npz")
        assert refused.value.code == code and f"{name}.npz" in refused.value.problem
    with pytest.raises(InputError) as refused:
        read_place(tmp_path / "nan.npz", Place("a", None), "nan")
    assert refused.value.code == "not_numbers" and refused.value.parameters["nan"] > 0
