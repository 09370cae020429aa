"""DICOM files of many frames: each frame is a slice, and what is no single volume is refused with its reason."""

from __future__ import annotations

import logging

import numpy as np
import pytest
from support.dicom_frames import AFFINE, CORNER, SHARED, SPACING, VOXELS, frames_of, header, save, write_frames
from support.image_files import refused
from support.raised import raises

from MedADLib.errors import InputError
from MedADLib.io.dicom import read_file, tags_of
from MedADLib.io.reading import read_image
from MedADLib.io.reading_options import ReadingOptions
from MedADLib.io.sources import named_scan

ORDERS = {
    "sorted": np.arange(8),
    "shuffled": np.array([3, 0, 7, 5, 1, 6, 2, 4]),
    "interleaved": np.array([0, 2, 4, 6, 1, 3, 5, 7]),
    "descending": np.arange(8)[::-1],
    "three stacks": np.array([5, 6, 7, 2, 3, 4, 0, 1]),
}


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "series"
    made.mkdir()
    return made


def is_right(volume, voxels=VOXELS):
    """Whether a volume has these voxels at their place in the patient."""
    return np.allclose(volume.array, voxels, atol=1e-3) and np.allclose(volume.affine, AFFINE)


@pytest.mark.parametrize("order", ORDERS.values(), ids=ORDERS)
def test_frames_in_any_order_lie_where_their_positions_are(folder, order):
    frames = frames_of()
    write_frames(folder / "a.dcm", [frames[number] for number in order])
    assert is_right(read_image(folder))


