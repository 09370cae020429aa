"""Read 2-D images as single slices: PNG, JPEG, one DICOM file, and arrays of NPZ files.

Only DICOM gives a reliable orientation. For the other formats, rows run towards posterior and columns towards the
patient's left, as in an axial slice on a screen, and pixels are 1 mm: models of single slices work with fractions of
the field of view.

The name of an image in an NPZ file is the name of its array, if the file has several, and its number.
"""

from __future__ import annotations

import functools
import re
import zipfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ..errors import InputError
from ..runtime.stdio import silenced
from ..volume import LPS_RAS, Volume, size_text
from .dicom import facts_of_file, read_file
from .headers import check_numbers, has_dicom_magic
from .placement import check_extent
from .reading_options import AS_THE_HEADER_SAYS, ReadingOptions

RASTERS = {".png": "PNGImageIO", ".jpg": "JPEGImageIO", ".jpeg": "JPEGImageIO"}
MARKS = {b"\x89PNG\r\n\x1a\n": "PNGImageIO", b"\xff\xd8\xff": "JPEGImageIO"}
EXIF_ORIENTATION = 0x112
ARRAYS = ".npz"
PARTS = re.compile("(train|val|test)(?=_)")
MAX_PIXELS, MAX_ARRAY_BYTES = 2**28, 2**33
# Luminance of ITU-R BT.601.
RED_GREEN_BLUE = (0.299, 0.587, 0.114)

NUMBER = re.compile(r"(?:(?P<key>.+)-)?(?P<index>[0-9]{1,12})")


class Place(NamedTuple):
    """Location of an image in an NPZ file: an array and the index along its first axis, None if it is one image."""

    key: str
    index: int | None

    @property
    def part(self) -> str | None:
        """``train``, ``val`` or ``test`` if the name of the array begins with it; else None."""
        found = PARTS.match(self.key)
        return found[0] if found else None


def is_dicom(path: Path) -> bool:
    """Return whether a file is a DICOM object; False if it cannot be read."""
    try:
        return has_dicom_magic(path)
    except OSError:
        return False


def read_raster(path: Path, name: str, options: ReadingOptions = AS_THE_HEADER_SAYS) -> Volume:
    """Read a PNG or a JPEG as one slice, float32 (1, Y, X), or a DICOM file of one or many slices, float32 (Z, Y, X).

    Colours become luminance.

    A PNG or JPEG is turned as its EXIF tag says, and read by its content, whatever its name says.

    Raises:
        InputError: If it is damaged, holds several images that are no volume or has one value throughout.
    """
    import SimpleITK as sitk

    if path.suffix.lower() not in RASTERS:
        volume = read_file(path, name, options)
        if volume is not None:
            check_extent(volume, path, options)
            return volume.with_array(_checked(volume.array, path))
        if options != AS_THE_HEADER_SAYS:
            raise InputError("options_for_volumes", path=path)
    reader = sitk.ImageFileReader()
    reader.SetFileName(str(path))
    raster = path.suffix.lower() in RASTERS
    reader.SetImageIO(_raster_format(path) if raster else "GDCMImageIO")
    try:
        with silenced():
            reader.ReadImageInformation()
            if np.prod(reader.GetSize(), dtype=object) > MAX_PIXELS:
                raise InputError("too_many_pixels", path=path, limit=MAX_PIXELS)
            image = reader.Execute()
    except RuntimeError as error:
        if raster and (grey := _without_transparency(path)) is not None:
            return _slice(_upright(grey, path), name, path)
        raise InputError("not_decoded", path=path) from error
    if image.GetDimension() > 2 and image.GetSize()[2] > 1:
        raise InputError("several_images", path=path, count=image.GetSize()[2])
    array = _grey(sitk.GetArrayFromImage(image), image.GetNumberOfComponentsPerPixel(), path)
    if image.GetDimension() == 2:
        return _slice(_upright(array, path) if raster else array, name, path)
    grid = sitk.Image(image.GetSize(), sitk.sitkUInt8)
    grid.CopyInformation(image)
    volume = Volume.from_sitk(grid, name).with_array(_checked(array.reshape(image.GetSize()[::-1]), path))
    return replace(volume, **facts_of_file(path))


