"""Sentences of docs/RESULTS.md agree with its tables, and the tables with the files under docs/benchmark."""

from __future__ import annotations

import csv
import json
import re
from decimal import ROUND_HALF_DOWN, ROUND_HALF_UP, Decimal
from statistics import median

import pytest
from support.source_code import ROOT

from MedADLib.modelfile.store import card

FOLDER = ROOT / "docs" / "benchmark"
PAGE = (ROOT / "docs" / "RESULTS.md").read_text(encoding="utf-8")
WORDS = " ".join(PAGE.split())
SHIPPED, EVERY, CHEST = (
    PAGE.partition(start)[2].partition(end)[0]
    for start, end in (
        ("## The development benchmark", "## Every method"),
        ("## Every method", "## Chest X-rays"),
        ("## Chest X-rays", "### The latent size"),
    )
)
# Brain extraction: the intensities of the scan, or those that MedAD chooses.
WAYS = ("as it is", "chosen")
BOTH, VOXELWISE, RAW = ("yes", "yes"), ("no", "yes"), ("no", "no")
# The rows of the second table, and what methods.tsv calls them.
ROWS = [
    ("autoencoder, 16 latents", "autoencoder (16 latents)"),
    ("… AE-U", "autoencoder (variant=uncertain)"),
    ("… MemAE", "autoencoder (variant=memory)"),
    ("… constrained", "autoencoder (variant=constrained)"),
    ("… spatial bottleneck", "autoencoder (variant=spatial)"),
    ("… SSIM", "autoencoder (loss=ssim)"),
    ("… perceptual", "autoencoder (loss=perceptual)"),
    ("VAE", "vae"),
    ("… KL-gradient", "vae: KL gradient, sample KL"),
    ("… product", "vae: product, sample elbo"),
    ("VAE, intensity classes", "vae (brain-t1-vae-classes)"),
    ("ceVAE", "cevae"),
    ("… reconstruction", "cevae: reconstruction, sample reconstruction"),
    ("… KL-gradient", "cevae: KL gradient, sample KL"),
    ("context encoder", "context_encoder"),
    ("VAE restoration (TV)", "vae_tv"),
    ("… latents on a grid", "vae_tv, latents on a grid, beta 0.005"),
    ("GMVAE restoration (TV)", "gmvae_tv"),
    ("VAE-GAN", "vae_gan"),
    ("constrained adversarial AE", "adversarial_autoencoder"),
    ("f-AnoGAN", "f_anogan"),
    ("latent restoration, intensity classes", "latent_restoration"),
    ("… plain reconstruction", "latent_restoration: plain reconstruction"),
    ("restoration of whole volumes", "volume_restoration"),
    ("… plain reconstruction", "volume_restoration: plain reconstruction"),
    ("implicit field", "implicit_field"),
    ("MorphAEus", "morphaeus"),
    ("… deformation kept apart", "morphaeus, schedule=apart"),
    ("FPI", "fpi"),
    ("PII", "fpi, blending=poisson"),
    ("denoising autoencoder", "denoising"),
    ("no model: intensity deviation", "intensity deviation"),
]


def table(name: str) -> list[dict[str, str]]:
    with open(FOLDER / name, newline="", encoding="utf-8") as handle:
        return list(csv.DictReader(handle, delimiter="\t"))


def rows_of(text: str, width: int, heads: bool = False) -> list[list[str]]:
    """Cells of the table rows with that many columns, without emphasis; heads and rules are left out."""
    lines = text.replace("**", "").splitlines()
    found = [line for line, after in zip(lines, [*lines[1:], ""]) if heads or not after.startswith("|---")]
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in found if line.startswith("| ")]
    return [row for row in cells if len(row) == width]


def shown(value: str, places: int = 3) -> str:
    return value if "/" in value else str(Decimal(value).quantize(Decimal(1).scaleb(-places), ROUND_HALF_UP))


def close(cell: str, value: str) -> bool:
    """Whether a cell is a rounding of the kept value, which is rounded itself."""
    if "/" in value:
        return cell == value
    step = Decimal(1).scaleb(Decimal(cell).as_tuple().exponent)
    return abs(Decimal(cell) - Decimal(value)) <= step / 2


# The models before version 2.0.0, on the 24 cases, which the section on every method compares with.
EARLIER = {(row["detector"], (row["pooling"], row["per-place"])): row for row in table("earlier/comparison.tsv")}
METHODS = {(row["detector"], (row["pooling"], row["per-place"])): row for row in table("methods.tsv")}
METHOD_KINDS = {(r["detector"], (r["pooling"], r["per-place"]), r["lesions"]): r for r in table("methods-kinds.tsv")}


