"""The card of a model: its papers, sizes in units that its scans have, and who the training subjects are."""

from __future__ import annotations

import csv
import re
from dataclasses import replace
from types import SimpleNamespace

import pytest
from support.radiograph_phantoms import toy_plane_model
from support.source_code import ROOT

from MedADLib.methods.morphaeus import MorphAEusParameters
from MedADLib.methods.registry import ENTRIES
from MedADLib.modelfile.card import about, model_card
from MedADLib.modelfile.disclosure import FOUND, disclosed, disclosure, found_by
from MedADLib.modelfile.model import load_model
from MedADLib.modelfile.store import card as shown_card
from MedADLib.modelfile.store import summary_of
from MedADLib.scoring.calibration import Pooling


def test_the_schedule_of_the_training_names_its_paper():
    model = load_model("brain-t1-atlas")
    method = SimpleNamespace(name="morphaeus", parameters=MorphAEusParameters())
    for schedule, named in (("morphaeus", False), ("morphade", True)):
        card = model_card(replace(model, method=method, training=model.training | {"facts": {"schedule": schedule}}))
        assert "Paper: Bercea" in card and ("Paper: Avci et al. 2024" in card) is named


def test_sizes_of_volumes_are_in_mm_and_ml():
    card = model_card(load_model("brain-t1-atlas"))
    poolings = "minimum over 0 mm, mean over 2.5 mm; minimum over 0 mm, mean over 6 mm."
    assert f"- Pooling: 2 scales, of which the map takes the rarest: {poolings}" in card
    assert " mL per healthy scan" in card and "pixel" not in card


def test_sizes_of_images_are_in_pixels_and_shares():
    model = load_model(toy_plane_model())
    # 64 pixels along the longer side, which counts as 192 mm.
    assert model.calibration.poolings == (Pooling(0.0, 2.5), Pooling(0.0, 6.0))
    sizes = "in pixels of the model's grid: 2 scales, of which the map takes the rarest: "
    assert sizes + "minimum over 1, mean over 0.833; minimum over 1, mean over 2." in model.card
    fine, coarse = model.calibration.scales
    coarser = replace(model.calibration, scales=(fine, replace(coarse, pooling=Pooling(9.0, 14.0))))
    assert "minimum over 3, mean over 4.67." in model_card(replace(model, calibration=coarser))
    assert "counts as 192 mm and a pixel as 3 mm" in model.card
    assert " mL " not in model.card and " % of its pixels per healthy scan" in model.card


DS002748 = "OpenNeuro ds002748 v1.0.5, CC0"
SHIPPED = {
    "brain-t1": "synthetic_restoration",
    "brain-t1-ae": "autoencoder",
    "brain-t1-atlas": "atlas",
    "brain-t1-vqvae": "latent_restoration",
}


@pytest.mark.parametrize("name", SHIPPED)
def test_the_card_of_a_shipped_model_discloses_its_subjects(name):
    card = shown_card(name)
    data = card.partition("## Data\n")[2].partition("\n## ")[0]
    training = "train 26 patients; validation 4 patients;"
    assert f"{training} calibration 14 patients and 6 controls; benchmark 6 controls." in data
    assert "mild to moderate depression, without reported structural lesions" in data
    assert "19 to 55 years old" in data and "one scanner" in data
    assert "healthy scans only" not in card and "spreads" not in card
    assert "given as healthy" not in card


def test_subjects_are_the_groups_that_the_data_set_lists(data_dir):
    with open(data_dir / "healthy_t1_ds002748" / "participants.tsv", newline="", encoding="utf-8") as handle:
        people = list(csv.DictReader(handle, delimiter="\t"))
    assert (min(int(one["age"]) for one in people), max(int(one["age"]) for one in people)) == (19, 55)
    for one in people:
        line = disclosure({"data": DS002748, "split": {"train": [f"{one['participant_id']}_T1w"]}})[0]
        assert line == f"- Subjects: train 1 {'patient' if one['group'] == 'depr' else 'control'}."


# The tables that the results of a version come from: folder, detector and form of its map.
MEASURED = {
    ("brain-t1", "2.1.0"): ("144-cases", "synthetic_restoration", "as shipped"),
    ("brain-t1-vqvae", "1.3.0"): ("144-cases", "latent_restoration", "as shipped"),
    ("brain-t1-ae", "1.2.0"): ("144-cases", "autoencoder", "as shipped"),
    ("brain-t1-atlas", "1.2.0"): ("144-cases", "atlas", "as shipped"),
    ("brain-t1", "1.1.0"): ("earlier", "latent_restoration", "yes"),
    ("brain-t1-ae", "1.0.0"): ("earlier", "autoencoder", "yes"),
    ("brain-t1-atlas", "1.0.0"): ("earlier", "atlas", "yes"),
}


