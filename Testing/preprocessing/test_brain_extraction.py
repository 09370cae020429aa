"""The part of a scan that is brain: stripped scans are recognised, masks are given, outlined or extracted."""

from __future__ import annotations

from dataclasses import replace
from importlib import metadata

import numpy as np
import pytest
import SimpleITK as sitk
from support.raised import raises
from support.synthetic import brain_volume
from support.toy_head import head

from MedADLib.errors import Cancelled, InputError
from MedADLib.io.reading import read_image
from MedADLib.preprocessing import brain_extraction
from MedADLib.preprocessing.brain_extraction import (
    Extraction,
    NoBrainError,
    brain_mask,
    brain_or_foreground,
    holds_brain,
    inside_of,
    is_skull_stripped,
)
from MedADLib.runtime.progress import Progress
from MedADLib.volume import Volume, reoriented

STRIPPED = [
    "healthy_t1_ds002748/sub-52_T1w.nii.gz",
    "healthy_t1_ds002748/sub-06_T1w.nii.gz",
    "ms_open_ms_data/patient19/T1_N4_noneck_reduced_winsor_regtoFLAIR_brain_N4_regtoMNI.nii.gz",
    "ms_open_ms_data/patient19/FLAIR_N4_noneck_reduced_winsor_regtoFLAIR_brain_N4_regtoMNI.nii.gz",
    "stroke_cstar/T1.nii.gz",
    "stroke_cstar/T2.nii.gz",
]
WITH_SKULL = [
    "healthy_t1_ixi_2mm/IXI012-HH-1211-T1_ds.nii.gz",
    "healthy_t1_ixi_2mm/IXI034-HH-1260-T1_ds.nii.gz",
    "stroke_t2_rorden/T2.nii.gz",
    "tumour_pyradiomics/brain1_image.nrrd",
    "body_totalsegmentator/example_ct.nii.gz",
    "body_totalsegmentator/example_mr_sm.nii.gz",
]
IXI = "healthy_t1_ixi_2mm/IXI014-HH-1236-T1_ds"


def ripple(volume):
    """Resample with splines, which leave faint rings around edges."""
    image = volume.to_sitk()
    turn = sitk.Euler3DTransform(
        image.TransformContinuousIndexToPhysicalPoint([n / 2 for n in image.GetSize()]), 0.1, 0.2, 0
    )
    return Volume.from_sitk(sitk.Resample(image, image, turn, sitk.sitkBSpline))


def test_a_head_in_noisy_air_has_a_skull():
    assert not is_skull_stripped(head()[0])


def test_a_head_has_a_skull_even_if_its_air_was_cleaned():
    assert not is_skull_stripped(head(air_noise=0)[0])


@pytest.mark.parametrize(
    "change",
    [
        lambda array, brain: np.where(brain, array, 0),
        lambda array, brain: np.where(brain, array, -1024),
        lambda array, brain: np.where(brain, (array - 90) / 10, -3.5),
        lambda array, brain: np.where(brain, np.round(array * 2), 0),
        lambda array, brain: np.where(brain, array - 85, 0),
    ],
    ids=["zero", "minus 1024", "z-score", "8 bit", "some values below zero"],
)
def test_a_brain_on_one_background_value_is_stripped_whatever_the_value(change):
    volume, brain = head()
    assert is_skull_stripped(volume.with_array(change(volume.array, brain).astype(np.float32)))


