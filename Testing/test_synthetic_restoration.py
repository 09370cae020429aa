"""Restoration by a network that learned to remove synthetic anomalies, and the anomalies that it learned from."""

from __future__ import annotations

import shutil
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from phantoms import head, one_thread, toy_models, with_lesion  # noqa: F401
from toy_slices import plain_scan, with_cuboid

from MedADLib.corruption import multi_scale
from MedADLib.corruption.multi_scale import KINDS, RADII_MM, STRENGTHS, Slab, add_anomalies
from MedADLib.corruption.random_fields import random_crop
from MedADLib.detection import detect
from MedADLib.errors import Cancelled, InputError
from MedADLib.methods.registry import pooling_of
from MedADLib.methods.synthetic_restoration import (
    SyntheticRestoration,
    SyntheticRestorationParameters,
    brain_box,
    position_maps,
)
from MedADLib.modelfile.model import load_model
from MedADLib.runtime.progress import Progress
from MedADLib.scoring.calibration import Pooling
from MedADLib.training.config import Options
from MedADLib.training.data import HealthyData
from MedADLib.training.prefetching import Prefetched
from MedADLib.training.recipes.synthetic_restoration import SlabSource, mean_and_spread, train

SPACING = (1.5, 1.2, 1.2)
CHANNELS = [16, 16]

pytestmark = pytest.mark.usefixtures("one_thread")


