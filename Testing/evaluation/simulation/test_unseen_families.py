"""The unseen families of lesions, the lesions of before, and the distance of both from the training anomalies."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage
from support.source_code import ROOT, imports, library_files
from support.tissue_phantom import FLUID, GREY, WHITE, phantom

from MedADLib.corruption import multi_scale
from MedADLib.evaluation.simulation import painting
from MedADLib.evaluation.simulation.insertion import CONTRASTS, RADII_MM, UNSEEN, LesionSpec, insert_lesion

# Folders below both sides, which know nothing of anomalies.
COMMON = ("runtime", "errors", "messages", "_version")


def needed(path) -> set[str]:
    """The modules of MedADLib that a file needs, directly or not, itself included."""
    files = {".".join(file.relative_to(ROOT).with_suffix("").parts): file for file in library_files()}
    found, todo = set(), [path]
    while todo:
        file = todo.pop()
        for name in imports(file):
            if name in files and name not in found:
                found.add(name)
                todo.append(files[name])
    return {name for name in found if name.split(".")[1] not in COMMON}


def test_training_and_benchmark_make_anomalies_with_different_code():
    folder = ROOT / "MedADLib"
    simulation = set().union(*(needed(path) for path in (folder / "evaluation" / "simulation").glob("*.py")))
    training = needed(folder / "corruption" / "multi_scale.py")
    assert any(name.startswith("MedADLib.corruption.") for name in training)
    assert "MedADLib.evaluation.simulation.shapes" in simulation
    assert not simulation & training
    assert not any(name.startswith("MedADLib.evaluation") for path in (folder / "corruption").glob("*.py")
                   for name in needed(path))  # fmt: skip


def test_tubes_and_sheets_are_thinner_than_any_shape_of_the_training():
    widest = 2 * RADII_MM["tubes"][1]
    assert painting.TUBES_MM[0] / widest > 1.9 * multi_scale.LONGEST
    assert 2 * painting.SHEETS_MM[0] / widest > 1.9 * multi_scale.LONGEST
    assert "thickness" in UNSEEN and not any("thick" in name for name in multi_scale.KINDS)


def test_the_unseen_families_come_last_since_the_order_is_part_of_the_seeds():
    assert list(RADII_MM) == ["tumour", "spots", "cavity", "texture", *UNSEEN]


# Voxels of the lesion and sum of the absolute changes of the image, as computed before the unseen families.
BEFORE = {
    "tumour": (7497, 4892207.2),
    "spots": (145, 144740.8),
    "cavity": (924, 515630.9),
    "texture": (1265, 138131.2),
}


@pytest.mark.parametrize("kind", BEFORE)
def test_the_lesions_of_before_are_the_same(kind):
    volume, brain, _ = phantom()
    lesion = insert_lesion(volume, brain, LesionSpec(kind, "strong"), 1)
    change = np.abs(lesion.volume.array.astype(float) - volume.array).sum()
    assert (int(lesion.mask.array.sum()), round(change, 1)) == (
        BEFORE[kind][0],
        pytest.approx(BEFORE[kind][1], rel=1e-5),
    )


@pytest.mark.parametrize("seed", range(4))
def test_a_tube_or_sheet_is_thin_long_and_in_white_matter(seed):
    volume, brain, tissue = phantom()
    lesion = insert_lesion(volume, brain, LesionSpec("tubes", "strong", 1.5), seed)
    mask = lesion.mask.array > 0
    where = volume.ras_from_voxels(np.argwhere(mask))
    extent = np.sqrt(np.linalg.svd(where - where.mean(axis=0))[1] ** 2 / len(where) * 12)
    tube = "tube" in lesion.description.split(", ")[4]
    assert extent[0] > 10 and extent[2] < 8
    assert (tissue[mask] == 3).mean() > 0.9
    deepest = ndimage.distance_transform_edt(mask, sampling=2.0).max()
    assert deepest <= 2.9, f"a voxel of 2 mm has at most two neighbours across a {'tube' if tube else 'sheet'}"
    assert 0.3 < (volume.array - lesion.volume.array)[mask].mean() / volume.array[brain].std() <= 2.3


def test_both_tubes_and_sheets_occur():
    volume, brain, _ = phantom()
    texts = {
        insert_lesion(volume, brain, LesionSpec("tubes"), seed).description.split(", ")[4][:4] for seed in range(6)
    }
    assert texts == {"tube", "shee"}


@pytest.mark.parametrize("seed", range(4))
def test_a_changed_thickness_moves_the_border_and_paints_no_intensity(seed):
    volume, brain, tissue = phantom()
    moved = {}
    for contrast in CONTRASTS:
        lesion = insert_lesion(volume, brain, LesionSpec("thickness", contrast, 12.0), seed)
        mask, after = lesion.mask.array > 0, lesion.volume.array
        thicker = "thicker" in lesion.description
        assert mask.any() and after[brain].min() >= volume.array[brain].min()
        assert after[brain].max() <= volume.array[brain].max()
        # What was one tissue is the other one now.
        change = np.median((after - volume.array)[mask]) / (WHITE - GREY)
        assert (-1.2 < change < -0.3) if thicker else (0.3 < change < 1.2)
        assert (tissue[mask] == (3 if thicker else 2)).mean() > 0.6
        assert (np.abs(after - FLUID)[mask] > 150).mean() > 0.95
        moved[contrast] = mask.sum()
    assert moved["weak"] < moved["medium"] < moved["strong"]