def test_every_shipped_model_has_results():
    assert FOUND.keys() == MEASURED.keys()
    for name in SHIPPED:
        shown = shown_card(name).partition("## Results\n")[2].partition("\n\n## ")[0]
        version = summary_of(ROOT / "Resources" / "models" / f"{name}.medad").version
        assert (name, version) in FOUND
        assert f"## Results\n{shown}" == found_by(name, version).rstrip()


@pytest.mark.parametrize(("name", "version"), MEASURED)
def test_results_of_a_shipped_model_are_those_of_the_tables(name, version):
    folder, detector, form = MEASURED[name, version]

    def rows(file, **wanted):
        with open(ROOT / "docs" / "benchmark" / folder / file, newline="", encoding="utf-8") as handle:
            found = csv.DictReader(handle, delimiter="\t")
            wanted |= {"detector": detector, "pooling": form, "per-place": form}
            return [row for row in found if all(row[key] == value for key, value in wanted.items())]

    results = found_by(name, version)
    hits = {row["lesions"]: row["lesions hit at 1%"] for row in rows("kinds.tsv")}
    kinds = [hits[kind] for kind in ("tumour", "cavity", "spots", "texture")]
    assert re.findall(r"\d+/\d+", results.partition("- Weak")[0]) == kinds
    (whole,) = rows("comparison.tsv")
    assert f"average precision {float(whole['AP']):.2f} (chance: {float(whole['prevalence']):.3f})" in results
    if folder == "earlier":
        cases, auroc = "24", whole["sample AUROC"]
    else:
        ((cases, auroc),) = ((row["cases"], row["AUROC"]) for row in rows("scans.tsv", shown="yes"))
    assert f"in {cases} scans of 6 people" in results and f"AUROC {float(auroc):.2f}" in results
    if name not in SHIPPED or folder == "earlier":
        return
    with open(ROOT / "docs" / "benchmark" / folder / "restorations.tsv", newline="", encoding="utf-8") as handle:
        healing = {
            r["scans"]: r["healing"] for r in csv.DictReader(handle, delimiter="\t") if r["detector"] == detector
        }
    with open(ROOT / "docs" / "benchmark" / "ixi.tsv", newline="", encoding="utf-8") as handle:
        regions = {int(r["regions"]) for r in csv.DictReader(handle, delimiter="\t") if r["model"] == name}
    (real,) = rows("real.tsv")
    for line in (
        f"{hits['weak']} parts hit",
        f"{float(healing['tumour']):.2f} of what it was in tumours and {float(healing['cavity']):.2f} in cavities",
        f"precision {float(real['AP']):.2f} (chance: {float(real['prevalence']):.3f}), {real['lesions hit at 1%']} les",
        f"{' to '.join(map(str, sorted({min(regions), max(regions)})))} regions",
    ):
        assert line in results, line


def test_a_shipped_card_has_results_and_limits_before_data_and_method():
    titles = re.findall(r"^## (.*)$", shown_card("brain-t1"), re.MULTILINE)
    assert titles == ["Scope and limits", "Results", "Method", "Calibration", "Data", "Scans", "Papers"]


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_card_begins_with_its_purpose_and_has_words_for_values(name):
    card = shown_card(name)
    title, purpose, method, rest = card.split("\n\n", 3)
    assert title.startswith(f"# {name} ")
    assert purpose == (
        "**For adult T1-weighted brain MRI without contrast agent, with or without skull (brain extraction).**"
    )
    assert method.startswith(f"{ENTRIES[SHIPPED[name]].title}: {ENTRIES[SHIPPED[name]].purpose}. Trained on scans")
    assert "latent_restoration" not in card and "synthetic_restoration" not in card
    assert not re.search(r"[{}]| \d+\.\d{7}|None|cutting out", card)
    # Names of scans are in their own list only, each once in the split and once in the later calibration.
    before, _, lists = rest.partition("\n## Scans\n")
    split, _, later = lists.partition("\n## Papers\n")[0].partition("\n- recalibrated on 20 scans of ")
    for text, count in ((split, 42), (later, 20)):
        names = re.findall(r"sub-\d\d", text)
        assert len(names) == len(set(names)) == count
    assert "sub-" not in before and "sub-" not in lists.partition("\n## Papers\n")[2]


