"""Scans of other contrasts, made of a T1 phantom by signal equations, and the lesions in them."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest
from support.raised import raises
from support.source_code import ROOT, imports
from support.tissue_phantom import phantom

from MedADLib.errors import InputError
from MedADLib.evaluation.contrast_cases import contrast_case_names
from MedADLib.evaluation.simulation.acquisition import Acquisition
from MedADLib.evaluation.simulation.contrast_signal import (
    FINDINGS,
    PROTOCOLS,
    RELAXATION,
    SEVERITIES,
    Relaxation,
    Sequence,
)
from MedADLib.evaluation.simulation.insertion import LesionSpec, insert_lesion
from MedADLib.evaluation.simulation.tissue_mixture import CORTEX, DEEP, FLUID, TISSUES, WHITE, tissue_shares
from MedADLib.volume import Volume

# The number of each tissue of the phantom.
LABELS = {FLUID: 1, CORTEX: 2, WHITE: 3}
ORDER = {
    "flair": (FLUID, WHITE, CORTEX),
    "t2": (WHITE, CORTEX, FLUID),
    "t1": (FLUID, CORTEX, WHITE),
}


@pytest.fixture(scope="module")
def shares() -> np.ndarray:
    volume, brain, _ = phantom()
    return tissue_shares(volume, brain)


def drawn(contrast: str, seed: int = 0, **changes) -> Acquisition:
    acquisition = Acquisition.draw(contrast, np.random.default_rng(seed))
    return replace(acquisition, **({"thickness_mm": 2.0, "snr": 40.0} | changes))


def test_the_simulation_shares_no_code_and_no_number_with_the_contrasts_of_the_training():
    simulation = [ROOT / "MedADLib" / "evaluation" / "contrast_cases.py"]
    simulation += sorted((ROOT / "MedADLib" / "evaluation" / "simulation").glob("*.py"))
    training = sorted((ROOT / "MedADLib" / "corruption" / "contrasts").glob("*.py"))
    assert len(training) > 2
    assert not any(".corruption" in name for path in simulation for name in imports(path))
    assert not any(".evaluation" in name for path in training for name in imports(path))
    text = " ".join(path.read_text(encoding="utf-8") for path in training)
    own = {f"{one.t1:g}" for tissues in RELAXATION.values() for one in tissues.values()}
    assert len(own) > 5 and not {number for number in own if re.search(rf"(?<![\d.]){number}(?![\d.])", text)}


def test_the_shares_are_those_of_the_phantom(shares):
    volume, brain, tissue = phantom()
    assert np.abs(shares[:, brain].sum(axis=0) - 1).max() < 1e-4 and not shares[:, ~brain].any()
    for name, label in LABELS.items():
        found = shares[TISSUES.index(name)] + (shares[TISSUES.index(DEEP)] if name == CORTEX else 0)
        assert found[tissue == label].mean() > 0.8, name
        assert found[(tissue != label) & brain].mean() < 0.15, name


def test_a_bias_field_and_a_factor_change_the_shares_little(shares):
    volume, brain, _ = phantom()
    z, y, x = (np.linspace(-1, 1, size) for size in brain.shape)
    field = np.exp(0.15 * z[:, None, None] + 0.2 * (y**2)[:, None] - 0.1 * x)
    biased = tissue_shares(volume.with_array((7 * volume.array * field).astype(np.float32)), brain)
    assert np.abs(biased - shares)[:, brain].mean() < 0.05


def test_a_brain_without_the_order_of_t1_is_refused():
    volume, brain, _ = phantom()
    flat = volume.with_array(np.where(brain, np.float32(100), 0) + volume.array * 0)
    with raises(InputError, "tissue_contrast"):
        tissue_shares(flat, brain)


@pytest.mark.parametrize("contrast", ORDER)
def test_tissues_are_as_bright_as_in_the_contrast(contrast, shares):
    volume, brain, tissue = phantom()
    for protocol in PROTOCOLS[contrast]:
        for tissues in RELAXATION.values():
            how = drawn(contrast, sequence=protocol, tissues=tissues)
            scan, mask = how.scan(volume, brain, shares)
            means = [float(np.median(scan.array[mask & (tissue == LABELS[name])])) for name in ORDER[contrast]]
            assert means == sorted(means)


def test_proton_density_has_little_contrast_and_grey_above_white_matter():
    for protocol in PROTOCOLS["pd"]:
        for tissues in RELAXATION.values():
            signal = {name: protocol.signal(one) for name, one in tissues.items()}
            assert signal[CORTEX] > signal[WHITE] and max(signal.values()) < 1.7 * min(signal.values())


def test_flair_nulls_fluid_and_signals_are_those_of_the_equations():
    fluid = RELAXATION[3.0][FLUID]
    for protocol in PROTOCOLS["flair"]:
        assert abs(protocol.signal(fluid)) < 0.02 * Sequence(protocol.tr, protocol.te).signal(fluid)
    one = Relaxation(1000.0, 100.0, 0.5)
    # Fully recovered, decayed by one T2.
    assert Sequence(1e5, 100).signal(one) == pytest.approx(0.5 / np.e, rel=1e-6)
    assert Sequence(1e5, 100, 1000 * np.log(2)).signal(one) == pytest.approx(0, abs=1e-9)
    assert Sequence(1e5, 100, 1e-6).signal(one) == pytest.approx(-0.5 / np.e, rel=1e-6)


def signals(finding: str, contrast: str, severity: str, field: float = 3.0) -> tuple[float, float]:
    """Mean signal of white matter over the protocols, healthy and changed."""
    tissues, protocols = RELAXATION[field], PROTOCOLS[contrast]
    changed = [FINDINGS[finding].signals(p, tissues, SEVERITIES[severity])[0][TISSUES.index(WHITE)] for p in protocols]
    return float(np.mean([p.signal(tissues[WHITE]) for p in protocols])), float(np.mean(changed))


@pytest.mark.parametrize("finding", ["tumour", "demyelination", "infarct"])
def test_lesions_with_more_water_or_less_myelin_are_bright_except_on_t1(finding):
    for field in RELAXATION:
        for contrast in ("flair", "t2", "pd"):
            healthy, *changed = [signals(finding, contrast, severity, field) for severity in SEVERITIES]
            values = [healthy[0], healthy[1], *(part[1] for part in changed)]
            assert values == sorted(values)
        healthy, changed = signals(finding, "t1", "strong", field)
        assert changed < healthy


def test_a_cavity_is_bright_on_t2_and_dark_on_flair_and_blood_is_dark():
    for contrast, bright in (("t2", True), ("flair", False), ("t1", False)):
        healthy, changed = signals("cavity", contrast, "strong")
        assert (changed > healthy) == bright
    for contrast in ("t2", "flair", "pd"):
        healthy, changed = signals("haemorrhage", contrast, "strong")
        assert changed < 0.8 * healthy


@pytest.mark.parametrize("finding", FINDINGS)
def test_a_lesion_changes_its_place_and_nothing_far_from_it(finding, shares):
    volume, brain, _ = phantom()
    lesion = insert_lesion(volume, brain, LesionSpec(FINDINGS[finding].shape, "strong"), 3, shares)
    inside = lesion.mask.array > 0
    layers = lesion.layers
    assert 0.5 < np.maximum(layers.core, layers.rim).max() <= 1
    assert np.array_equal(np.maximum(layers.core, layers.rim) > 0.5, inside)
    assert layers.rim.any() == (finding == "tumour")
    how = drawn("flair", tissues=RELAXATION[3.0], snr=1e4)
    healthy, mask = how.scan(volume, brain, shares)
    sick, _ = how.scan(volume, brain, shares, (FINDINGS[finding], 1.0, layers))
    change = np.abs(sick.array - healthy.array) / np.median(healthy.array[mask])
    assert np.median(change[inside & mask]) > 0.1
    untouched = (layers.core == 0) & (layers.rim == 0) & (layers.carried == shares).all(axis=0)
    assert untouched.sum() > 0.5 * brain.sum() and change[untouched].max() < 1e-6


def test_the_lesion_of_a_t1_scan_is_the_same_with_and_without_layers(shares):
    volume, brain, _ = phantom()
    plain = insert_lesion(volume, brain, LesionSpec("tumour"), 3)
    kept = insert_lesion(volume, brain, LesionSpec("tumour"), 3, shares)
    assert plain.layers is None
    assert np.array_equal(plain.volume.array, kept.volume.array)
    assert np.array_equal(plain.mask.array, kept.mask.array)


def test_thick_slices_average_what_they_cover(shares):
    affine = np.diag([1.0, 1.0, 1.0, 1.0])
    grid = Volume(np.zeros((40, 6, 6), np.float32), affine)
    brain = np.ones(grid.array.shape, bool)
    tissue = np.zeros((4, *brain.shape), np.float32)
    tissue[TISSUES.index(WHITE), :20] = 1
    tissue[TISSUES.index(FLUID), 20:] = 1
    how = drawn("t2", thickness_mm=2.5, snr=1e6, coils=np.zeros((3, 3, 3)))
    scan, mask = how.scan(grid, brain, tissue)
    assert scan.array.shape == (16, 6, 6) and mask.all()
    assert scan.spacing.tolist() == [1.0, 1.0, 2.5]
    # The first slice covers 0 to 2.5 mm from the lower face of the first voxel.
    assert scan.affine[:3, 3].tolist() == [0.0, 0.0, 0.75]
    ends = [how.sequence.signal(how.tissues[name]) for name in (WHITE, FLUID)]
    assert scan.array[0].mean() == pytest.approx(ends[0], rel=0.03)
    assert scan.array[-1].mean() == pytest.approx(ends[1], rel=0.03)


def test_the_same_seed_gives_the_same_scan_and_noise_is_that_of_the_snr(shares):
    volume, brain, tissue = phantom()
    how = drawn("t2", coils=np.zeros((3, 3, 3)))
    first, mask = how.scan(volume, brain, shares)
    assert np.array_equal(first.array, how.scan(volume, brain, shares)[0].array)
    clean = replace(how, snr=1e6).scan(volume, brain, shares)[0]
    noise = (first.array - clean.array)[mask]
    assert noise.std() == pytest.approx(np.abs(clean.array[mask]).mean() / how.snr, rel=0.1)
    assert not first.array[~mask].any()
    assert "t2, TR" in how.describe() and "SNR 40" in how.describe()


def test_each_finding_has_each_severity_equally_often_and_all_draws_differ():
    names = contrast_case_names(["a", "b", "c"])
    assert [name.kind for name in names].count("healthy") == 3
    for finding in FINDINGS:
        assert sorted(name.contrast for name in names if name.kind == finding) == sorted(SEVERITIES)
    assert len({str(name) for name in contrast_case_names(["a"], every=True, places=2)}) == 1 + 2 * 3 * len(FINDINGS)
    assert len({Acquisition.draw("flair", np.random.default_rng(seed)).thickness_mm for seed in range(5)}) == 5
