"""One scan as a user names it: any kind that a training takes, so that what a model learned from can be examined."""

from __future__ import annotations

import re
from pathlib import Path

from .array_names import place_named
from .errors import InputError
from .pictures_reading import ARRAYS, PICTURES, is_dicom
from .scan_folder import DICOM_SUFFIXES, Source, own_name
from .volume import IMAGE_SUFFIXES

IN_ARRAYS = re.compile(r"(?P<file>.*\.npz)#(?P<picture>[^/\\#]*)", re.IGNORECASE | re.DOTALL)
READABLE = (*IMAGE_SUFFIXES, *PICTURES, ARRAYS, *DICOM_SUFFIXES)
KNOWN = ", ".join((*IMAGE_SUFFIXES, *PICTURES, f"{ARRAYS} (of several pictures, FILE{ARRAYS}#NUMBER)"))


def in_file(given: Path) -> tuple[Path, str]:
    """The file of a path that may name a picture in it, and the picture; empty where it names none."""
    named = None if given.exists() else IN_ARRAYS.fullmatch(str(given))
    return (Path(named["file"]), named["picture"]) if named else (given, "")


def named_scan(given: Path) -> Source:
    """The scan of a path.

    Args:
        given: A volume, a picture, a DICOM file or a folder of DICOM slices; or an NPZ file, with ``#`` and the name
            of the picture, as a training has it behind the file's own, where there are several.

    Raises:
        InputError: If it is missing or of an unknown type, or an NPZ file without such a picture.
    """
    try:
        path, picture = in_file(given)
        there, folder = path.exists(), path.is_dir()
    except OSError as error:
        problem = f"{given} cannot be read: {error.strerror or error}"
        raise InputError(problem, "Check the path and its permissions.") from error
    if not there:
        raise InputError(f"{path} does not exist", "Check the path.")
    name = own_name(path.absolute())
    if not folder and path.suffix.lower() == ARRAYS:
        place, which = place_named(path, picture)
        name = f"{name}-{which}" if which else name
        return Source(path, name, name, place)
    if not folder and not path.name.lower().endswith(READABLE) and not is_dicom(path):
        remedy = f"Known are {KNOWN}, a DICOM file of one image, and a folder of DICOM slices."
        raise InputError(f"{path} is of an unknown type", remedy)
    return Source(path, name, name)