def test_the_note_of_a_model_does_not_repeat_its_purpose():
    summary = summary_of(ROOT / "Resources" / "models" / "brain-t1-vqvae.medad")
    assert summary.description == "latent_restoration for T1-weighted MR of the brain" and summary.note == ""
    assert replace(summary, description="Restoration for T1-weighted MR of the brain").note == ""
    assert replace(summary, description="Brains of our lab").note == "Brains of our lab"


def test_a_card_has_the_description_that_the_author_wrote():
    model = replace(load_model("brain-t1-atlas"), description="Brains of our lab")
    assert "\n\nBrains of our lab.\n\nAtlas: compares" in model_card(model)


# Lines of cards that version 0.1.0 wrote, and what a reader sees instead.
OLD_LINES = {
    "atlas for T1-weighted MR of the brain. Learned from healthy scans only; it was never shown a lesion. **Not a "
    "medical device.**": "Trained on scans without known lesions only. **For research only. Not a medical device.**",
    "- Largest anomaly value in each, in healthy spreads: 7.59, 11.39.": (
        "- Largest anomaly value in each, in SD above the healthy mean: 7.59, 11.39."
    ),
    "- Default threshold 1ml: 15.07 healthy spreads, where a healthy scan shows 0.97 ml on average.": (
        "- Default threshold 1ml: 15.07 SD above the healthy mean. Expected false positives: 0.97 mL per healthy scan."
    ),
    "- In fast mode: 15.32 healthy spreads.": "- In fast mode: 15.32 SD above the healthy mean.",
    "- Knows brains of 160 x 160 x 100 voxels of 1.2 x 1.2 x 1.5 mm.": (
        "- Input: brains of 160 x 160 x 100 voxels of 1.2 x 1.2 x 1.5 mm."
    ),
    "- Other contrasts, ages, scanners or another way of cutting out the brain look unusual; runs warn of it.": (
        "- Other contrasts, ages, scanners or another brain extraction give high values without a lesion; runs warn "
        "of it."
    ),
}


def test_a_card_of_version_0_1_is_shown_in_present_words():
    first, *calibration, scope, limits = OLD_LINES
    stored = "\n".join(
        ["# brain-t1-atlas 1.0.0", "", first, "", "## Calibration", *calibration, "", "## Method", scope]
        + ["", "## Limits", limits, ""]
    )
    shown = disclosed(stored, about(load_model("brain-t1-atlas"))).splitlines()
    head, *lines = OLD_LINES.values()
    assert [line for line in lines if line not in shown] == []
    assert shown[4] == f"Atlas: {ENTRIES['atlas'].purpose}. {head}"
    assert [line for line in OLD_LINES if line in shown] == []


def test_a_card_that_medad_did_not_write_keeps_its_text():
    model = load_model("brain-t1-atlas")
    text = "# Knees\n\nFor knees.\n\n## Limits\n- Left knees only.\n"
    shown = disclosed(text, about(model))
    assert shown.startswith(text) and "\n## Data\n- Subjects: train 26 patients" in shown


def test_a_users_own_model_is_given_as_healthy_by_its_author():
    model = load_model(toy_plane_model())
    line = "- Scans: given as healthy by its author; MedAD did not check that."
    assert line in model.card.splitlines()
    # The card that is shown is the stored one: nothing is disclosed twice, and a toy has no results.
    assert disclosed(model.card, about(model)) == model.card


def test_a_recalibrated_shipped_model_states_the_origin_of_its_scans():
    shipped = load_model("brain-t1-atlas").training
    later = {"data": "our scanner", "scans": ["sub-01_T1w", "sub-02_T1w"]}
    lines = disclosure(shipped | {"calibrated_on": later})
    assert lines[0] == "- Subjects: train 26 patients; validation 4 patients; benchmark 6 controls."
    assert lines[-1].startswith("- Scans for calibration: given as healthy by its author")
    mixed = {"data": DS002748, "scans": [f"sub-{n}_T1w" for n in (31, 44, 52)]}
    assert "calibration 2 patients and 1 control;" in disclosure(shipped | {"calibrated_on": mixed})[0]


@pytest.mark.parametrize(
    "training",
    [
        {},
        {"data": 3, "split": [1]},
        {"data": DS002748, "split": {"train": ["sub-99_T1w"]}},
        {"data": DS002748, "split": {"train": ["sub-001_T1w"]}},
        {"data": DS002748, "split": {"train": [None]}, "calibrated_on": "x"},
        {"data": DS002748, "split": {"train": "sub-01"}},
        {"data": "another set", "split": {"train": ["sub-01_T1w"]}},
    ],
    ids=str,
)
def test_what_is_not_known_is_not_claimed(training):
    assert disclosure(training) == ["- Scans: given as healthy by its author; MedAD did not check that."]
