"""Cases 66 to 72: trainings that diverge, scans that must not be used together, and numbers without a sample."""

from __future__ import annotations

import json
import logging
import math

import numpy as np
import pytest
import torch
from support.command_line import run
from support.phantoms import head, one_alignment, one_thread, with_lesion  # noqa: F401
from support.radiograph_phantoms import radiograph
from support.raised import raises
from support.references import healthy_reference
from support.source_code import ROOT

from MedADLib.dataset.checks import check_scans
from MedADLib.dataset.discovery import find_scans
from MedADLib.dataset.split import Split
from MedADLib.detection import Settings, detect
from MedADLib.errors import InputError, MedADError
from MedADLib.evaluation.overlap import dice
from MedADLib.modelfile.model import load_model
from MedADLib.preprocessing.volume_space import VolumeSpace
from MedADLib.runtime.progress import Progress
from MedADLib.scoring.metrics import Curve, LesionCounts, count_lesions
from MedADLib.training.checkpoint import load_checkpoint
from MedADLib.training.loop import Plan, fit
from MedADLib.training.outliers import left_out


class Diverging(torch.nn.Module):
    """A network with a loss that is not a number from a step on."""

    def __init__(self, first: int | None = None):
        super().__init__()
        self.layer, self.first = torch.nn.Linear(3, 1), first

    def loss(self, values, step):
        loss = self.layer(values).square().mean()
        return loss * (math.nan if self.first is not None and int(step) >= self.first else 1), {"mean": loss.detach()}


def test_case_66_a_loss_that_is_not_a_number(tmp_path):
    def batches(step: int) -> tuple[torch.Tensor, ...]:
        return torch.randn(6, 3, generator=torch.Generator().manual_seed(step)), torch.tensor(step)

    plan = Plan(12, 1e-2, every=4)
    with raises(MedADError, "loss_not_finite") as caught:
        fit(Diverging(first=6), batches, lambda network: {"error": 0.0}, plan, tmp_path)
    assert caught.value.parameters["step"] == 6
    network = Diverging()
    assert load_checkpoint(tmp_path / "checkpoint.safetensors", network)["step"] == 4
    assert all(torch.isfinite(value).all() for value in network.state_dict().values())


def test_case_67_one_subject_in_training_and_calibration(tmp_path, capsys):
    healthy = tmp_path / "healthy"
    for number in range(10):
        for session in (1, 2):
            path = healthy / f"sub-{number:02d}" / f"ses-{session}" / f"sub-{number:02d}_ses-{session}.nii.gz"
            path.parent.mkdir(parents=True)
            radiograph(10 * number + session).write(path)
    names = sorted(find_scans(healthy))
    # Both sessions of the sixth subject are apart.
    parts = {"train": names[:11], "validation": names[12:14], "calibration": [names[11], *names[14:]]}
    (tmp_path / "split.json").write_text(json.dumps(parts))
    words = ("--split", tmp_path / "split.json", "-o", tmp_path / "model.medad", "--work", tmp_path / "work")
    assert run("train", "atlas", "--healthy", healthy, *words, "--device", "cpu", "--json-log") == 1
    event = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (event["code"], event["parameters"]["subject"]) == ("subject_in_two_parts", "sub-05")
    assert not (tmp_path / "model.medad").exists()
    with raises(InputError, "scan_in_two_parts"):
        Split(("a", "b", "c"), ("d",), ("a", "e"))


def test_case_68_few_calibration_scans():
    """No p-value is below 1 / (n + 1), however high the score."""
    reference = healthy_reference()
    assert reference.count == 6
    for value in (6.5, 1e3, 1e300, math.inf):
        assert reference.sample_p_value(value) == reference.region_p_value(value) == reference.smallest_p == 1 / 7
    tiny = load_model(ROOT / "MedAD" / "Resources" / "tiny.medad").calibration.reference
    assert tiny.sample_p_value(1e9) == 1 / (tiny.count + 1)


