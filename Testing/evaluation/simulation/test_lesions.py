"""Simulated lesions: where they lie, what they change, and what they leave alone."""

from __future__ import annotations

import time

import numpy as np
import pytest
from scipy import ndimage
from support.raised import raises
from support.tissue_phantom import AXES, FLUID, GREY, parts, phantom

from MedADLib.errors import InputError
from MedADLib.evaluation.simulation.insertion import CONTRASTS, RADII_MM, LesionSpec, insert_lesion
from MedADLib.evaluation.simulation.shapes import Ellipsoid, Patch, displace, push, random_field
from MedADLib.io.reading import read_image

KINDS = list(RADII_MM)


@pytest.fixture(params=AXES)
def scan(request):
    return phantom(request.param)[:2]


@pytest.mark.parametrize("kind", KINDS)
def test_a_lesion_lies_in_the_brain_and_leaves_the_rest_alone(scan, kind):
    volume, brain = scan
    before = volume.array.copy()
    lesion = insert_lesion(volume, brain, LesionSpec(kind, "strong"), seed=1)
    mask, after = lesion.mask.array, lesion.volume.array
    np.testing.assert_array_equal(volume.array, before)
    assert mask.dtype == np.uint8 and set(np.unique(mask)) == {0, 1}
    assert lesion.mask.same_grid(volume) and lesion.volume.same_grid(volume)
    assert after.dtype == np.float32 and np.isfinite(after).all()
    assert not (mask.astype(bool) & ~brain).any()
    np.testing.assert_array_equal(after[~brain], before[~brain])
    assert (after[brain] > 0).all(), "brain must not turn into background"
    where = volume.ras_from_voxels(np.argwhere(mask))
    far = ndimage.distance_transform_edt(mask == 0, sampling=volume.spacing[::-1]) > 50
    assert (far & brain).any()
    np.testing.assert_array_equal(after[far], before[far])
    changed = np.abs(after - before) > 0.3 * before[brain].std()
    share = 0.15 if kind == "texture" else 0.6
    assert changed[mask > 0].mean() > share, "where the mask is, the image changed"
    assert np.linalg.norm(where - lesion.centre_ras, axis=1).min() < 2 * volume.spacing.max()
    assert kind in lesion.description


@pytest.mark.parametrize("kind", KINDS)
def test_a_seed_decides_everything_but_the_contrast(kind):
    volume, brain, _ = phantom()
    first, again, other = (insert_lesion(volume, brain, LesionSpec(kind), seed) for seed in (3, 3, 4))
    assert first.volume.array.tobytes() == again.volume.array.tobytes()
    assert (first.description, first.centre_ras) == (again.description, again.centre_ras)
    assert (first.mask.array != other.mask.array).any()
    weak = insert_lesion(volume, brain, LesionSpec(kind, "weak"), 3)
    if kind == "thickness":
        # The contrast is the distance between the two borders.
        assert 0 < np.count_nonzero(weak.mask.array) < np.count_nonzero(first.mask.array)
        assert np.linalg.norm(np.subtract(weak.centre_ras, first.centre_ras)) < 10
    else:
        np.testing.assert_array_equal(weak.mask.array, first.mask.array)


@pytest.mark.parametrize("kind", ["tumour", "spots", "cavity"])
def test_contrast_is_in_sd_of_the_brain(kind):
    volume, brain, _ = phantom()
    spread = volume.array[brain].std()
    drops = []
    for contrast in CONTRASTS:
        lesion = insert_lesion(volume, brain, LesionSpec(kind, contrast), 5)
        inside = ndimage.binary_erosion(lesion.mask.array) if kind != "spots" else lesion.mask.array > 0
        drops.append(float((volume.array - lesion.volume.array)[inside].mean() / spread))
    weak, medium, strong = drops
    assert 0.2 < weak <= 0.6, "oedema is fainter than the core, and edges are soft"
    assert medium == pytest.approx(2 * weak, rel=0.35)
    assert strong == pytest.approx(2 * medium, rel=0.35)


def test_a_strong_cavity_is_filled_with_fluid_and_reaches_the_cortex():
    volume, brain, tissue = phantom()
    lesion = insert_lesion(volume, brain, LesionSpec("cavity", "strong"), 2)
    inside = ndimage.binary_erosion(lesion.mask.array, iterations=2)
    assert np.median(lesion.volume.array[inside]) == pytest.approx(FLUID, abs=60)
    assert (tissue[lesion.mask.array > 0] == 2).mean() > 0.1


