"""The available models: list, find, add, remove and check them without reading weights.

This module needs neither torch nor safetensors, so models can be managed where they cannot run. Models that the user
adds are outside MedAD, see `own_folder`, and are never replaced without a question.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import ModelError, OutputError
from ..methods.registry import ENTRIES
from ..runtime.atomic_files import locked, remove_partial, write_bytes
from ..runtime.strict_json import TEXT_BYTES, from_json, text_of
from ..runtime.tables import table_text
from . import archive
from .disclosure import MEMBERS, WHOLE, About, disclosed, found_by, own_words
from .manifest import CARD, MANIFEST, NAME, SUFFIX, Manifest, MethodEntry, check_files, manifest_of, naming


@dataclass(frozen=True)
class ModelSummary:
    """One line of the list of models; a bad file has only path, size and error.

    Attributes:
        name: Name of the model in commands: the stem of the file.
        path: The file.
        version: Version of the model, such as ``1.0.0``.
        description: One line on what it is for.
        modality: The kind of scan that it is for.
        method: Name of its method.
        created: ISO date, or date and time.
        error: Problem of the file; empty without one.
        size_bytes: Size of the file.
        kind: ``3-D`` for brains, ``2-D`` for single slices, ``3-D field`` for volumes by their whole field of view.
        own: Whether it is in the user's own folder, the only one from which models can be removed.
        fast: Whether it has a fast mode: its method has one, or that of a member of an ensemble.
    """

    name: str
    path: Path
    version: str = ""
    description: str = ""
    modality: str = ""
    method: str = ""
    created: str = ""
    error: str = ""
    size_bytes: int = 0
    kind: str = "3-D"
    own: bool = False
    fast: bool = False

    @property
    def title(self) -> str:
        """Short title for lists, such as ``Atlas (fastest)``; for the user's own models, the name first."""
        if self.method not in ENTRIES:
            return self.name
        entry = ENTRIES[self.method]
        if self.own:
            return f"{self.name} ({entry.title})"
        return f"{entry.title} ({entry.note})" if entry.note else entry.title

    @property
    def purpose(self) -> str:
        """Purpose, such as ``T1-weighted MR of the brain (reconstructs the scan from a compressed code)``."""
        if not self.modality:
            return self.description
        how = ENTRIES[self.method].purpose if self.method in ENTRIES else ""
        return f"{self.modality}{WHOLE.get(self.kind, '')}{f' ({how})' if how else ''}"

    @property
    def note(self) -> str:
        """The description; empty if `purpose` says it already."""
        return own_words(self.description, self.method, self.modality) if self.modality else ""

    @property
    def line(self) -> str:
        """The model in a list on a console: fields separated by tabs."""
        facts = (self.name, self.version, self.method, self.error or self.purpose)
        return table_text((*facts, f"{self.size_bytes / 1e6:.1f} MB", self.created[:10]), ()).rstrip("\n")


def titles(models: Sequence[ModelSummary]) -> list[str]:
    """Return the titles of models in one list; equal titles get the names of the models."""
    counts = Counter(model.title for model in models)
    return [model.title if counts[model.title] == 1 else f"{model.title}, {model.name}" for model in models]


def own_folder() -> Path:
    """Return the folder of the user's own models, outside MedAD, so that an update of the extension keeps them."""
    return Path(os.path.expanduser("~")) / ".medad" / "models"


def summary_of(path: str | os.PathLike) -> ModelSummary:
    """Summarise the manifest of a file, or its problem."""
    path, size = Path(path), 0
    own = path.parent == own_folder()
    with suppress(OSError):
        size = path.stat().st_size
    try:
        files = archive.read_archive(path, archive.Caps(entry_bytes=TEXT_BYTES), only=(MANIFEST,))
        with naming(path):
            manifest = manifest_of(files)
            method, kind = from_json(MethodEntry, manifest.method, "method"), manifest.kind
    except ModelError as error:
        return ModelSummary(path.stem, path, error=str(error), size_bytes=size, own=own)
    facts = {name: getattr(manifest, name) for name in ("version", "description", "modality", "created")}
    fast = any(name in ENTRIES and ENTRIES[name].fast for name in (method.name, *_methods_of_members(method)))
    return ModelSummary(path.stem, path, **facts, method=method.name, size_bytes=size, kind=kind, own=own, fast=fast)


