"""Training like a model there is: in its space and, unless told otherwise, with its split.

`medad compare` takes only models that share both.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING

from ..dataset.split import Split
from ..errors import InputError
from ..preprocessing.slice_space import PlaneTemplate
from ..volume import is_single_slice

if TYPE_CHECKING:
    from ..io.sources import Source
    from ..modelfile.model import Model


def split_of(like: Model, names: Collection[str]) -> Split:
    """The split that a model was trained with.

    Args:
        like: The model.
        names: Of the scans there are.

    Raises:
        InputError: If the model keeps no split, or one of its scans is not there.
    """
    split = kept_split(like)
    if missing := sorted(set(split.names()) - set(names)):
        count = len(split.names())
        raise InputError(
            "reference_scans_missing", model=like.name, count=count, missing=len(missing), example=missing[0]
        )
    return split


def kept_split(model: Model) -> Split:
    """The split that a model file keeps.

    Raises:
        InputError: If it keeps none.
    """
    try:
        return Split.of(model.training.get("split"))
    except (ValueError, TypeError, AttributeError, InputError) as error:
        raise InputError("model_without_split", model=model.name) from error


def check_kind(like: Model, scans: Iterable[Source], longest: int | None, prepare: str) -> str:
    """Refuse to train like a model of another kind or size.

    Args:
        like: The model.
        scans: The first that can be read is looked at.
        longest: Pixels along the longer side that were asked for; None takes the model's.
        prepare: What was asked for, as `space_choice.chosen_space` has it.

    Returns:
        What to ask `chosen_space` for instead.

    Raises:
        InputError: If it knows volumes and the scans are single slices, or the other way round; or if another size or
            kind is asked for.
    """
    kind, flat = like.template.kind, like.template.kind == PlaneTemplate.kind
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
        # Scans that cannot be read are told of when all are checked.
        with suppress(InputError):
            yield is_single_slice(source.read())