def test_stacks_that_complete_each_other_are_one_volume(folder):
    frames = frames_of()
    for number, (_, attributes) in enumerate(frames):
        attributes["stack"] = str(1 + number // 3)
    write_frames(folder / "a.dcm", frames[5:] + frames[:5])
    assert is_right(read_image(folder))


def test_one_frame_a_file_and_some_frames_a_file_are_the_same_volume(folder):
    frames = frames_of()
    for number, frame in enumerate(frames):
        write_frames(folder / "single" / f"{(number * 3) % 8}.dcm", [frame])
    write_frames(folder / "parts" / "b.dcm", frames[:3])
    write_frames(folder / "parts" / "a.dcm", frames[3:])
    assert is_right(read_image(folder / "single"))
    assert is_right(read_image(folder / "parts"))


def test_each_frame_has_its_own_rescaling(folder):
    frames = frames_of()
    slopes, intercepts = np.array([1, 1.5, 2, 0.5] * 2), np.array([0, -3, 10, 0] * 2)
    for (_, attributes), slope, intercept in zip(frames, slopes, intercepts):
        attributes.update(slope=str(slope), intercept=str(intercept))
    write_frames(folder / "a.dcm", frames[::-1])
    assert is_right(read_image(folder), VOXELS * slopes[:, None, None] + intercepts[:, None, None])


def test_a_shared_rescaling_and_one_of_the_whole_file_count(folder):
    write_frames(folder / "a.dcm", frames_of(), {**SHARED, "slope": "2", "intercept": "-7"}, RescaleSlope="9")
    assert is_right(read_image(folder), VOXELS * 2.0 - 7)
    write_frames(folder / "a.dcm", frames_of(), RescaleSlope="3", RescaleIntercept="1")
    assert is_right(read_image(folder), VOXELS * 3.0 + 1)


def test_geometry_may_stand_in_each_frame_and_be_oblique(folder):
    turned = np.array([0.8, 0.6, 0, -0.6, 0.8, 0])
    normal, corner = np.cross(turned[:3], turned[3:]), np.array(CORNER)
    frames = [
        (pixels, {"position": list(corner + 3.0 * number * normal), "cosines": list(turned), "spacing": [2, 1.5]})
        for number, pixels in enumerate(VOXELS)
    ]
    write_frames(folder / "a.dcm", frames[4:] + frames[:4], {})
    volume = read_image(folder)
    for z, y, x in ((0, 0, 0), (7, 11, 15), (3, 2, 9)):
        lps = corner + 3.0 * z * normal + 1.5 * x * turned[:3] + 2.0 * y * turned[3:]
        assert np.allclose(volume.ras_from_voxels([[z, y, x]]), lps * [-1, -1, 1])
    assert np.array_equal(volume.array, VOXELS)


def twice(**changes):
    """The frames of two volumes at one place, the second with other attributes."""
    first = {name: values[0] for name, values in changes.items()}
    second = {name: values[1] for name, values in changes.items()}
    return frames_of(**first) + frames_of(VOXELS // 2, **second)


TOGETHER = {
    "several_echoes": {"echo": (4.6, 9.2)},
    "several_components_of_signal": {"component": ("MAGNITUDE", "PHASE")},
    "several_time_points": {"time": (1, 2)},
    "several_diffusion_weightings": {"diffusion": (0.0, 1000.0)},
    "several_at_one_position": {},
}


@pytest.mark.parametrize("code", TOGETHER)
@pytest.mark.parametrize("interleaved", [False, True], ids=["one after the other", "interleaved"])
def test_two_volumes_in_one_file_are_refused_with_what_tells_them_apart(folder, code, interleaved):
    frames = twice(**TOGETHER[code])
    write_frames(folder / "a.dcm", [frames[n // 2 + 8 * (n % 2)] for n in range(16)] if interleaved else frames)
    refused(folder, code)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (["ORIGINAL", "PRIMARY", "M", "ND"], ["ORIGINAL", "PRIMARY", "P", "ND"]),
        (["ORIGINAL", "PRIMARY", "M_FFE", "M", "FFE"], ["ORIGINAL", "PRIMARY", "PHASE MAP", "P", "FFE"]),
        (["ORIGINAL", "PRIMARY", "R", "NONE"], ["ORIGINAL", "PRIMARY", "I", "NONE"]),
    ],
    ids=["short", "vendor", "real"],
)
def test_magnitude_and_phase_are_refused_even_at_different_positions(folder, first, second):
    frames = frames_of()
    for number, (_, attributes) in enumerate(frames):
        attributes["frame_type"] = second if number % 2 else first
    write_frames(folder / "a.dcm", frames)
    refused(folder, "several_components_of_signal")


def test_two_files_at_one_place_are_refused_as_two_volumes(folder):
    write_frames(folder / "a.dcm", frames_of())
    write_frames(folder / "b.dcm", frames_of(VOXELS // 2))
    refused(folder, "several_volumes")


def test_a_copy_of_a_whole_file_is_left_out(folder, caplog):
    path = write_frames(folder / "a.dcm", frames_of())
    (folder / "copy.dcm").write_bytes(path.read_bytes())
    with caplog.at_level(logging.WARNING):
        assert is_right(read_image(folder))
    assert [(record.msg.code, record.msg.parameters["count"]) for record in caplog.records] == [
        ("dicom_copies_left_out", 8)
    ]


def test_missing_frames_are_counted_with_their_place(folder):
    frames = frames_of()
    write_frames(folder / "a.dcm", frames[:3] + frames[5:])
    message = refused(folder, "missing_slices")
    assert (message.parameters["count"], message.parameters["gaps"]) == (2, "3 (2)")


def test_stacks_at_other_angles_are_refused(folder):
    frames = frames_of(stack="1")
    for number, (_, attributes) in enumerate(frames[4:]):
        attributes.update(stack="2", cosines=[0, 1, 0, 0, 0, -1], position=[3.0 * number, 0, 0])
    write_frames(folder / "a.dcm", frames)
    assert refused(folder, "several_stacks").parameters["count"] == 2


@pytest.mark.parametrize(
    ("lacking", "code"),
    [("position", "no_slice_position"), ("cosines", "no_slice_position"), ("spacing", "no_spacing")],
)
def test_geometry_that_a_header_lacks_is_not_made_up(folder, lacking, code):
    shared = {name: value for name, value in SHARED.items() if name != lacking}
    frames = frames_of()
    if lacking == "position":
        del frames[5][1]["position"]
    write_frames(folder / "a.dcm", frames, shared)
    refused(folder, code)


def test_frames_without_functional_groups_have_no_position(folder):
    place = {"ImagePositionPatient": list(CORNER), "ImageOrientationPatient": SHARED["cosines"]}
    place |= {"PixelSpacing": [2, 1.5], "SpacingBetweenSlices": 3}
    save(folder / "a.dcm", header(VOXELS, NumberOfFrames=8, **place))
    refused(folder, "no_slice_position")


def test_groups_of_another_number_of_frames_are_refused(folder):
    path = write_frames(folder / "a.dcm", frames_of())
    assert is_right(read_image(folder))
    path.write_bytes(path.read_bytes().replace(b"IS\x02\x008 ", b"IS\x02\x007 "))
    assert refused(folder, "frames_differ").parameters["groups"] == 8


def test_localizer_frames_are_left_out(folder):
    scout = [(VOXELS[0], {"position": [0, 0, 500], "frame_type": ["ORIGINAL", "PRIMARY", "LOCALIZER", "NONE"]})]
    write_frames(folder / "a.dcm", scout + frames_of())
    assert is_right(read_image(folder))


def test_a_file_of_a_whole_volume_can_be_given_itself(tmp_path):
    path = write_frames(tmp_path / "brain.dcm", frames_of()[::-1])
    for volume in (named_scan(path).read(), read_image(path), read_file(path, "brain")):
        assert is_right(volume) and volume.name == "brain"
    write_frames(path, twice(time=(1, 2)))
    for read in (named_scan(path).read, lambda: read_image(path)):
        with raises(InputError, "several_time_points"):
            read()


def test_a_file_of_one_frame_is_a_slice_at_its_position(tmp_path):
    path = write_frames(tmp_path / "one.dcm", frames_of()[2:3], {**SHARED, "slope": "2"})
    volume = named_scan(path).read()
    assert np.array_equal(volume.array, VOXELS[2:3] * 2.0)
    assert np.allclose(volume.ras_from_voxels([[0, 0, 0], [0, 1, 1]]), [[10, 20, 11], [8.5, 18, 11]])


def test_the_tags_of_a_file_count_its_frames(tmp_path):
    tags = tags_of(write_frames(tmp_path / "a.dcm", frames_of()))
    assert (tags.frames, tags.placed, tags.modality, tags.patient) == (8, True, "MR", "PATIENT-4711")


def test_no_warning_shows_a_damaged_value_of_the_header(folder, caplog, capfd, recwarn):
    save(folder / "a.dcm", header(VOXELS[0], PatientID="x" * 70, ImagePositionPatient=list(CORNER)))
    path = write_frames(folder / "b.dcm", frames_of(stack="S" * 16))
    path.write_bytes(path.read_bytes().replace(b"S" * 16, b"SECRET^NAME\\\xff\xfe\xfd\0"))
    recwarn.clear()
    caplog.clear()
    with caplog.at_level(logging.DEBUG), raises(InputError, "several_patients"):
        read_image(folder)
    assert not caplog.text and not recwarn.list and capfd.readouterr() == ("", "")


# What the user says about a file.


def test_frames_without_geometry_follow_each_other_as_the_user_says(tmp_path):
    path = write_frames(tmp_path / "a.dcm", [(pixels, {}) for pixels in VOXELS], {})
    refused(path, "no_slice_position")
    with raises(InputError, "no_spacing"):
        read_image(path, options=ReadingOptions("LPS"))
    for letters, axes in (("LPS", [(-1, 0, 0), (0, -1, 0), (0, 0, 1)]), ("PIR", [(0, -1, 0), (0, 0, -1), (1, 0, 0)])):
        # The centre of the field of view is at 0.
        indices = np.indices(VOXELS.shape)[::-1].reshape(3, -1).T - (np.array(VOXELS.shape[::-1]) - 1) / 2
        wanted = (indices * SPACING) @ np.array(axes)
        options = ReadingOptions(letters, SPACING)
        for volume in (named_scan(path, options).read(), read_image(path, options=options)):
            found = volume.ras_from_voxels(np.argwhere(np.ones(VOXELS.shape, bool)))
            order, same = np.lexsort(np.round(found, 3).T), np.lexsort(np.round(wanted, 3).T)
            assert np.allclose(found[order], wanted[same])
            assert np.array_equal(volume.array.ravel()[order], VOXELS.ravel()[same])


def test_empty_frames_without_positions_are_no_copies(tmp_path):
    voxels = VOXELS.copy()
    voxels[[0, 1, -2, -1]] = 0
    path = write_frames(tmp_path / "a.dcm", [(pixels, {}) for pixels in voxels], {})
    found = read_image(path, options=ReadingOptions("LPS", SPACING)).array
    assert found.shape == voxels.shape and np.array_equal(np.sort(found.sum((1, 2))), np.sort(voxels.sum((1, 2))))


@pytest.mark.parametrize(
    ("code", "name", "values"),
    [("several_time_points", "time", (1, 2)), ("several_diffusion_weightings", "diffusion", (0.0, 1000.0))],
)
def test_alternating_frames_of_two_kinds_are_refused_at_any_height(folder, code, name, values):
    frames = frames_of()
    for number, (_, attributes) in enumerate(frames):
        attributes[name] = values[number % 2]
    write_frames(folder / "a.dcm", frames)
    refused(folder, code)


def test_directions_that_the_user_gives_complete_positions_of_frames(folder):
    frames = frames_of()
    write_frames(folder / "a.dcm", frames[3:] + frames[:3], {})
    assert is_right(read_image(folder, options=ReadingOptions("LPS", SPACING)))


@pytest.mark.parametrize("options", [{"orientation": "RAS"}, {"form": "sform"}, {"unit": "um"}])
def test_what_contradicts_a_dicom_header_is_refused(folder, options):
    path = write_frames(folder / "a.dcm", frames_of())
    for given in (path, folder):
        with raises(InputError, "option_not_for_dicom"):
            named_scan(given, ReadingOptions(**options)).read()
