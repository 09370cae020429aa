"""The manifest of a model file: its entries, the hash of each file, and its bundle metadata.

The metadata that makes a model file a MONAI bundle for those who know bundles.

The manifest of a model file: what the model says of itself, and the hash of every file that belongs to it.

Nothing here needs torch, so a model can be listed and checked where it cannot run.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from .. import errors
from ..errors import ModelError
from ..preprocessing.spaces import kind_of
from ..runtime.strict_json import UPDATE, UPDATE_OR_AGAIN, from_json, json_of

METADATA, LICENCE = "configs/metadata.json", "LICENSE"
_METADATA_KEYS = {
    "version", "monai_version", "pytorch_version", "numpy_version", "required_packages_version", "task", "description",
    "authors", "copyright", "network_data_format",
}  # fmt: skip

FORMAT_VERSION = 1
NAME = r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}"
VERSION = r"\d+\.\d+\.\d+([-+.][A-Za-z0-9.-]+)?"
SUFFIX = ".medad"
MANIFEST = "configs/medad.json"
METHOD, TEMPLATE, CALIBRATION = (f"models/{name}.safetensors" for name in ("method", "template", "calibration"))
CARD = "docs/README.md"
KINDS = {"brain": "3-D", "plane": "2-D", "field": "3-D field"}


def authors_of(files: dict[str, bytes]) -> str:
    """Who made the model, from the bundle's metadata, of which MedAD needs nothing else.

    Raises:
        ModelError: If the metadata is not that of a bundle.
    """
    metadata = json_of(files, METADATA)
    if not isinstance(metadata, dict) or _METADATA_KEYS - set(metadata) or type(metadata["authors"]) is not str:
        raise ModelError(f"{METADATA} is not a bundle's metadata")
    return metadata["authors"]


@dataclass(frozen=True)
class MethodEntry:
    """The method as the manifest has it: a name of our registry, and parameters not yet checked."""

    name: str
    parameters: dict


@dataclass(frozen=True)
class Manifest:
    """``configs/medad.json``."""

    format_version: int
    name: str
    version: str
    created: str
    description: str
    modality: str
    method: dict
    preparation: dict
    calibration: dict | None
    training: dict
    files: dict

    def __post_init__(self) -> None:
        patterns = {
            "name": NAME,
            "version": VERSION,
            "created": r"\d{4}-\d\d-\d\d(T\d\d:\d\d:\d\d(Z|[+-]\d\d:\d\d)?)?",
        }
        for key, pattern in patterns.items():
            if not re.fullmatch(pattern, getattr(self, key), re.ASCII):
                raise ValueError(f"{key} {getattr(self, key)!a:.80} is malformed")
        for key in ("description", "modality"):
            if not getattr(self, key).isprintable() or not 0 < len(getattr(self, key)) <= 500:
                raise ValueError(f"{key} is not one line of at most 500 characters")

    @property
    def kind(self) -> str:
        """What `ModelSummary.kind` is; raises ModelError if this version knows no such."""
        return KINDS[kind_of(self.preparation)]


def manifest_of(files: dict[str, bytes]) -> Manifest:
    """The checked manifest; a newer format is told before anything in it can look wrong.

    Raises:
        ModelError: If there is none, or it is malformed or newer than the program.
    """
    if MANIFEST not in files:
        raise ModelError(f"this is not a MedAD model (it holds no {MANIFEST})", f"Give a {SUFFIX} file.")
    document = json_of(files, MANIFEST)
    version = document.get("format_version") if isinstance(document, dict) else None
    if type(version) is int and version > FORMAT_VERSION:
        raise ModelError(f"its format {version} is newer than this program's {FORMAT_VERSION}", UPDATE)
    manifest = from_json(Manifest, document, MANIFEST)
    if manifest.format_version != FORMAT_VERSION:
        raise ModelError(f"its format {manifest.format_version} does not exist")
    return manifest


def check_files(files: dict[str, bytes], manifest: Manifest) -> None:
    """Exactly the files of the layout, each with the hash that the manifest says.

    Raises:
        ModelError: Naming the first file that is missing, extra or changed.
    """
    layout = {METADATA, METHOD, TEMPLATE, LICENCE, CARD}
    if manifest.calibration is not None:
        layout.add(CALIBRATION)
    for what, names in (("archive", set(files) - {MANIFEST}), ("manifest", set(manifest.files))):
        if lacking := sorted(layout - names):
            raise ModelError(f"its {what} lacks {lacking[0]}")
        if extra := sorted(names - layout):
            raise ModelError(f"its {what} has {extra[0]!a:.80}, which does not belong there", UPDATE_OR_AGAIN)
    for name in sorted(layout):
        if hashlib.sha256(files[name]).hexdigest() != manifest.files[name]:
            raise ModelError(f"{name} was changed after the model was made (its sha256 differs)")


@contextmanager
def naming(path: str | os.PathLike) -> Iterator[None]:
    """Errors from inside name the file and always say what to do."""
    try:
        yield
    except ModelError as error:
        raise ModelError(f"{path}: {error.problem}", error.remedy or errors.DAMAGED) from error
