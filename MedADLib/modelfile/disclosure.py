"""Additions to the stored text of a model card: training subjects, and results of a shipped model.

This module needs neither torch nor numpy, so a card can be shown where its model cannot run.
"""

from __future__ import annotations

import re
from typing import NamedTuple

# Key of the calibration that `medad calibrate` made, beside the split of the training.
CALIBRATED_ON = "calibrated_on"
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
)
OWN = "given as healthy by its author; MedAD did not check that"
# participants.tsv of ds002748 1.0.5: sub-01 to sub-51 have the group "depr", sub-52 to sub-72 "control".
DS002748, LAST_PATIENT, LAST_SUBJECT = "ds002748", 51, 72
ABOUT_DS002748 = (
    "- Patients have mild to moderate depression, without reported structural lesions. The participants of ds002748 "
    "are 19 to 55 years old and were scanned on one scanner."
)
# Sections that a reader needs before the others.
FIRST = ("## Limits\n", "## Calibration\n")


class Found(NamedTuple):
    """Results of a shipped model on the development benchmark, as in docs/RESULTS.md.

    Attributes:
        precision: Average precision of the voxels.
        tumour, cavity, spots, texture: Lesion parts hit, and how many there are.
        auroc: AUROC of whole scans.
    """

    precision: float
    tumour: str
    cavity: str
    spots: str
    texture: str
    auroc: float


FOUND = {
    ("brain-t1", "1.1.0"): Found(0.50, "7/13", "4/7", "0/36", "0/6", 0.71),
    ("brain-t1-ae", "1.0.0"): Found(0.28, "4/13", "2/7", "0/36", "0/6", 0.59),
    ("brain-t1-atlas", "1.0.0"): Found(0.40, "6/13", "3/7", "0/36", "0/6", 0.57),
}


def found_by(name: str, version: str) -> str:
    """Describe what a shipped model finds and misses, as Markdown; empty for an unknown model."""
    if (found := FOUND.get((name, version))) is None:
        return ""
    return (
        "## Results\n"
        f"- Simulated lesions in scans of 6 people: average precision {found.precision:.2f} (chance: 0.008).\n"
        f"- At a threshold that 1 % of healthy voxels exceed it hits {found.tumour} parts of tumours, {found.cavity} "
        f"parts of cavities, {found.spots} spots of 2 to 4 mm and {found.texture} changes of texture.\n"
        f"- Whole scans with and without lesion: AUROC {found.auroc:.2f}.\n"
    )


def disclosure(training: dict) -> list[str]:
    """Describe the subjects of the training data.

    Args:
        training: The training record of a model file, whose content is not trusted: ``data`` (source of the scans),
            ``split`` (scan names by part) and, from ``medad calibrate``, ``calibrated_on``.

    Returns:
        Lines of Markdown. Scans of an unknown source are given as healthy by the author of the model.
    """
    split, data = training.get("split"), training.get("data")
    used = {part: (data, split.get(part)) for part in PARTS if split.get(part)} if isinstance(split, dict) else {}
    if isinstance(later := training.get(CALIBRATED_ON), dict):
        used["calibration"] = later.get("data"), later.get("scans")
    known = {part: subjects for part, given in used.items() if (subjects := _subjects(*given))}
    if not known:
        return [f"- Scans: {OWN}."]
    lines = [f"- Subjects: {'; '.join(f'{part} {subjects}' for part, subjects in known.items())}.", ABOUT_DS002748]
    if unknown := [part for part in used if part not in known]:
        lines.append(f"- Scans for {', '.join(unknown)}: {OWN}.")
    return lines


def disclosed(card: str, training: dict, found: str = "") -> str:
    """Complete a stored card, and move results and limits before the long lists.

    Args:
        card: Markdown, of this version or an older one.
        training: As for `disclosure`.
        found: As `found_by` returns it.
    """
    missing = [line for line in disclosure(training) if line not in card.splitlines()]
    for old, new in OLD_WORDS if missing else ():
        card = card.replace(old, new)
    head, *sections = re.split(r"^(?=## )", card, flags=re.MULTILINE)
    if missing:
        if not any(section.startswith("## Data\n") for section in sections):
            sections.append("## Data\n")
        added = "".join(f"{line}\n" for line in missing)
        sections = [re.sub(r"\A## Data\n", lambda match: match.group() + added, section) for section in sections]
    first = [section for title in FIRST for section in sections if section.startswith(title)]
    sections = first + [section for section in sections if section not in first]
    return "\n".join(part.rstrip("\n") + "\n" for part in (head, found, *sections) if part)


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
