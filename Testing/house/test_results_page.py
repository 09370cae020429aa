"""docs/RESULTS.md says what its own tables say, and the tables are those of the files under docs/benchmark."""

from __future__ import annotations

import csv
import json
import re
from decimal import ROUND_HALF_UP, Decimal

import pytest
from support.source_code import ROOT

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


COMPARISON = {(row["detector"], (row["pooling"], row["per-place"])): row for row in table("comparison.tsv")}
METHODS = {(row["detector"], (row["pooling"], row["per-place"])): row for row in table("methods.tsv")}
KINDS = {(r["detector"], (r["pooling"], r["per-place"]), r["lesions"]): r for r in table("kinds.tsv")}
METHOD_KINDS = {(r["detector"], (r["pooling"], r["per-place"]), r["lesions"]): r for r in table("methods-kinds.tsv")}


def test_the_table_of_the_shipped_models_is_that_of_the_file():
    names = ["AP", "AUROC", "best Dice", "FPR95", "Dice at 1%", "lesions hit at 1%", "sample AUROC"]
    rows = rows_of(SHIPPED, 10)
    assert len(rows) == len(COMPARISON) == 20
    for detector, pooling, voxelwise, *cells in rows:
        kept = COMPARISON[detector, (pooling, voxelwise)]
        assert all(close(cell, kept[name]) for cell, name in zip(cells, names, strict=True)), detector


def test_the_table_by_kind_and_contrast_is_that_of_the_file():
    kinds = ["tumour", "spots", "cavity", "texture", "weak", "medium", "strong"]
    rows = rows_of(SHIPPED, 8)
    assert len(rows) == 5
    for detector, *cells in rows:
        for cell, kind in zip(cells, kinds, strict=True):
            kept = KINDS[detector, BOTH, kind]
            precision, hit = re.fullmatch(r"(\S+) \((.*)\)", cell).groups()
            assert close(precision, kept["AP"]) and hit == kept["lesions hit at 1%"], (detector, kind)


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


def test_the_table_of_subjects_is_that_of_split_and_participants(data_dir):
    with open(data_dir / "healthy_t1_ds002748" / "participants.tsv", newline="", encoding="utf-8") as handle:
        people = {row["participant_id"]: row for row in csv.DictReader(handle, delimiter="\t")}
    split = json.loads((ROOT / "Resources" / "models" / "brain-t1.split.json").read_text(encoding="utf-8"))
    rows = {row[0]: row[1:] for row in rows_of(PAGE.partition("## Data")[2].partition("##")[0], 4)}
    assert list(rows) == ["training", "validation", "calibration", "benchmark"]
    for part, (subjects, who, ages) in rows.items():
        ids = [name.removesuffix("_T1w") for name in split["train" if part == "training" else part]]
        assert subjects == f"{ids[0]} to {ids[-1]}"
        groups = {people[one]["group"] for one in ids}
        assert groups == ({"depr"} if "depression" in who else {"control"}) and who.startswith(f"{len(ids)} ")
        numbers = [int(people[one]["age"]) for one in ids]
        assert ages == f"{min(numbers)} to {max(numbers)}"


SHOWN = {(row[0], (row[1], row[2])): {"AP": row[3], "sample AUROC": row[9]} for row in rows_of(SHIPPED, 10)}


def shipped(detector, column="AP", variant=BOTH):
    return SHOWN[detector, variant][column]


def method(detector, column="AP", variant=BOTH):
    return shown(METHODS[detector, variant][column])


def hits(detector, variant=BOTH):
    return COMPARISON[detector, variant]["lesions hit at 1%"].partition("/")[0]


REST, PLAIN = "latent_restoration", "VQ-VAE reconstruction"
BRIGHT = "brightened by 1: "
SENTENCES = [
    f"{shipped(REST)}, against {shipped('atlas')} for the atlas, {shipped('autoencoder')} for the autoencoder and "
    f"{shipped('intensity deviation')} for plain intensity",
    f"It hits {hits(REST)} of 62 parts, the atlas {hits('atlas')}, the autoencoder {hits('autoencoder')}, plain "
    f"intensity {hits('intensity deviation')}",
    f"Without both, restoration has an AP of {shipped(REST, variant=RAW)}",
    f"restoration hits {hits(REST, VOXELWISE)} of 62 parts, "
    f"{KINDS[REST, VOXELWISE, 'spots']['lesions hit at 1%'].partition('/')[0]} of them spots, at an AP of "
    f"{shipped(REST, variant=VOXELWISE)}",
    f"Of 20 weak parts restoration hits {KINDS[REST, BOTH, 'weak']['lesions hit at 1%'].partition('/')[0]}",
    f"worse than the autoencoder ({shipped(PLAIN)} against {shipped('autoencoder')})",
    f"restored, the same codes give {shipped(REST)}",
    f"AUROC {shipped(REST, 'sample AUROC')} for restoration, {shipped('autoencoder', 'sample AUROC')} for the "
    f"autoencoder, {shipped('atlas', 'sample AUROC')} for the atlas",
    f"({method('implicit_field')} against {shipped(REST)})",
    f"than the VAE ({method('vae')})",
    f"({method('fpi', variant=RAW)} and {method('fpi, blending=poisson', variant=RAW)}), before denoising "
    f"({method('denoising', variant=RAW)})",
    f"The shipped atlas, which has no network, has {shipped('atlas', variant=RAW)}",
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
    f"{shipped('autoencoder')} after 2000 steps",
    f"and has {method('morphaeus')}",
    f"the AP is {method('morphaeus, schedule=apart')}",
]


def test_the_sentences_have_the_numbers_of_the_tables():
    assert [sentence for sentence in SENTENCES if sentence not in WORDS] == []


def test_superlatives_are_true():
    precision = {name: float(row["AP"]) for (name, variant), row in METHODS.items() if variant == BOTH}
    precision = {name: value for name, value in precision.items() if not name.startswith(BRIGHT)}
    assert max(precision, key=precision.get) == "implicit_field" and "implicit field has the highest AP" in WORDS
    assert precision["implicit_field"] > float(COMPARISON[REST, BOTH]["AP"])
    best = max(COMPARISON, key=lambda key: float(COMPARISON[key]["AP"]))
    assert best == (REST, BOTH) and "**Restoration has the highest AP**" in PAGE
    raw = {name: float(row["AP"]) for (name, variant), row in METHODS.items() if variant == RAW}
    raw = sorted(((value, name) for name, value in raw.items() if not name.startswith(BRIGHT)), reverse=True)
    assert [name for _, name in raw[:3]] == ["fpi", "fpi, blending=poisson", "denoising"]
    assert f"the others have {raw[-1][0]:.3f} to {raw[3][0]:.3f}" in WORDS
    sweep = table("sweep-cxr.tsv")
    assert max(sweep, key=lambda row: float(row["image_auroc"]))["latent"] == "8"
    assert max(sweep, key=lambda row: float(row["image_ap"]))["latent"] == "8"


def test_spots_and_texture_are_missed_as_the_page_says():
    hit = {key: row["lesions hit at 1%"] for key, row in KINDS.items() if key[1] == BOTH}
    assert all(value == "0/36" for (_, _, kind), value in hit.items() if kind == "spots")
    texture = [name for (name, _, kind), value in hit.items() if kind == "texture" and value != "0/6"]
    assert texture == [PLAIN] and "only the VQ-VAE reconstruction hits one of the 6 changes of texture" in WORDS


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
