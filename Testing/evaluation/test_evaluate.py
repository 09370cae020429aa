"""Evaluation: files in, measures and tables out."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest
import SimpleITK as sitk

from MedADLib.errors import InputError, OutputError
from MedADLib.evaluation.evaluate import evaluate, write_json, write_tsv
from MedADLib.volume import Volume

AFFINE = np.diag([-1.0, 2.0, 2.0, 1.0])
SHAPE = (8, 9, 10)


@pytest.fixture
def files(tmp_path):
    """Two cases with a lesion and one healthy one: paths of maps, truths and masks."""
    rng = np.random.default_rng(0)
    mask = np.zeros(SHAPE, np.uint8)
    mask[1:7, 1:8, 1:9] = 1
    paths = {"map": [], "truth": [], "mask": []}
    for case in range(3):
        truth = np.zeros(SHAPE, np.uint8)
        if case < 2:
            truth[3:5, 3:6, case + 3 : 6] = 1
            truth[0, 0, 0] = 1
        score = (rng.random(SHAPE) + truth * (case + 1)).astype(np.float32) * mask
        for kind, array in (("map", score), ("truth", truth), ("mask", mask)):
            path = tmp_path / f"sub{case}_{kind}.nii.gz"
            Volume(array, AFFINE).write(path)
            paths[kind].append(path)
    return paths


def arrays(files, kind, case):
    return sitk.GetArrayFromImage(sitk.ReadImage(str(files[kind][case])))


def test_every_case_and_all_together_inside_the_mask(files):
    from sklearn.metrics import average_precision_score

    result = evaluate(files["map"], files["truth"], files["mask"], threshold=1.0)
    inside = arrays(files, "mask", 0) > 0
    scores = [arrays(files, "map", case)[inside] for case in range(3)]
    truths = [arrays(files, "truth", case)[inside] > 0 for case in range(3)]
    assert result.region == "mask"
    assert [row.case for row in result.rows] == ["sub0_map", "sub1_map", "sub2_map"]
    for case in range(2):
        row = result.rows[case]
        assert row.average_precision == pytest.approx(average_precision_score(truths[case], scores[case]))
        assert row.prevalence == pytest.approx(truths[case].mean())
        assert row.voxels == inside.sum()
        assert row.lesion_ml == pytest.approx(truths[case].sum() * 0.004)
        assert row.unexamined_lesion_ml == pytest.approx(0.004), "the lesion voxel outside the mask is reported"
        assert (row.lesions, row.lesions_hit, row.dice, row.false_ml) == (1, 1, pytest.approx(1.0), 0.0)
    healthy = result.rows[2]
    assert np.isnan(healthy.average_precision) and np.isnan(healthy.dice) and healthy.lesions == 0
    pooled = result.pooled
    expected = average_precision_score(np.concatenate(truths), np.concatenate(scores))
    assert pooled.average_precision == pytest.approx(expected)
    assert (pooled.voxels, pooled.lesions, pooled.lesions_hit) == (3 * inside.sum(), 2, 2)
    assert pooled.lesion_ml == pytest.approx(sum(row.lesion_ml for row in result.rows))


def test_the_threshold_decides_what_counts_as_found(files):
    strict = evaluate(files["map"], files["truth"], files["mask"], threshold=2.0)
    assert [row.lesions_hit for row in strict.rows] == [0, 1, 0]
    loose = evaluate(files["map"], files["truth"], files["mask"], threshold=0.5)
    assert loose.rows[2].false_regions > 0 and loose.rows[2].false_ml > 0


def test_without_masks_the_whole_grid_counts(files):
    result = evaluate(files["map"], files["truth"])
    assert result.region == "whole grid"
    assert result.rows[0].voxels == np.prod(SHAPE)
    assert result.rows[0].unexamined_lesion_ml == 0
    assert result.rows[0].dice is None and result.pooled.lesions is None


def test_tables_hold_every_row_and_say_where_there_is_no_value(files, tmp_path):
    result = evaluate(files["map"], files["truth"], files["mask"])
    write_tsv(result, tmp_path / "out.tsv")
    write_json(result, tmp_path / "out.json")
    with open(tmp_path / "out.tsv", newline="") as stream:
        rows = list(csv.DictReader(stream, delimiter="\t"))
    document = json.loads((tmp_path / "out.json").read_text())
    assert [row["case"] for row in rows] == ["sub0_map", "sub1_map", "sub2_map", "pooled"]
    assert float(rows[0]["average_precision"]) == pytest.approx(result.rows[0].average_precision, rel=1e-5)
    assert rows[2]["average_precision"] == "n/a" and rows[0]["dice"] == "n/a"
    assert document["pooled"]["prevalence"] == result.pooled.prevalence
    assert document["cases"][2]["average_precision"] is None and document["region"] == "mask"


def test_a_reference_on_another_grid_is_refused(files, tmp_path):
    shifted = AFFINE.copy()
    shifted[0, 3] = 5.0
    Volume(np.zeros(SHAPE, np.uint8), shifted).write(tmp_path / "shifted.nii.gz")
    for masks in ([tmp_path / "shifted.nii.gz"],), (files["truth"][:1], [tmp_path / "shifted.nii.gz"]):
        with pytest.raises(InputError, match=r"shifted\.nii\.gz.*sub0_map") as caught:
            evaluate(files["map"][:1], *masks)
        assert caught.value.code == "evaluation_mask_not_on_grid"


def test_numbers_of_files_must_agree(files):
    for masks, code, numbers in (
        ((files["truth"][:2],), "reference_mask_count", {"maps": 3, "masks": 2}),
        ((files["truth"], files["mask"][:1]), "examined_mask_count", {"maps": 3, "masks": 1}),
    ):
        with pytest.raises(InputError) as caught:
            evaluate(files["map"], *masks)
        assert caught.value.code == code and caught.value.parameters == numbers
    with pytest.raises(InputError) as caught:
        evaluate([], [])
    assert caught.value.code == "no_maps"


def test_a_table_that_cannot_be_written_is_an_error_and_leaves_nothing(files, tmp_path):
    result = evaluate(files["map"][:1], files["truth"][:1])
    with pytest.raises(OutputError, match="missing.out.tsv") as caught:
        write_tsv(result, tmp_path / "missing" / "out.tsv")
    assert caught.value.code == "table_unwritable"
    (tmp_path / "taken").mkdir()
    with pytest.raises(OutputError):
        write_json(result, tmp_path / "taken")
    assert not [path for path in tmp_path.iterdir() if "partial" in path.name]