def test_the_table_of_every_method_is_that_of_the_files():
    rows = rows_of(EVERY, 12)
    assert [row[0] for row in rows] == [label for label, _ in ROWS]
    for (label, name), row in zip(ROWS, rows):
        both, raw = METHODS[name, BOTH], METHODS[name, RAW]
        keys = ("AUROC", "best Dice", "lesions hit at 1%", "sample AUROC")
        wanted = [both["AP"], raw["AP"], *(both[key] for key in keys)]
        wanted += [METHOD_KINDS[name, BOTH, kind]["AP"] for kind in ("tumour", "cavity", "strong")]
        assert all(close(cell, value) for cell, value in zip(row[3:], wanted, strict=True)), (label, row, wanted)


def test_the_tables_of_radiographs_are_those_of_the_files():
    names = {"MorphAEus, 1500 steps": "morphaeus", "no model: intensity deviation": "intensity deviation"}
    kept = {row["detector"]: row for row in table("cxr.tsv")}
    rows = rows_of(CHEST, 3)
    assert len(rows) == 3
    for label, interval, precision in rows:
        row = kept[names.get(label, label.partition(",")[0])]
        auroc, low, high = re.fullmatch(r"(\S+) \((\S+)–(\S+)\)", interval).groups()
        found = zip((auroc, low, high, precision), ("AUROC", "AUROC low", "AUROC high", "AP"))
        assert all(close(cell, row[name]) for cell, name in found), label
    sweep = table("sweep-cxr.tsv")
    names = {"healthy validation error": "validation_error", "AUROC": "image_auroc", "AP": "image_ap"}
    lines = {row[0]: row[1:] for row in rows_of(PAGE.partition("### The latent size")[2], 9, True)}
    assert lines.pop("latent size") == [row["latent"] for row in sweep]
    assert lines.keys() == names.keys()
    for label, cells in lines.items():
        assert all(close(cell, row[names[label]]) for cell, row in zip(cells, sweep, strict=True)), label


def test_the_table_of_subjects_is_that_of_split_participants_and_cards(data_dir):
    with open(data_dir / "healthy_t1_ds002748" / "participants.tsv", newline="", encoding="utf-8") as handle:
        people = {row["participant_id"]: row for row in csv.DictReader(handle, delimiter="\t")}
    split = json.loads((ROOT / "Resources" / "models" / "brain-t1.split.json").read_text(encoding="utf-8"))
    listed: dict[str, list[str]] = {}
    for part, subjects, who, ages in rows_of(PAGE.partition("## Data")[2].partition("\n## ")[0], 4):
        first, last = (int(one) for one in re.fullmatch(r"sub-(\d\d) to sub-(\d\d)", subjects).groups())
        ids = [f"sub-{number:02d}" for number in range(first, last + 1)]
        listed.setdefault(part, []).extend(ids)
        assert {people[one]["group"] for one in ids} == ({"depr"} if "depression" in who else {"control"})
        numbers = [int(people[one]["age"]) for one in ids]
        assert who.startswith(f"{len(ids)} ") and ages == f"{min(numbers)} to {max(numbers)}"
    assert list(listed) == ["training", "validation", "calibration", "benchmark"]
    for part in ("training", "validation", "benchmark"):
        names = split["train" if part == "training" else part]
        assert listed[part] == [name.removesuffix("_T1w") for name in names]
    for path in sorted((ROOT / "Resources" / "models").glob("*.medad")):
        (line,) = re.findall(r"^- recalibrated on (\d+ scans of .*)$", card(path.stem), re.M)
        assert line.startswith("20 scans of OpenNeuro ds002748")
        assert re.findall(r"sub-\d\d", line) == listed["calibration"]


def earlier(detector, column="AP", variant=BOTH):
    # The kept value is rounded itself: 0.4995 was a little less.
    return str(Decimal(EARLIER[detector, variant][column]).quantize(Decimal("0.001"), ROUND_HALF_DOWN))


def method(detector, column="AP", variant=BOTH):
    return shown(METHODS[detector, variant][column])


