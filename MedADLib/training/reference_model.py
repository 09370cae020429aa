"""Training in the space and with the split of an existing model, so that ``medad compare`` can compare both."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING

from ..dataset.split import Split
from ..errors import InputError
from ..preprocessing.slice_space import SliceSpace
from ..volume import is_single_slice

if TYPE_CHECKING:
    from ..io.sources import Source
    from ..modelfile.model import Model


def split_of(like: Model, names: Collection[str]) -> Split:
    """Return the split that a model was trained with, if all its scans are among these names.

    Raises:
        InputError: If the model contains no split, or a scan of its split is missing.
    """
    split = kept_split(like)
    if missing := sorted(set(split.names()) - set(names)):
        count = len(split.names())
        raise InputError(
            "reference_scans_missing", model=like.name, count=count, missing=len(missing), example=missing[0]
        )
    return split


def kept_split(model: Model) -> Split:
    """Read the split that a model file contains.

    Raises:
        InputError: If it contains no valid split.
    """
    try:
        return Split.of(model.training.get("split"))
    except (ValueError, TypeError, AttributeError, InputError) as error:
        raise InputError("model_without_split", model=model.name) from error


def check_kind(like: Model, scans: Iterable[Source], longest: int | None, prepare: str) -> str:
    """Check that scans and options fit a model.

    Args:
        like: The model.
        scans: The scans; only the first readable one is checked.
        longest: Requested pixels along the longer side; None takes those of the model.
        prepare: Requested preparation, see `space_choice.chosen_space`.

    Returns:
        The preparation of the model, for `chosen_space`.

    Raises:
        InputError: If the model is for volumes and the scans are single slices, or the reverse; or if another size or
            preparation is requested.
    """
    kind, flat = like.template.kind, like.template.kind == SliceSpace.kind
    single = next(_single(scans), flat)
    if single != flat:
        if flat:
            raise InputError("model_for_slices", model=like.name)
        raise InputError("model_for_volumes", model=like.name)
    own = max(like.template.image.array.shape[1:])
    if longest is not None and longest != own:
        raise InputError("model_of_other_size", model=like.name, own=own, asked=longest)
    if prepare not in ("auto", kind):
        raise InputError("model_of_other_preparation", model=like.name, own=kind, asked=prepare)
    return "auto" if flat else kind


def _single(scans: Iterable[Source]) -> Iterator[bool]:
    for source in scans:
        # The check of all scans reports unreadable ones.
        with suppress(InputError):
            yield is_single_slice(source.read())
