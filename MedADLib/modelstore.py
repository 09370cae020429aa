"""The user's models: listed, added from a file, removed, and checked by their hashes before first use.

Nothing here needs torch or safetensors, so that models can be looked after where they cannot run. What the user adds
lies outside MedAD, see `own_folder`, and is never replaced without being asked.
"""

from __future__ import annotations

import hashlib
import os
import re
import secrets
from contextlib import suppress
from pathlib import Path

from . import archive
from .disclosure import disclosed, found_by
from .entries import text_of
from .errors import ModelError, OutputError
from .manifest import CARD, MANIFEST, NAME, SUFFIX, Manifest, check_files, manifest_of, naming
from .modelfile import find_model, list_models, model_folders
from .modelsummary import ModelSummary, own_folder, summary_of

# Files found intact by this process: (path, time of last change, size).
_intact: set[tuple[str, int, int]] = set()


class NameTakenError(ModelError):
    """Another model has the name; `replaceable` if it is the user's own, which `add` may replace."""

    def __init__(self, problem: str, remedy: str, replaceable: bool):
        """Note whether the other one may be replaced."""
        super().__init__(problem, remedy)
        self.replaceable = replaceable


def installed() -> list[ModelSummary]:
    """The models that can be chosen, sorted by name; a bad file is listed with its error."""
    return list_models()


def add(path: str | os.PathLike, replace: bool = False) -> ModelSummary:
    """Copy a model file into the user's folder, after checking it in full.

    It gets the name that it gives itself; where another model has that one, the name of the file. Adding the same
    model again changes nothing.

    Args:
        path: The file.
        replace: Whether another model of that name in the user's folder may be replaced.

    Raises:
        NameTakenError: If its names are taken.
        ModelError: If it is no sound model, is too large or too new.
        OutputError: If it cannot be copied; nothing is left behind.
    """
    path = Path(path)
    with archive.open_archive(path) as stream:
        # One reading, so that what was checked is what is kept.
        content = stream.read(archive.CAPS.total_bytes + 1)
        files = archive.unpack(stream, path)
    with naming(path):
        manifest = manifest_of(files)
        check_files(files, manifest)
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
        where = "ships with MedAD" if _ships(path) else f"lies in {path.parent}"
        raise ModelError(f"the model {name} {where}", f"Only models in {own_folder()} are removed here.")
    try:
        path.unlink()
    except OSError as error:
        problem = f"{path} could not be removed ({error.strerror})"
        raise OutputError(problem, "Is it in use, or its folder write-protected?") from error


def card(name: str | os.PathLike) -> str:
    """Return the model card, with who the training subjects are and, of a shipped model, what it finds.

    Returns:
        Markdown.

    Raises:
        ModelError: If there is no such model, or its card cannot be shown.
    """
    path = find_model(name)
    files = archive.read_archive(path, only=(CARD, MANIFEST))
    with naming(path):
        if CARD not in files:
            raise ModelError(f"it has no {CARD}", "Get the model file again.")
        manifest, text = manifest_of(files), text_of(files, CARD)
    found = found_by(manifest.name, manifest.version) if _ships(path) else ""
    return disclosed(text, manifest.training, found)


def check_integrity(path: str | os.PathLike) -> ModelSummary:
    """Compare every file in a model with the hash that its manifest has of it.

    What was found intact is not read again by this process until the file changes.

    Raises:
        ModelError: If the file is missing, damaged, changed or too new.
    """
    path = find_model(path)
    with archive.open_archive(path) as stream:
        state = os.fstat(stream.fileno())
        key = (os.path.abspath(path), state.st_mtime_ns, state.st_size)
        if key not in _intact:
            files = archive.unpack(stream, path)
            with naming(path):
                check_files(files, manifest_of(files))
            _intact.add(key)
    return summary_of(path)


def _of_name(name: str) -> Path | None:
    """The installed model whose name this is, also but for its case, as on disks that do not know case."""
    for summary in list_models():
        if summary.name.casefold() == name.casefold():
            return summary.path
    return None


def _name_clash(path: Path, manifest: Manifest, existing: Path) -> NameTakenError:
    other = summary_of(existing)
    which = "damaged" if other.error else f"version {other.version} of {other.created[:10]}"
    rename = f"rename the file, such as to {manifest.name}-2{SUFFIX}, and add it again"
    if existing.parent == own_folder():
        whose, remedy = "another model", f"Remove that one first, have it replaced, or {rename}."
    elif _ships(existing):
        whose, remedy = "a model that ships with MedAD", f"To have both, {rename}."
    else:
        whose, remedy = f"a model in {existing.parent}", f"To have both, {rename}."
    mine = f"version {manifest.version} of {manifest.created[:10]}"
    problem = f"{path} is named {manifest.name} ({mine}), as is {whose} ({which})"
    return NameTakenError(problem, remedy, existing.parent == own_folder())


def _ships(path: Path) -> bool:
    """Whether a model came with MedAD: the last two of the folders."""
    return path.parent in model_folders()[-2:]


def _digest(path: Path) -> bytes:
    """The sha256 of a file; of one that cannot be read, what no other file has."""
    try:
        return hashlib.sha256(path.read_bytes()).digest()
    except OSError:
        return b""


def _write(target: Path, content: bytes) -> None:
    """The file, whole or not at all."""
    partial = target.with_name(f".partial-{secrets.token_hex(4)}{SUFFIX}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with partial.open("xb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(partial, target)
    except OSError as error:
        problem = f"the model could not be copied to {target} ({error.strerror})"
        remedy = f"It takes {len(content) / 1e6:.0f} MB. Is the disk full, or the folder write-protected?"
        raise OutputError(problem, remedy) from error
    finally:
        with suppress(OSError):
            partial.unlink()