@pytest.mark.parametrize("contrast", CONTRASTS)
@pytest.mark.parametrize("seed", [0, 1, 2, 3])
def test_a_change_of_texture_keeps_the_mean(seed, contrast):
    volume, brain, _ = phantom()
    lesion = insert_lesion(volume, brain, LesionSpec("texture", contrast), seed)
    change = (lesion.volume.array - volume.array).astype(np.float64)
    spread = volume.array[brain].std()
    assert abs(change.sum()) < 0.005 * np.abs(change).sum()
    assert abs(change[lesion.mask.array > 0].mean()) < 0.05 * spread
    assert change[lesion.mask.array > 0].std() > 0.05 * spread


def test_both_textures_occur():
    volume, brain, _ = phantom()
    printed = {
        insert_lesion(volume, brain, LesionSpec("texture"), seed).description.split(", ")[4] for seed in range(6)
    }
    assert printed == {"blurred borders", "coarse grain"}


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_spots_are_several_small_and_in_white_matter(seed):
    volume, brain, tissue = phantom()
    lesion = insert_lesion(volume, brain, LesionSpec("spots", "strong"), seed)
    label, count = parts(lesion.mask.array)
    assert 4 <= count <= 9 and lesion.description.startswith(f"{count} spots")
    assert (tissue[lesion.mask.array > 0] == 3).mean() > 0.98
    sizes = np.bincount(label.ravel())[1:] * volume.voxel_ml
    assert sizes.max() < 0.6 and sizes.min() > 0.008
    outside = (lesion.volume.array - volume.array) ** 2 * (lesion.mask.array == 0)
    assert outside.sum() < 0.35 * ((lesion.volume.array - volume.array) ** 2).sum()


@pytest.mark.parametrize("seed", range(4))
def test_a_tumour_has_a_dark_core_and_fainter_oedema_in_white_matter_only(seed):
    volume, brain, tissue = phantom()
    lesion = insert_lesion(volume, brain, LesionSpec("tumour", "strong", radius_mm=12.0), seed)
    mask = lesion.mask.array > 0
    assert mask.sum() * volume.voxel_ml > 4 / 3 * np.pi * 1.2**3 * 0.8
    dark = ndimage.gaussian_filter(lesion.volume.array, 0.7)
    core = mask & (dark < 0.5 * (FLUID + GREY) + 150)
    oedema = mask & (dark > 850) & (dark < 1250)
    assert 2 < core.sum() * volume.voxel_ml < 14
    assert oedema.sum() * volume.voxel_ml > 1
    label, count = parts(mask)
    assert np.bincount(label.ravel())[1:].max() > 0.8 * mask.sum(), "one main body"


def test_a_tumour_pushes_tissue_away():
    volume, brain, _ = phantom()
    centre = (33.0, -40.0, 30.0)
    probe = volume.array.copy()
    around = np.array([(18.0, 0, 0), (-18.0, 0, 0), (0, 18.0, 0), (0, -18.0, 0), (0, 0, 18.0), (0, 0, -18.0)])
    marks = np.rint(((np.linalg.inv(volume.affine) @ np.c_[around + centre, np.ones(6)].T).T)[:, 2::-1]).astype(int)
    for mark in marks:
        probe[tuple(slice(v - 1, v + 2) for v in mark)] = 3000
    marked = insert_lesion(volume.with_array(probe), brain, LesionSpec("tumour", "strong", 12.0, centre), 1)
    label, count = ndimage.label(marked.volume.array > 2200)
    assert count == 6
    for found in ndimage.center_of_mass(marked.volume.array > 2200, label, range(1, count + 1)):
        nearest = marks[np.abs(marks - found).sum(axis=1).argmin()]
        outward = volume.ras_from_voxels(np.array([found]))[0] - centre
        assert np.linalg.norm(outward) > np.linalg.norm(volume.ras_from_voxels(nearest[None])[0] - centre) + 0.5


@pytest.mark.parametrize(
    "kind, centre", [("tumour", (35, -45, 32)), ("texture", (44, 20, 38)), ("cavity", (50, 15, 38))]
)
def test_a_given_place_is_taken(scan, kind, centre):
    volume, brain = scan
    lesion = insert_lesion(volume, brain, LesionSpec(kind, "medium", 10.0, centre), seed=6)
    assert np.linalg.norm(np.subtract(lesion.centre_ras, centre)) < 9


def test_what_is_outside_the_brain_stays_even_beside_a_lesion():
    volume, brain, _ = phantom()
    skull = volume.with_array(np.where(brain, volume.array, np.float32(1200)))
    for kind, radius in (("spots", 3.0), ("cavity", 10.0), ("texture", 10.0)):
        lesion = insert_lesion(skull, brain, LesionSpec(kind, "strong", radius, (3.0, -12.0, 7.0 + 57)), 0)
        assert lesion.mask.array.any()
        np.testing.assert_array_equal(lesion.volume.array[~brain], 1200)