def _methods_of_members(method: MethodEntry) -> list[str]:
    """Return the methods of the members of an ensemble; empty for any other model. The entry is not trusted."""
    members = method.parameters.get(MEMBERS)
    listed = members if isinstance(members, list) else []
    found = [member.get("method") for member in listed if isinstance(member, dict)]
    return [name for name in found if isinstance(name, str)]


def model_folders() -> list[Path]:
    """Return the folders in which models are looked up by name; the first match wins, and folders need not exist.

    These are the folders of the environment variable ``MEDAD_MODELS``, the user's own folder, and those that ship with
    MedAD: beside the library in the source tree, inside it where it is installed.
    """
    library = Path(__file__).resolve().parent.parent
    folders = os.environ.get("MEDAD_MODELS", "").split(os.pathsep)
    named = [Path(os.path.expanduser(folder)) for folder in folders if folder]
    return [*named, own_folder(), library.parent / "Resources" / "models", library / "Resources" / "models"]


def find_model(name_or_path: str | os.PathLike) -> Path:
    """Return the file of a model, given by name or path.

    Raises:
        ModelError: If there is no such model; lists the available ones.
    """
    text = os.fspath(name_or_path)
    is_name = not isinstance(name_or_path, Path) and not any(mark in text for mark in ("/", "\\", os.sep))
    path, name = Path(os.path.expanduser(text)), text.removesuffix(SUFFIX)
    if not is_name or (name != text and os.path.isfile(path)):
        return path
    available = _available()
    if name not in available:
        if not available:
            raise ModelError("models_none", name=text)
        raise ModelError("model_unknown", name=text, available=", ".join(available))
    return available[name]


def list_models() -> list[ModelSummary]:
    """List the available models by name; reads the manifest of each file, not its weights.

    A bad file is listed with its error.
    """
    return [summary_of(path) for path in _available().values()]


def shipped_models() -> list[ModelSummary]:
    """List the models that ship with MedAD, as `list_models` does, but not those hidden by another model."""
    return [model for model in list_models() if _ships(model.path)]


def _available() -> dict[str, Path]:
    """Return model files by name, sorted; a name in an earlier folder hides the same name in later ones."""
    found: dict[str, Path] = {}
    for folder in model_folders():
        with suppress(OSError):
            for path in folder.iterdir():
                # Names with a leading dot are partial files, and metadata of macOS on foreign disks.
                if path.suffix == SUFFIX and not path.name.startswith("."):
                    found.setdefault(path.stem, path)
    return dict(sorted(found.items()))


class NameTakenError(ModelError):
    """Another model has the name; `replaceable` if it is the user's own, which `add` may replace."""

    def __init__(self, code: str, replaceable: bool = False, **parameters: Any):
        super().__init__(code, **parameters)
        self.replaceable = replaceable


def add(path: str | os.PathLike, replace: bool = False) -> ModelSummary:
    """Copy a model file into the user's folder, after checking it in full.

    The copy has the name in its manifest or, if another model has that name, the name of the file. Adding the same
    model again changes nothing.

    Args:
        path: The file.
        replace: Whether another model of that name in the user's folder may be replaced.

    Raises:
        NameTakenError: If both names are taken.
        ModelError: If it is not a sound model, is too large or too new.
        OutputError: If it cannot be copied; no partial file is left.
    """
    path = Path(path)
    with archive.open_archive(path) as stream:
        # Read once, so that the checked bytes are the copied ones.
        content = stream.read(archive.CAPS.total_bytes + 1)
        files = archive.unpack(stream, path)
    with naming(path):
        manifest = manifest_of(files)
        check_files(files, manifest)
    # Another process must not take the name between its choice and the copy.
    with locked(own_folder()):
        return _added(path, manifest, content, replace)


