"""Choose the kind of space for healthy scans: single slices, brains, or whole fields of view."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from ..errors import InputError
from ..io.sources import Source
from ..messages import Message
from ..preprocessing.brain_extraction import holds_brain
from ..preprocessing.space import BRAIN, SLICE, VOLUME, kind_of
from ..runtime.atomic_files import write_json
from ..runtime.numerics import evenly_spread
from ..runtime.progress import Progress
from ..volume import is_single_slice

log = logging.getLogger(__name__)

# An odd number always has a majority.
MOST_EXAMINED = 5


class Chosen(NamedTuple):
    """A kind of space (key of `SPACES`), and the reason, for display."""

    kind: str
    why: str


def chosen_space(scans: Mapping[str, Source], prepare: str, work: Path, progress: Progress | None = None) -> Chosen:
    """Choose the space that the user gives, else the one that suits most of a few scans.

    The file ``space.json`` stores the choice, because brain extraction takes about 10 s per scan.

    Args:
        scans: Scans by name, all of one kind.
        prepare: ``auto``, ``brain`` or ``field``.
        work: Folder of the prepared scans.
        progress: Receives each scan; may cancel.

    Raises:
        InputError: If `prepare` is for volumes and the scans are single slices, if `work` contains scans that were
            prepared in another way, or if a scan has a skull and the brain extraction is not installed.
    """
    progress, record = progress or Progress(), work / "space.json"
    if is_single_slice(next(iter(scans.values())).read()):
        if prepare != "auto":
            raise InputError("prepare_for_volumes", prepare=prepare)
        return Chosen(SLICE, Message("space_of_slices"))
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
    write_json(record, found._asdict())
    return found


def _prepared(work: Path) -> str | None:
    """Read the kind of the template in a work folder; None without a template that can be read."""
    try:
        return kind_of(json.loads((work / "template.json").read_text(encoding="utf-8")))
    except (FileNotFoundError, ValueError, AttributeError):
        return None


def _kept(record: Path) -> Chosen | None:
    """Read the choice of an earlier run; None without one."""
    try:
        kept = Chosen(**json.loads(record.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None
    return kept if kept.kind in (BRAIN, VOLUME) else None


def _majority(scans: Mapping[str, Source], progress: Progress) -> Chosen:
    """Choose brains if most of a few scans contain one; examine only as many scans as decide it."""
    names = sorted(scans)
    names = [names[n] for n in evenly_spread(len(names), MOST_EXAMINED)]
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
    return Chosen(VOLUME, Message("space_without_brains", count=len(lacking), examined=examined))


def _shows_brain(source: Source) -> bool:
    volume = source.read()
    try:
        return holds_brain(volume)
    except InputError as error:
        raise InputError("brain_undecided", name=volume.name, reason=error.problem, advice=error.remedy) from error
