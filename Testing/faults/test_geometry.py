"""Cases 11 to 20: positions, spacings and shapes that are impossible, doubtful or do not belong together."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import SimpleITK as sitk
from support.image_files import refused
from support.phantoms import head, one_thread, with_lesion  # noqa: F401
from support.raised import raises
from support.source_code import ROOT
from support.volume_files import RAS, SPACING, VECTORS, lies_at, meta, nifti, nrrd

from MedADLib.cli.main import main
from MedADLib.detection import Settings, detect
from MedADLib.errors import InputError
from MedADLib.io.reading import read_image, read_mask
from MedADLib.io.reading_options import ReadingOptions
from MedADLib.modelfile.model import load_model
from MedADLib.preprocessing.volume_space import VolumeSpace
from MedADLib.volume import Volume, reoriented

TINY = ROOT / "MedAD" / "Resources" / "tiny.medad"


@pytest.fixture
def warned(caplog) -> Callable[[], list[str]]:
    """Return a function that lists the codes of the warnings since its last call."""
    caplog.set_level("WARNING")

    def codes() -> list[str]:
        found = [record.msg.code for record in caplog.records]
        caplog.clear()
        return found

    return codes


def test_case_11_axes_that_are_not_at_right_angles(alone, tmp_path):
    sheared = RAS.copy()
    sheared[0, 1] += 0.5 * SPACING[1]
    alone(nifti(tmp_path / "scan.nii", sform=sheared, codes=(0, 1)), "not_orthogonal")
    refused(nrrd(tmp_path / "a.nrrd", space="RAS", space_directions="(3,0,0) (1,2,0) (0,0,4)"), "not_orthogonal")
    # The user may choose the other position of the header.
    both = nifti(tmp_path / "both.nii", sform=sheared, codes=(1, 1))
    lies_at(read_image(both, options=ReadingOptions(form="qform")), RAS)


def test_case_12_sform_and_qform_that_disagree(alone, tmp_path, warned):
    """A mirrored position is refused, because a warning is easily missed; a moved one is warned of."""
    mirrored = nifti(tmp_path / "scan.nii", sform=np.diag([-1, 1, 1, 1]) @ RAS, codes=(1, 1))
    alone(mirrored, "forms_mirrored")
    lies_at(read_image(mirrored, options=ReadingOptions(form="qform")), RAS)
    lies_at(read_image(mirrored, options=ReadingOptions(form="sform")), np.diag([-1, 1, 1, 1]) @ RAS)
    warned()
    moved = RAS.copy()
    moved[:3, 3] += 15
    lies_at(read_image(nifti(tmp_path / "moved.nii", sform=moved, codes=(1, 1))), moved)
    assert warned() == ["forms_disagree"]
    for degrees, code in ((20, ""), (40, ""), (50, "forms_turned"), (90, "forms_turned")):
        angle = np.radians(degrees)
        turn = np.eye(4)
        turn[1:3, 1:3] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
        path = nifti(tmp_path / "turned.nii", sform=turn @ RAS, codes=(1, 1))
        if code:
            refused(path, code)
        else:
            lies_at(read_image(path), turn @ RAS)
            assert warned() == ["forms_disagree"]


def test_case_13_no_position_in_the_header(alone, tmp_path, warned):
    path = nifti(tmp_path / "scan.nii", codes=(0, 0))
    alone(path, "no_orientation")
    volume = read_image(path, options=ReadingOptions(orientation="RAS"))
    assert np.allclose(volume.affine[:3, :3], RAS[:3, :3])
    refused(nrrd(tmp_path / "a.nrrd", spacings="3 2 4"), "no_orientation")
    warned()
    read_image(nrrd(tmp_path / "b.nrrd", space="RAS", space_directions=VECTORS))
    assert warned() == ["no_origin"]
    twice = {"space": "RAS", "space_directions": VECTORS, "space_origin": "(1,2,3)\nspace origin: (1,2,4)"}
    refused(nrrd(tmp_path / "c.nrrd", **twice), "header_contradiction")


def test_case_14_left_handed_and_oblique_scans(tmp_path, capsys):
    volume, brain = head(3, (6.0, 6.0, 6.0), 34)
    scan, lesion = with_lesion(volume, (30.0, 20.0, 10.0), 16.0)
    angle = np.radians(12)
    turn = np.eye(4)
    turn[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    flip = np.diag([-1.0, 1, 1, 1])
    flip[0, 3] = scan.array.shape[2] - 1
    # The x axis runs towards the left in the file, so that its axes are left-handed, and the head is turned.
    oblique = Volume(scan.array[:, :, ::-1].copy(), turn @ scan.affine @ flip, "oblique")
    oblique.write(tmp_path / "oblique.nii.gz")
    oblique.with_array(brain[:, :, ::-1].astype(np.float32)).write(tmp_path / "mask.nii.gz")
    words = ("--model", TINY, "--mask", tmp_path / "mask.nii.gz", "--device", "cpu", "--no-picture")
    arguments = ["detect", tmp_path / "oblique.nii.gz", "-o", tmp_path / "out", *words]
    assert main([str(word) for word in arguments]) == 0, capsys.readouterr().err
    given = sitk.ReadImage(str(tmp_path / "oblique.nii.gz"))
    for name in ("anomaly", "restored", "regions", "examined"):
        image = sitk.ReadImage(str(tmp_path / "out" / f"oblique_{name}.nii.gz"))
        assert image.GetSize() == given.GetSize()
        assert np.allclose(image.GetOrigin(), given.GetOrigin(), atol=1e-3)
        assert np.allclose(image.GetDirection(), given.GetDirection(), atol=1e-5)
    found = read_image(tmp_path / "out" / "oblique_anomaly.nii.gz").array
    assert found[lesion[:, :, ::-1]].mean() > 2 * found[(brain & ~lesion)[:, :, ::-1]].mean()


@pytest.mark.parametrize("value", [0.0, float("nan"), -2.0], ids=["zero", "NaN", "negative"])
def test_case_15_impossible_spacings(alone, tmp_path, value):
    alone(nifti(tmp_path / "scan.nii", codes=(1, 0), pixdim=(3, value, 4)), "bad_spacing")
    refused(meta(tmp_path / "a.mha", ElementSpacing=f"3 {value:g} 4"), "bad_spacing")
    if value >= 0:
        refused(nrrd(tmp_path / "b.nrrd", space="RAS", space_directions="(3,0,0) (0,0,0) (0,0,4)"), "bad_spacing")


def test_case_16_another_unit_of_length(alone, tmp_path, warned):
    microns = RAS * 1000
    microns[3, 3] = 1
    path = nifti(tmp_path / "scan.nii", microns, (1, 1), SPACING * 1000, offset=microns[:3, 3])
    alone(path, "extent_too_large")
    lies_at(read_image(path, options=ReadingOptions(unit="um")), RAS)
    warned()
    metres = nifti(tmp_path / "metres.nii", RAS / 1000, (1, 1), SPACING / 1000, offset=RAS[:3, 3] / 1000)
    read_image(metres)
    assert "odd_extent" in warned()


def test_case_17_images_that_are_not_one_volume(alone, tmp_path):
    random = np.random.default_rng(0)
    for shape, code in (((30, 40), "not_3d"), ((3, 8, 9, 10), "not_3d")):
        path = tmp_path / f"{len(shape)}.nii.gz"
        sitk.WriteImage(sitk.GetImageFromArray(random.random(shape), isVector=False), str(path))
        alone(path, code)
    for suffix in (".nii.gz", ".nrrd", ".mha"):
        path = tmp_path / f"colour{suffix}"
        sitk.WriteImage(sitk.GetImageFromArray(np.zeros((4, 5, 6, 3), np.uint8), isVector=True), str(path))
        alone(path, "several_components")


def test_case_18_one_slice_and_thick_slices(tmp_path, warned):
    volume, brain = head(3, (8.0, 8.0, 8.0), 26)
    with raises(InputError, "scan_single_slice_for_volumes"):
        detect(replace(volume, array=volume.array[12:13]), load_model(TINY))
    affine = volume.affine.copy()
    affine[:3, 2] *= 2
    Volume(volume.array[::2].copy(), affine, "thick").write(tmp_path / "thick.nii.gz")
    read_image(tmp_path / "thick.nii.gz")
    assert warned() == ["thick_slices"]


def test_case_19_a_scan_that_is_smaller_than_the_grid_of_the_model():
    """The scan is padded to the grid of the model, and its maps come back on its own grid."""
    space = VolumeSpace.empty((32, 48, 48), (4.0, 4.0, 4.0))
    random = np.random.default_rng(0)
    small = Volume(random.uniform(100, 200, (9, 11, 10)).astype(np.float32), np.diag([4.0, 4.0, 4.0, 1.0]), "small")
    mask, _ = space.examined(small)
    prepared = space.prepared(small, mask)
    assert prepared.image.shape == (32, 48, 48)
    back = prepared.image_to_native(prepared.image)
    assert back.same_grid(small) and np.allclose(back.array, small.array, rtol=0.02)


def test_case_20_a_mask_on_another_grid(tmp_path, sound):
    scan = read_image(sound)
    model = load_model(TINY)
    inside = (scan.array > 0).astype(np.float32)
    other = Volume(inside[:-2], scan.affine, "mask")
    with raises(InputError, "mask_not_on_grid"):
        detect(scan, model, Settings(mask=other, device="cpu"))
    moved = scan.affine.copy()
    moved[0, 3] += 20
    with raises(InputError, "mask_elsewhere"):
        detect(scan, model, Settings(mask=Volume(inside, moved, "mask"), device="cpu"))
    # The same grid in another order of voxels is no other grid.
    turned = reoriented(scan.with_array(inside), "LPS")
    turned.write(tmp_path / "mask.nii.gz")
    mask = read_mask(tmp_path / "mask.nii.gz", scan)
    assert np.array_equal(reoriented(mask, "RAS").array, reoriented(scan.with_array(inside), "RAS").array)
