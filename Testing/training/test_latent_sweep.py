from __future__ import annotations

import argparse
import json
from types import SimpleNamespace

import numpy as np
import pytest
from support.lesion_case import lesion_case
from support.phantoms import head, one_thread  # noqa: F401

from MedADLib.cli import sweep as cli_sweep
from MedADLib.errors import InputError
from MedADLib.evaluation import labelled_sweep
from MedADLib.training.data import HealthyData
from MedADLib.training.latent_sweep import sweep, worse_with_more


def test_a_sweep_writes_each_size_and_marks_the_choice(tmp_path):
    errors = {1: 0.1, 2: 0.06, 4: 0.02, 8: 0.019, 16: 0.018}
    asked = []

    def measured(size):
        asked.append(size)
        assert (tmp_path / "new" / "sweep.png").exists() == (len(asked) > 3)
        return {"validation_error": errors[size], "pixel_ap": 0.1 * size}

    chosen, rows = sweep(list(errors), measured, tmp_path / "new")
    assert chosen == 4 and asked == list(errors)
    assert rows[1] == {"latent": 2, "validation_error": 0.06, "pixel_ap": 0.2}
    table = (tmp_path / "new" / "sweep.tsv").read_text().splitlines()
    assert table[0].split("\t") == ["latent", "validation_error", "pixel_ap"] and table[3] == "4\t0.02\t0.4"
    assert (tmp_path / "new" / "sweep.png").stat().st_size > 5000


def test_errors_that_rise_with_the_size_tell_of_short_trainings():
    def rows(*errors):
        return [{"latent": 2**n, "validation_error": error} for n, error in enumerate(errors)]

    assert worse_with_more(rows(0.018, 0.013, 0.015, 0.018, 0.012)) == (2, 8)
    assert worse_with_more(rows(0.018, 0.013, 0.0125, 0.013)) is None


@pytest.mark.parametrize("sizes", [[4, 8], [4, 8, 8], [8, 4, 16], [0, 1, 2]])
def test_sizes_that_cannot_be_swept_are_refused_before_anything_is_trained(sizes, tmp_path):
    with pytest.raises(InputError):
        sweep(sizes, lambda size: pytest.fail("trained"), tmp_path)


def test_the_command_draws_the_curve_of_a_folder(tmp_path, capsys, monkeypatch):
    healthy = tmp_path / "healthy"
    healthy.mkdir()
    scans = []
    for number in range(7):
        volume, mask = head(number, spacing=(6.0, 6.0, 10.0), size=32)
        volume.write(healthy / f"{volume.name}.nii.gz")
        scans.append((volume.array / 1100, mask))
    parts = {"train": range(4), "validation": [4], "calibration": [5, 6]}
    split = {part: [f"head-{n}" for n in numbers] for part, numbers in parts.items()}
    (tmp_path / "split.json").write_text(json.dumps(split))
    template = SimpleNamespace(kind="brain", symmetric=True, image=SimpleNamespace(spacing=(6.0, 6.0, 10.0)))
    prepared = HealthyData(template, scans[:4], scans[4:5])
    monkeypatch.setattr(labelled_sweep, "healthy_data", lambda *arguments: prepared)
    lesion = np.zeros(scans[4][1].shape, bool)
    lesion[14:18, 8:14, 8:14] = scans[4][1][14:18, 8:14, 8:14]
    made = [lesion_case("head-4", *scans[4], lesion & False), lesion_case("head-4", *scans[4], lesion)]
    monkeypatch.setattr(labelled_sweep, "lesion_cases", lambda *arguments: made)
    parser = argparse.ArgumentParser()
    cli_sweep.add_arguments(parser)
    places = ["--healthy", healthy, "--split", tmp_path / "split.json", "-o", tmp_path / "out", "--device", "cpu"]
    settings = ["--steps", "1", "--sizes", "1,2,4", "--set", "channels=[4,4,4]"]
    args = parser.parse_args([str(argument) for argument in [*places, *settings]])
    assert cli_sweep.run(args) == 0
    table = [line.split("\t") for line in (tmp_path / "out" / "sweep.tsv").read_text().splitlines()]
    assert table[0] == ["latent", "validation_error", "slice_auroc", "slice_ap", "pixel_auroc", "pixel_ap"]
    assert [row[0] for row in table[1:]] == ["1", "2", "4"]
    told = capsys.readouterr().out
    assert (tmp_path / "out" / "sweep.png").is_file() and "chosen without labels" in told and "best by pixel_ap" in told
    args.latent = 4
    with pytest.raises(InputError) as caught:
        cli_sweep.run(args)
    assert caught.value.code == "latent_size_given"