def test_spots_gather_around_a_given_place():
    volume, brain, _ = phantom()
    centre = (30.0, -40.0, 36.0)
    lesion = insert_lesion(volume, brain, LesionSpec("spots", centre_ras=centre), seed=0)
    distance = np.linalg.norm(volume.ras_from_voxels(np.argwhere(lesion.mask.array)) - centre, axis=1)
    assert distance.min() < 2 and distance.max() < 32


def test_chosen_places_vary_and_avoid_the_midline_and_the_deep_nuclei():
    volume, brain, _ = phantom()
    centres = np.array([insert_lesion(volume, brain, LesionSpec("tumour"), seed).centre_ras for seed in range(8)])
    assert np.ptp(centres, axis=0).min() > 12
    assert (np.abs(centres[:, 0] - 3) > 6).all()
    assert (centres[:, 2] > -20).all()


@pytest.mark.parametrize(
    ("spec", "code"),
    [
        (LesionSpec("tumour", radius_mm=12.0, centre_ras=(3.0, -12.0 + 80, 7.0)), "lesion_does_not_fit"),
        (LesionSpec("spots", radius_mm=3.0, centre_ras=(300.0, 0.0, 0.0)), "lesion_does_not_fit"),
        (LesionSpec("tumour", radius_mm=55.0), "lesion_no_place"),
    ],
)
def test_what_does_not_fit_is_refused(spec, code):
    volume, brain, _ = phantom()
    with raises(InputError, code):
        insert_lesion(volume, brain, spec, 0)


def test_wrong_arguments_are_refused():
    volume, brain, _ = phantom()
    spots, flat = LesionSpec("spots"), volume.with_array(brain.astype(np.float32))
    for make, code in (
        (lambda: LesionSpec("bruise"), "lesion_kind_unknown"),
        (lambda: LesionSpec("spots", "huge"), "lesion_contrast_unknown"),
        (lambda: LesionSpec("spots", radius_mm=-1.0), "lesion_radius"),
        (lambda: insert_lesion(volume, brain[1:], spots, 0), "brain_mask_shape"),
        (lambda: insert_lesion(volume, np.zeros_like(brain), spots, 0), "lesion_brain_mask_empty"),
        (lambda: insert_lesion(flat, brain, spots, 0), "tissue_contrast"),
    ):
        with raises(InputError, code):
            make()


def box_patch(size: int = 40, step: float = 1.5) -> Patch:
    return Patch.around(np.full(3, (size - 1) / 2), 1e3, (size,) * 3, np.full(3, step))


def test_random_fields_have_the_width_asked_for():
    field = random_field(box_patch(), 4.5, np.random.default_rng(0))
    assert field.mean() == pytest.approx(0, abs=1e-4) and field.std() == pytest.approx(1, abs=1e-4)
    lag = 2
    likeness = (field[lag:] * field[:-lag]).mean()
    assert likeness == pytest.approx(np.exp(-((lag * 1.5) ** 2) / (4 * 4.5**2)), abs=0.05)


@pytest.mark.parametrize("amount", [-4.0, 4.0, 100.0])
def test_tissue_is_moved_without_folding_and_far_tissue_not_at_all(amount):
    patch = box_patch()
    ellipsoid = Ellipsoid.draw(9.0, 0.0, np.random.default_rng(0))
    outward = push(patch, ellipsoid, amount, reach=2.5)
    radius = np.sqrt((patch.offsets**2).sum(axis=0))
    image = radius.copy()
    moved = displace(patch, image, outward)
    inner = (radius > 2) & (radius < 27)
    np.testing.assert_allclose(moved[inner], (radius - outward)[inner], atol=0.4)
    order = np.argsort(radius[inner])
    assert (np.diff((radius - outward)[inner][order]) > -1e-3).all(), "the order along a ray is kept"
    still = outward == 0
    assert (still & (radius > 23)).any()
    np.testing.assert_array_equal(moved[still], image[still])


@pytest.mark.slow
def test_real_scans_take_every_kind_quickly(data_dir):
    volume = read_image(data_dir / "healthy_t1_ds002748" / "sub-52_T1w.nii.gz")
    brain = volume.array > 0
    for kind in KINDS:
        start = time.process_time()
        lesion = insert_lesion(volume, brain, LesionSpec(kind), 0)
        assert time.process_time() - start < 15
        assert (0.01 if kind == "tubes" else 0.1) < lesion.mask.array.sum() * volume.voxel_ml < 150
