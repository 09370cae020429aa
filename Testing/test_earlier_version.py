"""Files that MedAD 0.1.0 wrote open: a scene, a model file and a folder of results."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import binary_dilation, binary_erosion
from support.source_code import ROOT

from MedADLib import Settings, detect, load_model, read_image
from MedADLib.modelfile.store import card
from MedADLib.results.reading import reopen, stored_results
from MedADLib.results.text import count_of_regions, verdict
from MedADLib.results.units import scale_top, value_text

FILES = ROOT / "Testing" / "data" / "version-0.1"


@pytest.fixture
def stored():
    (found,) = stored_results(FILES / "result")
    return reopen(found)


def test_a_scene_has_its_scan_its_threshold_its_regions_and_their_decisions(capfd):
    pytest.importorskip("slicer", reason="slicer-core is not installed")
    from support.mrml import StandaloneScene, voxels

    from MedADLib.slicer.scene.decisions import Decisions
    from MedADLib.slicer.scene.nodes import find_result
    from MedADLib.slicer.scene.reading import read_detection

    loaded = StandaloneScene()
    loaded.load(FILES / "scene.mrb")
    assert "ERR|" not in capfd.readouterr().err
    result = find_result(loaded.scene.GetFirstNodeByName("head"), loaded.scene)
    detection = read_detection(result)
    decisions = Decisions(result, detection)

    scan = detection.volume
    assert scan.array.shape == (24, 24, 24) and scan.array.dtype == np.int16 and scan.array.sum() == 546549
    assert scan.spacing.tolist() == pytest.approx([1.5, 1.0, 2.5]) and detection.threshold == 3.0
    assert [(r.volume_ml, r.peak) for r in detection.regions] == [
        pytest.approx((0.3225, 8.78125)),
        pytest.approx((0.09375, 5.79)),
    ]
    assert detection.regions[0].centroid_ras == pytest.approx((-3.52325581, 2.61627907, 6.83139535))
    assert [(d.kept, d.name) for d in map(decisions.of, detection.regions)] == [(True, "tumour"), (False, "Region 2")]
    assert np.array_equal(voxels(result.labels), detection.labels.array) and detection.labels.array.max() == 2
    assert (detection.p_value, detection.healthy_count) == (pytest.approx(1 / 7), 6)
    assert detection.provenance["model"] == {"name": "brain-t1", "version": "1.2.3", "sha256": "ab" * 32}
    assert [str(warning) for warning in detection.warnings] == ["the scan looks odd; 5 % of it: {dark}"]
    assert detection.reference.unit == "z" and "above a z-score of 3 (SD above" in count_of_regions(detection)


def test_a_folder_of_results_reopens(stored):
    assert stored.threshold == pytest.approx(5.845352, rel=1e-6) and stored.score == pytest.approx(1.030316, rel=1e-6)
    assert stored.provenance["model"]["name"] == "tiny" and stored.provenance["versions"]["medad"] == "0.1.0"
    assert len(stored.regions) == stored.labels.array.max() == 7
    first = stored.regions[0]
    assert (first.volume_ml, first.side) == (pytest.approx(41.984), "R")
    assert stored.anomaly.array.max() == pytest.approx(first.peak) == pytest.approx(70.744492)
    assert value_text(stored, first.peak) == "z-score 70.7" and "anomaly score of the method" in verdict(stored)
    assert scale_top(stored) == pytest.approx(4 * 5.845352), "as in version 0.1"
    (warning,) = stored.warnings
    assert "intensity histogram distance 0.115" in str(warning)


def test_settings_of_an_earlier_run_do_not_take_its_z_score_for_a_rarity():
    for threshold, again in (("5.8", None), ("1ml", "1ml"), ("0.1%", "0.1%"), (None, None)):
        settings = {"threshold": threshold, "smallest_region_ml": 0.5}
        found = Settings.of_provenance({"seed": 3, "settings": settings})
        assert (found.as_json()["threshold"], found.seed, found.smallest_region_ml) == (again, 3, 0.5)
    found = Settings.of_provenance({"seed": 3, "settings": {"threshold": "5.8"}, "map_unit": "rarity"})
    assert found.as_json()["threshold"] == "5.8"


def test_a_model_file_gives_the_same_result(stored):
    model = load_model(FILES / "tiny.medad")
    assert model.sha256 == stored.provenance["model"]["sha256"] and model.calibration.reference.count == 5
    assert "\n## Scope and limits\n" in card(str(FILES / "tiny.medad"))
    found = detect(read_image(FILES / "result" / "scan.nii.gz"), model, Settings(device="cpu"))
    assert (stored.reference.unit, found.reference.unit) == ("z", "rarity")
    assert (found.provenance["map_unit"], found.provenance["scan_score"]) == ("rarity", "method")
    rarity = model.calibration.coarse.tail.rarity
    assert found.threshold == pytest.approx(float(rarity(np.array([stored.threshold]))[0]))
    assert found.p_value == stored.p_value
    # The map marks the same voxels, up to interpolation at the edge of a region.
    marked, before = (d.anomaly.array >= d.threshold for d in (found, stored))
    edge = binary_dilation(before) & ~binary_erosion(before)
    assert before.sum() > 80 and not (marked != before)[~edge].any()
    # Rarities of large values are compressed, which moves the interpolated edge.
    assert np.count_nonzero(marked != before) < 0.15 * before.sum()
    inside = binary_erosion(before)
    # Alignments differ a little between processors. Outside the lesion, the image keeps more of the scan than then.
    assert np.allclose(found.restored.array[inside], stored.restored.array[inside], rtol=1e-2, atol=0.05)
    now, then = (np.abs(d.restored.array - stored.volume.array)[~before].mean() for d in (found, stored))
    assert now < 0.9 * then
    # Rarities were interpolated here, z-scores there.
    assert np.allclose(found.anomaly.array[inside], rarity(stored.anomaly.array)[inside], rtol=0.15)
    # The z-scores of the lesion are ten times the threshold: interpolated, they moved its edge outwards.
    assert found.regions[0].volume_ml == pytest.approx(stored.regions[0].volume_ml, rel=0.15)