def test_a_cropped_or_partial_or_rippled_brain_is_stripped():
    volume, brain = head()
    stripped = volume.with_array(np.where(brain, volume.array, 0))
    low, high = np.argwhere(brain).min(axis=0), np.argwhere(brain).max(axis=0) + 1
    box = tuple(slice(start, stop) for start, stop in zip(low, high))
    cropped = Volume(stripped.array[box], stripped.affine)
    assert is_skull_stripped(cropped)
    assert is_skull_stripped(Volume(cropped.array[: len(cropped.array) // 2], stripped.affine))
    assert is_skull_stripped(ripple(stripped))


def test_an_image_without_any_signal_is_not_a_brain():
    assert not is_skull_stripped(Volume(np.zeros((20, 20, 20), np.float32), np.eye(4)))


@pytest.mark.parametrize("name", STRIPPED)
def test_real_stripped_scans_are_recognised_and_outlined(data_dir, name):
    mask, how = brain_mask(volume := read_image(data_dir / name))
    assert "skull-stripped" in how
    assert 900 < mask.sum() * volume.voxel_ml < 1700


@pytest.mark.parametrize("name", WITH_SKULL)
def test_real_scans_with_a_skull_are_recognised(data_dir, name):
    assert not is_skull_stripped(read_image(data_dir / name))


def test_the_template_of_nilearn_is_stripped():
    datasets = pytest.importorskip("nilearn.datasets")
    image = datasets.load_mni152_template(resolution=2)
    volume = Volume(image.get_fdata().transpose(2, 1, 0).astype(np.float32), image.affine)
    assert is_skull_stripped(volume)


def test_the_outline_is_one_piece_without_holes():
    volume, brain = head()
    array = np.where(brain, volume.array, 0)
    centre = np.array(array.shape) // 2
    array[tuple(slice(c - 3, c + 3) for c in centre)] = 0
    array[1:3, 1:3, 1:3] = 100
    mask, _ = brain_mask(volume.with_array(array))
    assert np.array_equal(mask, brain)


def test_a_given_mask_is_taken_as_it_is():
    volume, brain = head()
    given = volume.with_array(brain * 0.25, "mask")
    mask, how = brain_mask(volume, given)
    assert np.array_equal(mask, brain)
    assert how.code == "part_given_mask"


RAMP = np.linspace(0, 1, 8, dtype=np.float32).reshape(2, 2, 2)
INSIDE = {
    "yes or no": (np.array([0, 1]), [0, 1]),
    "bytes": (np.array([0, 255]), [0, 1]),
    "minus one outside": (np.array([-1, 1]), [0, 1]),
    "negative outside": (np.array([-1000.0, 3.5]), [0, 1]),
    "labels": (np.array([0, 1, 2, 5]), [0, 1, 1, 1]),
    "labels of the cortex": (np.arange(0, 2000, 10), [0] + [1] * 199),
    "probabilities": (np.linspace(0, 1, 101), [0] * 50 + [1] * 51),
    "rounded probabilities": (np.linspace(0, 1.0000001, 256), [0] * 128 + [1] * 128),
    "everything": (np.array([1, 1]), [1, 1]),
}
AMBIGUOUS = {
    "minus one, zero and one": [-1, 0, 1],
    "minus one and zero": [-1, 0],
    "no outside": [1, 2, 3],
    "per cent": np.linspace(0, 100, 201),
    "whole per cent": np.arange(101),
    "bytes of probability": np.arange(256),
    "intensities": np.arange(1000),
    "distances": np.linspace(-20, 20, 50),
    "beyond one": np.linspace(0, 1.5, 50),
}


@pytest.mark.parametrize("kind", INSIDE)
def test_what_is_inside_of_a_mask(kind):
    values, inside = INSIDE[kind]
    for dtype in (np.float32, np.float64, values.dtype):
        assert inside_of(values.astype(dtype).reshape(1, 1, -1), "mask").ravel().tolist() == [
            bool(one) for one in inside
        ]


@pytest.mark.parametrize("kind", AMBIGUOUS)
def test_a_mask_that_can_mean_several_things_is_refused(kind):
    with raises(InputError, "mask_ambiguous", mask="brainmask"):
        inside_of(np.array(AMBIGUOUS[kind]).reshape(1, 1, -1), "brainmask")


def test_a_mask_of_probabilities_is_said_to_be_one(caplog):
    inside_of(RAMP, "mask")
    assert [record.msg.code for record in caplog.records] == ["mask_probabilities"]


@pytest.mark.parametrize("letters", ["LPS", "ASR", "IPL", "PIR"])
def test_a_mask_of_the_same_grid_in_another_voxel_order_is_turned(letters):
    volume, brain = head()
    turn = np.eye(4)
    turn[:3, :3] = np.array(sitk.Euler3DTransform((0, 0, 0), 0.4, -0.7, 0.3).GetMatrix()).reshape(3, 3)
    for affine in (volume.affine, turn @ volume.affine):
        scan = replace(volume, affine=affine)
        given = reoriented(scan.with_array(brain.astype(np.float32), "mask"), letters)
        assert np.array_equal(brain_mask(scan, given)[0], brain)
    half = scan.with_array(brain.astype(np.float32)).affine.copy()
    half[:3, 3] += half[:3, 0] / 2
    with raises(InputError, "mask_elsewhere"):
        brain_mask(scan, reoriented(Volume(brain.astype(np.float32), half, "mask"), letters))


def test_an_unfit_mask_is_refused():
    volume = brain_volume()
    mask = volume.with_array((volume.array > 0).astype(np.float32), "brainmask")
    with pytest.raises(InputError) as caught:
        brain_mask(volume, mask.with_array(np.zeros_like(mask.array)))
    assert caught.value.code == "mask_empty" and caught.value.parameters["mask"] == "brainmask"
    with raises(InputError, "mask_not_on_grid") as caught:
        brain_mask(volume, Volume(mask.array[1:], mask.affine, "brainmask"))
    reported = caught.value.parameters
    assert (reported["mask_shape"], reported["shape"]) == ("26 x 28 x 23", "26 x 28 x 24")
    shifted = mask.affine.copy()
    shifted[2, 3] += 3
    with raises(InputError, "mask_elsewhere"):
        brain_mask(volume, replace(mask, affine=shifted))


def test_without_deepbet_the_reader_learns_how_to_get_it(monkeypatch):
    def absent(name):
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(brain_extraction.metadata, "files", absent)
    with pytest.raises(InputError) as caught:
        brain_mask(head()[0])
    assert caught.value.code == "deepbet_missing" and caught.value.parameters["package"].startswith("deepbet==")


def answers(monkeypatch, **agreements):
    """Replace the extraction: a mask of its own for each transfer with an agreement, no brain for the others.

    Returns:
        The masks, and the transfers asked for so far.
    """
    shape, asked = head()[1].shape, []
    masks = {transfer: np.zeros(shape, bool) for transfer in agreements}
    for number, mask in enumerate(masks.values()):
        mask[10:60, 10:60, 10 : 60 - number] = True

    def extract(volume, progress, transfer=""):
        asked.append(transfer)
        name = transfer or "scanned"
        if name not in agreements:
            raise NoBrainError(volume.name)
        return Extraction(masks[name], agreements[name], transfer)

    monkeypatch.setattr(brain_extraction, "_extract", extract)
    monkeypatch.setattr(brain_extraction, "approximate_brain", lambda volume: None)
    return masks, asked


def test_a_brain_that_both_networks_see_is_extracted_once(monkeypatch, caplog):
    masks, asked = answers(monkeypatch, scanned=0.96, inverted=0.99)
    mask, how = brain_mask(head()[0])
    assert np.array_equal(mask, masks["scanned"]) and asked == [""]
    assert how.code == "part_extraction" and not caplog.records


def test_no_extraction_is_repeated_for_a_turn_that_is_taken_back(monkeypatch):
    _, asked = answers(monkeypatch)
    monkeypatch.setattr(brain_extraction, "approximate_brain", lambda volume: np.ones(volume.array.shape, bool))
    _, how = brain_mask(head()[0], turn_of=lambda volume, rough: np.diag([-1.0, -1.0, 1.0]))
    assert how.code == "part_foreground"
    assert sorted(asked) == ["", "", "folded", "folded", "inverted", "inverted"]


def test_in_another_contrast_the_intensities_on_which_the_networks_agree_most_count(monkeypatch, caplog):
    for first in ({"scanned": 0.9}, {}):
        masks, _ = answers(monkeypatch, **first, inverted=0.96, folded=0.98)
        mask, how = brain_mask(head()[0])
        assert np.array_equal(mask, masks["folded"]) and how.code == "part_extraction_folded"
        assert holds_brain(head()[0])
        masks, _ = answers(monkeypatch, **first, inverted=0.98, folded=0.96)
        mask, how = brain_mask(head()[0])
        assert np.array_equal(mask, masks["inverted"]) and how.code == "part_extraction_inverted"
    assert not caplog.records


def test_a_doubtful_brain_is_kept_with_a_warning(monkeypatch, caplog):
    for inverted, kept, code in ((0.85, "scanned", "part_extraction"), (0.94, "inverted", "part_extraction_inverted")):
        caplog.clear()
        masks, _ = answers(monkeypatch, scanned=0.7, inverted=inverted, folded=0.6)
        mask, how = brain_mask(head()[0])
        assert np.array_equal(mask, masks[kept]) and how.code == code
        (record,) = caplog.records
        assert record.msg.code == "extraction_doubtful"
        assert record.msg.parameters["agreement"] == (0.7 if kept == "scanned" else inverted)


def test_without_a_brain_a_doubtful_one_of_other_intensities_does_not_count(monkeypatch, caplog):
    answers(monkeypatch, inverted=0.85)
    mask, how = brain_mask(head()[0])
    assert how.code == "part_foreground" and mask.sum() > head()[1].sum()
    assert not caplog.records, "a run may refuse the scan; its result has the warning"
    assert np.array_equal(brain_or_foreground(head()[0]), mask)
    assert [record.msg.code for record in caplog.records] == ["whole_foreground_examined"]
    assert not holds_brain(head()[0])


def test_a_turned_head_of_another_contrast_is_turned_upright(monkeypatch):
    masks, _ = answers(monkeypatch, inverted=0.98)
    volume, seen = head()[0], []

    def turn_of(volume, rough):
        seen.append(volume.affine)
        return np.eye(3) if len(seen) > 1 else np.diag([-1.0, -1.0, 1.0])

    mask, how = brain_mask(volume, turn_of=turn_of)
    assert np.array_equal(mask, masks["inverted"]) and how.code == "part_extraction_inverted"
    assert np.allclose(seen[1][:3, :3], np.diag([-3.0, -3.0, 3.0]))


class BrightNetwork:
    """A network that takes what is brighter than most of the image for the brain, inside a radius or everywhere."""

    def __init__(self, seen, radius=None):
        self.seen, self.radius = seen, radius

    def __call__(self, image):
        import torch

        self.seen.append(image[0, 0])
        inside = image[0, 0] > 0.6
        if self.radius is not None:
            x, y, z = (torch.linspace(-1, 1, n) ** 2 for n in inside.shape)
            inside &= x[:, None, None] + y[:, None] + z <= self.radius**2
        return torch.stack([~inside, inside])[None].float()


def dark_brain():
    """A head like that of `head`, its brain much darker than the scalp, but not as dark as the air."""
    volume, brain = head()
    distance = (
        np.sqrt(((np.indices(brain.shape) - np.array(brain.shape)[:, None, None, None] / 2) ** 2).sum(axis=0)) * 3
    )
    array = np.select([brain, distance < 90], [40.0, 140.0], 0.0)
    array += np.random.default_rng(0).normal(0, 1, brain.shape)
    return volume.with_array(np.abs(array).astype(np.float32)), brain


def test_inverted_intensities_show_a_dark_brain_bright_and_the_air_dark(monkeypatch):
    pytest.importorskip("torch")
    seen = []
    monkeypatch.setattr(brain_extraction, "_network", lambda name: BrightNetwork(seen))
    volume, brain = dark_brain()
    mask, how = brain_mask(volume)
    assert how.code == "part_extraction_inverted"
    assert overlap(mask, brain) > 0.97
    assert all(image[0, 0, 0] < image[64, 64, 64] for image in seen[2:] if image.shape[0] == 128)


def test_networks_that_differ_agree_little(monkeypatch):
    pytest.importorskip("torch")
    volume, brain = head()
    for radius, least, most in ((None, 0.95, 1.0), (0.7, 0.5, 0.8)):
        networks = {"bbox_model.pt": BrightNetwork([]), "model.pt": BrightNetwork([], radius)}
        monkeypatch.setattr(brain_extraction, "_network", networks.get)
        scan = volume.with_array(np.where(brain, volume.array + 100, volume.array / 10))
        found = brain_extraction._extract(scan, Progress())
        assert found.agreement == pytest.approx(overlap(found.mask, brain), abs=0.03)
        assert least < found.agreement <= most


@pytest.fixture
def deepbet():
    pytest.importorskip("torch")
    try:
        metadata.version("deepbet")
    except metadata.PackageNotFoundError:
        pytest.skip("deepbet is not installed")


def test_weights_that_were_tampered_with_are_not_loaded(deepbet, monkeypatch):
    import torch

    monkeypatch.setitem(brain_extraction.NETWORKS, "model.pt", "0" * 64)
    loaded = []
    monkeypatch.setattr(torch.jit, "load", lambda *args, **_: loaded.append(args) or torch.nn.Identity())
    with pytest.raises(InputError) as caught:
        brain_mask(head()[0])
    assert caught.value.code == "deepbet_not_vetted" and "model.pt" in caught.value.parameters["file"]
    assert len(loaded) == 1


def overlap(mask, truth):
    return 2 * (mask & truth).sum() / (mask.sum() + truth.sum())


@pytest.mark.slow
def test_a_real_head_is_extracted_the_same_in_every_orientation(deepbet, data_dir):
    volume = read_image(data_dir / f"{IXI}.nii.gz")
    truth = read_image(data_dir / f"{IXI}_DLMUSE.nii.gz").array > 0
    mask, how = brain_mask(volume)
    assert "deepbet" in how
    assert overlap(mask, truth) > 0.97
    turned = sitk.DICOMOrient(volume.with_array(volume.array).to_sitk(), "LSA")
    other, _ = brain_mask(Volume.from_sitk(turned))
    assert other.shape != mask.shape
    back = sitk.GetImageFromArray(other.astype(np.uint8))
    back.CopyInformation(turned)
    assert np.array_equal(sitk.GetArrayFromImage(sitk.DICOMOrient(back, "PSR")) > 0, mask)


@pytest.mark.slow
def test_a_real_head_of_inverted_contrast_is_extracted(deepbet, data_dir):
    volume = read_image(data_dir / f"{IXI}.nii.gz")
    truth = read_image(data_dir / f"{IXI}_DLMUSE.nii.gz").array > 0
    top = np.percentile(volume.array, 99.5)
    array = np.where(volume.array > 0.04 * top, np.maximum(1.1 * top - volume.array, 0.02 * top), volume.array)
    mask, how = brain_mask(volume.with_array(array))
    assert how.code == "part_extraction_inverted"
    assert overlap(mask, truth) > 0.96


@pytest.mark.slow
def test_a_body_has_no_brain_and_is_examined_whole_with_a_warning(deepbet, data_dir, caplog):
    body = read_image(data_dir / "body_totalsegmentator" / "example_ct.nii.gz")
    mask, how = brain_mask(body)
    assert how.code == "part_foreground" and not caplog.records
    assert np.array_equal(brain_or_foreground(body), mask)
    assert "whole_foreground_examined" in [getattr(record.msg, "code", "") for record in caplog.records]
    assert mask.sum() * body.voxel_ml > 2000


def test_extraction_can_be_cancelled(deepbet):
    asked = iter([False, False, False, True])
    with pytest.raises(Cancelled):
        brain_mask(head()[0], progress=Progress(cancelled=lambda: next(asked)))
