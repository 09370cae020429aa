from __future__ import annotations

import numpy as np
import pytest
import torch
from support.phantoms import one_thread  # noqa: F401
from support.refusals import accepted
from support.toy_slices import plain_scan, toy_data, with_cuboid

from MedADLib.errors import InputError
from MedADLib.methods.synthetic_anomalies import FPI, FPIParameters, volume_score
from MedADLib.runtime.progress import Progress
from MedADLib.training.config import Options
from MedADLib.training.recipes.synthetic_anomalies import FPICheck, foreign_batch, train_fpi
from MedADLib.training.slices import Slices

CHANNELS = [8, 16, 16]


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> tuple[FPI, dict, dict]:
    """A segmenter of toy patches, its facts, and what an untrained one reaches."""
    data = toy_data(8, plain_scan)
    options = Options(steps=220, seed=1, extra={"channels": CHANNELS, "shape": "blob"})
    method, facts = train_fpi(data, options, tmp_path_factory.mktemp("fpi"), Progress())
    fresh = FPI.untrained(method.parameters, 1).network.eval()
    parts = (Slices.of(scans) for scans in (data.train, data.validation))
    with torch.inference_mode():
        return method, facts["last"], FPICheck(*parts, method.parameters, 1, "cpu")(fresh)


def test_training_finds_foreign_patches_of_unseen_heads_and_anomalies_of_another_kind(trained):
    _, last, before = trained
    assert last["validation_error"] < 0.85 * before["error"]
    assert last["validation_precision"] > before["precision"]
    assert last["validation_other_precision"] > 4 * before["other_precision"]


def test_a_lesion_scores_higher_than_healthy_tissue_and_raises_the_scans_score(trained):
    method, _, _ = trained
    image, mask = plain_scan(51)
    sick, lesion = with_cuboid(image, 0.2)
    healthy, found = method.restore(image, mask), method.restore(sick, mask)
    assert found.score[lesion].mean() > 4 * healthy.score[lesion].mean()
    assert found.score[lesion].mean() > 2 * found.score[mask & ~lesion].mean()
    assert found.sample_score > healthy.sample_score
    assert found.sample_score == pytest.approx(volume_score(found.score.mean((1, 2))))
    assert found.score.max() <= 1 and not found.score[~mask].any() and np.isfinite(found.score).all()


def test_what_is_called_restored_is_the_scan_with_the_found_part_smoothed_over(trained):
    method, _, _ = trained
    image, mask = plain_scan(51)
    sick, lesion = with_cuboid(image, 0.2)
    found = method.restore(sick, mask)
    kept = mask & (found.score < 0.05)
    assert kept.any() and np.array_equal(found.restored[kept], sick[kept]) and not found.restored[~mask].any()
    assert np.abs(found.restored - image)[lesion].mean() < np.abs(sick - image)[lesion].mean()


@pytest.mark.parametrize("blending", ["linear", "poisson"])
@pytest.mark.parametrize("shape", ["square", "blob"])
def test_a_batch_depends_on_step_and_seed_only_and_its_patches_are_of_other_scans(blending, shape):
    slices = Slices.of(toy_data(3).train)
    parameters = FPIParameters((32, 32), (8,), blending, shape)
    batch = foreign_batch(slices, 3, 0, parameters)
    torch.rand(5)
    assert all(torch.equal(a, b) for a, b in zip(batch, foreign_batch(slices, 3, 0, parameters)))
    assert not torch.equal(batch.images, foreign_batch(slices, 4, 0, parameters).images)
    assert not torch.equal(batch.images, foreign_batch(slices, 3, 1, parameters).images)
    assert 0.05 <= batch.target[batch.target > 0].max() <= 0.95
    assert not batch.target[batch.masks == 0].any()
    clean = slices.augmented(slices.indices(3, len(batch.images), 0), [0, 7, 3], None)[0]
    assert batch.images.shape == clean.shape and 0 < (batch.target > 0).float().mean() < 0.3


def test_pii_trains_with_its_own_batches(tmp_path):
    extra = {"channels": [8], "blending": "poisson", "shape": "blob"}
    method, facts = train_fpi(toy_data(2), Options(steps=2, extra=extra), tmp_path, Progress())
    assert method.parameters == FPIParameters((32, 32), (8,), "poisson", "blob")
    assert np.isfinite(facts["last"]["validation_error"])


def test_unknown_and_impossible_wishes_are_refused(tmp_path):
    wrong = [{"blend": "linear"}, {"blending": "cubic"}, {"size": [32, 32]}, {"channels": [7]}]

    def make(extra):
        return train_fpi(toy_data(2), Options(steps=1, extra=extra), tmp_path, Progress())

    assert accepted(InputError, make, wrong) == []


def test_one_scan_has_no_foreign_patches(tmp_path):
    with pytest.raises(InputError) as caught:
        train_fpi(toy_data(1), Options(steps=1, extra={"channels": [8]}), tmp_path, Progress())
    assert caught.value.code == "only_one_scan"
