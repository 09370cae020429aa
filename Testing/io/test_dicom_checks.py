"""DICOM slices that are missing, mixed or contradict each other: the right volume, an error, or a warning with numbers.

The slices are 3 mm apart.
"""

from __future__ import annotations

import logging

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from pydicom.datadict import tag_for_keyword
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as Items
from support.dicom_frames import AFFINE, CORNER, SHARED, SPACING, VOXELS, frames_of, save, write_classic, write_frames
from support.image_files import refused
from support.raised import raises

from MedADLib.errors import InputError
from MedADLib.io.reading import read_image

COUNT = len(VOXELS)
FILE = "frames.dcm"


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "series"
    made.mkdir()
    return made


@pytest.fixture
def warnings_of(caplog):
    """Read an image that is right, and return the warnings by code."""

    def read(path, kept=slice(None)):
        caplog.clear()
        with caplog.at_level(logging.WARNING):
            volume = read_image(path)
        voxels = VOXELS[kept]
        assert np.array_equal(volume.array, voxels)
        # Each kept slice is where its header states.
        heights = volume.ras_from_voxels([[number, 0, 0] for number in range(len(voxels))])[:, 2]
        assert np.allclose(heights, CORNER[2] + SPACING[2] * np.arange(COUNT)[kept])
        return {record.msg.code: record.msg.parameters for record in caplog.records}

    return read


def write_series(folder, kept=slice(None), **attributes):
    """Write slices as a file each, numbered from 1; attributes may be functions of the index in the whole series."""
    for index in range(COUNT)[kept]:
        own = {"InstanceNumber": index + 1, "ImagePositionPatient": [*CORNER[:2], CORNER[2] + SPACING[2] * index]}
        own |= {key: value(index) if callable(value) else value for key, value in attributes.items()}
        own = {key: value for key, value in own.items() if value is not None}
        write_classic(folder / f"{index}.dcm", VOXELS[index], **own)


def numbered(**attributes):
    """Frames with their numbers in a stack; attributes are functions of the index."""
    frames = frames_of()
    for index, (_, own) in enumerate(frames):
        own.update({"stack": "1", "in_stack": index + 1}, **{key: value(index) for key, value in attributes.items()})
    return frames


def dimensions(*keywords):
    items = []
    for keyword in keywords:
        item = Dataset()
        item.DimensionIndexPointer = tag_for_keyword(keyword)
        items.append(item)
    return {"DimensionIndexSequence": Items(items)}


# Missing slices.

EVERY_SECOND = {
    "by the numbers in the stack": ({}, {}, {}),
    "by the spacing": ({"in_stack": lambda _: None}, {"distance": 3.0}, {}),
    "by the spacing, though it is also the thickness": (
        {"in_stack": lambda _: None},
        {"distance": 3.0, "thickness": 3.0},
        {},
    ),
    "by the indices of positions": (
        {"in_stack": lambda _: None, "indices": lambda index: [1, index + 1]},
        {},
        dimensions("StackID", "ImagePositionPatient"),
    ),
}


@pytest.mark.parametrize("case", EVERY_SECOND.values(), ids=EVERY_SECOND)
def test_every_second_frame_that_the_header_proves_missing_is_an_error(folder, case):
    own, shared, attributes = case
    frames = numbered(**own)
    for _, groups in frames:
        if groups["in_stack"] is None:
            del groups["in_stack"]
    write_frames(folder / FILE, frames, SHARED | shared, **attributes)
    assert np.array_equal(read_image(folder).array, VOXELS)
    write_frames(folder / FILE, frames[::2], SHARED | shared, **attributes)
    message = refused(folder, "missing_slices")
    assert message.parameters["count"] == 3 and message.parameters["gaps"] == "1 (1), 2 (1), 3 (1)"


@pytest.mark.parametrize(
    "attributes",
    [
        {"SliceThickness": 3.0},
        {"SliceThickness": 1.5},
        {"SpacingBetweenSlices": 3.0, "InstanceNumber": None},
        {"SpacingBetweenSlices": 3.0, "SliceThickness": 3.0, "InstanceNumber": None},
        {"SliceThickness": 3.0, "ImagesInAcquisition": COUNT, "InstanceNumber": None},
    ],
    ids=["numbers", "thin slices", "spacing", "spacing and thickness", "images of the acquisition"],
)
@pytest.mark.parametrize("step", [2, 3])
def test_files_that_are_missing_regularly_are_an_error(folder, attributes, step):
    kept = slice(0, None, step)
    write_series(folder, kept, **attributes)
    assert refused(folder, "missing_slices").parameters["count"] == (step - 1) * (len(range(COUNT)[kept]) - 1)


