"""Positions in space: a file gives the right one, or is refused with a code; what the user says counts."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
import SimpleITK as sitk
from support.image_files import refused
from support.raised import raises
from support.synthetic import synthetic_detection
from support.troubled import troubled
from support.volume_files import ARRAY, RAS, SHAPE, SPACING, VECTORS, lies_at, meta, nifti, nrrd

from MedADLib.detection import content_hash
from MedADLib.errors import InputError
from MedADLib.io.nifti import nifti_position
from MedADLib.io.reading import read_image, read_mask, read_mask_by_header
from MedADLib.io.reading_options import ReadingOptions
from MedADLib.results.reading import reopen, stored_results
from MedADLib.results.writing import with_reading, write_detection
from MedADLib.volume import Volume, orientation, reoriented


@pytest.fixture
def warned(caplog):
    """The codes of what was warned of."""
    caplog.set_level("WARNING")
    return lambda: [record.msg.code for record in caplog.records]


def turned(axis, degrees):
    angle = np.radians(degrees)
    matrix, others = np.eye(4), [n for n in range(3) if n != axis]
    matrix[np.ix_(others, others)] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    return matrix


# NIfTI.


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("codes", [(1, 1), (0, 1), (1, 0), (2, 4)])
@pytest.mark.parametrize("name", ["scan.nii", "scan.nii.gz"])
def test_both_versions_are_read_at_their_place(tmp_path, version, codes, name, warned):
    lies_at(read_image(nifti(tmp_path / name, codes=codes, version=version)), RAS)
    assert warned() == []


def test_the_name_does_not_decide_whether_a_file_is_compressed(tmp_path):
    for content, name in (("a.nii.gz", "b.nii"), ("a.nii", "b.nii.gz")):
        (tmp_path / name).write_bytes(nifti(tmp_path / content).read_bytes())
        lies_at(read_image(tmp_path / name), RAS)


@pytest.mark.parametrize("codes", list(product((1, 2), (1, 2))))
@pytest.mark.parametrize(
    "turn", [np.diag([-1, 1, 1, 1]), turned(2, 180), turned(1, 180), np.diag([1, -1, 1, 1])], ids=["x", "z", "y", "AP"]
)
def test_positions_that_swap_left_and_right_are_refused_unless_the_user_chooses(tmp_path, codes, turn):
    path = nifti(tmp_path / "scan.nii", sform=turn @ RAS, codes=codes)
    refused(path, "forms_mirrored")
    lies_at(read_image(path, options=ReadingOptions(form="sform")), turn @ RAS)
    lies_at(read_image(path, options=ReadingOptions(form="qform")), RAS)


def test_positions_that_are_turned_are_refused_and_those_of_an_oblique_scan_are_not(tmp_path, warned):
    refused(nifti(tmp_path / "far.nii", sform=turned(0, 90) @ RAS), "forms_turned")
    lies_at(read_image(nifti(tmp_path / "near.nii", sform=turned(0, 20) @ RAS, codes=(1, 2))), RAS)
    assert warned() == ["forms_disagree"]


@pytest.mark.parametrize("codes", [(1, 1), (1, 2), (2, 1)])
def test_positions_that_are_moved_are_warned_of_whichever_is_used(tmp_path, codes, warned):
    moved = RAS.copy()
    moved[:3, 3] += (20, -15, 10)
    read_image(nifti(tmp_path / "scan.nii", sform=moved, codes=codes))
    assert warned() == ["forms_disagree"]


def test_a_spacing_that_contradicts_the_sform_is_refused_unless_the_user_decides(tmp_path):
    path = nifti(tmp_path / "scan.nii", codes=(0, 1), pixdim=SPACING * 4 / 3)
    parameters = refused(path, "spacing_conflict").parameters
    assert (parameters["sform"], parameters["pixdim"]) == ("3 x 2 x 4", "4 x 2.667 x 5.333")
    lies_at(read_image(path, options=ReadingOptions(form="sform")), RAS)
    assert read_image(path, options=ReadingOptions(spacing=(4, 3, 5))).spacing == pytest.approx([4, 3, 5])


@pytest.mark.parametrize("pixdim", [(0, 0, 0), (-1, -1, -1), (3, 0, 4), (np.nan,) * 3, (3, np.nan, 4)])
@pytest.mark.parametrize("codes", [(0, 1), (1, 1), (2, 4)])
def test_a_spacing_that_was_never_set_does_not_matter_beside_an_sform(tmp_path, pixdim, codes):
    lies_at(read_image(nifti(tmp_path / "scan.nii", pixdim=pixdim, codes=codes)), RAS)


@pytest.mark.parametrize(("units", "factor"), [(1, 1000), (2, 1), (3, 1e-3), (0, 1)])
@pytest.mark.parametrize("version", [1, 2])
def test_every_unit_of_length_is_understood_without_a_false_alarm(tmp_path, units, factor, version, warned):
    stored = RAS / np.array([[factor]] * 3 + [[1]])
    path = nifti(tmp_path / "a.nii", stored, (1, 1), SPACING / factor, version, units, offset=stored[:3, 3])
    lies_at(read_image(path), RAS)
    assert warned() == []


def test_an_unknown_unit_is_refused_unless_the_user_names_it(tmp_path):
    path = nifti(tmp_path / "a.nii", units=5)
    refused(path, "unknown_unit")
    lies_at(read_image(path, options=ReadingOptions(unit="mm")), RAS)


@pytest.mark.parametrize("slant", [2e-4, 5e-4, 9e-4])
@pytest.mark.parametrize("codes", [(0, 1), (1, 1), (1, 2)])
def test_a_slightly_sheared_sform_is_read(tmp_path, slant, codes):
    sheared = RAS.copy()
    sheared[0, 1] += slant * SPACING[1]
    volume = read_image(nifti(tmp_path / "scan.nii", sform=sheared, codes=codes))
    corner = np.array([*np.array(SHAPE) - 1, 1])
    assert np.abs((volume.affine - sheared) @ corner).max() < 0.05
    # Results are written and read on the same grid.
    for file in write_detection(
        synthetic_detection(volume), tmp_path, "case", figure=False, source=tmp_path / "scan.nii"
    ):
        if file.name.endswith("anomaly.nii.gz"):
            assert read_image(file, uniform=True).same_grid(volume, 0.02)


def test_a_sheared_sform_is_refused_and_a_qform_beside_it_is_used(tmp_path):
    sheared = RAS.copy()
    sheared[0, 1] += 0.02
    refused(nifti(tmp_path / "a.nii", sform=sheared, codes=(0, 1)), "not_orthogonal")
    lies_at(read_image(nifti(tmp_path / "b.nii", sform=sheared, codes=(1, 1))), RAS)


def test_an_empty_sform_is_left_out(tmp_path):
    lies_at(read_image(nifti(tmp_path / "a.nii", sform=np.zeros((4, 4)))), RAS)
    refused(nifti(tmp_path / "b.nii", sform=np.zeros((4, 4)), codes=(0, 1)), "no_position")


# What a header lacks.


@pytest.mark.parametrize("letters", ["RAS", "LPS", "LAS", "PIR", "SRA"])
def test_a_nifti_file_without_codes_needs_an_orientation(tmp_path, letters):
    path = nifti(tmp_path / "scan.nii", codes=(0, 0), sform=np.zeros((4, 4)), offset=(0, 0, 0))
    refused(path, "no_orientation")
    volume = read_image(path, options=ReadingOptions(orientation=letters))
    assert orientation(volume) == letters and volume.spacing == pytest.approx(SPACING)
    assert np.array_equal(volume.array, ARRAY)
    middle = volume.ras_from_voxels(0.5 * (np.array(SHAPE[::-1])[None] - 1))
    assert np.abs(middle).max() < 1e-6


def test_a_position_without_a_code_is_used_if_it_agrees_with_the_user(tmp_path):
    path = nifti(tmp_path / "scan.nii", codes=(0, 0))
    lies_at(read_image(path, options=ReadingOptions(orientation="RAS")), RAS)


def test_nrrd_files_are_read_at_their_place(tmp_path):
    signs = {"right-anterior-superior": (1, 1), "left-posterior-superior": (-1, -1), "LAS": (-1, 1)}
    for space, (x, y) in signs.items():
        vectors, origin = f"({3 * x},0,0) (0,{2 * y},0) (0,0,4)", f"({-20 * x},{-15 * y},-30)"
        path = nrrd(tmp_path / "a.nrrd", space=space, space_directions=vectors, space_origin=origin)
        lies_at(read_image(path), RAS)


@pytest.mark.parametrize(
    "fields",
    [
        {"spacings": "3 2 4"},
        {"space_dimension": 3, "space_directions": VECTORS, "space_origin": "(1,2,3)"},
        {"space": "scanner-xyz", "space_directions": VECTORS},
        {"space": "3D-right-handed", "space_directions": VECTORS},
    ],
    ids=["none", "dimension", "scanner", "handed"],
)
def test_a_nrrd_file_that_does_not_say_how_the_patient_lies_needs_an_orientation(tmp_path, fields):
    path = nrrd(tmp_path / "a.nrrd", **fields)
    refused(path, "no_orientation")
    volume = read_image(path, options=ReadingOptions(orientation="LPS"))
    assert orientation(volume) == "LPS" and volume.spacing == pytest.approx(SPACING)


def test_a_nrrd_file_without_spacing_needs_one(tmp_path):
    path = nrrd(tmp_path / "a.nrrd")
    refused(path, "no_spacing")
    volume = read_image(path, options=ReadingOptions("RAS", (3, 2, 4)))
    assert orientation(volume) == "RAS" and volume.spacing == pytest.approx(SPACING)
    refused(nrrd(tmp_path / "nan.nrrd", spacings="nan nan nan"), "no_spacing")
    refused(nrrd(tmp_path / "some.nrrd", spacings="1 nan 1"), "bad_spacing")
    far = nrrd(tmp_path / "far.nrrd", space="RAS", space_directions="(1e30,0,0) (0,1e30,0) (0,0,1e30)")
    refused(far, "bad_spacing")


@pytest.mark.parametrize(("unit", "factor"), [("mm", 1), ("um", 1e-3), ("µm", 1e-3), ("cm", 10), ("m", 1000)])
def test_space_units_of_nrrd_count(tmp_path, unit, factor):
    vectors = " ".join(f"({','.join(f'{v:.9g}' for v in row)})" for row in np.diag(SPACING / factor))
    origin = f"({','.join(f'{v:.9g}' for v in RAS[:3, 3] / factor)})"
    units = " ".join([f'"{unit}"'] * 3)
    path = nrrd(tmp_path / "a.nrrd", space="RAS", space_directions=vectors, space_origin=origin, space_units=units)
    lies_at(read_image(path), RAS)


def test_an_unknown_or_mixed_unit_of_nrrd_is_refused(tmp_path):
    for units in ('"inch" "inch" "inch"', '"mm" "mm" "um"'):
        path = nrrd(tmp_path / "a.nrrd", space="RAS", space_directions=VECTORS, space_units=units)
        refused(path, "unknown_unit")


def test_a_meta_image_that_lacks_orientation_or_spacing_needs_them(tmp_path):
    lies_at(read_image(meta(tmp_path / "a.mha")), RAS)
    lies_at(read_image(meta(tmp_path / "o.mha", TransformMatrix=None, Orientation="-1 0 0 0 -1 0 0 0 1")), RAS)
    path = meta(tmp_path / "b.mha", TransformMatrix=None)
    refused(path, "no_orientation")
    lies_at(read_image(path, options=ReadingOptions("RAS")), RAS)
    path = meta(tmp_path / "c.mha", ElementSpacing=None)
    refused(path, "no_spacing")
    lies_at(read_image(path, options=ReadingOptions(spacing=(3, 2, 4))), RAS)
    refused(meta(tmp_path / "d.mha", TransformMatrix="2 0 0 0 2 0 0 0 2"), "no_position")
    refused(meta(tmp_path / "e.mha", TransformMatrix="nan 0 0 0 1 0 0 0 1"), "no_position")


# Headers that contradict themselves.


def twice(path, line):
    """Add a line to a header of `nrrd` or `meta`, before its end."""
    head, data, rest = path.read_bytes().partition(b"\n\n" if path.suffix == ".nrrd" else b"\nElementDataFile")
    path.write_bytes(head + b"\n" + line.encode() + data + rest)
    return path


SPACE = {"space": "RAS", "space_directions": VECTORS, "space_origin": "(-20,-15,-30)"}
NRRD_DOUBLES = {
    "sizes: 12 20 16": "sizes: 12.0 16 20",
    "space: LPS": "space: ras",
    "space directions: (-3,0,0) (0,2,0) (0,0,4)": "space directions: (3, 0, 0) (0, 2, 0) (0, 0, 4.0)",
    "space origin: (20,15,-30)": "space origin: (-20.0,-15,-30)",
    "type: int": "type:  float",
    "endian: big": "endian: LITTLE",
    "encoding: gzip": "encoding: RAW",
    "byte skip: 8\nbyte skip: 4": "byte skip: 0",
    "spacings: 3 2 5": "spacings: 3 2.001 4",
    "spacings: 2 3 4": "spacings: nan nan nan",
}
META_DOUBLES = {
    "DimSize = 16 12 20": "DimSize = 12 16 20",
    "ElementSpacing = 2 3 4": "ElementSpacing = 3.0 2.0 4",
    "TransformMatrix = 1 0 0 0 -1 0 0 0 1": "TransformMatrix = -1 -0 0 0 -1 0 0 0 1",
    "Offset = 0 0 0": "Offset = 20.0 15 -30",
    "Position = 0 0 0": "Position = 20 15 -30",
    "Origin = -20 15 -30": "Origin = 20 15.0001 -30",
    "Orientation = 1 0 0 0 -1 0 0 0 1": "Orientation = -1 0 0 0 -1 0 0 0 1",
    "Rotation = -1 0 0 0 0 1 0 1 0": "Rotation = -1 0 0 0 -1 0 0 0 1",
    "ElementByteOrderMSB = True\nBinaryDataByteOrderMSB = False": "ElementByteOrderMSB = False",
    "ElementType = MET_INT": "ElementType = MET_FLOAT",
}


@pytest.mark.parametrize("line", NRRD_DOUBLES)
def test_a_nrrd_header_that_contradicts_itself_is_refused_and_one_that_repeats_itself_is_read(tmp_path, line):
    refused(twice(nrrd(tmp_path / "a.nrrd", **SPACE), line), "header_contradiction")
    lies_at(read_image(twice(nrrd(tmp_path / "b.nrrd", **SPACE), NRRD_DOUBLES[line])), RAS)


@pytest.mark.parametrize("line", META_DOUBLES)
def test_a_meta_header_that_contradicts_itself_is_refused_and_one_that_repeats_itself_is_read(tmp_path, line):
    refused(twice(meta(tmp_path / "a.mha"), line), "header_contradiction")
    lies_at(read_image(twice(meta(tmp_path / "b.mha"), META_DOUBLES[line])), RAS)


def test_a_spacing_that_the_user_gives_ends_the_contradiction_of_two(tmp_path):
    path = twice(nrrd(tmp_path / "a.nrrd", **SPACE), "spacings: 1 1 1")
    assert read_image(path, options=ReadingOptions(spacing=(3, 2, 4))).spacing == pytest.approx(SPACING)


def test_comments_and_keys_of_the_user_may_stand_twice(tmp_path):
    path = twice(nrrd(tmp_path / "a.nrrd", **SPACE), "content: one\ncontent: two\n# space: LPS\nspace:=LPS\nsizes:=1")
    lies_at(read_image(path), RAS)
    lies_at(read_image(twice(meta(tmp_path / "a.mha"), "Comment = one\nComment = two")), RAS)


def test_a_file_without_a_place_in_space_is_read_and_this_is_said(tmp_path, warned):
    at_zero = RAS.copy()
    at_zero[:3, 3] = 0
    for origin in (None, "none", "(nan,nan,nan)"):
        lies_at(read_image(nrrd(tmp_path / "a.nrrd", **{**SPACE, "space_origin": origin})), at_zero)
    lies_at(read_image(meta(tmp_path / "a.mha", Offset=None)), at_zero)
    assert warned() == ["no_origin"] * 4
    refused(nrrd(tmp_path / "b.nrrd", **{**SPACE, "space_origin": "(1,nan,2)"}), "no_position")
    refused(nrrd(tmp_path / "c.nrrd", **{**SPACE, "space_origin": "(1,2)"}), "no_position")


TIMED = ("right-anterior-superior-time", "RAST", "left-posterior-superior-time", "LPST", None)


@pytest.mark.parametrize("space", TIMED)
@pytest.mark.parametrize("first", [False, True], ids=["last", "first"])
def test_one_time_point_of_space_and_time_is_read(tmp_path, space, first, warned):
    sign = 1 if space and space.upper().startswith("R") else -1
    axes = [f"({3 * sign},0,0,0)", f"(0,{2 * sign},0,0)", "(0,0,4,0)", "(0,0,0,1)"]
    sizes = ["12", "16", "20", "1"]
    if first:
        axes, sizes = axes[3:] + axes[:3], sizes[3:] + sizes[:3]
    fields = {"space": space} if space else {"space_dimension": 4, "kinds": "domain domain domain domain"}
    origin = f"({-20 * sign},{-15 * sign},-30,0)"
    fields |= {"dimension": 4, "space_directions": " ".join(axes), "space_origin": origin, "sizes": " ".join(sizes)}
    lies_at(read_image(nrrd(tmp_path / "a.nrrd", **fields)), RAS)
    assert warned() == ([] if space else ["space_of_itk"])
    two = {**fields, "sizes": fields["sizes"].replace("12", "6").replace("1 ", "2 ", 1) if first else "6 16 20 2"}
    refused(nrrd(tmp_path / "b.nrrd", **two), "not_3d")


def test_what_simpleitk_writes_of_one_time_point_is_read_at_its_place(tmp_path):
    image = sitk.JoinSeries([Volume(ARRAY, RAS).to_sitk()])
    for suffix in (".nrrd", ".nhdr", ".mha", ".mhd", ".nii.gz"):
        sitk.WriteImage(image, str(tmp_path / f"a{suffix}"))
        lies_at(read_image(tmp_path / f"a{suffix}"), RAS)


def test_four_dimensions_of_another_writer_do_not_say_how_the_patient_lies(tmp_path):
    axes = "(3,0,0,0) (0,2,0,0) (0,0,4,0) (0,0,0,1)"
    path = nrrd(tmp_path / "a.nrrd", dimension=4, sizes="12 16 20 1", space_dimension=4, space_directions=axes)
    refused(path, "no_orientation")
    skewed = axes.replace("(0,0,4,0)", "(0,0,4,1)")
    path = nrrd(tmp_path / "b.nrrd", dimension=4, sizes="12 16 20 1", space="RAST", space_directions=skewed)
    refused(path, "no_position")


# What is over 1 m across.


def test_what_is_over_a_metre_across_is_refused_unless_the_unit_is_sure(tmp_path, warned):
    path = nifti(tmp_path / "a.nii", np.vstack([RAS[:3] * 20, RAS[3:]]), pixdim=SPACING * 20, offset=RAS[:3, 3] * 20)
    parameters = refused(path, "extent_too_large").parameters
    assert parameters["extent"] == pytest.approx(1600)
    assert read_image(path, options=ReadingOptions(unit="mm")).spacing == pytest.approx(SPACING * 20)
    assert read_image(path, options=ReadingOptions(spacing=(3, 2, 4))).spacing == pytest.approx(SPACING)
    assert read_image(path, options=ReadingOptions(unit="um")).spacing == pytest.approx(SPACING / 50)


# What the user says.


def test_an_orientation_against_the_header_counts_and_is_warned_of(tmp_path, warned):
    path = nifti(tmp_path / "a.nii")
    lies_at(read_image(path, options=ReadingOptions("RAS")), RAS)
    assert warned() == []
    assert orientation(read_image(path, options=ReadingOptions("LAS"))) == "LAS"
    assert warned() == ["orientation_replaced"]


@pytest.mark.parametrize("letters", ["RA", "RLS", "RAX", "ras", "RASR", 5])
def test_an_impossible_orientation_is_refused(letters):
    with raises(InputError, "bad_orientation_option"):
        ReadingOptions(orientation=letters)


def test_impossible_options_are_refused():
    for spacing in ((1, 2), (1, 2, 0), (1, 2, np.nan), "x", (1, 2, -3)):
        with raises(InputError, "bad_spacing_option"):
            ReadingOptions(spacing=spacing)
    for options, code in (({"unit": "inch"}, "bad_unit_option"), ({"form": "both"}, "bad_form_option")):
        with raises(InputError, code):
            ReadingOptions(**options)
    for values in ({"colour": "red"}, ["RAS"]):
        with raises(InputError, "bad_reading_options"):
            ReadingOptions.from_json(values)
    options = ReadingOptions("RAS", (1, 2, 3), "mm", "sform")
    assert ReadingOptions.from_json(options.as_json()) == options and ReadingOptions().as_json() == {}


def test_a_form_that_is_not_there_is_refused(tmp_path):
    with raises(InputError, "form_missing", form="qform"):
        read_image(nifti(tmp_path / "a.nii", codes=(0, 1)), options=ReadingOptions(form="qform"))


def test_a_mask_is_read_as_its_scan_or_by_its_own_header(tmp_path):
    bare = nifti(tmp_path / "scan.nii", codes=(0, 0))
    options = ReadingOptions(orientation="RAS")
    scan = read_image(bare, options=options)
    lies_at(read_mask(bare, scan, options), RAS)
    flipped = reoriented(scan, "LPI")
    flipped.write(tmp_path / "mask.nrrd")
    assert orientation(read_mask(tmp_path / "mask.nrrd", scan, options)) == "LPI"


def test_a_mask_that_fits_both_ways_is_refused(tmp_path):
    bare = nifti(tmp_path / "scan.nii", codes=(0, 0), sform=np.zeros((4, 4)), offset=(0, 0, 0))
    options = ReadingOptions(orientation="RAS")
    scan = read_image(bare, options=options)
    # Right by its own header, and about the same centre mirrored by the options.
    reoriented(scan, "LAS").write(tmp_path / "mask.nrrd")
    with raises(InputError, "mask_fits_two_ways"):
        read_mask(tmp_path / "mask.nrrd", scan, options)
    scan.write(tmp_path / "same.nrrd")
    lies_at(read_mask(tmp_path / "same.nrrd", scan, options), scan.affine)
    lies_at(read_mask_by_header(tmp_path / "mask.nrrd", scan, options), scan.affine)
    lies_at(read_mask_by_header(bare, scan, options), scan.affine)


def test_a_result_finds_its_scan_as_the_user_read_it(tmp_path):
    path, options = nifti(tmp_path / "scan.nii", codes=(0, 0)), ReadingOptions(orientation="LPS")
    volume = read_image(path, options=options)
    detection = synthetic_detection(volume)
    scan = {"name": "scan", "sha256": content_hash(volume)}
    detection = with_reading(replace(detection, provenance={**detection.provenance, "input": scan}), options)
    (tmp_path / "out").mkdir()
    write_detection(detection, tmp_path / "out", "scan", figure=False, source=path)
    assert reopen(stored_results(tmp_path / "out")[0]).volume.same_grid(detection.volume)


@pytest.mark.parametrize("form", ["sform", "qform"])
def test_results_of_a_scan_with_two_positions_lie_where_the_user_said(tmp_path, form):
    path = nifti(tmp_path / "scan.nii", sform=np.diag([-1, 1, 1, 1]) @ RAS)
    volume = read_image(path, options=ReadingOptions(form=form))
    assert nifti_position(path, volume.affine) is None
    file = write_detection(synthetic_detection(volume), tmp_path, "case", figure=False, source=path)[0]
    assert read_image(file, uniform=True).same_grid(volume)


# The inputs of the issue.

SOUND = (
    *("4d_one_frame.mha", "bzip2.nrrd", "nifti2.nii.gz", "utf8_detached.nhdr", "sform_shear_0.0005.nii.gz"),
    *("units_micron_both_forms.nii.gz", "forms_27mm_apart_both_codes_1.nii.gz", "nan_background.nii.gz"),
)
REFUSED = {
    "no_orientation_codes.nii.gz": ("no_orientation", ReadingOptions("RAS")),
    "no_space_RPS_voxel_order.nrrd": ("no_orientation", ReadingOptions("RPS")),
    "pixdim_4mm_sform_3mm.nii.gz": ("spacing_conflict", ReadingOptions(spacing=(4, 4, 4))),
    "spacing_80mm.nii.gz": ("extent_too_large", ReadingOptions(spacing=(4, 4, 4))),
}


def close_to_reference(volume, moved=False):
    """Assert that a volume holds the reference at the same place, or with `moved` beside it."""
    reference = read_image(troubled("reference.nii.gz"))
    found = reoriented(volume, "RAS")
    if moved:
        found = Volume(found.array, reference.affine)
    assert found.same_grid(reference, 0.15)
    assert np.abs(found.array - reference.array).max() < 1


@pytest.mark.parametrize("name", SOUND)
def test_sound_inputs_hold_the_reference_at_its_place(name):
    close_to_reference(read_image(troubled(name)))


@pytest.mark.parametrize("name", REFUSED)
def test_doubtful_inputs_are_refused_unless_the_user_knows(name):
    path, (code, options) = troubled(name), REFUSED[name]
    refused(path, code)
    volume = read_image(path, options=options)
    close_to_reference(volume, moved=not name.startswith(("no_orientation", "pixdim")))


@pytest.mark.parametrize("path", sorted(troubled("crashes", skip=False).glob("*.mha")), ids=lambda path: path.name)
def test_files_on_which_other_readers_crash_are_refused(path):
    refused(path, "impossible_size", "no_position")