def smooth_head(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """A head of smooth tissue, 16 slices, of the same mean intensity for every seed, and its brain."""
    image, mask = plain_scan(seed)
    return image * np.float32(0.75 / image[mask].mean()), mask


def toy_data(training: int = 4) -> HealthyData:
    """Toy heads on a grid of 2.5 mm."""
    template = SimpleNamespace(kind="brain", symmetric=True, image=SimpleNamespace(spacing=(2.5, 2.5, 2.5)))
    return HealthyData(template, [smooth_head(number) for number in range(training)], [smooth_head(50)])


def slab(seed: int = 0, size: int = 96) -> Slab:
    """Noisy tissue of two intensities in a round brain."""
    random = np.random.default_rng(seed)
    y, x = np.meshgrid(*[np.linspace(-1, 1, size)] * 2, indexing="ij")
    mask = np.repeat((y**2 + x**2 < 0.9)[None], 5, 0)
    tissue = 0.55 + 0.2 * np.sign(random_crop(mask.shape, SPACING, 7.0, random))

    def image(own: np.random.Generator) -> np.ndarray:
        return np.where(mask, tissue + 0.03 * own.standard_normal(mask.shape), 0).astype(np.float32)

    edges = torch.linspace(0.1, 1.0, 9)
    return Slab(image(random), mask, lambda: (image(np.random.default_rng(seed + 1))[..., ::-1], mask), SPACING, edges)


def changed(seed: int = 0, **more) -> tuple[np.ndarray, Slab]:
    """A slab before and after one anomaly in its middle."""
    found = slab(seed)
    before = found.image.copy()
    options = {"focus": (slice(40, 56), slice(40, 56)), "clean": 0.0, "count": 1} | more
    add_anomalies(found, np.random.default_rng(seed), **options)
    return before, found


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_changes_the_scan_inside_its_anomaly_only(kind):
    largest = []
    for seed in range(6):
        before, after = changed(seed, kinds=(kind,), radii_mm=(9.0, 9.0))
        untouched = after.labels == 0
        assert np.array_equal(after.image[untouched], before[untouched]) and not after.degree[untouched].any()
        assert not after.image[~after.mask].any() and not after.labels[~after.mask].any()
        assert after.image.min() >= 0 and after.image.max() <= 1.5
        assert after.degree.min() >= 0 and after.degree.max() <= 1
        largest.append(float(after.degree.max()))
    assert np.median(largest) > 0.1


def test_a_seed_gives_the_same_anomalies_and_another_seed_others():
    first, again, other = (changed(seed, count=None) for seed in (3, 3, 4))
    assert np.array_equal(first[1].image, again[1].image) and np.array_equal(first[1].degree, again[1].degree)
    assert not np.array_equal(first[1].labels, other[1].labels)


@pytest.mark.parametrize("radius", [2.0, 5.0, 12.0])
def test_an_anomaly_has_about_the_area_of_its_radius(radius):
    areas = []
    for seed in range(60):
        _, after = changed(seed, kinds=("gain",), radii_mm=(radius, radius))
        # Edges are soft: the outline is where the degree is half the largest.
        areas.append((after.degree > 0.5 * after.degree.max()).sum((1, 2)).max() * SPACING[1] * SPACING[2])
    assert 0.5 * np.pi * radius**2 < np.median(areas) < 1.8 * np.pi * radius**2


def test_sizes_numbers_and_clean_slabs_are_as_described():
    counts, sizes = [], []
    for seed in range(300):
        found = slab(seed % 3)
        add_anomalies(found, np.random.default_rng([7, seed]))
        numbers, pixels = np.unique(found.labels[found.labels > 0], return_counts=True)
        counts.append(int(found.labels.max()))
        sizes += pixels.tolist()
    assert 0.1 < np.mean(np.array(counts) == 0) < 0.24
    assert max(counts) <= 8 and sum(count > 4 for count in counts) > 20 and sum(count == 1 for count in counts) > 30
    voxel = np.prod(SPACING)
    # A spot of one voxel, and a large part of the slab, which is 7.5 mm high.
    assert min(sizes) <= 2 and max(sizes) * voxel > 0.4 * np.pi * RADII_MM[1] ** 2 * 7.5


def test_intensities_change_both_ways_down_to_faint():
    strengths, degrees = [], []
    for seed in range(80):
        before, after = changed(seed, kinds=("gain",), radii_mm=(6.0, 6.0))
        core = after.degree > 0.9 * after.degree.max()
        strengths.append(float((after.image - before)[core].mean() / after.spread))
        degrees.append(float(after.degree.max()))
    size = np.abs(strengths)
    assert 0.3 < np.mean(np.array(strengths) > 0) < 0.7
    assert size.min() < 3 * STRENGTHS[0] and 1.0 < size.max() < 1.6 * STRENGTHS[1]
    assert np.corrcoef(np.log(size), degrees)[0, 1] > 0.8


def test_half_of_the_textures_keep_their_mean():
    shifts = []
    for seed in range(40):
        before, after = changed(seed, kinds=("texture",), radii_mm=(10.0, 10.0))
        inside = after.labels > 0
        difference = (after.image - before)[inside]
        shifts.append(abs(float(difference.mean())) / max(float(np.abs(difference).mean()), 1e-6))
    assert 0.25 < np.mean(np.array(shifts) < 1e-3) < 0.85


def test_noise_is_smooth_over_the_wanted_width():
    random = np.random.default_rng(0)

    def similarity(width: float) -> float:
        noise = random_crop((16, 100, 100), SPACING, width, random)
        return float(np.corrcoef(noise[:, :, :-2].ravel(), noise[:, :, 2:].ravel())[0, 1])

    assert abs(similarity(0.0)) < 0.05
    # Noise that a Gaussian of SD s smoothed correlates by exp(-d² / 4 s²) at the distance d.
    for width in (1.6, 4.2):
        assert similarity(width) == pytest.approx(np.exp(-(2.4**2) / (4 * width**2)), abs=0.06)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A restorer after a short training on toy heads with one kind of anomaly, and the last row of its log."""
    options = Options(steps=240, seed=1, extra={"channels": CHANNELS})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(multi_scale, "KINDS", {"level": KINDS["level"]})
        method, facts = train(toy_data(), options, tmp_path_factory.mktemp("restorer"), Progress(), workers=0)
    return method, facts["last"]


def test_training_learns_to_find_and_to_remove_anomalies_of_unseen_heads(trained):
    _, last = trained
    assert last["validation_healing"] < 0.9 and last["validation_precision"] > 0.3
    assert last["validation_psnr"] > 30 and 0.8 < last["validation_sharpness"] < 1.2


def test_a_lesion_scores_higher_than_its_surroundings_and_is_restored(trained):
    method, _ = trained
    image, mask = smooth_head(51)
    sick, lesion = with_cuboid(image, 0.2)
    healthy, found = method.restore(image, mask), method.restore(sick, mask)
    assert found.score[lesion].mean() > 4 * found.score[mask & ~lesion].mean()
    assert found.score[lesion].mean() > 4 * healthy.score[lesion].mean()
    assert np.abs(found.restored - image)[lesion].mean() < 0.85 * np.abs(sick - image)[lesion].mean()
    assert found.sample_score > healthy.sample_score
    assert not found.score[~mask].any() and not found.restored[~mask].any()


def test_healthy_tissue_is_copied(trained):
    method, _ = trained
    image, mask = smooth_head(52)
    found = method.restore(image, mask)
    assert -10 * np.log10(np.square(found.restored - image)[mask].mean()) > 30


def test_an_untrained_network_copies_the_scan():
    method = SyntheticRestoration.untrained(SyntheticRestorationParameters(size=(32, 32), channels=(8, 8)))
    image, mask = plain_scan(3)
    assert np.array_equal(method.restore(image, mask).restored, np.where(mask, image, 0))


def varied(method: SyntheticRestoration) -> SyntheticRestoration:
    """The method with outputs that vary as those of a trained network do."""
    torch.manual_seed(0)
    with torch.no_grad():
        method.network.last.weight.normal_(std=0.5)
    return method


@pytest.mark.parametrize("size", [(32, 32), (30, 27)])
def test_scores_come_from_degree_and_residual_on_any_grid(size):
    parameters = SyntheticRestorationParameters(size=size, channels=(8, 8, 8))
    method = varied(SyntheticRestoration.untrained(parameters))
    image, mask = (part[:, : size[0], : size[1]] for part in plain_scan(4))
    both, found = method.restore(image, mask), {k: m.restore(image, mask) for k, m in method.readings().items()}
    assert set(found) == {"degree", "residual"} and np.array_equal(both.restored, found["degree"].restored)
    assert np.allclose(both.score, found["degree"].score + found["residual"].score, atol=1e-5)
    assert np.allclose(found["residual"].score, np.abs(image - both.restored) / 0.25 * mask, atol=1e-5)
    assert both.score.shape == image.shape and 0 < found["degree"].score.max() <= 1


def test_the_box_around_the_brain_changes_nothing():
    method = varied(SyntheticRestoration.untrained(SyntheticRestorationParameters(size=(64, 64), channels=(8,))))
    image, mask = plain_scan(5)
    wide = [np.pad(part, ((0, 0), (16, 16), (16, 16))) for part in (image, mask)]
    box = brain_box(wide[1], 4)
    assert box.cut(torch.zeros(1, 1, 64, 64)).shape[-1] < 40
    found = method.restore(*wide)
    with pytest.MonkeyPatch.context() as patch:
        whole = brain_box(np.ones_like(wide[1]), 4)
        patch.setattr("MedADLib.methods.synthetic_restoration.brain_box", lambda mask, multiple: whole)
        full = method.restore(*wide)
    # Zeros beyond the box stand for the background.
    inner = np.zeros_like(wide[1])
    inner[:, 20:44, 22:42] = wide[1][:, 20:44, 22:42]
    assert np.allclose(found.score[inner], full.score[inner], atol=1e-5)


def test_a_single_slice_can_be_restored_and_trained_on(tmp_path):
    flat = [(image[8:9], mask[8:9]) for image, mask in (plain_scan(number) for number in range(4))]
    template = SimpleNamespace(kind="plane", symmetric=False, image=SimpleNamespace(spacing=(1.0, 1.0, 1.0)))
    options = Options(steps=2, extra={"channels": [8, 8], "mirror": False})
    method, facts = train(HealthyData(template, flat[:3], flat[3:]), options, tmp_path, Progress(), workers=0)
    assert np.isfinite(facts["last"]["validation_error"])
    assert method.restore(*flat[3]).score.shape == (1, 32, 32)


class Stopped(Progress):
    """A progress that cancels at a step of the training."""

    def __init__(self, calls: int):
        super().__init__()
        self.calls = calls

    def update(self, *args, **kwargs):
        self.calls -= 1
        if not self.calls:
            raise Cancelled()
        super().update(*args, **kwargs)


def test_a_resumed_training_gives_the_same_bits(tmp_path):
    options = Options(steps=5, seed=2, extra={"channels": [8, 8]})
    whole, _ = train(toy_data(2), options, tmp_path / "whole", Progress(), workers=0)
    with pytest.raises(Cancelled):
        train(toy_data(2), options, tmp_path / "parts", Stopped(2), workers=0)
    # The second part has a worker process: the batches are the same.
    parts, _ = train(toy_data(2), options, tmp_path / "parts", Progress(), workers=1)
    assert all(np.array_equal(value, parts.tensors()[key]) for key, value in whole.tensors().items())
    other, _ = train(toy_data(2), Options(steps=5, seed=3, extra={"channels": [8, 8]}), tmp_path / "o", Progress(), 0)
    assert not np.array_equal(other.tensors()["last.weight"], whole.tensors()["last.weight"])


def test_batches_of_worker_processes_come_in_order_from_any_step():
    def batches(number: int) -> tuple[torch.Tensor, ...]:
        return (torch.full((2,), float(number)),)

    with Prefetched(batches, 9, workers=2) as ready:
        assert [float(ready(number)[0][0]) for number in (3, 4, 5, 6)] == [3, 4, 5, 6]
        assert float(ready(1)[0][0]) == 1 and float(ready(2)[0][0]) == 2


def test_a_batch_depends_on_step_and_seed_only():
    data = toy_data(3)
    positions = position_maps((16, 32, 32), mean_and_spread(data.train, (8, 16, 16), True)).numpy()
    source = SlabSource.of(data.train, data, positions)
    batch = source.batch(3, 0, 4, True)
    np.random.rand(3), torch.rand(3)
    assert all(torch.equal(a, b) for a, b in zip(batch, source.batch(3, 0, 4, True)))
    assert not torch.equal(batch.slabs, source.batch(4, 0, 4, True).slabs)
    assert not torch.equal(batch.slabs, source.batch(3, 1, 4, True).slabs)
    outside = batch.masks == 0
    assert not batch.clean[outside].any() and not batch.degrees[outside].any()
    same = batch.labels == 0
    assert torch.equal(batch.slabs[:, 1:4][same], batch.clean[same])


def test_settings_are_checked_and_one_scan_is_too_few(tmp_path):
    for extra in ({"score": "sum"}, {"size": [32, 32]}, {"channels": [0]}, {"blending": "linear"}):
        with pytest.raises(InputError):
            train(toy_data(2), Options(steps=1, extra=extra), tmp_path, Progress(), workers=0)
    with pytest.raises(InputError) as caught:
        train(toy_data(1), Options(steps=1, extra={"channels": [8]}), tmp_path, Progress(), workers=0)
    assert caught.value.code == "only_one_scan"


def test_the_command_trains_a_model_with_fine_maps_that_examines_a_scan(tmp_path):
    toy = toy_models()
    # The heads are prepared already, for other tests.
    shutil.copytree(toy.work / "prepared", tmp_path / "work" / "prepared")
    more = ("--set", "channels=[8,8]", "--work", tmp_path / "work", "--pictures", tmp_path / "figures")
    assert toy.train("synthetic_restoration", tmp_path / "toy.medad", *more) == 0
    model = load_model(tmp_path / "toy.medad")
    assert model.calibration.pooling == pooling_of("synthetic_restoration") == Pooling(0.0, 2.5)
    healthy = model.method.network.healthy[0]
    assert 0.4 < healthy[tuple(size // 2 for size in healthy.shape)] < 1.2, "the mean of the heads is in the file"
    scan, _ = with_lesion(head(40)[0], (25.0, 20.0, 10.0), 16.0)
    detection = detect(scan, model)
    assert np.isfinite(detection.anomaly.array).all() and detection.anomaly.array.any()
    assert any((tmp_path / "figures").iterdir())
