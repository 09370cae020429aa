"""The kinds of space that a model can have; this is the only list of them."""

from __future__ import annotations

import numpy as np

from .errors import ModelError
from .plane import PlaneTemplate
from .preparation import Template

SPACES: dict[str, type] = {space.kind: space for space in (Template, PlaneTemplate)}


def kind_of(parameters: dict) -> str:
    """The kind of space that a model file's preparation names; files without one are of the brain.

    Raises:
        ModelError: If this version does not know the kind.
    """
    kind = parameters.get("kind", Template.kind)
    if type(kind) is not str or kind not in SPACES:
        raise ModelError(f"it prepares scans in a way, {kind!a:.80}, that this version does not know", "Update MedAD.")
    return kind


def template_from_tensors(parameters: dict, tensors: dict[str, np.ndarray]) -> Template | PlaneTemplate:
    """The template of a model file, of whatever kind.

    Raises:
        ModelError: If the kind is unknown, or anything is missing or malformed.
    """
    return SPACES[kind_of(parameters)].from_tensors(parameters, tensors)
