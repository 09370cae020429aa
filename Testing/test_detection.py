from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from support.phantoms import METHODS, ToyModels, head, one_alignment, one_thread, toy_models, with_lesion  # noqa: F401
from support.raised import raises

from MedADLib import detect, load_model
from MedADLib.detection import Detection, Settings, content_hash, fit_of, judge
from MedADLib.errors import Cancelled, InputError, UnfitError
from MedADLib.io.reading import read_image
from MedADLib.messages import Message
from MedADLib.methods.latent_restoration import LatentRestoration
from MedADLib.preprocessing.registration import AlignmentQuality
from MedADLib.results.reading import reopen, stored_results
from MedADLib.results.text import part_name
from MedADLib.results.writing import write_detection
from MedADLib.runtime.progress import Progress
from MedADLib.runtime.strict_json import plain
from MedADLib.scoring.healthy_reference import Threshold
from MedADLib.volume import Volume

PLACE, RADIUS_MM = (30.0, 20.0, 10.0), 13.0


@pytest.fixture(scope="module")
def toy(one_thread) -> Iterator[ToyModels]:  # noqa: F811
    return toy_models()


@pytest.fixture(scope="module")
def atlas(toy):
    return load_model(toy.models["atlas"])


@pytest.fixture(scope="module")
def sick() -> tuple[Volume, np.ndarray, np.ndarray]:
    """A toy head with a lesion, its brain, and the lesion."""
    volume, mask = head(30)
    lesioned, ball = with_lesion(volume, PLACE, RADIUS_MM)
    return lesioned, mask, ball & mask


@pytest.fixture(scope="module")
def found(atlas, sick) -> Detection:
    return detect(sick[0], atlas)


def shifted(right_mm: float) -> np.ndarray:
    matrix = np.eye(4)
    matrix[0, 3] = right_mm
    return matrix


def check_maps(detection: Detection, volume: Volume) -> None:
    """Check what holds for every result of any model."""
    mask = detection.mask.array > 0
    for result in (detection.anomaly, detection.restored, detection.labels, detection.mask):
        assert result.same_grid(volume) and np.isfinite(result.array).all()
    assert detection.anomaly.array.dtype == detection.restored.array.dtype == np.float32
    assert (detection.anomaly.array >= 0).all() and (detection.anomaly.array[~mask] == 0).all()
    assert np.array_equal(detection.restored.array[~mask], volume.array[~mask])
    assert set(np.unique(detection.labels.array)) == {0, *(region.label for region in detection.regions)}
    assert (detection.anomaly.array[detection.labels.array > 0] >= detection.threshold).all()
    assert 1 / (detection.healthy_count + 1) <= detection.p_value <= 1 and detection.interpretable
    json.dumps(plain(detection.provenance), allow_nan=False)


def overlap(detection: Detection, truth: np.ndarray, label: int = 1) -> float:
    region = detection.labels.array == label
    return 2 * (region & truth).sum() / (region.sum() + truth.sum())


def test_the_atlas_finds_a_lesion_as_the_most_anomalous_region(found, sick):
    volume, mask, truth = sick
    check_maps(found, volume)
    assert (found.mask.array > 0).sum() == pytest.approx(mask.sum(), rel=0.02)
    assert overlap(found, truth) > 0.5
    first = found.regions[0]
    assert np.linalg.norm(np.array(first.centroid_ras) - PLACE) < 6
    assert first.peak == found.anomaly.array.max() and first.volume_ml > 3
    assert found.anomaly.array[truth].mean() > 3 * found.anomaly.array[mask & ~truth].mean()
    assert found.p_value == found.regions[0].p_value == 1 / 3 and found.healthy_count == 2


def test_the_restored_lesion_is_as_bright_as_healthy_tissue(found, sick):
    volume, _, truth = sick
    healthy, _ = head(30)
    lost = (healthy.array - volume.array)[truth].mean()
    assert np.abs(found.restored.array - healthy.array)[truth].mean() < 0.4 * lost


@pytest.mark.parametrize("method", METHODS)
def test_every_method_gives_whole_maps_that_repeat_bit_for_bit(toy, sick, method):
    model = load_model(toy.models[method])
    if method == "latent_restoration":
        fewer = replace(model.method.parameters, samples=3)
        model = replace(model, method=LatentRestoration(fewer, model.method.vqvae, model.method.prior))
    volume = sick[0]
    first, second = detect(volume, model, Settings(seed=3)), detect(volume, model, Settings(seed=3))
    check_maps(first, volume)
    for name in ("anomaly", "restored", "labels"):
        assert np.array_equal(getattr(first, name).array, getattr(second, name).array)
    assert first.score == second.score and first.regions == second.regions


