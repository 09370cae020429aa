"""Registry of the kinds of space that a model can have."""

from __future__ import annotations

import numpy as np

from ..errors import ModelError
from .brain_space import Prepared, Template
from .slice_space import PlaneTemplate, PreparedPlane
from .volume_space import FieldTemplate, PreparedField

Space = Template | PlaneTemplate | FieldTemplate
PreparedScan = Prepared | PreparedPlane | PreparedField
SPACES: dict[str, type[Space]] = {space.kind: space for space in (Template, PlaneTemplate, FieldTemplate)}


def kind_of(parameters: dict) -> str:
    """Return the kind of space in the preparation of a model file; files without one are of the brain.

    Raises:
        ModelError: If this version does not support the kind.
    """
    kind = parameters.get("kind", Template.kind)
    if type(kind) is not str or kind not in SPACES:
        raise ModelError("space_unknown", kind=kind)
    return kind


def template_from_tensors(parameters: dict, tensors: dict[str, np.ndarray]) -> Space:
    """Build the template of a model file, of any kind.

    Raises:
        ModelError: If the kind is unknown, or anything is missing or malformed.
    """
    return SPACES[kind_of(parameters)].from_tensors(parameters, tensors)


def describe(template: Space) -> str:
    """Describe a space in words, such as ``single slices of 160 x 128 pixels``."""
    slices, rows, columns = template.image.array.shape
    if isinstance(template, PlaneTemplate):
        return f"single slices of {columns} x {rows} pixels, examined in the whole field of view"
    spacing = " x ".join(f"{step:g}" for step in template.image.spacing)
    voxels = f"{columns} x {rows} x {slices} voxels of {spacing} mm"
    if isinstance(template, FieldTemplate):
        return f"volumes of {voxels}, examined in the whole field of view"
    return f"brains of {voxels}"


def same_space(one: Space, other: Space) -> bool:
    """Return whether two templates are equal, so that a scan prepared for one can be used with the other."""
    if one.kind != other.kind or not np.array_equal(one.image.affine, other.image.affine):
        return False
    ours, theirs = one.tensors(), other.tensors()
    return all(np.array_equal(ours[name], theirs[name]) for name in ours)