def _raster_format(path: Path) -> str:
    """Return ITK's reader of a PNG or JPEG by its first bytes, else by its name."""
    try:
        with path.open("rb") as stream:
            start = stream.read(8)
    except OSError as error:
        raise InputError("unreadable", path=path, reason=error.strerror or error) from error
    return next((name for mark, name in MARKS.items() if start.startswith(mark)), RASTERS[path.suffix.lower()])


def _without_transparency(path: Path) -> np.ndarray | None:
    """Read a grey image with transparency, which ITK does not read, float32 (Y, X); None for any other file."""
    from PIL import Image

    try:
        with Image.open(path, formats=("PNG",)) as image:
            if image.mode != "LA" or np.prod(image.size, dtype=object) > MAX_PIXELS:
                return None
            return np.asarray(image, np.float32)[..., 0]
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return None


def _upright(array: np.ndarray, path: Path) -> np.ndarray:
    """Turn and mirror an image (Y, X) as its EXIF tag says; cameras and scanners store the pixels as they came."""
    from PIL import Image

    try:
        with Image.open(path, formats=("PNG", "JPEG")) as image:
            turn = image.getexif().get(EXIF_ORIENTATION, 1)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return array
    if turn in (5, 6, 7, 8):
        array = array.T
    if turn in (2, 3, 6, 7):
        array = array[:, ::-1]
    if turn in (3, 4, 7, 8):
        array = array[::-1]
    return np.ascontiguousarray(array)


def places_in(path: Path, healthy_label: int | None = None, healthy: bool = True) -> list[Place]:
    """Find the images of an NPZ file: an array (Y, X) is one, an array (N, Y, X) or (N, Y, X, colours) is N.

    The array ``…labels`` belongs to an array ``…images`` and holds one number for each image.

    Args:
        path: The file.
        healthy_label: Label of the healthy images.
        healthy: Find the healthy images; if False, all others and those without labels.

    Returns:
        Their locations, by the name of the array and the index.

    Raises:
        InputError: If it is not a valid NPZ file, holds no such images, or has several labels and none is chosen.
    """
    arrays, places = _arrays(path), []
    for key, array in sorted(arrays.items()):
        if array.dtype.kind not in "biuf" or array.ndim < 2 or (array.ndim == 2 and min(array.shape) < 2):
            continue
        if array.ndim == 2 or (array.ndim == 3 and _is_colour(array)):
            places.append(Place(key, None))
            continue
        if array.ndim > 4 or (array.ndim == 4 and array.shape[-1] not in (1, 3, 4)):
            raise InputError("not_an_image_stack", path=path, array=key, size=size_text(array.shape))
        labels = arrays.get(key.replace("images", "labels")) if "images" in key else None
        if labels is not None and labels.size != len(array):
            labels = None
        if healthy:
            chosen = _healthy(labels, len(array), healthy_label, path, key)
        else:
            chosen = _abnormal(labels, len(array), healthy_label)
        places += [Place(key, index) for index in chosen]
    if not places and not healthy and healthy_label is not None:
        raise InputError("no_other_label", path=path, label=healthy_label)
    if not places:
        raise InputError("no_image_arrays", path=path)
    return places


def read_place(path: Path, place: Place, name: str) -> Volume:
    """Read one image of an NPZ file, see `places_in`, as a volume of one slice, float32 (1, Y, X).

    Raises:
        InputError: If it is damaged or has one value throughout.
    """
    array = _arrays(path)[place.key]
    image = array if place.index is None else array[place.index]
    if image.ndim == 3 and image.shape[2] == 1:
        image = image[..., 0]
    return _slice(_grey(image, image.shape[2] if image.ndim == 3 else 1, path), name, path)


def _is_colour(array: np.ndarray) -> bool:
    """Return whether an array (Y, X, 3 or 4) is one colour image and not a stack of tiny ones."""
    return array.shape[-1] in (3, 4) and array.dtype == np.uint8


def _healthy(labels: np.ndarray | None, count: int, wanted: int | None, path: Path, key: str) -> Sequence[int]:
    """Find the indices of the healthy images of an array."""
    if labels is None:
        if wanted is not None:
            raise InputError("no_labels", path=path, array=key)
        return range(count)
    values = np.unique(labels)
    if wanted is None:
        if len(values) == 1:
            return range(count)
        raise InputError("several_labels", path=path, labels=", ".join(map(str, values[:10])))
    return np.flatnonzero(labels.ravel() == wanted).tolist()