def test_an_oblique_left_handed_scan_gives_the_same_lesion_on_its_own_grid(atlas, sick):
    volume, _, truth = sick
    turn, flip = np.eye(4), np.diag([-1.0, 1.0, 1.0, 1.0])
    c, s = np.cos(np.deg2rad(12)), np.sin(np.deg2rad(12))
    turn[:3, :3], turn[:3, 3] = [[1, 0, 0], [0, c, -s], [0, s, c]], (40.0, -25.0, 12.0)
    flip[0, 3] = volume.array.shape[2] - 1
    affine = turn @ volume.affine @ flip
    assert np.linalg.det(affine[:3, :3]) < 0
    other = Volume(np.ascontiguousarray(volume.array[:, :, ::-1]), affine, "oblique")
    detection = detect(other, atlas)
    check_maps(detection, other)
    assert overlap(detection, truth[:, :, ::-1]) > 0.5
    wanted = (turn @ np.array([*PLACE, 1]))[:3]
    assert np.linalg.norm(np.array(detection.regions[0].centroid_ras) - wanted) < 6


def test_thick_slices_keep_their_grid(atlas, sick):
    volume, _, truth = sick
    affine = volume.affine @ np.diag([1.0, 1.0, 2.0, 1.0])
    thick = Volume(np.ascontiguousarray(volume.array[::2]), affine, "thick")
    detection = detect(thick, atlas)
    check_maps(detection, thick)
    assert overlap(detection, truth[::2]) > 0.4


def test_thresholds_are_what_the_reader_asks_for(atlas, sick):
    volume, mask, _ = sick
    settings = Settings(mask=volume.with_array(mask.astype(np.uint8)))
    for text in ("10ml", "0.5%"):
        detection = detect(volume, atlas, replace(settings, threshold=Threshold.parse(text)))
        value = atlas.calibration.reference.value_of(Threshold.parse(text))
        assert detection.threshold == value and detection.provenance["settings"]["threshold"] == text
        assert detection.expected_false_positive_ml == atlas.calibration.reference.expected_false_positive_ml(value)
    low = Threshold.parse("1.5")
    everything = detect(volume, atlas, replace(settings, threshold=low, smallest_region_ml=0.0))
    large = detect(volume, atlas, replace(settings, threshold=low, smallest_region_ml=2.0))
    assert large.threshold == 1.5
    assert len(large.regions) < len(everything.regions)
    assert min(region.volume_ml for region in large.regions) >= 2.0


def test_a_given_mask_is_the_region_examined(atlas, sick):
    volume, mask, truth = sick
    half = mask.copy()
    half[:, :6] = False
    given = volume.with_array(half.astype(np.uint8))
    detection = detect(volume, atlas, Settings(mask=given))
    assert np.array_equal(detection.mask.array > 0, half)
    assert detection.provenance["brain_mask"] == "given mask"
    check_maps(detection, volume)


def test_masks_that_do_not_fit_are_refused(atlas, sick):
    volume, mask, _ = sick
    smaller = Volume(mask[1:].astype(np.uint8), volume.affine, "smaller")
    elsewhere = Volume(mask.astype(np.uint8), shifted(5.0) @ volume.affine, "elsewhere")
    empty = volume.with_array(np.zeros(mask.shape, np.uint8), "empty")
    for given, code in ((smaller, "mask_not_on_grid"), (elsewhere, "mask_elsewhere"), (empty, "mask_empty")):
        with pytest.raises(InputError) as refused:
            detect(volume, atlas, Settings(mask=given))
        assert refused.value.code == code and given.name in refused.value.problem