def _added(path: Path, manifest: Manifest, content: bytes, replace: bool) -> ModelSummary:
    """Choose the name of a sound model file, and copy its content."""
    names = [name for name in (manifest.name, path.stem) if re.fullmatch(NAME, name, re.ASCII)]
    taken = {name: existing for name in names if (existing := _of_name(name)) is not None}
    for existing in taken.values():
        if _digest(existing) == hashlib.sha256(content).digest():
            return summary_of(existing)
    replaceable = [existing for existing in taken.values() if replace and existing.parent == own_folder()]
    free = [own_folder() / f"{name}{SUFFIX}" for name in names if name not in taken]
    if not replaceable and not free:
        raise _name_clash(path, manifest, taken[manifest.name])
    target = (replaceable or free)[0]
    _write(target, content)
    return summary_of(target)


def remove(name: str) -> None:
    """Delete one of the user's own models.

    Raises:
        ModelError: If there is no such model, or it is not the user's own.
        OutputError: If it cannot be deleted.
    """
    path = find_model(name)
    if path.parent != own_folder():
        if _ships(path):
            raise ModelError("model_ships", name=name, own_folder=own_folder())
        raise ModelError("model_elsewhere", name=name, folder=path.parent, own_folder=own_folder())
    try:
        path.unlink()
    except OSError as error:
        raise OutputError("model_not_removed", path=path, detail=error.strerror) from error


def card(name: str | os.PathLike) -> str:
    """Return the model card in Markdown: purpose and scope first, with training subjects and, if shipped, results.

    Raises:
        ModelError: If there is no such model, or its card cannot be shown.
    """
    path = find_model(name)
    files = archive.read_archive(path, only=(CARD, MANIFEST))
    with naming(path):
        if CARD not in files:
            raise ModelError("card_missing", entry=CARD)
        manifest, text = manifest_of(files), text_of(files, CARD)
        method = from_json(MethodEntry, manifest.method, "method")
        about = About(
            manifest.name,
            manifest.version,
            manifest.description,
            manifest.modality,
            manifest.kind,
            method.name,
            method.parameters,
            manifest.training,
        )
    found = found_by(manifest.name, manifest.version) if _ships(path) else ""
    return disclosed(text, about, found)


def _of_name(name: str) -> Path | None:
    """Return the installed model of this name, ignoring case as some file systems do."""
    return next((path for stem, path in _available().items() if stem.casefold() == name.casefold()), None)


def _name_clash(path: Path, manifest: Manifest, existing: Path) -> NameTakenError:
    """Describe that another model has the name of the model at `path`."""
    other, own = summary_of(existing), existing.parent == own_folder()
    given = {"path": path, "name": manifest.name, "version": manifest.version, "created": manifest.created[:10]}
    if other.error:
        return NameTakenError("name_taken_by_damaged", replaceable=own, other=existing, **given)
    given |= {"other_version": other.version, "other_created": other.created[:10]}
    if own:
        return NameTakenError("name_taken_by_own", replaceable=True, **given)
    if _ships(existing):
        return NameTakenError("name_taken_by_shipped", **given)
    return NameTakenError("name_taken_elsewhere", folder=existing.parent, **given)


def _ships(path: Path) -> bool:
    """Return whether a model ships with MedAD: it is in one of the last two folders."""
    return path.parent in model_folders()[-2:]


def _digest(path: Path) -> bytes:
    """Return the sha256 of a file; empty bytes, which equal no hash, if it cannot be read."""
    try:
        return hashlib.sha256(path.read_bytes()).digest()
    except OSError:
        return b""


def _write(target: Path, content: bytes) -> None:
    """Copy a model atomically."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        remove_partial(target)
        write_bytes(target, content, durable=True)
    except OSError as error:
        megabytes = len(content) / 1e6
        raise OutputError("model_not_copied", path=target, detail=error.strerror, megabytes=megabytes) from error
