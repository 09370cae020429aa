"""Parts of a model card that need no weights: purpose, scope, settings, training subjects, results; their order.

This module needs neither torch nor numpy, so a card can be shown where its model cannot run.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from types import SimpleNamespace
from typing import Any, NamedTuple

from ..methods.bibliography import papers_of
from ..methods.registry import ENTRIES

# Key of the calibration that `medad calibrate` made, beside the split of the training.
CALIBRATED_ON = "calibrated_on"
# Key of the training scans that `medad train --folds` calibrated on, by fold.
FOLDS = "folds"
# Key of the members of an ensemble, in its parameters and in its training record.
MEMBERS = "members"
PARAMETERS = "parameters"
PARTS = ("train", "validation", "calibration", "benchmark")
CLAIM = "Trained on scans without known lesions only."
# Phrases of cards stored before MedAD disclosed the subjects, and their replacements. The files do not change, because
# results refer to them by sha256.
OLD_WORDS = (
    ("Learned from healthy scans only; it was never shown a lesion.", CLAIM),
    (" healthy spreads, where a healthy scan shows ", " SD above the healthy mean. Expected false positives: "),
    (" ml on average.", " mL per healthy scan."),
    ("healthy spreads", "SD above the healthy mean"),
    (" look unusual; runs warn of it.", " give high values without a lesion; runs warn of it."),
    (" or another way of cutting out the brain", " or another brain extraction"),
    ("- Knows brains", "- Input: brains"),
)
# Unit of numbers in cards of earlier versions, and the line that explains them.
OLD_UNIT = "SD above the healthy mean"
CONVERTED = (
    f"- An earlier version wrote this model: its numbers in {OLD_UNIT} are z-scores. The anomaly map shows their "
    "rarity, -log10 of the share of healthy voxels with such a value (3 = 1 healthy voxel in 1,000)."
)
OWN = "given as healthy by its author; MedAD did not check that"
# participants.tsv of ds002748 1.0.5: sub-01 to sub-51 have the group "depr", sub-52 to sub-72 "control".
DS002748, LAST_PATIENT, LAST_SUBJECT = "ds002748", 51, 72
ABOUT_DS002748 = (
    "- Patients have mild to moderate depression, without reported structural lesions. The participants of ds002748 "
    "are 19 to 55 years old and were scanned on one scanner."
)
OUT_OF_FOLD = "- The training scans are also in the calibration, out of fold."
RESEARCH = "**For research only. Not a medical device.**"
# Scope of models that were trained on T1 scans of ds002748.
ADULT_T1 = "adult T1-weighted brain MRI without contrast agent, with or without skull (brain extraction)"
OUTSIDE = "- Outside the scope: scans with contrast agent, T2, FLAIR and other sequences, children."
WHOLE = {"2-D": ", single slices", "3-D field": ", whole field of view"}
# Sections in the order of a card; others stand before the lists of scans and papers.
FIRST = LIMITS, RESULTS, METHOD, CALIBRATION, DATA = ("Scope and limits", "Results", "Method", "Calibration", "Data")
LAST = SCANS, PAPERS = ("Scans", "Papers")
# Words for keys of a training record.
FACTS = {
    "vqvae": "VQ-VAE",
    "latent_sweep": "validation error by latent size",
    "last": "last values",
    "step": "steps",
    "seconds": "duration in s",
    "rate": "learning rate",
    "train_nll": "training negative log-likelihood",
    "validation_nll": "validation negative log-likelihood",
}


class About(NamedTuple):
    """Facts of a model that its card describes; those of a file are not trusted.

    Attributes:
        name, version, description, modality: As in `ModelSummary`.
        kind: As in `ModelSummary`.
        method: Name of the method.
        parameters: Its settings.
        training: The training record, see `disclosure`.
    """

    name: str
    version: str
    description: str
    modality: str
    kind: str
    method: str
    parameters: Mapping[str, Any]
    training: dict[str, Any]

    @property
    def purpose(self) -> str:
        """Return what the model is for, such as ``2-D images, single slices``."""
        return ADULT_T1 if self.is_adult_t1 else f"{self.modality}{WHOLE.get(self.kind, '')}"

    @property
    def is_adult_t1(self) -> bool:
        """Whether the training scans are T1 scans of ds002748, which are of adults and without contrast agent."""
        split = self.training.get("split")
        scans = split.get("train") if isinstance(split, dict) else None
        known = self.kind == "3-D" and "T1" in self.modality
        return known and bool(_subjects(self.training.get("data"), scans))


def own_words(description: str, method: str, modality: str) -> str:
    """Return a description; empty if it only repeats method and modality, as that of `medad train` does."""
    title = ENTRIES[method].title if method in ENTRIES else method
    return "" if description in (modality, *(f"{name} for {modality}" for name in (method, title))) else description


class Found(NamedTuple):
    """Results of a shipped model on the development benchmark, by the map and scan score that its users see.

    Attributes:
        cases: Scans with a simulated lesion.
        precision: Average precision of the voxels.
        chance: Share of voxels in lesions, the average precision of chance.
        tumour, cavity, spots, texture: Lesion parts hit, and how many there are.
        auroc: AUROC of whole scans.
        limits: Where it falls short; None for versions that it was not measured for.
    """

    cases: int
    precision: float
    chance: float
    tumour: str
    cavity: str
    spots: str
    texture: str
    auroc: float
    limits: Shortfall | None = None


class Shortfall(NamedTuple):
    """Where a shipped model falls short.

    Attributes:
        weak: Parts of lesions of weak contrast hit, and how many there are.
        healing: Error of the restored tissue over that of the lesion, in tumours and in cavities.
        sclerosis: Average precision on one scan of a patient with multiple sclerosis, and its lesions hit.
        elsewhere: Fewest and most regions marked in seven healthy scans of another scanner.
    """

    weak: str
    healing: tuple[float, float]
    sclerosis: tuple[float, str]
    elsewhere: tuple[int, int]


FOUND = {
    ("brain-t1", "2.1.0"): Found(
        144, 0.74, 0.010, "58/97", "39/42", "209/243", "30/36", 0.92,
        Shortfall("102/137", (0.43, 0.39), (0.31, "17/87"), (0, 2)),
    ),
    ("brain-t1-vqvae", "1.3.0"): Found(
        144, 0.45, 0.010, "47/97", "25/42", "88/243", "0/36", 0.69,
        Shortfall("15/137", (0.51, 0.65), (0.34, "24/87"), (0, 1)),
    ),
    ("brain-t1-ae", "1.2.0"): Found(
        144, 0.24, 0.010, "30/97", "17/42", "44/243", "0/36", 0.59,
        Shortfall("8/137", (0.58, 0.59), (0.11, "7/87"), (0, 0)),
    ),
    ("brain-t1-atlas", "1.2.0"): Found(
        144, 0.35, 0.010, "35/97", "24/42", "18/243", "0/36", 0.66,
        Shortfall("13/137", (0.45, 0.54), (0.33, "20/87"), (0, 4)),
    ),
    ("brain-t1", "1.1.0"): Found(24, 0.50, 0.008, "7/13", "4/7", "0/36", "0/6", 0.71),
    ("brain-t1-ae", "1.0.0"): Found(24, 0.28, 0.008, "4/13", "2/7", "0/36", "0/6", 0.59),
    ("brain-t1-atlas", "1.0.0"): Found(24, 0.40, 0.008, "6/13", "3/7", "0/36", "0/6", 0.57),
}  # fmt: skip


def found_by(name: str, version: str) -> str:
    """Describe what a shipped model finds and misses, as Markdown; empty for an unknown model."""
    if (found := FOUND.get((name, version))) is None:
        return ""
    text = (
        "## Results\n"
        f"- Simulated lesions in {found.cases} scans of 6 people: average precision {found.precision:.2f} (chance: "
        f"{found.chance:.3f}).\n"
        f"- At a threshold that 1 % of healthy voxels exceed it hits {found.tumour} parts of tumours, {found.cavity} "
        f"parts of cavities, {found.spots} spots with a radius of 2 to 4 mm and {found.texture} changes of texture.\n"
        f"- Whole scans with and without lesion: AUROC {found.auroc:.2f}.\n"
    )
    if (limits := found.limits) is None:
        return text
    precision, lesions = limits.sclerosis
    few, many = limits.elsewhere
    marked = f"{few} to {many}" if few < many else f"{few}"
    return text + (
        f"- Weak lesions (0.5 SD of the brain's intensity): {limits.weak} parts hit.\n"
        f"- Pseudo-healthy image: the error of a lesion's tissue falls to {limits.healing[0]:.2f} of what it was in "
        f"tumours and {limits.healing[1]:.2f} in cavities (0 is perfect).\n"
        f"- Real lesions: only one scan was measured, of a patient with multiple sclerosis on another scanner: average "
        f"precision {precision:.2f} (chance: 0.045), {lesions} lesions hit.\n"
        f"- Healthy scans of another scanner: {marked} regions marked in each of 7.\n"
    )


def disclosure(training: dict) -> list[str]:
    """Describe the subjects of the training data.

    Args:
        training: The training record of a model file, which is not trusted: ``data`` (source of the scans),
            ``split`` (scan names by part), ``folds`` (training scans that calibrated out of fold) and, from
            ``medad calibrate``, ``calibrated_on``.

    Returns:
        Lines of Markdown. Scans of an unknown source are given as healthy by the author of the model.
    """
    split, data = training.get("split"), training.get("data")
    used = {part: (data, split.get(part)) for part in PARTS if split.get(part)} if isinstance(split, dict) else {}
    if isinstance(later := training.get(CALIBRATED_ON), dict):
        used["calibration"] = later.get("data"), later.get("scans")
    known = {part: subjects for part, given in used.items() if (subjects := _subjects(*given))}
    folds = [OUT_OF_FOLD] if training.get(FOLDS) else []
    if not known:
        return [f"- Scans: {OWN}.", *folds]
    lines = [f"- Subjects: {'; '.join(f'{part} {subjects}' for part, subjects in known.items())}.", ABOUT_DS002748]
    if unknown := [part for part in used if part not in known]:
        lines.append(f"- Scans for {', '.join(unknown)}: {OWN}.")
    return lines + folds


def composed(about: About, sections: Mapping[str, Iterable[str]]) -> str:
    """Compose a card in Markdown: purpose, then the sections in order, then scans and papers; empty ones are left out.

    Args:
        about: The model.
        sections: Lines of Markdown by title; those of `METHOD` and `PAPERS` are completed from `about`.
    """
    found = {title: list(lines) for title, lines in sections.items()}
    limits = found.get(LIMITS, [])
    if about.is_adult_t1 and OUTSIDE not in limits:
        limits = [OUTSIDE, *limits]
    papers = dict.fromkeys((*found.get(PAPERS, ()), *_papers(about)))
    found |= {LIMITS: limits, METHOD: [*found.get(METHOD, ()), *_method(about)], PAPERS: list(papers)}
    others = [title for title in found if title not in (*FIRST, *LAST)]
    text = [f"# {about.name} {about.version}", "", *_head(about)]
    for title in (*FIRST, *others, *LAST):
        if lines := found.get(title):
            text += ["", f"## {title}", *lines]
    return "\n".join(text) + "\n"


def disclosed(card: str, about: About, found: str = "") -> str:
    """Complete a stored card with training subjects and results, in the order of `composed`.

    Args:
        card: Markdown, of this version or an older one. Of a card that MedAD did not write, the text is kept.
        about: The model.
        found: As `found_by` returns it.
    """
    for old, new in OLD_WORDS:
        card = card.replace(old, new)
    head, *texts = re.split(r"^## ", card, flags=re.MULTILINE)
    if CLAIM not in head:
        return _with_subjects(card, about.training)
    sections: dict[str, list[str]] = {}
    for text in (*texts, found.removeprefix("## ")):
        title, _, rest = text.partition("\n")
        title = LIMITS if title == "Limits" else title
        sections.setdefault(title, []).extend(line for line in rest.splitlines() if line)
    every = [line for line in (*head.splitlines(), *(line for lines in sections.values() for line in lines)) if line]
    if any(OLD_UNIT in line for line in every) and CONVERTED not in every:
        sections.setdefault(CALIBRATION, []).append(CONVERTED)
    scans = [line for line in every if re.match(r"- (\w+: \d+ scans \(|recalibrated on )", line)]
    listed = {name for line in scans for name in re.findall(r"[^\s(),]+", line)}
    # The calibration of older cards repeats names of scans, which the list of scans has.
    repeated = [line for line in every if line.startswith("- Scans of ") and line.rstrip(".").split()[-1] in listed]
    papers = [line for line in every if line.startswith("- Paper: ")]
    inputs = [f"- {line.removeprefix('- ')}" for line in every if re.match(r"(- )?Input: ", line)]
    moved = {*scans, *repeated, *papers}
    kept = {title: [line for line in lines if line not in moved] for title, lines in sections.items()}
    data = kept.get(DATA, [])
    subjects = [line for line in disclosure(about.training) if line not in data]
    kept |= {METHOD: inputs, DATA: [*subjects, *data], SCANS: scans, PAPERS: papers}
    return composed(about, {title: lines for title, lines in kept.items() if title})


def _with_subjects(card: str, training: dict) -> str:
    """Add the training subjects to a card that MedAD did not write."""
    lines = [line for line in disclosure(training) if line not in card.splitlines()]
    added = "".join(f"{line}\n" for line in lines)
    if not added:
        return card
    if "## Data\n" in card:
        return card.replace("## Data\n", f"## Data\n{added}", 1)
    return f"{card.rstrip()}\n\n## Data\n{added}"


def _head(about: About) -> list[str]:
    """Return purpose, description in words of the author, and method in words."""
    described = own_words(about.description, about.method, about.modality)
    entry = ENTRIES.get(about.method)
    how = f"{entry.title}: {entry.purpose}. " if entry else ""
    author = [f"{described.rstrip('.')}.", ""] if described else []
    return [f"**For {about.purpose}.**", "", *author, f"{how}{CLAIM} {RESEARCH}"]


def members_of(about: About) -> list[About]:
    """Return the members of an ensemble with their names, methods, parameters and training records."""
    given, found = about.parameters.get(MEMBERS), []
    records = about.training.get(MEMBERS)
    for member in given if isinstance(given, (list, tuple)) else ():
        if isinstance(member, dict) and isinstance(member.get(PARAMETERS), dict):
            name, method = (str(member.get(key)) for key in ("name", "method"))
            record = records.get(name) if isinstance(records, dict) else None
            record = record if isinstance(record, dict) else {}
            facts = {"version": str(record.get("version", "")), "parameters": member[PARAMETERS], "training": record}
            found.append(about._replace(name=name, method=method, **facts))
    return found


def _method(about: About) -> list[str]:
    """Return settings, random seed and training record; of an ensemble those of each member."""
    if members := members_of(about):
        lines = []
        for member in members:
            entry = ENTRIES.get(member.method)
            title = entry.title if entry else member.method
            lines += [f"- Member {member.name} {member.version}: {title}.", *(f"  {line}" for line in _method(member))]
        return lines
    settings = ", ".join(f"{key} = {_value(value)}" for key, value in sorted(about.parameters.items()))
    lines = [f"- Settings: {settings}."] if settings else []
    if isinstance(seed := about.training.get("seed"), int):
        lines.append(f"- Random seed {seed}.")
    facts = about.training.get("facts")
    for key, value in sorted(facts.items()) if isinstance(facts, dict) else ():
        lines.append(f"- Training record, {_words(key)}: {_fact(value)}.")
    return lines


def _papers(about: About) -> list[str]:
    """Return the papers of the method and its settings."""
    if members := members_of(about):
        return list(dict.fromkeys(line for member in members for line in _papers(member)))
    if about.method not in ENTRIES:
        return []
    method = SimpleNamespace(name=about.method, parameters=SimpleNamespace(**about.parameters))
    facts = about.training.get("facts")
    return [f"- Paper: {paper}" for paper in papers_of(method, facts if isinstance(facts, dict) else {})]


def _value(value: object) -> str:
    """Format a setting: ``160 x 160``, ``0.5``."""
    if isinstance(value, (list, tuple)):
        return " x ".join(_value(item) for item in value) or "none"
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: "none"}[value]
    return f"{value:g}" if isinstance(value, float) else str(value)


def _fact(value: object) -> str:
    """Format a value of a training record, with four digits; a nested one as a list of names and values."""
    if isinstance(value, dict):
        items = sorted(value.items(), key=lambda item: (len(item[0]) if item[0].isdigit() else 0, item[0]))
        return ", ".join(f"{_words(key)} {_fact(item)}" for key, item in items) or "none"
    if isinstance(value, (list, tuple)):
        return ", ".join(_fact(item) for item in value) or "none"
    if isinstance(value, float):
        return f"{value:.0f}" if abs(value) >= 1000 else f"{value:.4g}"
    return _value(value)


def _words(key: object) -> str:
    """Return words for a key of a training record."""
    text = str(key)
    if text in FACTS:
        return FACTS[text]
    return f"{text}:" if text.isdigit() else re.sub(r"^train ", "training ", text.replace("_", " "))


def _subjects(data: object, scans: object) -> str:
    """Count the patients and controls of ds002748 among the scans, in words; empty if that is unknown."""
    if not (isinstance(data, str) and DS002748 in data and isinstance(scans, (list, tuple)) and scans):
        return ""
    found = [re.match(r"sub-(\d\d)(?!\d)", scan) if isinstance(scan, str) else None for scan in scans]
    if not all(found):
        return ""
    numbers = [int(match.group(1)) for match in found]
    if not all(1 <= number <= LAST_SUBJECT for number in numbers):
        return ""
    patients = sum(number <= LAST_PATIENT for number in numbers)
    counts = ((patients, "patient"), (len(numbers) - patients, "control"))
    return " and ".join(f"{count} {noun}{'' if count == 1 else 's'}" for count, noun in counts if count)
