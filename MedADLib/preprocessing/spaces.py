"""Registry of the kinds of space that a model can have."""

from __future__ import annotations

import numpy as np

from .brain_space import BrainSpace
from .slice_space import SliceSpace
from .space import ReferenceSpace, kind_of
from .volume_space import VolumeSpace

SPACES: dict[str, type[ReferenceSpace]] = {space.kind: space for space in (BrainSpace, SliceSpace, VolumeSpace)}


def template_from_tensors(parameters: dict, tensors: dict[str, np.ndarray]) -> ReferenceSpace:
    """Build the space of a model file, of any kind.

    Raises:
        ModelError: If the kind is unknown, or anything is missing or malformed.
    """
    return SPACES[kind_of(parameters)].from_tensors(parameters, tensors)