@pytest.mark.parametrize(
    ("attributes", "code", "numbers"),
    [
        ({}, "image_numbers_incomplete", {"count": 4, "first": 1, "last": 7, "missing": 3}),
        (
            {"SliceThickness": 3.0, "InstanceNumber": lambda index: index // 2 + 1},
            "slices_far_apart",
            {"thickness": 3.0, "distance": 6.0},
        ),
        ({"SliceThickness": 3.0, "InstanceNumber": None}, "slices_far_apart", {"thickness": 3.0, "distance": 6.0}),
        (
            {"SliceThickness": 4.0, "InstanceNumber": None, "MRAcquisitionType": "3D"},
            "slices_far_apart",
            {"thickness": 4.0, "distance": 6.0},
        ),
        ({"SpacingBetweenSlices": 4.0}, "slice_distance_contradicts", {"distance": 6.0, "stated": 4.0}),
        ({"SpacingBetweenSlices": 12.0}, "slice_distance_contradicts", {"distance": 6.0, "stated": 12.0}),
    ],
)
def test_what_only_suggests_missing_slices_is_a_warning_with_numbers(folder, warnings_of, attributes, code, numbers):
    write_series(folder, slice(0, None, 2), **attributes)
    parameters = warnings_of(folder, slice(0, None, 2))[code]
    assert {name: pytest.approx(value) for name, value in numbers.items()}.items() <= parameters.items()


def test_missing_ends_are_an_error_where_each_stack_is_numbered_from_one(folder):
    frames = numbered()
    write_frames(folder / FILE, frames[2:])
    parameters = refused(folder, "missing_slices").parameters
    assert (parameters["count"], parameters["gaps"]) == (2, "0 (2)")
    # Numbers that fall with the height.
    write_frames(folder / FILE, numbered(in_stack=lambda index: COUNT - index)[:-3])
    parameters = refused(folder, "missing_slices").parameters
    assert (parameters["count"], parameters["gaps"]) == (3, "5 (3)")


def test_missing_ends_of_files_are_a_warning_with_numbers(folder, warnings_of):
    kept = slice(2, None)
    write_series(folder, kept)
    expected = {"count": 6, "first": 3, "last": 8, "missing": 2}
    assert expected.items() <= warnings_of(folder, kept)["image_numbers_incomplete"].items()


def test_fewer_images_than_the_header_counts_are_a_warning_with_numbers(folder, warnings_of):
    kept = slice(0, 5)
    write_series(folder, kept, ImagesInAcquisition=COUNT)
    assert {"count": 5, "stated": 8}.items() <= warnings_of(folder, kept)["fewer_images_than_stated"].items()


SOUND = {
    "2-D with gaps": {"SliceThickness": 2.5},
    "2-D with gaps, spacing": {"SliceThickness": 2.5, "SpacingBetweenSlices": 3.0},
    "wide gaps that the header states": {"SliceThickness": 1.0, "SpacingBetweenSlices": 3.0},
    "spacing is the gap": {"SliceThickness": 2.0, "SpacingBetweenSlices": 1.0},
    "negative spacing": {"SliceThickness": 3.0, "SpacingBetweenSlices": -3.0},
    "overlapping": {"SliceThickness": 6.0, "SpacingBetweenSlices": 3.0, "MRAcquisitionType": "3D"},
    "numbers of a second echo": {"SliceThickness": 3.0, "InstanceNumber": lambda index: 2 * index + 2},
    "numbers of a second echo, gaps": {"SliceThickness": 2.5, "InstanceNumber": lambda index: 2 * index + 2},
    "numbers after a first echo": {"EchoNumbers": 2, "InstanceNumber": lambda index: index + 9},
    "from zero": {"InstanceNumber": lambda index: index},
    "falling": {"InstanceNumber": lambda index: COUNT - index},
    "interleaved": {"InstanceNumber": lambda index: 1 + index // 2 + 4 * (index % 2)},
    "one number": {"InstanceNumber": 1},
    "an acquisition each": {"AcquisitionNumber": lambda index: 100 + index, "ImagesInAcquisition": 1},
    "two passes": {"AcquisitionNumber": lambda index: 1 + index % 2, "ImagesInAcquisition": 4},
    "one time of several": {"NumberOfTemporalPositions": 3, "ImagesInAcquisition": 24, "TemporalPositionIdentifier": 2},
    "gated": {"RepetitionTime": lambda index: 900.0 + 20 * index},
}


@pytest.mark.parametrize("attributes", SOUND.values(), ids=SOUND)
def test_sound_series_are_read_in_silence(folder, warnings_of, attributes):
    write_series(folder, **attributes)
    assert warnings_of(folder) == {}


@pytest.mark.parametrize(
    "own",
    [
        {"in_stack": lambda index: COUNT - index},
        {"stack": lambda index: str(1 + index // 5), "in_stack": lambda index: 1 + index % 5},
        {"stack": lambda index: str(1 + index // 5)},
        {"stack": lambda index: str(index), "in_stack": lambda _: 1},
        {"offset": lambda index: 0.1 * index},
    ],
    ids=["falling", "stacks of unequal length", "numbers that go on in the next stack", "a stack each", "a time each"],
)
def test_sound_stacks_are_read_in_silence(folder, warnings_of, own):
    frames = numbered(**own)
    write_frames(folder / FILE, frames[3:] + frames[:3], {**SHARED, "thickness": 3.0, "distance": 3.0})
    assert warnings_of(folder) == {}


# Mixed slices.


def alternating(name, *values):
    frames = frames_of()
    for index, (_, own) in enumerate(frames):
        own[name] = values[index % len(values)]
    return frames


MIXED = {
    "T1 map": ("frame_type", (["ORIGINAL", "PRIMARY", "M"], ["DERIVED", "PRIMARY", "T1 MAP"]), "several_image_types"),
    "flip angles": ("flip", (5.0, 26.0), "several_values"),
    "inversions": ("inversion", (700.0, 2500.0), "several_values"),
    "coils": ("coil", ("A", "B"), "several_values"),
    "thickness": ("thickness", (3.0, 1.5), "several_values"),
    "times": ("offset", (0.0, 2.5), "several_values"),
}


@pytest.mark.parametrize("case", MIXED.values(), ids=MIXED)
def test_alternating_frames_of_another_kind_are_refused(folder, case):
    name, values, code = case
    write_frames(folder / FILE, alternating(name, *values))
    assert refused(folder, code).parameters["count"] == 2
    write_frames(folder / FILE, alternating(name, values[0]))
    assert np.array_equal(read_image(folder).array, VOXELS)


@pytest.mark.parametrize(
    ("keyword", "values", "code"),
    [
        ("ImageType", (["ORIGINAL", "PRIMARY", "M"], ["ORIGINAL", "PRIMARY", "T1 MAP"]), "several_image_types"),
        ("ImageType", (["ORIGINAL", "PRIMARY", "OTHER"], ["DERIVED", "PRIMARY", "OTHER"]), "several_image_types"),
        ("FrameOfReferenceUID", ("1.2.3", "1.2.4"), "several_values"),
        ("SequenceName", ("ep_b0", "ep_b1000#1"), "several_values"),
        ("Modality", ("MR", "CT"), "several_values"),
    ],
)
def test_alternating_files_of_another_kind_are_refused(folder, keyword, values, code):
    write_series(folder, **{keyword: lambda index: values[index % 2]})
    assert refused(folder, code).parameters["count"] == 2


def test_a_dimension_along_which_the_frames_of_a_volume_do_not_differ_is_refused(folder):
    indexed = dimensions("StackID", "InStackPositionNumber", "EffectiveEchoTime")
    write_frames(folder / FILE, numbered(indices=lambda index: [1, index + 1, 1]), **indexed)
    assert np.array_equal(read_image(folder).array, VOXELS)
    write_frames(folder / FILE, numbered(indices=lambda index: [1, index + 1, 1 + index % 2]), **indexed)
    assert refused(folder, "several_values").parameters["attribute"] == "EffectiveEchoTime"


def test_a_multi_frame_file_beside_its_slices_is_refused(folder):
    write_frames(folder / FILE, frames_of())
    write_series(folder)
    refused(folder, "several_values")


@pytest.mark.parametrize("lacking", ["slope", "intercept"])
def test_a_rescaling_of_only_some_frames_is_refused(folder, lacking):
    frames = frames_of(slope="2", intercept="50")
    for _, own in frames[::2]:
        del own[lacking]
    write_frames(folder / FILE, frames)
    assert refused(folder, "rescaling_incomplete").parameters["count"] == 4


def test_a_slope_of_zero_in_some_frames_is_refused(folder):
    write_frames(folder / FILE, alternating("slope", "2", "0"))
    assert refused(folder, "rescaling_incomplete").parameters["count"] == 4


@pytest.mark.parametrize(
    "move", [lambda index: (0, 0, -1.5 * (index % 2)), lambda index: (60 * (index % 2), 0, 0)], ids=["half", "beside"]
)
def test_stacks_that_lie_between_or_beside_each_other_are_refused(folder, move):
    frames = numbered(stack=lambda index: str(1 + index % 2), in_stack=lambda index: 1 + index // 2)
    for index, (_, own) in enumerate(frames):
        own["position"] = list(np.add(own["position"], move(index)))
    write_frames(folder / FILE, frames)
    assert refused(folder, "several_stacks").parameters["count"] == 2


def test_a_rescaling_by_tables_is_refused(folder):
    table = Dataset()
    table.LUTDescriptor, table.LUTData = [4, 0, 16], bytes(8)
    write_series(folder, ModalityLUTSequence=Items([table]))
    refused(folder, "intensity_tables")


# Parts and pixels.


def write_parts(folder, parts, **attributes):
    """Write some of the three parts of a file of many frames."""
    frames, ends = frames_of(), (0, 3, 6, 8)
    for part in parts:
        own = {"ConcatenationUID": "1.2.3.9", "InConcatenationNumber": part + 1} | attributes
        own.setdefault("ConcatenationFrameOffsetNumber", ends[part])
        write_frames(folder / f"{part}.dcm", frames[ends[part] : ends[part + 1]], **own)


def test_parts_of_a_multi_frame_image_are_one_volume(folder, warnings_of):
    write_parts(folder, (2, 0, 1), InConcatenationTotalNumber=3)
    assert warnings_of(folder) == {}


@pytest.mark.parametrize(
    ("parts", "total"), [((0, 1), 3), ((0, 2), None), ((1, 2), None), ((1,), 3)], ids=["last", "middle", "first", "one"]
)
def test_a_missing_part_of_a_multi_frame_image_is_an_error(folder, parts, total):
    write_parts(folder, parts, **({"InConcatenationTotalNumber": total} if total else {}))
    found = refused(folder, "parts_missing").parameters
    assert (found["found"], found["count"]) == (len(parts), 3)


def test_frames_that_are_missing_between_parts_are_an_error(folder):
    frames = frames_of()
    place = {"ConcatenationUID": "1.2.3.9"}
    write_frames(folder / "a.dcm", frames[:3], InConcatenationNumber=1, ConcatenationFrameOffsetNumber=0, **place)
    write_frames(folder / "b.dcm", frames[3:], InConcatenationNumber=2, ConcatenationFrameOffsetNumber=5, **place)
    assert refused(folder, "missing_slices").parameters["gaps"] == "3 (2)"


def test_pixels_of_more_frames_than_the_header_describes_are_an_error(folder):
    write_frames(folder / FILE, frames_of()[:4], PixelData=VOXELS.tobytes())
    found = refused(folder, "more_pixels_than_frames").parameters
    assert (found["held"], found["frames"]) == (8, 4)


def test_compressed_pixels_of_more_frames_than_the_header_describes_are_an_error(folder, tmp_path):
    writer = sitk.ImageFileWriter()
    writer.UseCompressionOn()
    writer.SetCompressor("JPEG")
    writer.SetFileName(str(tmp_path / "encoded.dcm"))
    writer.Execute(sitk.GetImageFromArray(VOXELS))
    encoded = pydicom.dcmread(tmp_path / "encoded.dcm")
    for count in (8, 4):
        image = pydicom.dcmread(write_frames(folder / FILE, frames_of()[:count]))
        image.file_meta.TransferSyntaxUID, image["PixelData"] = (
            encoded.file_meta.TransferSyntaxUID,
            encoded["PixelData"],
        )
        save(folder / FILE, image)
        if count == 8:
            assert np.array_equal(read_image(folder).array, VOXELS)
    found = refused(folder, "more_pixels_than_frames").parameters
    assert (found["held"], found["frames"]) == (8, 4)


# Contradictions.


def test_single_numbers_that_contradict_the_positions_are_refused(folder):
    frames = numbered()
    first, second = frames[2][1], frames[3][1]
    first["position"], second["position"] = second["position"], first["position"]
    write_frames(folder / FILE, frames)
    refused(folder, "slice_numbers_contradict")


def test_numbers_in_no_order_give_way_to_the_positions(folder, warnings_of):
    order = [4, 1, 8, 2, 7, 3, 6, 5]
    write_frames(folder / FILE, numbered(in_stack=lambda index: order[index]))
    assert list(warnings_of(folder)) == ["slice_order_contradicts"]


def test_numbers_of_files_that_follow_the_positions_but_for_some_are_a_warning(folder, warnings_of):
    write_series(folder, InstanceNumber=lambda index: {2: 4, 3: 3}.get(index, index + 1))
    assert list(warnings_of(folder)) == ["slice_order_contradicts"]


def test_a_tilt_that_the_positions_do_not_show_is_a_warning(folder, warnings_of):
    write_series(folder, GantryDetectorTilt=0.0)
    assert warnings_of(folder) == {}
    write_series(folder, GantryDetectorTilt=-15.0)
    assert warnings_of(folder)["tilt_not_in_positions"]["degrees"] == -15.0


def test_spacing_of_the_detector_or_of_the_whole_file_does_not_replace_that_of_the_frames(folder):
    write_frames(folder / FILE, frames_of(), PixelSpacing=[9, 9], ImagerPixelSpacing=[5, 5])
    assert np.allclose(read_image(folder).affine, AFFINE)
    write_frames(folder / FILE, frames_of(), {"cosines": SHARED["cosines"]}, ImagerPixelSpacing=[5, 5])
    with raises(InputError, "no_spacing"):
        read_image(folder)


# Series of one number.


def test_the_list_of_series_of_one_number_shows_how_they_differ_but_no_patient(tmp_path):
    uid = "1.2.840.99.1234567."
    for name, attributes in {
        "a": {"SeriesDescription": "T1 MPRAGE sag", "SeriesTime": "101112.5"},
        "b": {"SeriesDescription": "repeat of Jane", "AcquisitionTime": "112233"},
        "c": {"SeriesDescription": "FLAIR\x1b[31m" + " long" * 9},
    }.items():
        series = uid + {"a": "101", "b": "102", "c": "103"}[name]
        for index in range(3 if name == "a" else 4):
            place = {"ImagePositionPatient": [0, 0, 3.0 * index], "SeriesInstanceUID": series}
            write_classic(tmp_path / "in" / f"{name}{index}.dcm", VOXELS[index], **place, **attributes)
    message = refused(tmp_path / "in", "several_series")
    first, second, third = message.parameters["series"].split(", 7 ")
    assert first == "7 (MR, 3) “T1 MPRAGE sag” 10:11:12 UID …4567.101"
    assert second == "(MR, 4) 11:22:33 UID …4567.102"
    assert third.startswith("(MR, 4) “FLAIR") and third.endswith("UID …4567.103") and len(third) < 90
    assert "Jane" not in message and "DOE" not in message and "\x1b" not in message


# Maps of the stored values beside the usual rescaling, of each slice.

SLOPES = 1.0 + 0.25 * np.arange(COUNT)
INTERCEPTS = -10.0 + 3.0 * np.arange(COUNT)
TRUE = VOXELS * SLOPES[:, None, None] + INTERCEPTS[:, None, None]


def real_world(slopes, intercepts, number):
    item = Dataset()
    item.RealWorldValueSlope, item.RealWorldValueIntercept = float(slopes[number]), float(intercepts[number])
    return Items([item])


def philips(image, slope, intercept):
    """Add Philips's private scale of a linear map: the true value is (stored − intercept) / slope."""
    block = image.private_block(0x2005, "Philips MR Imaging DD 001", create=True)
    block.add_new(0x0E, "FL", 1 / slope)
    block.add_new(0x0D, "FL", -intercept / slope)


def write_scaled(folder, real=None, private=None, factor=1.0, **attributes):
    """Write slices as a file each, with maps (slopes, intercepts) of some slices to real world and Philips's values."""
    for number, pixels in enumerate(VOXELS):
        own = {"ImagePositionPatient": [*CORNER[:2], CORNER[2] + SPACING[2] * number], "InstanceNumber": number + 1}
        if real is not None and number in real:
            own["RealWorldValueMappingSequence"] = real_world(SLOPES * factor, INTERCEPTS * factor, number)
        path = write_classic(folder / f"{number}.dcm", pixels, **own, **attributes)
        if private is not None and number in private:
            image = pydicom.dcmread(path)
            philips(image, SLOPES[number], INTERCEPTS[number])
            image.save_as(path)


@pytest.mark.parametrize("rescale", [{}, {"RescaleSlope": "1", "RescaleIntercept": "0"}, {"RescaleSlope": "2.5"}])
@pytest.mark.parametrize("maps", ["real", "private", "both"])
def test_a_scale_of_each_slice_beside_the_usual_rescaling_is_used(folder, rescale, maps):
    every = range(COUNT)
    write_scaled(folder, *(every if maps in (name, "both") else None for name in ("real", "private")), **rescale)
    assert np.allclose(read_image(folder).array, TRUE, atol=0.01)


def test_a_scale_of_each_frame_is_used_in_any_order_of_frames(folder):
    frames = [
        (pixels, {**own, "real_slope": float(slope), "real_intercept": float(start)})
        for (pixels, own), slope, start in zip(frames_of(), SLOPES, INTERCEPTS)
    ]
    path = write_frames(folder / FILE, frames[3:] + frames[:3])
    assert np.allclose(read_image(folder).array, TRUE, atol=0.01)
    path = write_frames(folder / FILE, frames_of())
    image = pydicom.dcmread(path)
    for number, own in enumerate(image.PerFrameFunctionalGroupsSequence):
        item = Dataset()
        philips(item, SLOPES[number], INTERCEPTS[number])
        own.private_block(0x2005, "Philips MR Imaging DD 005", create=True)
        own.add_new(0x2005140F, "SQ", Items([item]))
    image.save_as(path)
    assert np.allclose(read_image(folder).array, TRUE, atol=0.01)


def test_one_scale_of_all_slices_and_the_usual_rescaling_of_each_change_nothing(folder):
    real = Dataset()
    real.RealWorldValueSlope, real.RealWorldValueIntercept = 3.0, 7.0
    write_scaled(folder, RealWorldValueMappingSequence=Items([real]), RescaleSlope="2")
    assert np.array_equal(read_image(folder).array, VOXELS * 2.0)
    for number, pixels in enumerate(VOXELS):
        own = {"RescaleSlope": str(number + 1), "RealWorldValueMappingSequence": real_world(SLOPES, INTERCEPTS, number)}
        position = [*CORNER[:2], CORNER[2] + SPACING[2] * number]
        write_classic(folder / f"{number}.dcm", pixels, ImagePositionPatient=position, **own)
    assert np.array_equal(read_image(folder).array, VOXELS * (1.0 + np.arange(COUNT))[:, None, None])


def test_scales_that_some_slices_lack_or_that_contradict_each_other_are_refused(folder):
    write_scaled(folder, real=range(COUNT - 1))
    assert refused(folder, "rescaling_incomplete").parameters["count"] == 1
    write_scaled(folder, private=range(1, COUNT))
    assert refused(folder, "rescaling_incomplete").parameters["count"] == 1
    # Another unit is no contradiction, another order of slices is.
    write_scaled(folder, range(COUNT), range(COUNT), factor=40.0)
    assert np.allclose(read_image(folder).array, TRUE * 40, atol=0.5)
    write_scaled(folder, range(COUNT), range(COUNT), factor=SLOPES[::-1])
    refused(folder, "rescaling_contradicts")


def test_a_private_scale_without_its_creator_is_not_used(folder):
    write_scaled(folder, private=range(COUNT))
    for path in folder.iterdir():
        image = pydicom.dcmread(path)
        image[0x20050010].value = "ANOTHER VENDOR"
        image.save_as(path)
    assert np.array_equal(read_image(folder).array, VOXELS)