@pytest.mark.parametrize(
    ("settings", "code"),
    [
        ({"seed": -1}, "bad_seed"),
        ({"seed": True}, "bad_seed"),
        ({"seed": 1.0}, "bad_seed"),
        ({"fast": 1}, "bad_fast"),
        ({"smallest_region_ml": "1"}, "smallest_region_out_of_range"),
        ({"device": "cuda:x"}, "unknown_device"),
        ({"smallest_region_ml": -0.1}, "smallest_region_out_of_range"),
        ({"force": 1}, "bad_force"),
        ({"smallest_region_ml": float("nan")}, "smallest_region_out_of_range"),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings, code):
    with raises(InputError, code):
        Settings(**settings)


def test_settings_come_back_from_json_and_from_the_provenance_of_their_result():
    chosen = Settings(None, "cuda:1", 7, Threshold(1.5, "ml"), 2.0, True)
    document = json.loads(json.dumps(chosen.as_json()))
    assert Settings.from_json(document).as_json() == document and document["threshold"] == "1.5ml"
    assert Settings.from_json({}).as_json() == Settings().as_json()
    assert Settings.from_json({"threshold": 1e-7}).threshold == Threshold(1e-7)
    kept = {name: document[name] for name in ("threshold", "smallest_region_ml", "fast")}
    provenance = {"device": "cuda:1", "seed": 7, "settings": kept}
    assert Settings.of_provenance(provenance).as_json() == {**document, "device": "cuda"}
    assert Settings.of_provenance({}).as_json() == Settings().as_json(), "a result of an earlier version"
    with raises(InputError, "unknown_setting"):
        Settings.from_json({"seeds": 1})


@pytest.mark.parametrize("device", ["abacus", "cuda:x", "cpu:0", "cuda:99", ""])
def test_a_device_that_is_not_there_is_named(atlas, sick, device):
    volume, mask, _ = sick
    with raises(InputError, "no_gpu" if device == "cuda:99" else "unknown_device") as refused:
        detect(volume, atlas, Settings(mask=volume.with_array(mask.astype(np.uint8)), device=device))
    assert refused.value.parameters == {"device": device}


def test_a_model_without_calibration_is_refused_at_once(atlas, sick):
    with pytest.raises(InputError) as refused:
        detect(sick[0], replace(atlas, calibration=None))
    assert (refused.value.code, refused.value.parameters) == ("not_calibrated", {"model": atlas.name})


def test_an_inverted_contrast_is_refused_and_forced_it_is_not_interpretable(atlas, tmp_path):
    volume, mask = head(31)
    inverted = volume.with_array(np.where(mask, np.maximum(1400 - volume.array, 1), 0).astype(np.float32))
    inverted.write(tmp_path / "scan.nii.gz")
    inverted = read_image(tmp_path / "scan.nii.gz")
    with raises(UnfitError, "scan_does_not_fit_seems", name="scan", model=atlas.name) as refused:
        detect(inverted, atlas)
    assert refused.value.parameters["reason"].code == "fit_other_contrast"
    detection = detect(inverted, atlas, Settings(force=True))
    assert not detection.interpretable and detection.provenance["fit"]["seems"] == "t2_or_pd"
    assert np.isnan(detection.p_value) and detection.regions
    assert all(np.isnan([region.p_value, region.q_value]).all() for region in detection.regions)
    codes = [warning.code for warning in detection.warnings]
    assert codes[0] == "fit_other_contrast" and "out_of_distribution" in codes
    write_detection(detection, tmp_path, "scan", figure=False, source=tmp_path / "scan.nii.gz")
    document = json.loads((tmp_path / "scan.json").read_text())
    assert document["verdict"] == "NOT INTERPRETABLE" and document["p_value"] is None
    assert {region["p_value"] for region in document["regions"]} == {None}
    for line in (tmp_path / "scan_regions.tsv").read_text().splitlines()[1:]:
        assert line.split("\t")[5:7] == ["n/a", "n/a"]
    again = reopen(*stored_results(tmp_path))
    assert not again.interpretable and np.isnan(again.p_value) and len(again.regions) == len(detection.regions)


def test_force_is_offered_only_where_it_gives_a_result(atlas):
    volume, mask = head(31)
    inverted = volume.with_array(np.where(mask, np.maximum(1400 - volume.array, 1), 0).astype(np.float32))
    judgement = judge(inverted, atlas)
    assert "--force, or" in str(judgement.refusal()) and judgement.refusal(force=True) is None
    lost = replace(judgement, prepared=replace(judgement.prepared, quality=AlignmentQuality(0.0, 0.0)))
    assert "does not help" in str(lost.refusal())
    assert lost.refusal().parameters["force"].code == "force_helps_not"
    assert lost.refusal(force=True).code == "alignment_failed"


def test_the_fit_before_a_run_is_that_of_the_run(atlas, sick, found):
    fit = fit_of(sick[0], atlas)
    assert fit.verdict != "unfit" and fit.as_json() == found.provenance["fit"]


def test_a_run_that_is_given_its_judgement_finds_the_same(atlas, sick, found):
    again = detect(sick[0], atlas, judgement=judge(sick[0], atlas))
    assert (again.anomaly.array == found.anomaly.array).all() and again.regions == found.regions
    assert again.warnings == found.warnings
    unlike = {"seconds", "versions"}
    kept = [{key: value for key, value in one.provenance.items() if key not in unlike} for one in (again, found)]
    assert kept[0] == kept[1] and set(again.provenance["seconds"]) == set(found.provenance["seconds"])


def test_a_scan_as_of_another_scanner_is_brought_down_and_warned_of(atlas, sick, found):
    def codes(detection: Detection) -> set[str]:
        return {warning.code for warning in detection.warnings if isinstance(warning, Message)}

    scan, mask, lesion = sick
    noise = np.random.default_rng(5).normal(0, 0.25 * scan.array[mask].mean(), scan.array.shape) * mask
    noisy_scan = replace(scan, array=(scan.array + noise).astype(np.float32))
    reference = atlas.calibration.reference
    scores = {name: np.resize(getattr(reference, name), 12) for name in ("maxima", "sample_scores")}
    on_twelve = replace(atlas, calibration=replace(atlas.calibration, reference=replace(reference, **scores)))
    noisy, few = detect(noisy_scan, on_twelve), detect(noisy_scan, atlas)
    assert "scores_higher_everywhere" in codes(noisy)
    assert "scores_higher_everywhere" not in codes(few) | codes(found)
    usual, more = (detection.provenance["brought_down"] for detection in (found, noisy))
    assert len(usual) == len(more) == len(atlas.calibration.scales) and max(more) > max(usual) + 0.5


def test_a_healthy_head_looks_healthier_than_a_sick_one(atlas, found):
    volume, _ = head(30)
    healthy = detect(volume, atlas)
    assert healthy.anomaly.array.max() < 0.6 * found.anomaly.array.max()
    assert healthy.score < found.score
    assert not any(warning.code == "out_of_distribution" for warning in healthy.warnings)


def test_the_result_states_how_it_was_made(found, atlas, sick):
    provenance = found.provenance
    assert provenance["model"] == {"name": "toy-atlas", "version": "1.0.0", "sha256": atlas.sha256}
    assert provenance["method"] == "atlas" and provenance["device"] == "cpu" and provenance["seed"] == 0
    assert len(provenance["input"]["sha256"]) == 64 and provenance["input"]["name"] == sick[0].name
    assert {"brain mask", "preparation", "restoration", "anomaly map", "regions"} <= set(provenance["seconds"])
    assert {"medad", "torch", "numpy", "SimpleITK", "python"} <= set(provenance["versions"])


def test_other_voxels_or_another_place_have_another_hash(sick):
    volume = sick[0]
    assert content_hash(Volume(volume.array, volume.affine, "renamed")) == content_hash(volume)
    changed = volume.array.copy()
    changed[0, 0, 0] += 1
    assert content_hash(volume.with_array(changed)) != content_hash(volume)
    moved = Volume(volume.array, shifted(1.0) @ volume.affine, volume.name)
    assert content_hash(moved) != content_hash(volume)


def test_progress_runs_from_start_to_end_and_cancelling_stops(atlas, sick):
    volume, mask, _ = sick
    settings, reports = Settings(mask=volume.with_array(mask.astype(np.uint8))), []
    detect(volume, atlas, settings, Progress(lambda *report: reports.append(report)))
    fractions = [fraction for _, fraction, _ in reports]
    assert fractions == sorted(fractions) and fractions[0] == 0 and 0.9 < fractions[-1] <= 1
    stages = list(dict.fromkeys(stage for stage, _, _ in reports))
    assert stages == ["brain mask", "preparation", "restoration", "anomaly map", "regions"]
    texts = [*map(part_name, stages), *(message for _, _, message in reports if message)]
    assert [text for text in texts if not isinstance(text, Message)] == [], "every text can be translated"
    with pytest.raises(Cancelled):
        detect(volume, atlas, settings, Progress(cancelled=lambda: True))
