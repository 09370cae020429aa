"""Training in the space and with the split of an existing model, so that ``medad compare`` can compare both."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING

from ..dataset.split import Split
from ..errors import InputError
from ..modelfile.known_scans import short_fingerprint
from ..modelfile.numbering import named, numbers_of
from ..preprocessing.slice_space import SliceSpace
from ..volume import is_single_slice

if TYPE_CHECKING:
    from ..io.sources import Source
    from ..modelfile.model import Model


def split_of(like: Model, scans: Mapping[str, Source]) -> Split:
    """Return the split that a model was trained with, if all its scans are among these.

    Raises:
        InputError: If the model contains no split, or a scan of its split is missing.
    """
    split = named_split(like, scans)
    if missing := sorted(set(split.names()) - set(scans)):
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


def named_split(model: Model, scans: Mapping[str, Source]) -> Split:
    """Read the split that a model file contains, with the names that its scans have here.

    Args:
        model: The model. If its file has numbers in place of names, its scans are found by their voxels.
        scans: Scans by name. One that is not among them keeps its number.

    Raises:
        InputError: If the file contains no valid split.
    """
    split = kept_split(model)
    if not numbers_of(model.training):
        return split
    known = names_by_fingerprint(scans)
    return Split.of({part: named(names, model.training, known) for part, names in split.to_json().items()})


def names_by_fingerprint(scans: Mapping[str, Source]) -> dict[str, str]:
    """Read scans, and return their names by fingerprint; scans that cannot be read are left out."""
    found = {}
    for name, source in scans.items():
        with suppress(InputError):
            found.setdefault(short_fingerprint(source.read()), name)
    return found


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