def _abnormal(labels: np.ndarray | None, count: int, healthy_label: int | None) -> Sequence[int]:
    """Find the indices of all images of an array except the healthy ones."""
    if labels is None or healthy_label is None:
        return range(count)
    return np.flatnonzero(labels.ravel() != healthy_label).tolist()


@functools.lru_cache(maxsize=1)
def _arrays(path: Path) -> dict[str, np.ndarray]:
    """Read all arrays of an NPZ file; cached, because its images are read one by one."""
    try:
        with zipfile.ZipFile(path) as archive:
            if sum(entry.file_size for entry in archive.infolist()) > MAX_ARRAY_BYTES:
                raise InputError("arrays_too_large", path=path, limit=MAX_ARRAY_BYTES >> 30)
            for entry in archive.infolist():
                _check_array(archive, entry, path)
        with np.load(path, allow_pickle=False) as file:
            return {key: file[key] for key in file.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise InputError("bad_npz", path=path) from error


def _check_array(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, path: Path) -> None:
    """Raise InputError for an array with a header of more numbers than it holds, before numpy allocates them."""
    with archive.open(entry) as stream:
        version = np.lib.format.read_magic(stream)
        read = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}.get(version)
        if read is None:
            raise InputError("bad_npz", path=path)
        shape, _, kind = read(stream)
    if not kind.hasobject and int(np.prod(shape, dtype=object)) * kind.itemsize > entry.file_size:
        raise InputError("header_exceeds_file", path=path, size=size_text(shape))


def _grey(array: np.ndarray, components: int, path: Path) -> np.ndarray:
    """Convert an image to grey values, float32 (Y, X); several components lie along its last axis."""
    if array.dtype.kind not in "biuf":
        raise InputError("pixels_not_numbers", path=path)
    values = array.astype(np.float32)
    if components == 1:
        return values
    if components == 2:
        return np.ascontiguousarray(values[..., 0])
    if components in (3, 4):
        return values[..., :3] @ np.array(RED_GREEN_BLUE, np.float32)
    raise InputError("odd_components", path=path, count=components)


def _slice(image: np.ndarray, name: str, path: Path) -> Volume:
    """Make a volume of one slice from an image (Y, X) with pixels of 1 mm."""
    return Volume(_checked(image[None], path), LPS_RAS, name, has_spacing=False, has_orientation=False)


def _checked(array: np.ndarray, path: Path) -> np.ndarray:
    """Return the array (Z, Y, X), or raise InputError if it is one line, constant or not finite."""
    if sorted(array.shape)[1] < 2:
        raise InputError("single_line", path=path, size=size_text(array.shape[::-1]))
    if not np.isfinite(array).all():
        check_numbers(path, int(np.isnan(array).sum()), int(np.isinf(array).sum()))
    if array.min() == array.max():
        raise InputError("constant", path=path, value=float(array.min()))
    return array


def place_names(places: Sequence[Place]) -> list[str]:
    """Name all images that are used of one file; the name is empty if its single array is one image."""
    keys, width = {place.key for place in places}, len(str(max(place.index or 0 for place in places)))
    return [
        "-".join(([place.key] if len(keys) > 1 else []) + ([] if place.index is None else [f"{place.index:0{width}d}"]))
        for place in places
    ]


def place_named(path: Path, wanted: str) -> tuple[Place, str]:
    """Find the image of an NPZ file that a user names, healthy or not.

    Args:
        path: The file.
        wanted: A name of `place_names`; leading zeros may be left out, and so may the name of the array if no other
            array holds images. Empty for the only image.

    Returns:
        Its location and its name in the file.

    Raises:
        InputError: If there is no such image, or there are several and none is named.
    """
    places = places_in(path, healthy=False)
    names = place_names(places)
    if not wanted and len(places) == 1:
        return places[0], names[0]
    if not wanted:
        raise InputError(
            "image_not_named", path=path, count=len(places), file=path.name, first=names[0], last=names[-1]
        )
    keys = {place.key for place in places}
    number = NUMBER.fullmatch(wanted)
    for place, name in zip(places, names):
        same_index = number and place.index == int(number["index"])
        if name == wanted or place.key == wanted and place.index is None:
            return place, name
        if same_index and (number["key"] == place.key or (number["key"] is None and len(keys) == 1)):
            return place, name
    raise InputError("no_such_image", path=path, image=wanted, file=path.name, first=names[0], last=names[-1])
