"""Which kind of space suits a folder of healthy scans: of single slices, of brains, or of whole fields of view."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ..errors import InputError
from ..io.sources import Source
from ..messages import Message
from ..preprocessing.brain_extraction import holds_brain
from ..preprocessing.brain_space import Template
from ..preprocessing.slice_space import PlaneTemplate
from ..preprocessing.spaces import kind_of
from ..preprocessing.volume_space import FieldTemplate
from ..runtime.progress import Progress
from ..volume import is_single_slice

log = logging.getLogger(__name__)

# An odd number, so that there is always a majority.
LOOKED_AT = 5
BRAIN, FIELD, PLANE = (space.kind for space in (Template, FieldTemplate, PlaneTemplate))


class Chosen(NamedTuple):
    """A kind of space.

    Attributes:
        kind: As in `SPACES`.
        why: In words.
    """

    kind: str
    why: str


def chosen_space(scans: Mapping[str, Source], prepare: str, work: Path, progress: Progress | None = None) -> Chosen:
    """What the user says, else what most of a few scans show.

    What was chosen is kept in ``space.json``, because looking for brains takes some 10 s a scan.

    Args:
        scans: By name; all of one kind.
        prepare: ``auto``, ``brain`` or ``field``.
        work: Folder of the prepared scans.
        progress: Told before each scan; may cancel.

    Raises:
        InputError: If volumes are asked for and the scans are single slices, if the scans in `work` were prepared
            otherwise, or if a scan has a skull and the brain extraction is not installed.
    """
    progress, record = progress or Progress(), work / "space.json"
    if is_single_slice(next(iter(scans.values())).read()):
        if prepare != "auto":
            raise InputError("prepare_for_volumes", prepare=prepare)
        return Chosen(PLANE, Message("space_of_slices"))
    prepared, kept = _prepared(work), _kept(record)
    if prepared is not None:
        if prepare not in ("auto", prepared):
            raise InputError("work_of_other_preparation", work=work, found=prepared, asked=prepare)
        if kept is not None and kept.kind == prepared:
            return kept
        return Chosen(prepared, Message("space_of_work", work=work.name))
    if kept is not None and prepare in ("auto", kept.kind):
        return kept
    if prepare == "auto":
        found = _majority(scans, progress)
    else:
        found = Chosen(prepare, Message("space_as_given", prepare=prepare))
    work.mkdir(parents=True, exist_ok=True)
    record.write_text(json.dumps(found._asdict()), encoding="utf-8")
    return found


def _prepared(work: Path) -> str | None:
    """The kind of the template in a work folder; None if there is none."""
    try:
        return kind_of(json.loads((work / "template.json").read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None


def _kept(record: Path) -> Chosen | None:
    """What an earlier run chose; None if there was none."""
    try:
        kept = Chosen(**json.loads(record.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None
    return kept if kept.kind in (BRAIN, FIELD) else None


def _majority(scans: Mapping[str, Source], progress: Progress) -> Chosen:
    """Brains if most of a few scans hold one; no more scans are looked at than decide it."""
    names = sorted(scans)
    names = [names[n] for n in np.unique(np.linspace(0, len(names) - 1, min(LOOKED_AT, len(names))).astype(int))]
    names = names[: len(names) - (len(names) + 1) % 2]
    holding, lacking = [], []
    for number, name in enumerate(names):
        progress.update(number / len(names), f"does {name} show a brain?")
        (holding if _shows_brain(scans[name]) else lacking).append(name)
        if 2 * max(len(holding), len(lacking)) > len(names):
            break
    examined = len(holding) + len(lacking)
    if holding and lacking:
        brains, others = ", ".join(holding), ", ".join(lacking)
        log.warning(Message("brains_and_others", examined=examined, brains=brains, others=others))
    if len(holding) > len(lacking):
        return Chosen(BRAIN, Message("space_of_brains", count=len(holding), examined=examined))
    return Chosen(FIELD, Message("space_without_brains", count=len(lacking), examined=examined))


def _shows_brain(source: Source) -> bool:
    volume = source.read()
    try:
        return holds_brain(volume)
    except InputError as error:
        raise InputError(
            "brain_undecided", name=volume.name, reason=error.problem, advice=error.remedy
        ) from error
