"""The part of docs/RESULTS.md on the development benchmark agrees with the tables under docs/benchmark."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable
from decimal import ROUND_HALF_UP, Decimal

import pytest
from support.source_code import ROOT

from MedADLib.evaluation.targets import TARGETS
from MedADLib.scoring.scan_score import NAMES, RANK

FOLDER = ROOT / "docs" / "benchmark"
PAGE = (ROOT / "docs" / "RESULTS.md").read_text(encoding="utf-8")
PART = PAGE.partition("## The development benchmark")[2].partition("\n## Every method")[0]
WORDS = " ".join(PART.replace("**", "").split())
# The folders of the two comparisons, and of the models before version 2.0.0.
MANY, FEW, MORE, EARLIER = "144-cases", "24-cases", "24-more", "earlier"
# Of the choices, and of version 2.0.0.
VALIDATION, BEFORE = "validation", "2.0.0"
# Of the restorer in two and in three dimensions, after short trainings.
SHORT = "slabs-and-blocks"
DETECTORS = {
    "`brain-t1`": "synthetic_restoration",
    "`mahalanobis`": "mahalanobis",
    "`brain-t1-atlas`": "atlas",
    "`brain-t1-ae`": "autoencoder",
    "`brain-t1-vqvae`": "latent_restoration",
    "its plain reconstruction": "latent_restoration: plain reconstruction",
    "intensity deviation": "intensity deviation",
    "`brain-t1` with `mahalanobis`": "ensemble",
    "implicit field": "implicit_field",
    "FAE": "feature_autoencoder",
    "FPI": "fpi",
    "plain VQ-VAE, 10×10 codes": "latent_restoration: plain reconstruction",
}
RESTORER, REST = DETECTORS["`brain-t1`"], DETECTORS["`brain-t1-vqvae`"]
BOTH = ("yes", "yes")
KINDS = ("tumour", "spots", "cavity", "texture")
HEALED = ("tumour", "cavity", "spots", "texture", "all")
CONTRASTS = ("weak", "medium", "strong")
# What FPI found less of after more steps.
KINDS_LOST = ("strong", "cavity")
# Head of the table of lesions in scans of another scanner.
INSERTED = "lesions hit at the default threshold (AP)"
Row = dict[str, str]
Values = list[list[str]]


def table(folder: str, name: str) -> list[Row]:
    with open(FOLDER / folder / f"{name}.tsv", newline="", encoding="utf-8") as handle:
        return list(csv.DictReader(handle, delimiter="\t"))


def best(folder: str, name: str, detector: str, **wanted: str) -> Row:
    """The row of a detector as shipped or, without a model file, with pooling and voxelwise calibration."""
    rows = [row for row in table(folder, name) if row["detector"] == detector]
    rows = [row for row in rows if all(row[key] == value for key, value in wanted.items())]
    for form in ("as shipped", "yes"):
        if chosen := [row for row in rows if (row["pooling"], row["per-place"]) == (form, form)]:
            (row,) = chosen
            return row
    raise AssertionError((folder, name, detector, wanted))


def only(folder: str, name: str, **wanted: str) -> Row:
    (row,) = [row for row in table(folder, name) if all(row[key] == value for key, value in wanted.items())]
    return row


def tables_of_the_page() -> dict[str, tuple[list[str], list[list[str]]]]:
    """Heads and rows by the first cell of the head."""
    found: dict[str, tuple[list[str], list[list[str]]]] = {}
    for block in re.findall(r"(?:^\|.*\|\n)+", PART.replace("**", ""), re.M):
        head, rule, *rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in block.splitlines()]
        assert set("".join(rule)) == {"-"} and head[0] not in found
        assert all(len(row) == len(head) for row in rows)
        found[head[0]] = head[1:], rows
    return found


TABLES = tables_of_the_page()


def numbers(cell: str) -> list[str]:
    return re.findall(r"\d+/\d+|(?<![\d.])-?\d+(?:\.\d+)?", cell.replace("−", "-"))


def close(shown: str, value: str) -> bool:
    """Whether a number is a rounding of the kept value, which is rounded itself."""
    if "/" in value or "/" in shown:
        return shown == value
    step = Decimal(1).scaleb(Decimal(shown).as_tuple().exponent)
    return abs(Decimal(shown) - Decimal(value)) <= step / 2


def main(folder: str) -> Callable[[str], Values]:
    def values(detector: str) -> Values:
        whole, cost = best(folder, "comparison", detector), only(folder, "cost", detector=detector)
        scan = best(folder, "scans", detector, shown="yes")
        alarms = best(folder, "healthy", detector, scan="mean")
        found = [[whole["AP"], whole["AP low"], whole["AP high"]]]
        found += [[whole[key]] for key in ("AUROC", "best Dice", "Dice at 1%", "lesions hit at 1%")]
        found += [[scan[key]] for key in ("AUROC", "paired order")]
        found += [[alarms[key]] for key in ("false regions", "false mL")]
        return [*found, [cost["median seconds"]], [cost["peak MB"]]]

    return values


def more(detector: str) -> Values:
    """The values of a model that does not ship; an ensemble has no raw map."""
    whole, cost = best(MORE, "comparison", detector), only(MORE, "cost", detector=detector)
    raw = [row for row in table(MORE, "comparison") if (row["detector"], row["pooling"]) == (detector, "no")]
    raw = [[row["AP"]] for row in raw if row["per-place"] == "no"] or [[]]
    kinds = [[best(MORE, "kinds", detector, lesions=kind)["AP"]] for kind in KINDS]
    scan = best(MORE, "scans", detector, shown="yes")
    found = [[whole["AP"], whole["AP low"], whole["AP high"]], *raw, [whole["lesions hit at 1%"]], [scan["AUROC"]]]
    return [*found, *kinds, [best(MORE, "real", detector)["AP"]], [cost["median seconds"]], [cost["peak MB"]]]


def by_kind(folder: str) -> Callable[[str], Values]:
    def values(detector: str) -> Values:
        rows = [best(folder, "kinds", detector, lesions=kind) for kind in (*KINDS, *CONTRASTS)]
        return [[row["AP"], row["lesions hit at 1%"]] for row in rows]

    return values


def by_contrast(kind: str) -> Values:
    rows = [best(MANY, "contrasts", RESTORER, lesions=kind, contrast=contrast) for contrast in CONTRASTS]
    return [[row["AP"], row["lesions hit at 1%"]] for row in rows]


def by_size(folder: str) -> Callable[[str], Values]:
    def values(detector: str) -> Values:
        rows = [best(folder, "sizes", detector, lesions=size) for size in TABLES["by size"][0]]
        return [[row["hit at 1%"], row["AP"]] for row in rows]

    return values


def scan_scores(detector: str) -> Values:
    rows = [best(VALIDATION, "scans", detector, **{"scan score": name}) for name in NAMES]
    return [[row["AUROC"], str(100 * Decimal(row["paired order"]))] for row in rows]


def unseen(detector: str) -> Values:
    pairs = [(kind, contrast) for kind in ("tubes", "thickness") for contrast in ("all", "strong")]
    rows = [best(MANY, "unseen", detector, lesions=kind, contrast=contrast) for kind, contrast in pairs]
    return [[row["AP"], row["lesions hit at 1%"]] for row in rows]


def real(detector: str) -> Values:
    row = best(FEW if detector.startswith(REST) else MANY, "real", detector)
    return [[row[key]] for key in ("AP", "AUROC", "best Dice", "Dice at 1%", "lesions hit at 1%")]


def restorations(folder: str) -> Callable[[str], Values]:
    def values(detector: str) -> Values:
        rows = [only(folder, "restorations", detector=detector, scans=kind) for kind in HEALED]
        sharp = [[rows[-1][key]] for key in ("gradient energy z", "gradient energy y", "gradient energy x", "PSNR dB")]
        return [[row["healing"]] for row in rows[:-1]] + sharp

    return values


def short(label: str) -> Values:
    """The values of a short training, of its raw map or as shipped, or those of the shipped model."""
    detector, folder, raw = short_of(label)
    if raw:
        rows = [row for row in table(folder, "comparison") + table(folder, "kinds") if row["detector"] == detector]
        rows = [row for row in rows if (row["pooling"], row["per-place"]) == ("no", "no")]
        whole, *kinds = [row for row in rows if row.get("lesions") in (None, *KINDS)]
        assert [row["lesions"] for row in kinds] == list(KINDS)
    else:
        whole = best(folder, "comparison", detector)
        kinds = [best(folder, "kinds", detector, lesions=kind) for kind in KINDS]
    found = [[whole["AP"], whole["AP low"], whole["AP high"]], [whole["AUROC"]], [whole["lesions hit at 1%"]]]
    return found + [[row["AP"], row["lesions hit at 1%"]] for row in kinds]


def short_of(label: str) -> tuple[str, str, bool]:
    """Detector and folder of a row on the short trainings, and whether it is the raw map."""
    name, _, raw = label.partition(", ")
    name = DETECTORS.get(name, name)
    return (RESTORER, FEW, bool(raw)) if name == RESTORER else (f"{RESTORER} ({name})", SHORT, bool(raw))


def short_restorations(label: str) -> Values:
    detector, folder, _ = short_of(label)
    cost = only(folder, "cost", detector=detector)
    return [*restorations(folder)(detector), [cost["median seconds"]], [cost["peak MB"]]]


def minus(folder: str) -> Callable[[str], Values]:
    def values(detector: str) -> Values:
        found = []
        for group in ("all", *KINDS):
            rows = [row for row in table(folder, "differences") if row["lesions"] == group]
            rows = [row for row in rows if {row["detector"], row["minus"]} == {RESTORER, detector}]
            (row,) = [row for row in rows if (row["pooling"], row["per-place"]) == ("as shipped", "as shipped")]
            parts = [Decimal(row[key]) for key in ("AP difference", "low", "high")]
            if row["minus"] == RESTORER:
                parts = [-parts[0], -parts[2], -parts[1]]
            found.append([str(part) for part in parts])
        return found

    return values


# What the tables of the page show, by the first cell of their head; the rows have names of detectors or kinds.
SHOWN: dict[str, Callable[[str], Values]] = {
    "144 cases": main(MANY),
    "144 cases, by kind and contrast": by_kind(MANY),
    "`brain-t1`, 144 cases": by_contrast,
    "validation, score of a scan": scan_scores,
    "by size": by_size(MANY),
    "144 cases, `brain-t1` minus": minus(MANY),
    "24 cases": main(FEW),
    "24 cases, by kind and contrast": by_kind(FEW),
    "24 cases, `brain-t1` minus": minus(FEW),
    "24 cases, more": more,
    "24 cases, more, by size": by_size(MORE),
    "36 cases": unseen,
    "MS, one scan": real,
    "144 cases, restorations": restorations(MANY),
    "24 cases, restorations": restorations(FEW),
    "24 cases, short trainings": short,
    "short trainings, restorations": short_restorations,
}


def test_every_table_of_the_part_is_checked():
    assert TABLES.keys() == {*SHOWN, "target", "IXI, regions in each scan", INSERTED}


@pytest.mark.parametrize("name", SHOWN)
def test_a_table_is_that_of_the_files(name):
    _, rows = TABLES[name]
    assert len(rows) >= 3 and len({row[0] for row in rows}) == len(rows)
    for label, *cells in rows:
        wanted = SHOWN[name](DETECTORS.get(label, label))
        for cell, values in zip(cells, wanted, strict=True):
            found = numbers(cell)
            assert len(found) == len(values) and all(map(close, found, values)), (label, cell, values)


@pytest.mark.parametrize(("folder", "name"), [(MANY, "144 cases"), (FEW, "24 cases")])
def test_the_page_leaves_no_detector_out(folder, name):
    assert {DETECTORS[row[0]] for row in TABLES[name][1]} == {row["detector"] for row in table(folder, "comparison")}


def test_the_targets_have_the_values_of_the_tables():
    files = {path.name: table(MANY, path.stem) for path in sorted((FOLDER / MANY).glob("*.tsv"))}
    rows = TABLES["target"][1]
    assert len(rows) == len(TARGETS)
    for (title, wanted, before, now, reached), target in zip(rows, TARGETS):
        value = target.measure(files, RESTORER)
        if "false regions" in title:
            assert (numbers(wanted), numbers(before), numbers(now)) == (["0", "1"], *map(false_regions, (FEW, MANY)))
            assert reached == "no" and not target.reached(value)
            continue
        assert numbers(wanted)[0] == numbers(target.wanted)[0], target.title
        assert close(now, f"{value:.6f}") and reached == ("yes" if target.reached(value) else "no"), target.title


def false_regions(folder: str) -> list[str]:
    """Fewest, most and mean number in a scan: of the present default, or with one scale of the earlier one."""
    detector, form = (RESTORER, "as shipped") if folder == MANY else (REST, "yes")
    rows = [row for row in table(folder, "healthy") if (row["detector"], row["pooling"]) == (detector, form)]
    counts = [float(row["false regions"]) for row in rows if row["scan"] != "mean"]
    places = "0.1" if folder == FEW else "0.01"
    return [
        f"{min(counts):.0f}",
        f"{max(counts):.0f}",
        str(Decimal(sum(counts) / len(counts)).quantize(Decimal(places))),
    ]


def test_the_values_before_are_those_of_the_tables():
    whole = {row["detector"]: row for row in table(EARLIER, "comparison") if (row["pooling"], row["per-place"]) == BOTH}
    kinds = {
        row["lesions"]: row
        for row in table(EARLIER, "kinds")
        if row["detector"] == REST and (row["pooling"], row["per-place"]) == BOTH
    }
    scan = best(FEW, "scans", REST, **{"scan score": "method"})
    quality = {row["scans"]: row for row in table(FEW, "restorations") if row["detector"] == REST}
    (patient,) = [
        row
        for row in table(EARLIER, "real")
        if row["detector"] == REST
        and (row["pooling"], row["per-place"]) == BOTH
        and row["scan"].startswith("patient19")
    ]
    energy = min((quality["all"][f"gradient energy {axis}"] for axis in "zyx"), key=float)
    healing = max((quality[kind]["healing"] for kind in ("tumour", "cavity")), key=float)
    wanted = [whole[REST]["AP"], "0", kinds["texture"]["AP"], whole[REST]["sample AUROC"], scan["paired order"]]
    wanted += [None, healing, energy, quality["all"]["PSNR dB"], patient["AP"]]
    wanted += [only(FEW, "cost", detector=REST)["median seconds"]]
    assert kinds["spots"]["lesions hit at 1%"].startswith("0/")
    for (title, _, before, _, _), value in zip(TABLES["target"][1], wanted, strict=True):
        assert value is None or close(before, value), title


def shipped(detector: str, column: str = "AP", folder: str = MANY, **wanted: str) -> str:
    return best(folder, "kinds" if wanted else "comparison", detector, **wanted)[column]


def raw_map(detector: str) -> str:
    rows = [row for row in table(FEW, "comparison") if row["detector"] == detector]
    return next(row["AP"] for row in rows if (row["pooling"], row["per-place"]) == ("no", "no"))


def three(value: str) -> str:
    return str(Decimal(value).quantize(Decimal("0.001"), ROUND_HALF_UP))


def hit(kind: str, detector: str = RESTORER, folder: str = MANY) -> list[str]:
    return shipped(detector, "lesions hit at 1%", folder, lesions=kind).split("/")


def scan(name: str, column: str, detector: str = RESTORER, folder: str = MANY) -> str:
    return best(folder, "scans", detector, **{"scan score": name})[column]


def percent(value: str) -> str:
    return str((100 * Decimal(value)).quantize(Decimal("0.1"), ROUND_HALF_UP))


def healing(kind: str, detector: str = RESTORER, folder: str = MANY) -> str:
    value = only(folder, "restorations", detector=detector, scans=kind)["healing"]
    return str(Decimal(value).quantize(Decimal("0.01"), ROUND_HALF_UP))


def other(detector: str, column: str) -> str:
    return best(MANY, "real", detector)[f"other {column}"]


def tenth(value: str) -> str:
    return str(Decimal(value).quantize(Decimal("0.1"), ROUND_HALF_UP))


def clear_spots() -> str:
    parts = [by_contrast("spots")[CONTRASTS.index(contrast)][1].split("/") for contrast in ("medium", "strong")]
    return " of ".join(str(sum(int(part[n]) for part in parts)) for n in (0, 1))


def average_alarms(detector: str, folder: str, form: str) -> str:
    (row,) = [
        row
        for row in table(folder, "healthy")
        if (row["detector"], row["pooling"], row["scan"]) == (detector, form, "mean")
    ]
    return str(Decimal(row["false regions"]).quantize(Decimal("0.1"), ROUND_HALF_UP))


PLAIN = DETECTORS["its plain reconstruction"]
WEAK_TEXTURE = by_contrast("texture")[0]
FAE, FIELD = more("feature_autoencoder"), more("implicit_field")
SENTENCES = [
    f"raw map of these rivals ({three(FAE[1][0])}; `brain-t1` has {three(raw_map(RESTORER))}) and "
    f"{three(FAE[0][0])} when calibrated, below latent restoration ({three(shipped(REST, folder=FEW))})",
    f"the highest AP of all calibrated maps on the MS patient ({three(FIELD[-3][0])}), but {three(FIELD[0][0])} on "
    "simulated lesions",
    f"{three(more('ensemble')[0][0])} against {three(shipped(RESTORER, folder=FEW))}, with "
    f"{more('ensemble')[2][0].split('/')[0]} instead of "
    f"{shipped(RESTORER, 'lesions hit at 1%', FEW).replace('/', ' of ')} parts hit",
    f"it has {three(more(PLAIN)[0][0])} instead of {three(shipped(PLAIN, folder=FEW))} after 600 steps",
    f"an AP of {three(shipped(RESTORER))} against {three(shipped('mahalanobis'))} for `mahalanobis`, "
    f"{three(shipped(REST))} for latent restoration, {three(shipped('atlas'))} for the atlas and "
    f"{three(shipped('autoencoder'))} for the autoencoder",
    f"`brain-t1` has an AP of {three(shipped(RESTORER, folder=VALIDATION))}, hits "
    f"{' of '.join(hit('spots', RESTORER, VALIDATION))} spots (AP "
    f"{three(shipped(RESTORER, folder=VALIDATION, lesions='spots'))}), has an AP of "
    f"{three(shipped(RESTORER, folder=VALIDATION, lesions='texture'))} for texture, a scan AUROC of "
    f"{three(scan('top_1ml', 'AUROC', RESTORER, VALIDATION))}, and scores the same head higher with the lesion in "
    f"{percent(scan('top_1ml', 'paired order', RESTORER, VALIDATION))} % of the cases; tumours heal to "
    f"{healing('tumour', RESTORER, VALIDATION)} and cavities to {healing('cavity', RESTORER, VALIDATION)}",
    f"strong ones heal to {healing('tumour, strong')} (tumours) and {healing('cavity, strong')} (cavities), medium "
    f"ones to {healing('tumour, medium')} and {healing('cavity, medium')}, weak ones to {healing('tumour, weak')} and "
    f"{healing('cavity, weak')}",
    f"with the same network and scales and without it, had an AP of {three(shipped(RESTORER, folder=BEFORE))} and hit "
    f"{shipped(RESTORER, 'lesions hit at 1%', BEFORE).split('/')[0]} parts",
    f"had no second pass ({healing('tumour', RESTORER, BEFORE)} and {healing('cavity', RESTORER, BEFORE)})",
    f"exceeded by {percent(other(RESTORER, 'tissue at 1%'))} % of the voxels without lesion (atlas: "
    f"{percent(other('atlas', 'tissue at 1%'))} %, autoencoder: {percent(other('autoencoder', 'tissue at 1%'))} %)",
    f"marks {percent(other(RESTORER, 'tissue at default'))} % of them, {tenth(other(RESTORER, 'mL at default'))} mL",
    f"hits {' of '.join(hit('spots', 'mahalanobis'))} spots",
    f"`brain-t1` hits {' of '.join(hit('spots'))}, of those of medium and strong contrast {clear_spots()}",
    f"Their AP is {three(shipped(RESTORER, lesions='spots'))}",
    f"Texture has an AP of {three(shipped(RESTORER, lesions='texture'))}, but only "
    f"{three(WEAK_TEXTURE[0])} if weak; of {' weak ones '.join(reversed(WEAK_TEXTURE[1].split('/')))} are hit",
    f"AP {three(shipped(RESTORER, lesions='weak'))}, and {' of '.join(hit('weak'))} parts are hit",
    f"Of the {hit('tumour')[1]} parts of tumours {hit('tumour')[0]} are hit",
    f"AUROC {three(scan('top_1ml', 'AUROC'))}, and in {percent(scan('top_1ml', 'paired order'))} % of the cases",
    f"has an AUROC of {three(scan('top_1pct', 'AUROC'))} and orders {percent(scan('top_1pct', 'paired order'))} %",
    f"({three(shipped(RESTORER, folder=FEW))} against {three(shipped(REST, folder=FEW))})",
    f"it hits {' of '.join(hit('spots', REST, FEW))}, where version 1.1.0 hit none",
    f"{average_alarms(REST, FEW, 'as shipped')} false regions in a healthy scan; with one scale, where the default "
    f"allows 1 mL, there are {average_alarms(REST, FEW, 'yes')}",
    f"AUROC of {three(scan('top_1pct', 'AUROC', REST, FEW))} against {three(scan('method', 'AUROC', REST, FEW))} of "
    f"the method's own, and in {percent(scan('top_1pct', 'paired order', REST, FEW))} % instead of "
    f"{percent(scan('method', 'paired order', REST, FEW))} %",
    f"({three(shipped(PLAIN, folder=FEW))}, the autoencoder has {three(shipped('autoencoder', folder=FEW))})",
    f"its healing of tumours is {healing('tumour', PLAIN, FEW)}",
    f"{healing('tumour')} for tumours and {healing('cavity')} for cavities instead of 0.35",
    f"24 cases: {healing('tumour', RESTORER, FEW)} against {healing('tumour', REST, FEW)} for tumours, "
    f"{healing('cavity', RESTORER, FEW)} against {healing('cavity', REST, FEW)} for cavities",
    f"mean image of the atlas has {healing('tumour', 'atlas', FEW)} and {healing('cavity', 'atlas', FEW)} there",
    f"Spots are marked and not healed ({healing('spots')})",
    f"with an AP of {three(unseen(RESTORER)[0][0])}",
    f"AP {three(unseen(RESTORER)[2][0])} and {' of '.join(unseen(RESTORER)[2][1].split('/'))} hit",
    f"AP {three(real(RESTORER)[0][0])}, before 0.321 (version 1.1.0), the atlas {three(real('atlas')[0][0])}, "
    f"`brain-t1-vqvae` {three(real(REST)[0][0])}",
    f"hits {' of '.join(real(RESTORER)[-1][0].split('/'))} at 1 %, at a Dice of {three(real(RESTORER)[3][0])}",
]


def test_the_sentences_have_the_numbers_of_the_tables():
    assert [sentence for sentence in SENTENCES if sentence not in WORDS] == []


def test_the_combination_by_rank_is_behind_the_best_score_of_each_model():
    assert "The combination by rank is behind the best single score for every model." in WORDS
    assert TABLES["validation, score of a scan"][0] == [f"`{name}`" for name in NAMES]
    for detector in ("synthetic_restoration", "mahalanobis", "latent_restoration", "atlas", "autoencoder"):
        auroc = {name: float(scan(name, "AUROC", detector, VALIDATION)) for name in NAMES}
        assert auroc[RANK] < max(auroc[name] for name in NAMES if name != RANK)


def test_the_losses_of_the_longer_training_of_fpi_are_those_of_the_tables():
    def measured(folder: str, name: str, form: str, **wanted: str) -> Row:
        return only(folder, name, detector="fpi", pooling=form, **{"per-place": form}, **wanted)

    late, early = ((MORE, "kinds"), ("", "methods-kinds"))
    strong, cavity = ([measured(*run, "yes", lesions=kind)["AP"] for run in (late, early)] for kind in KINDS_LOST)
    raw = [measured(*run, "no")["AP"] for run in ((MORE, "comparison"), ("", "methods"))]
    whole = measured(MORE, "comparison", "yes")
    for sentence in (
        f"AP {three(strong[0])} with one scale, {three(strong[1])} after 800 steps",
        f"cavities ({three(cavity[0])} and {three(cavity[1])})",
        f"the raw map is worse too ({three(raw[0])} and {three(raw[1])})",
        f"the interval of {three(whole['AP'])} over the six subjects is {three(whole['AP low'])} to "
        f"{three(whole['AP high'])}",
    ):
        assert sentence in WORDS, sentence


def test_superlatives_are_true():
    rivals = [name for name in (DETECTORS[row[0]] for row in TABLES["144 cases"][1]) if name != RESTORER]
    for group in ("all", *KINDS):
        value = shipped(RESTORER, **({} if group == "all" else {"lesions": group}))
        others = [shipped(name, **({} if group == "all" else {"lesions": group})) for name in rivals]
        assert float(value) > max(map(float, others)), group
    for name in ("mahalanobis", "atlas", "autoencoder"):
        assert all(float(low) > 0 for _, low, _ in minus(MANY)(name)), name
    assert all(float(low) > 0 for _, low, _ in minus(FEW)(REST))
    _, spots_low, _ = minus(FEW)("mahalanobis")[1 + KINDS.index("spots")]
    assert float(spots_low) < 0 and "would not separate `brain-t1` from `mahalanobis` on spots" in WORDS
    for folder in (MANY, FEW):
        for kind in ("tumour", "cavity"):
            rows = [row for row in table(folder, "restorations") if row["scans"] == kind]
            assert min(rows, key=lambda row: float(row["healing"]))["detector"] == RESTORER, (folder, kind)
    texture = {name: hit("texture", name)[0] for name in rivals}
    some = {name: value for name, value in texture.items() if value != "0"}
    assert some == {"mahalanobis": "11", "implicit_field": "2"}
    sharp = only(MANY, "restorations", detector=RESTORER, scans="all")
    assert all(0.975 <= float(sharp[f"gradient energy {axis}"]) < 0.985 for axis in "zyx")
    whole = {row["pooling"]: row for row in table(MANY, "comparison") if row["detector"] == RESTORER}
    one = [row for row in table(MANY, "comparison") if row["detector"] == RESTORER and row["per-place"] == "yes"]
    (one,) = [row for row in one if row["pooling"] == "yes"]
    parts = [row["lesions hit at 1%"].split("/")[0] for row in (one, whole["as shipped"])]
    assert f"an AP of {three(one['AP'])} and hits {parts[0]} of 418 parts instead of {parts[1]}" in WORDS
    alarms = [row for row in table(MANY, "healthy") if (row["detector"], row["pooling"]) == (RESTORER, "as shipped")]
    largest = max(float(row["largest mL"]) for row in alarms)
    assert "of at most 0.30 mL" in WORDS and round(largest, 2) == 0.30


def test_the_readme_has_the_numbers_of_the_tables():
    readme = " ".join((ROOT / "README.md").read_text(encoding="utf-8").replace(">", " ").split())

    def two(value: str) -> str:
        return str(Decimal(value).quantize(Decimal("0.01"), ROUND_HALF_UP))

    whole = " of ".join(best(MANY, "comparison", RESTORER)["lesions hit at 1%"].split("/"))
    rivals = [two(shipped(name)) for name in ("mahalanobis", "atlas", "intensity deviation")]
    spots, texture = by_contrast("spots")[0][1].split("/"), by_contrast("texture")[0][1].split("/")
    small = by_size(MANY)(RESTORER)[0][0].split("/")
    for sentence in (
        f"hits {whole} lesion parts: {' of the '.join(hit('tumour'))} parts of tumours",
        f"{' of the '.join(hit('cavity'))} parts of cavities, {' of '.join(hit('spots'))} spots (radius 2 to 4 mm) and "
        f"{' of '.join(hit('texture'))} changes of texture",
        f"average precision is {two(shipped(RESTORER))}; a rival without a network has {rivals[0]}, a plain atlas "
        f"{rivals[1]}, plain intensity {rivals[2]}, chance 0.01",
        f"by an AUROC of {two(scan('top_1ml', 'AUROC'))}",
        f"average precision is {two(real(RESTORER)[0][0])}, for the atlas {two(real('atlas')[0][0])}, chance 0.04",
        f"misses {int(texture[1]) - int(texture[0])} of {texture[1]} weak changes of texture and "
        f"{int(spots[1]) - int(spots[0])} of {spots[1]} weak spots",
        f"the lesions smaller than 4 mm ({int(small[1]) - int(small[0])} of {small[1]} parts) are missed",
    ):
        assert sentence in readme, sentence


def test_false_regions_of_another_scanner_are_those_of_the_table():
    with open(FOLDER / "ixi.tsv", newline="", encoding="utf-8") as handle:
        found = list(csv.DictReader(handle, delimiter="\t"))
    counts = {model: [row["regions"] for row in found if row["model"] == model] for model in shipped_models()}
    scans, rows = TABLES["IXI, regions in each scan"]
    assert [row["scan"].removeprefix("IXI") for row in found if row["model"] == "brain-t1"] == scans
    assert {name.strip("`"): values for name, *values in rows} == counts
    smallest = min(row["p-value"] for row in found if row["model"] == "brain-t1")
    assert f"no p-value is below {smallest}" in WORDS
    own = [row for row in found if row["model"] == "brain-t1"]
    whole = sum(Decimal(row["mL"]) for row in own)
    assert f"{whole:.1f} mL in all seven" in WORDS
    down = sorted(float(row[f"brought down {scale}"]) for row in own for scale in ("fine", "coarse"))
    assert f"brought down by {down[0]:.1f} to {down[-1]:.1f} SD" in WORDS
    assert f"in {sum(row['warning'] == 'yes' for row in own)} of the 7 scans a warning" in WORDS
    atlas = sorted(row["p-value"] for row in found if row["model"] == "brain-t1-atlas")
    assert f"the atlas has p-values of {atlas[0]} to {atlas[-1]} in all seven" in WORDS
    ends = {model: sorted(map(int, values)) for model, values in counts.items()}
    few, many = (f"{ends[model][0]} to {ends[model][-1]}" for model in ("brain-t1-vqvae", "brain-t1"))
    assert f"`brain-t1` marks {many} regions in each scan" in WORDS
    assert sum(counts["brain-t1"].count(number) for number in ("0", "1")) == 4 and "three scans have 2 regions" in WORDS
    assert set(counts["brain-t1-ae"]) == {"0"} and "`brain-t1-ae` marks none" in WORDS
    readme = " ".join((ROOT / "README.md").read_text(encoding="utf-8").replace(">", " ").split())
    assert f"marks {many} regions, `brain-t1-vqvae` {few}" in readme


def test_lesions_in_scans_of_another_scanner_are_those_of_the_table():
    with open(FOLDER / "ixi-lesions.tsv", newline="", encoding="utf-8") as handle:
        found = list(csv.DictReader(handle, delimiter="\t"))
    for title, *cells in TABLES[INSERTED][1]:
        rows = [row for row in found if row["scans"] == title.partition(",")[0]]
        assert [row["lesions"] for row in rows] == list(KINDS) and len(cells) == len(rows)
        for head, cell, row in zip(TABLES[INSERTED][0], cells, rows):
            shown, wanted = numbers(cell), [row["hit at default"], row["AP"]]
            assert head.startswith(row["contrast"]) and all(map(close, shown, wanted)) and len(shown) == 2
    ixi = {row["lesions"]: row for row in found if row["scans"] == "IXI"}
    hits = {kind: " of ".join(row["hit at default"].split("/")) for kind, row in ixi.items()}
    for sentence in (
        f"hits {hits['cavity']} strong cavities and {hits['tumour']} parts of weak tumours",
        f"{hits['spots']} spots of medium contrast, and no weak texture",
        f"at 1 % it hits {' of '.join(ixi['spots']['hit at 1%'].split('/'))} spots",
    ):
        assert sentence in WORDS, sentence
    assert hits["texture"].startswith("0 ")


def shipped_models() -> set[str]:
    return {path.stem for path in (ROOT / "Resources" / "models").glob("*.medad")}
