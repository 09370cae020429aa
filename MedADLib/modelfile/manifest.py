"""The manifest of a model file: description of the model, hash of each entry, and bundle metadata.

This module needs no torch, so a model can be listed and checked where it cannot run.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from ..errors import MedADError, ModelError
from ..preprocessing.space import kind_of
from ..runtime.strict_json import check_numbers, from_json, json_of

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
    """Read the authors of the model from the bundle's metadata; MedAD needs no other field of it.

    Raises:
        ModelError: If the metadata is not that of a bundle.
    """
    metadata = json_of(files, METADATA)
    if not isinstance(metadata, dict) or _METADATA_KEYS - set(metadata) or type(metadata["authors"]) is not str:
        raise ModelError("metadata_malformed", entry=METADATA)
    return metadata["authors"]


@dataclass(frozen=True)
class MethodEntry:
    """The method in the manifest: a name of the registry, and unchecked parameters."""

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
        patterns = {"name": NAME, "version": VERSION, "created": r"\d{4}-\d\d-\d\d(T\d\d:\d\d:\d\d(Z|[+-]\d\d:\d\d)?)?"}
        for key, pattern in patterns.items():
            if not re.fullmatch(pattern, getattr(self, key), re.ASCII):
                raise ValueError(f"{key} {getattr(self, key)!a:.80} is malformed")
        for key in ("description", "modality"):
            if not getattr(self, key).isprintable() or not 0 < len(getattr(self, key)) <= 500:
                raise ValueError(f"{key} is not one line of at most 500 characters")

    @property
    def kind(self) -> str:
        """Kind of the model as in `ModelSummary`; raises ModelError if this version does not support it."""
        return KINDS[kind_of(self.preparation)]


def manifest_of(files: dict[str, bytes]) -> Manifest:
    """Parse and check the manifest; a newer format is reported before any other problem.

    Raises:
        ModelError: If there is none, it is malformed or newer than the program, or holds numbers beyond sense.
    """
    if MANIFEST not in files:
        raise ModelError("not_a_model")
    document = json_of(files, MANIFEST)
    version = document.get("format_version") if isinstance(document, dict) else None
    if type(version) is int and version > FORMAT_VERSION:
        raise ModelError("format_too_new", version=version, supported=FORMAT_VERSION)
    manifest = from_json(Manifest, document, MANIFEST)
    if manifest.format_version != FORMAT_VERSION:
        raise ModelError("format_unknown", version=manifest.format_version)
    for where in ("method", "preparation", "calibration"):
        check_numbers(getattr(manifest, where), where)
    return manifest


def check_files(files: dict[str, bytes], manifest: Manifest) -> None:
    """Check that the files are exactly those of the layout, each with its hash in the manifest.

    Raises:
        ModelError: With the first file that is missing, extra or changed.
    """
    layout = {METADATA, METHOD, TEMPLATE, LICENCE, CARD}
    if manifest.calibration is not None:
        layout.add(CALIBRATION)
    parts = (
        (set(files) - {MANIFEST}, "archive_lacks", "archive_extra"),
        (set(manifest.files), "manifest_lacks", "manifest_extra"),
    )
    for names, lacks, has_extra in parts:
        if lacking := sorted(layout - names):
            raise ModelError(lacks, entry=lacking[0])
        if extra := sorted(names - layout):
            raise ModelError(has_extra, entry=extra[0][:80])
    for name in sorted(layout):
        if hashlib.sha256(files[name]).hexdigest() != manifest.files[name]:
            raise ModelError("entry_changed", entry=name)


def problem_of(error: MedADError) -> dict[str, str]:
    """Describe an error by parameters of the error that is raised in its place.

    Returns:
        Its code as ``reason``, and in English its ``problem`` and, as ``advice``, its remedy.
    """
    return {"reason": error.code, "problem": error.problem, "advice": error.remedy}


@contextmanager
def naming(path: str | os.PathLike) -> Iterator[None]:
    """Add the path of the file to each ModelError raised inside, and a remedy if it has none.

    Raises:
        ModelError: ``model_problem`` or ``model_problem_damaged``; its parameter ``reason`` is the code of the cause.
    """
    try:
        yield
    except ModelError as error:
        code = "model_problem" if error.remedy else "model_problem_damaged"
        raise ModelError(code, path=path, **problem_of(error)) from error
