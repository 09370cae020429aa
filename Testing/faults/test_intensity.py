"""Cases 30 to 36: voxels that are no numbers, without signal, of another modality, or beyond sense."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from support.image_files import refused
from support.phantoms import head, one_thread  # noqa: F401
from support.raised import raises
from support.source_code import ROOT
from support.volume_files import ARRAY, nifti

from MedADLib.detection import Settings, detect, fit_of
from MedADLib.errors import InputError, UnfitError
from MedADLib.io.reading import read_image
from MedADLib.modelfile.model import Model, load_model
from MedADLib.preprocessing.brain_space import BrainSpace
from MedADLib.preprocessing.volume_space import VolumeSpace
from MedADLib.volume import Volume


@pytest.fixture(scope="module")
def model(one_thread) -> Model:  # noqa: F811
    return load_model(ROOT / "MedAD" / "Resources" / "tiny.medad")


@pytest.fixture(scope="module")
def toy() -> tuple[Volume, np.ndarray]:
    """A toy head and the mask of its brain."""
    return head(3, (6.0, 6.0, 6.0), 34)


def test_case_30_voxels_that_are_not_numbers(alone, tmp_path, toy, caplog):
    volume, _ = toy
    for value, count in ((np.nan, (3, 0)), (np.inf, (0, 3))):
        wrong = volume.array.copy()
        wrong[17, 17, 15:18] = value
        path = tmp_path / "scan.nii.gz"
        volume.with_array(wrong).write(path)
        alone(path, "not_numbers")
        parameters = refused(path, "not_numbers").parameters
        assert (parameters["nan"], parameters["infinite"]) == count
    # Around the head, as some programs mark the background.
    volume.with_array(np.where(volume.array == 0, np.nan, volume.array)).write(tmp_path / "masked.nii.gz")
    with caplog.at_level("WARNING"):
        assert np.array_equal(read_image(tmp_path / "masked.nii.gz").array, volume.array)
    assert [record.msg.code for record in caplog.records] == ["nan_is_background"]


@pytest.mark.parametrize("value", [0.0, 700.0])
def test_case_31_no_signal(alone, tmp_path, toy, value):
    volume, brain = toy
    volume.with_array(np.full(volume.array.shape, value, np.float32)).write(tmp_path / "scan.nii.gz")
    alone(tmp_path / "scan.nii.gz", "constant")
    inside = volume.with_array(np.where(brain, np.float32(value), volume.array + 1))
    given = volume.with_array(brain.astype(np.uint8))
    for space in (
        BrainSpace.without_mean(volume.array.shape, volume.affine, landmarks=np.linspace(0.1, 0.9, 13)),
        VolumeSpace.empty(volume.array.shape, volume.spacing),
    ):
        with raises(InputError, "scan_one_intensity"):
            space.examined(inside, given)


def test_case_32_another_modality(model, toy):
    volume, brain = toy
    # Fluid is brighter than tissue, and the skull is as bright as bone in a CT.
    hounsfield = np.select([~brain, volume.array < 300, volume.array < 700], [-1000.0, 5.0, 37.0], 28.0)
    ct = volume.with_array(hounsfield.astype(np.float32))
    with pytest.raises(UnfitError) as caught:
        detect(ct, model, Settings(mask=volume.with_array(brain.astype(np.uint8)), device="cpu"))
    assert caught.value.code in ("scan_does_not_fit", "scan_does_not_fit_seems")


def test_case_33_a_stripped_and_normalised_scan(model, toy):
    volume, brain = toy
    values = volume.array[brain]
    scored = np.where(brain, (volume.array - values.mean()) / values.std(), 0).astype(np.float32)
    mask, how = model.template.examined(volume.with_array(scored), volume.with_array(brain.astype(np.uint8)))
    assert mask.any() and how.code == "part_given_mask"
    # Without a mask, the outline of a stripped scan is its mask, and no second extraction is tried.
    scaled = volume.with_array(np.where(brain, volume.array / 1000, 0).astype(np.float32))
    mask, how = model.template.examined(scaled)
    assert how.code == "part_outline"
    assert (mask & brain).sum() > 0.9 * max(mask.sum(), brain.sum())


def test_case_34_half_of_the_head_is_missing(model, toy):
    volume, brain = toy
    half = slice(0, 18)
    cut = Volume(volume.array[half].copy(), volume.affine, "half")
    mask = cut.with_array(brain[half].astype(np.uint8))
    found = fit_of(cut, model, mask)
    codes = [message.code for message in found.reasons]
    assert found.verdict in ("doubtful", "unfit") and "brain_overlap_low" in codes and found.seems in ("", "other_part")


def test_case_34_slices_without_an_image(model, toy):
    volume, brain = toy
    for axis in range(3):
        wrong, mask = volume.array.copy(), volume.with_array(brain.astype(np.uint8))
        wrong[(slice(None),) * axis + (14,)] = 0
        scan = volume.with_array(wrong)
        found = fit_of(scan, model, mask)
        assert found.verdict == "doubtful" and found.reasons[0].code == "empty_slices_bridged"
        examined, _ = model.template.examined(scan, mask)
        left = brain.copy()
        left[(slice(None),) * axis + (14,)] = False
        assert np.array_equal(examined, left)
        wrong[(slice(None),) * axis + (slice(14, 20),)] = 0
        with raises(InputError, "empty_slices"):
            fit_of(volume.with_array(wrong), model, mask)


def test_case_35_a_metal_outlier(model, toy):
    volume, brain = toy
    wrong = volume.array.copy()
    place = tuple(np.argwhere(brain)[brain.sum() // 3])
    wrong[place] *= 1e6
    prepared = [model.template.prepared(one, brain) for one in (volume, volume.with_array(wrong))]
    apart = np.abs(prepared[1].image - prepared[0].image)[prepared[0].mask & prepared[1].mask]
    assert np.median(apart) < 0.005 and np.quantile(apart, 0.98) < 0.05 and np.quantile(apart, 0.999) < 0.3
    assert np.isfinite(prepared[1].image).all()


def test_case_36_number_types_and_byte_order(tmp_path):
    """Scaled int16, big-endian and unsigned voxels have the values of the same scan in float32."""
    values = np.round(ARRAY * 60000 - 30000).astype(np.int16)
    scale = (0.5, -7.0)
    wanted = values.astype(np.float32) * scale[0] + scale[1]
    found = []
    for order, name in (("<", "little"), (">", "big")):
        header = bytearray(nifti(tmp_path / f"{name}.nii").read_bytes()[:352])
        if order == ">":
            forms = "i10s18sihcB8h3f4h8f3fhBB4f2i80s24s2h6f12f16s4s4s"
            header = bytearray(struct.pack(">" + forms, *struct.unpack_from("<" + forms, header)))
        struct.pack_into(f"{order}2h", header, 70, 4, 16)
        struct.pack_into(f"{order}2f", header, 112, *scale)
        (tmp_path / f"{name}.nii").write_bytes(bytes(header) + values.astype(f"{order}i2").tobytes())
        found.append(read_image(tmp_path / f"{name}.nii").array)
    assert found[0].min() < -15000 and found[0].max() > 14000
    assert all(np.allclose(one, wanted, atol=1e-2) for one in found)
