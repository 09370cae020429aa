"""Join the models of one template to an ensemble."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from ..errors import InputError
from ..io.reading_options import READING
from ..methods.ensemble import MOST_MEMBERS, Ensemble
from .disclosure import MEMBERS, PARTS
from .known_scans import FINGERPRINTS
from .model import Model
from .numbering import NUMBERED, numbered, numbers_of

VERSION = "1.0.0"


def joined(models: Sequence[Model]) -> Model:
    """Join calibrated models to an ensemble without calibration; its members have the names of the models.

    Args:
        models: At least two. The first gives template, modality and pseudo-healthy image.

    Raises:
        InputError: If there are too many, one is an ensemble itself, two have the same name, or templates differ.
    """
    first, names = models[0], [model.name for model in models]
    if len(models) > MOST_MEMBERS:
        raise InputError("ensemble_too_large", count=len(models), most=MOST_MEMBERS)
    for model in models:
        if model.method.members:
            raise InputError("ensemble_in_ensemble", model=model.name)
        if model.calibration is None:
            raise InputError("ensemble_not_calibrated", model=model.name)
        if names.count(model.name) > 1:
            raise InputError("ensemble_same_name", model=model.name)
        if not model.template.same_as(first.template):
            raise InputError("ensemble_other_template", model=model.name, first=first.name)
    members = {model.name: _record(model) for model in models}
    return replace(
        first,
        version=VERSION,
        description=f"Ensemble of {', '.join(names[:-1])} and {names[-1]}",
        method=Ensemble({model.name: model.method for model in models}),
        calibration=None,
        training={"data": "; ".join(_once(str(model.training.get("data", "not named")) for model in models)),
                  **_scans(models), MEMBERS: members},
        authors="; ".join(_once(model.authors for model in models)),
        licence="\n".join(_once(model.licence for model in models)),
        path=None,
        sha256="",
    )  # fmt: skip


def _record(model: Model) -> dict[str, Any]:
    """Return where a member comes from and how it was trained, for the training record of the ensemble."""
    kept = {name: model.training[name] for name in ("seed", "facts", READING) if name in model.training}
    return {"version": model.version, "sha256": model.sha256, **kept}


def _scans(models: Sequence[Model]) -> dict[str, Any]:
    """Join the splits: a scan that is in several parts belongs to the first of them in the order of `PARTS`.

    A scan for the benchmark of one model stays one unless another model was trained or validated on it. Scans that a
    model numbers are equal if their fingerprints are, and get new numbers.
    """
    order = ("train", "validation", "benchmark", "calibration")
    prints = [numbers_of(model.training) for model in models]
    found: dict[str, list[str]] = {}
    for part in order:
        given = ((model.training.get("split") or {}).get(part, ()) for model in models)
        # A fingerprint stands for the number of its model.
        names = _once(own.get(name, name) for scans, own in zip(given, prints) for name in scans)
        earlier = {name for others in found.values() for name in others}
        found[part] = [name for name in names if name not in earlier]
    known = {value: value for own in prints for value in own.values()}
    parts = {part: [name for name in found[part] if name in known] for part in PARTS}
    new = numbered(parts, known)
    # Numbers come first, as `numbers_of` pairs them with the fingerprints of their part.
    split = {part: new.parts[part] + [name for name in found[part] if name not in known] for part in PARTS}
    if not known:
        return {"split": split, **_named_fingerprints(models)}
    return {"split": split, FINGERPRINTS: new.fingerprints, NUMBERED: True}


def _named_fingerprints(models: Sequence[Model]) -> dict[str, Any]:
    """Join the fingerprints of models that name their scans; those of earlier versions have none."""
    given = [own for model in models if isinstance(own := model.training.get(FINGERPRINTS), dict)]
    joint = {part: _once(str(one) for own in given for one in own.get(part) or ()) for part in PARTS}
    return {FINGERPRINTS: joint} if given else {}


def _once(values: Iterable[str]) -> list[str]:
    """Return values in order without repeats."""
    return list(dict.fromkeys(values))
