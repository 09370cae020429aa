"""Join the models of one template to an ensemble."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from ..errors import InputError
from ..methods.ensemble import MOST_MEMBERS, Ensemble
from .disclosure import MEMBERS, PARTS
from .known_scans import FINGERPRINTS
from .model import Model

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
                  "split": _split(models), MEMBERS: members, **_fingerprints(models)},
        authors="; ".join(_once(model.authors for model in models)),
        licence="\n".join(_once(model.licence for model in models)),
        path=None,
        sha256="",
    )  # fmt: skip


def _record(model: Model) -> dict[str, Any]:
    """Return where a member comes from and how it was trained, for the training record of the ensemble."""
    kept = {name: model.training[name] for name in ("seed", "facts") if name in model.training}
    return {"version": model.version, "sha256": model.sha256, **kept}


def _split(models: Sequence[Model]) -> dict[str, list[str]]:
    """Join the splits: a scan that is in several parts belongs to the first of them in the order of `PARTS`.

    A scan for the benchmark of one model stays one unless another model was trained or validated on it.
    """
    order = ("train", "validation", "benchmark", "calibration")
    found: dict[str, list[str]] = {}
    for part in order:
        names = _once(name for model in models for name in (model.training.get("split") or {}).get(part, ()))
        earlier = {name for others in found.values() for name in others}
        found[part] = [name for name in names if name not in earlier]
    return {part: found[part] for part in PARTS}


def _fingerprints(models: Sequence[Model]) -> dict[str, dict[str, list[str]]]:
    """Join the fingerprints of the scans that trained or validated the models; those of calibrations do not apply."""
    known = [found for model in models if isinstance(found := model.training.get(FINGERPRINTS), dict)]
    parts = {part: sorted({own for each in known for own in each.get(part, ())}) for part in ("train", "validation")}
    return {FINGERPRINTS: parts} if known else {}


def _once(values: Iterable[str]) -> list[str]:
    """Return values in order without repeats."""
    return list(dict.fromkeys(values))