REST = "latent_restoration"
BRIGHT = "brightened by 1: "
SENTENCES = [
    f"latent restoration {earlier(REST)} (raw map {earlier(REST, variant=RAW)}), atlas {earlier('atlas')} (raw map "
    f"{earlier('atlas', variant=RAW)}), autoencoder {earlier('autoencoder')} (raw map "
    f"{earlier('autoencoder', variant=RAW)})",
    f"({method('implicit_field')} against {earlier(REST)})",
    f"than the VAE ({method('vae')})",
    f"({method('fpi', variant=RAW)} and {method('fpi, blending=poisson', variant=RAW)}), before denoising "
    f"({method('denoising', variant=RAW)})",
    f"The atlas, which has no network, has {earlier('atlas', variant=RAW)}",
    f"Its sample score is worse than chance ({method('fpi', 'sample AUROC')})",
    f"raw map of the VAE** ({method('vae (brain-t1-vae-classes)', variant=RAW)} with and without)",
    f"({method('vae (brain-t1-vae-classes)', variant=VOXELWISE)} against {method('vae', variant=VOXELWISE)})",
    f"the squared error is ({method('vae')} against {method('vae (brain-t1-vae-classes)')})",
    f"({method('volume_restoration')} against {method('volume_restoration: plain reconstruction')})",
    f"({method('latent_restoration')} against {method('latent_restoration: plain reconstruction')})",
    f"({method('gmvae_tv', variant=RAW)}, {method('vae_tv', variant=RAW)}, {method('vae', variant=RAW)})",
    f"({method('vae')}, against {method('gmvae_tv')} and {method('vae_tv')})",
    f"spatial latents has {method('vae_tv, latents on a grid, beta 0.005')}, the autoencoder with a spatial bottleneck "
    f"{method('autoencoder (variant=spatial)')}",
    f"dense latents TV restoration has {method('vae_tv')}",
    f"The KL-gradient finds nothing** ({method('vae: KL gradient, sample KL')})",
    f"AP of {method(BRIGHT + 'vae: KL gradient, sample KL')} and an AUROC of "
    f"{method(BRIGHT + 'vae: KL gradient, sample KL', 'AUROC')}",
    f"({method(BRIGHT + 'vae: product, sample elbo', variant=RAW)} against {method(BRIGHT + 'vae', variant=RAW)})",
    f"Plain intensity, however, has {method(BRIGHT + 'intensity deviation', variant=RAW)} there",
    f"({method('vae')} against {method('autoencoder (16 latents)')})",
    f"the VAE had {method('vae, beta 0.005, 900 augmented steps')}",
    f"the autoencoder has {method('autoencoder (16 latents)')} after 600 steps, the shipped one "
    f"{earlier('autoencoder')} after 2000 steps",
    f"and has {method('morphaeus')}",
    f"the AP is {method('morphaeus, schedule=apart')}",
]


def test_the_sentences_have_the_numbers_of_the_tables():
    assert [sentence for sentence in SENTENCES if sentence not in WORDS] == []


def test_superlatives_are_true():
    precision = {name: float(row["AP"]) for (name, variant), row in METHODS.items() if variant == BOTH}
    precision = {name: value for name, value in precision.items() if not name.startswith(BRIGHT)}
    assert max(precision, key=precision.get) == "implicit_field" and "implicit field has the highest AP" in WORDS
    assert precision["implicit_field"] > float(EARLIER[REST, BOTH]["AP"])
    raw = {name: float(row["AP"]) for (name, variant), row in METHODS.items() if variant == RAW}
    raw = sorted(((value, name) for name, value in raw.items() if not name.startswith(BRIGHT)), reverse=True)
    assert [name for _, name in raw[:3]] == ["fpi", "fpi, blending=poisson", "denoising"]
    assert f"the others have {raw[-1][0]:.3f} to {raw[3][0]:.3f}" in WORDS
    sweep = table("sweep-cxr.tsv")
    assert max(sweep, key=lambda row: float(row["image_auroc"]))["latent"] == "8"
    assert max(sweep, key=lambda row: float(row["image_ap"]))["latent"] == "8"


def test_each_curve_of_the_radiographs_has_a_colour_of_its_own():
    np = pytest.importorskip("numpy")
    image = pytest.importorskip("PIL.Image")
    with image.open(FOLDER / "cxr.png") as figure:
        pixels = np.asarray(figure.convert("RGB")).astype(int)
    # Short coloured lines of the legend: the only rows where one saturated colour fills 15 pixels or more in a row.
    legend = pixels[1015:1065, 540:556]
    saturated = legend.max(axis=2) - legend.min(axis=2) > 60
    lines = {tuple(legend[row, 8]) for row in range(len(legend)) if saturated[row].all()}
    assert len(lines) == 3


def test_brain_extraction_of_each_contrast():
    rows = table("extraction.tsv")
    for contrast in {row["contrast"]: None for row in rows}:
        some = {way: [row for row in rows if (row["contrast"], row["way"]) == (contrast, way)] for way in WAYS}
        dice, surface = ([[float(row[key]) for row in some[way]] for way in WAYS] for key in ("dice", "surface_95_mm"))
        better = sum(row["intensities"] in ("inverted", "folded") for row in some["chosen"])
        cells = [contrast, *(f"{median(values):.3f} ({min(values):.3f})" for values in dice)]
        cells += [f"{median(values):.1f}" for values in surface] + [f"{better} of {len(some['chosen'])}"]
        assert "| " + " | ".join(cells) + " |" in PAGE