@pytest.mark.parametrize("name", ["twin.nii.gz", "sub-99_T1w.mha"])
def test_case_69_one_scan_under_two_names(tmp_path, caplog, name):
    folder = tmp_path / "healthy"
    folder.mkdir()
    for number in range(8):
        radiograph(number).write(folder / f"chest-{number}.nii.gz")
    radiograph(3).write(folder / name)
    twin = name.split(".")[0]
    with raises(InputError, "unusable_scans") as caught:
        check_scans(find_scans(folder), tmp_path / "checks.json")
    assert caught.value.parameters["scans"] in (f"{twin}: a copy of chest-3", f"chest-3: a copy of {twin}")
    with caplog.at_level(logging.WARNING):
        assert len(check_scans(find_scans(folder), tmp_path / "checks.json", skip_bad=True)) == 8
    assert "copies_left_out" in [record.msg.code for record in caplog.records]


@pytest.mark.parametrize("change", [-0.5, 0.4], ids=["dark", "bright"])
def test_case_70_a_lesion_among_the_healthy_scans(change):
    shape, scans = (12, 16, 14), []
    for number in range(9):
        random = np.random.default_rng(number)
        image = 0.6 + 0.1 * np.sin(np.arange(shape[2]) / 3) + random.normal(0, 0.03, shape)
        if number == 4:
            image[4:8, 5:10, 4:9] += change
        mask = np.zeros(shape, bool)
        mask[1:-1, 1:-1, 1:-1] = True
        scans.append((np.where(mask, image, 0).astype(np.float32), mask))
    names = [f"scan-{number}" for number in range(9)]
    found = left_out(names, scans, VolumeSpace.empty(shape, (4.0, 4.0, 4.0)), Progress())
    assert [one.name for one in found if one.outlier] == ["scan-4"]


def test_case_71_the_number_of_workers(one_alignment):  # noqa: F811
    """One seed gives one score, with one thread and with four."""
    model = load_model(ROOT / "MedAD" / "Resources" / "tiny.medad")
    volume, brain = head(3, (6.0, 6.0, 6.0), 34)
    scan = with_lesion(volume, (30.0, 20.0, 10.0), 16.0)[0]
    settings, found, before = Settings(mask=volume.with_array(brain.astype(np.uint8)), seed=7), [], None
    before = torch.get_num_threads()
    try:
        for threads in (1, 4):
            torch.set_num_threads(threads)
            found.append(detect(scan, model, settings))
    finally:
        torch.set_num_threads(before)
    assert found[0].score == pytest.approx(found[1].score, rel=1e-4) and found[0].p_value == found[1].p_value
    assert np.abs(found[0].anomaly.array - found[1].anomaly.array).max() <= 1e-4


def test_case_72_an_empty_reference(tmp_path, capsys):
    nothing, something = np.zeros((4, 4, 4), bool), np.zeros((4, 4, 4), bool)
    something[0, 0, 0] = something[3, 3, 3] = True
    assert count_lesions(nothing, nothing, 1.0) == LesionCounts(0, 0, 0, 0.0)
    counts = count_lesions(something, nothing, 0.5)
    assert counts == LesionCounts(0, 0, 2, 1.0) and math.isnan(counts.recall)
    curve = Curve.of(np.arange(5.0), np.zeros(5, bool))
    assert all(math.isnan(value) for value in (curve.average_precision(), curve.auroc(), *curve.maximum_dice()))
    assert math.isnan(dice(something, nothing))
    volume = head(4, (8.0, 8.0, 8.0), 26)[0]
    volume.write(tmp_path / "map.nii.gz")
    volume.with_array(np.zeros_like(volume.array)).write(tmp_path / "truth.nii.gz")
    words = ("--truth", tmp_path / "truth.nii.gz", "--threshold", "3", "-o", tmp_path / "table.tsv")
    assert run("evaluate", tmp_path / "map.nii.gz", *words) == 0
    lines = capsys.readouterr().out.splitlines()
    row = dict(zip(lines[0].split("\t"), lines[1].split("\t")))
    assert row["case"] == "map" and row["average_precision"] == "n/a"
