"""What the pictures of an NPZ file are called: the array's name where there are several, then the picture's number."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from .errors import InputError
from .pictures_reading import Place, places_in

NUMBER = re.compile(r"(?:(?P<key>.+)-)?(?P<index>[0-9]{1,12})")


def place_names(places: Sequence[Place]) -> list[str]:
    """A name for each picture of one file; empty where the file holds one picture that needs none.

    Args:
        places: All that are wanted of the file.
    """
    keys, width = {place.key for place in places}, len(str(max(place.index or 0 for place in places)))
    return [
        "-".join(
            ([place.key] if len(keys) > 1 else []) + ([] if place.index is None else [f"{place.index:0{width}d}"])
        )
        for place in places
    ]


def place_named(path: Path, wanted: str) -> tuple[Place, str]:
    """The picture of an NPZ file that a user names, healthy or not.

    Args:
        path: The file.
        wanted: As `place_names` has it, with or without leading zeros and the array's name where all other arrays are
            no pictures; empty for the only picture.

    Returns:
        Where it lies, and its name in the file.

    Raises:
        InputError: If there is no such picture, or there are several and none is named.
    """
    places = places_in(path, healthy=False)
    names = place_names(places)
    if not wanted and len(places) == 1:
        return places[0], names[0]
    remedy = f"Name one as {path.name}#{names[0]}, or any up to {path.name}#{names[-1]}."
    if not wanted:
        raise InputError(f"{path} holds {len(places)} pictures", remedy)
    keys = {place.key for place in places}
    number = NUMBER.fullmatch(wanted)
    for place, name in zip(places, names):
        counted = number and place.index == int(number["index"])
        if name == wanted or place.key == wanted and place.index is None:
            return place, name
        if counted and (number["key"] == place.key or (number["key"] is None and len(keys) == 1)):
            return place, name
    raise InputError(f"{path} holds no picture {wanted!a:.80}", remedy)
