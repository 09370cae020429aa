"""Fit of a scan to a model: contrasts, lesions, headers; against the template of the shipped models."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from support.source_code import ROOT

from MedADLib import load_model
from MedADLib.messages import Message
from MedADLib.preprocessing import fit
from MedADLib.preprocessing.fit import brain_measures, judged, kinds_of
from MedADLib.preprocessing.registration import AlignmentQuality
from MedADLib.preprocessing.slice_space import SliceSpace

T1_MODEL = SimpleNamespace(name="t1", modality="T1-weighted MR of the brain", kind="3-D")
OUTLINE = Message("part_outline")


@pytest.fixture(scope="module")
def space():
    return load_model(ROOT / "Resources/models/brain-t1-atlas.medad").template


def healthy(space, noise: float = 0.05) -> np.ndarray:
    """The healthy mean with noise, standard intensities."""
    image = space.image.array + np.random.default_rng(0).normal(scale=noise, size=space.mask.shape)
    return np.where(space.mask, np.clip(image, 0.01, 1.4), 0).astype(np.float32)


def prepared(space, image: np.ndarray, **facts):
    """What `judged` reads of a prepared scan, without its registration."""
    similarity = space.similarity(image, image, space.mask)
    values = {
        "image": image,
        "mask": space.mask,
        "template": space,
        "similarity": similarity,
        "native": space.image.with_array(image),
        "to_native": np.eye(4),
        "quality": AlignmentQuality(0.45, 0.6),
        "warnings": lambda: space.warnings(similarity),
    }
    return SimpleNamespace(**(values | facts))


def flair(image: np.ndarray) -> np.ndarray:
    """Dark fluid, and white matter slightly darker than grey matter."""
    return np.interp(image, (0, 0.25, 0.45, 1.0), (0, 0.2, 0.65, 0.55)).astype(np.float32) * (image > 0)


def test_a_scan_of_the_same_contrast_fits(space):
    found = judged(prepared(space, healthy(space)), OUTLINE, T1_MODEL)
    assert found.verdict == "fits" and not found.reasons and not found.seems
    assert found.measured["structure"] > 0.8 and found.measured["contrast"] == pytest.approx(1, abs=0.1)


@pytest.mark.parametrize(
    ("contrast", "seems"),
    [
        (lambda image: np.where(image > 0, 1.05 - image, 0).astype(np.float32), "t2_or_pd"),
        (flair, "flair"),
        (lambda image: np.random.default_rng(1).uniform(0.1, 0.9, image.shape).astype(np.float32) * (image > 0), ""),
    ],
)
def test_another_contrast_is_unfit_and_named(space, contrast, seems):
    found = judged(prepared(space, contrast(healthy(space))), OUTLINE, T1_MODEL)
    assert found.verdict == "unfit" and found.reasons[0].code == "fit_other_contrast" and found.seems == seems


def test_a_model_of_any_contrast_takes_other_contrasts_with_a_warning_and_no_ct(space):
    any_space, model = replace(space, any_contrast=True), SimpleNamespace(name="any", modality="MR", kind="3-D")
    assert judged(prepared(any_space, healthy(space)), OUTLINE, model).verdict == "fits"
    found = judged(prepared(any_space, flair(healthy(space))), OUTLINE, model)
    assert found.verdict == "doubtful" and [reason.code for reason in found.reasons] == ["fit_synthetic_contrast"]
    failed = prepared(any_space, flair(healthy(space)), quality=AlignmentQuality(0.01, 0.01))
    assert judged(failed, OUTLINE, model).verdict == "unfit"


@pytest.mark.parametrize("value", [0.1, 0.5, 0.9])
def test_a_lesion_of_100_ml_does_not_make_a_scan_unfit(space, value):
    image = healthy(space)
    places = np.argwhere(space.mask) * space.image.spacing[::-1]
    order = np.argsort(np.linalg.norm(places - places[len(places) // 2 + 30], axis=1))
    lesion = tuple(np.argwhere(space.mask)[order[: round(100 / space.image.voxel_ml)]].T)
    image[lesion] = value
    whole, lesioned = (brain_measures(scan, space.mask, space)["likeness"] for scan in (healthy(space), image))
    assert lesioned > 0.8 * whole > fit.DOUBTFUL


def test_weak_contrast_and_a_turned_head_are_doubtful(space):
    image = healthy(space)
    weak = np.where(space.mask, 0.5 + 0.45 * (image - 0.5), 0).astype(np.float32)
    found = judged(prepared(space, weak), OUTLINE, T1_MODEL)
    assert found.verdict == "doubtful" and found.reasons[0].code == "fit_little_contrast"
    quarter = np.eye(4)
    quarter[:2, :2] = [[0, -1], [1, 0]]
    found = judged(prepared(space, image, to_native=quarter), OUTLINE, T1_MODEL)
    assert found.verdict == "doubtful" and found.reasons[0].code == "head_turned"
    assert found.reasons[0].parameters["angle"] == pytest.approx(90)
    poor = AlignmentQuality(0.35, 0.5)
    found = judged(prepared(space, image, to_native=quarter, quality=poor), OUTLINE, T1_MODEL)
    assert found.verdict == "unfit" and found.reasons[0].code == "fit_not_aligned"
    assert judged(prepared(space, image, quality=poor), OUTLINE, T1_MODEL).verdict == "fits"


def test_a_part_of_a_brain_is_called_a_part_and_no_other_contrast(space):
    half = space.mask & (np.indices(space.mask.shape)[2] < space.mask.shape[2] // 2)
    image = healthy(space)
    weak = np.where(space.mask, 0.5 + 0.19 * (image - 0.5), 0).astype(np.float32)
    for values, reason, seems in (
        (weak, "fit_part_missing", "other_part"),
        (flair(image), "fit_other_contrast", "flair"),
    ):
        for overlap in (0.85, 0.99):
            similarity = space.similarity(values, values, half) | {"overlap": overlap}
            found = judged(prepared(space, values, similarity=similarity), OUTLINE, T1_MODEL)
            missing = overlap < space.limits["overlap"] and reason == "fit_part_missing"
            assert found.verdict == "unfit" and found.reasons[0].code == (reason if missing else "fit_other_contrast")
            assert found.seems == (seems if missing or seems == "flair" else "flair_or_t1_agent")


def test_no_brain_and_hounsfield_units_are_unfit(space):
    found = judged(prepared(space, healthy(space)), Message("part_foreground"), T1_MODEL)
    assert (found.verdict, found.reasons[0].code, found.seems) == ("unfit", "fit_no_brain", "other_part")
    image = healthy(space)
    native = space.image.with_array(np.where(space.mask, 40.0, -1000.0).astype(np.float32))
    found = judged(prepared(space, image, native=native), OUTLINE, T1_MODEL)
    assert (found.verdict, found.reasons[0].code, found.seems) == ("unfit", "fit_ct", "ct")
    model = SimpleNamespace(name="ct", modality="CT of the brain", kind="3-D")
    assert judged(prepared(space, image, native=native), OUTLINE, model).verdict == "fits"


def test_the_header_decides_where_it_names_another_kind(space):
    scan = prepared(space, healthy(space))
    for described, verdict in (("t1", "fits"), ("", "fits"), ("flair", "unfit"), ("t1_agent", "unfit")):
        found = judged(scan, OUTLINE, T1_MODEL, described)
        assert found.verdict == verdict and found.seems == (described if verdict == "unfit" else "")
    unknown = SimpleNamespace(name="any", modality="scans", kind="3-D")
    assert judged(scan, OUTLINE, unknown, "flair").verdict == "fits", "the words of the model name no kind"


def test_limits_follow_a_template_that_its_own_scans_resemble_less(space):
    limits = space.limits | {"correlation": 0.1, "histogram": 1.0}
    loose = replace(space, limits=limits)
    image = healthy(space)
    weak = np.where(space.mask, 0.5 + 0.28 * (image - 0.5), 0).astype(np.float32)
    assert judged(prepared(space, weak), OUTLINE, T1_MODEL).verdict != "fits"
    assert judged(prepared(loose, weak), OUTLINE, T1_MODEL).verdict != "unfit"


@pytest.mark.parametrize(
    ("modality", "kinds"),
    [
        ("T1-weighted MR of the brain", {"t1"}),
        ("T1 with contrast agent", {"t1", "t1_agent"}),
        ("T1-weighted MR without contrast agent", {"t1"}),
        ("T2-FLAIR", {"flair"}),
        ("T2-weighted MR", {"t2"}),
        ("CT", {"ct"}),
        ("2-D images", set()),
    ],
)
def test_words_of_a_modality_name_kinds_of_scans(modality, kinds):
    assert kinds_of(modality) == kinds


@pytest.mark.parametrize(
    ("slope", "seems"), [(0.1, "flair"), (0.25, "flair_or_t1_agent"), (0.35, "flair_or_t1_agent"), (0.5, "t1_agent")]
)
def test_flair_and_t1_with_agent_are_named_apart_only_where_the_measures_differ(slope, seems):
    measured = {"contrast": slope, "structure": 0.5, "overlap": 0.93}
    assert fit._seen(measured, AlignmentQuality(0.45, 0.6), {"t1"}) == seems
    assert "FLAIR" in fit.kind_name("flair_or_t1_agent") and "agent" in fit.kind_name("flair_or_t1_agent")


def test_a_label_map_is_named_as_such(space):
    labels = np.where(space.mask, 1 + np.digitize(healthy(space, 0.0), (0.4, 0.6, 0.75)), 0)
    inverse = np.where(space.mask, 1.05 - healthy(space), 0).astype(np.float32)
    native = space.image.with_array(labels.astype(np.int16))
    found = judged(prepared(space, inverse, native=native), OUTLINE, T1_MODEL)
    assert (found.verdict, found.reasons[0].code, found.seems) == ("unfit", "fit_label_map", "label_map")
    assert found.reasons[0].parameters["labels"] == 5
    assert judged(prepared(space, healthy(space), native=native), OUTLINE, T1_MODEL).verdict == "fits"


@pytest.mark.parametrize(
    ("correlation", "histogram", "verdict"),
    [
        (0.33, 0.316, "unfit"), (0.49, 0.226, "unfit"),  # radiographs of chests in a model of brain slices
        (0.53, 0.285, "doubtful"), (0.80, 0.165, "doubtful"), (0.45, 0.1, "doubtful"), (0.94, 0.02, "fits"),
    ],
)  # fmt: skip
def test_another_organ_in_a_slice_is_unfit_if_both_measures_are_far(correlation, histogram, verdict):
    limits = {"histogram": 0.052, "correlation": 0.893, "overlap": 0.93}
    space = replace(SliceSpace.empty((32, 32)), limits=limits)
    similarity = {"histogram": histogram, "correlation": correlation, "overlap": 1.0}
    scan = SimpleNamespace(template=space, similarity=similarity, warnings=lambda: space.warnings(similarity))
    found = judged(scan, Message("part_field_of_view"), SimpleNamespace(name="slices", modality="brain", kind="2-D"))
    assert found.verdict == verdict
    if verdict == "unfit":
        assert found.reasons[0].code == "fit_far"


def test_radiographs_with_pneumonia_stay_within_a_model_of_normal_chests():
    limits = {"histogram": 0.201, "correlation": 0.5, "overlap": 0.93}
    space = replace(SliceSpace.empty((32, 32)), limits=limits)
    # The least similar one of 834.
    assert not fit._far(space, {"correlation": 0.257, "histogram": 0.292, "overlap": 1.0})
    assert not fit._uncorrelated(space, {"correlation": 0.257})
