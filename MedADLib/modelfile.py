"""Model files: what knows healthy, in one zip that is safe to open.

A ``.medad`` file has the shape of a MONAI bundle. Nothing in it is executed or resolved to a Python name: methods are
looked up in our registry, their parameters are checked against a frozen dataclass, and arrays are safetensors.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

from . import archive
from .bundle import LICENCE, METADATA, authors_of, bundle_metadata
from .entries import (
    TEXT_BYTES,
    UPDATE,
    UPDATE_OR_AGAIN,
    from_json,
    json_bytes,
    json_of,
    tensor_bytes,
    tensors_of,
    text_of,
)
from .errors import MedADError, ModelError

FORMAT_VERSION = 1
NAME = r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}"
SUFFIX = ".medad"
MANIFEST = "configs/medad.json"
METHOD, TEMPLATE, CALIBRATION = (f"models/{name}.safetensors" for name in ("method", "template", "calibration"))
CARD = "docs/README.md"


@dataclass(frozen=True, eq=False)
class Model:
    """A model, loaded or about to be saved.

    Attributes:
        name: Short name, such as ``brain-t1``.
        version: Version of the model, such as ``1.0.0``.
        created: ISO date, or date and time.
        description: One line on what it is for.
        modality: The kind of scan it knows, such as ``T1 MR``.
        method: A method of the registry with its networks.
        template: The model's space.
        calibration: What its score looks like on healthy scans; None if it was never calibrated.
        training: Data, licences and split that it was made with; free-form JSON.
        authors: Who made it.
        card: Model card, Markdown.
        licence: Licence of the model, in full.
        path: The file it was loaded from.
        sha256: Of that whole file.
    """

    name: str
    version: str
    created: str
    description: str
    modality: str
    method: Any
    template: Any
    calibration: Any
    training: dict
    authors: str
    card: str
    licence: str
    path: Path | None = None
    sha256: str = ""

    def info(self) -> dict:
        """What ``medad models info`` prints: JSON-able, without arrays, card and licence."""
        return {
            "name": self.name,
            "version": self.version,
            "description": self.description,
            "modality": self.modality,
            "authors": self.authors,
            "created": self.created,
            "path": None if self.path is None else str(self.path),
            "sha256": self.sha256,
            "method": {"name": type(self.method).name, "parameters": asdict(self.method.parameters)},
            "preparation": self.template.parameters(),
            "calibration": None if self.calibration is None else self.calibration.parameters(),
            "training": self.training,
        }


@dataclass(frozen=True)
class ModelSummary:
    """One line of the list of models, by the name to type; of a bad file nothing else but its error is known."""

    name: str
    path: Path
    version: str = ""
    description: str = ""
    modality: str = ""
    method: str = ""
    created: str = ""
    error: str = ""


@dataclass(frozen=True)
class _MethodEntry:
    name: str
    parameters: dict


@dataclass(frozen=True)
class _Manifest:
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
            "version": r"\d+\.\d+\.\d+([-+.][A-Za-z0-9.-]+)?",
            "created": r"\d{4}-\d\d-\d\d(T\d\d:\d\d:\d\d(Z|[+-]\d\d:\d\d)?)?",
        }
        for key, pattern in patterns.items():
            if not re.fullmatch(pattern, getattr(self, key), re.ASCII):
                raise ValueError(f"{key} {getattr(self, key)!a:.80} is malformed")
        for key in ("description", "modality"):
            if not getattr(self, key).isprintable() or not 0 < len(getattr(self, key)) <= 500:
                raise ValueError(f"{key} is not one line of at most 500 characters")


def model_folders() -> list[Path]:
    """Where models are looked up by name, first match wins; the folders need not exist.

    The folders of the environment variable ``MEDAD_MODELS``, the user's own (an update of the extension leaves it
    alone), and those that ship with MedAD: beside the library in the source tree, inside it where it is installed.
    """
    library = Path(__file__).resolve().parent
    folders = os.environ.get("MEDAD_MODELS", "").split(os.pathsep)
    named = [Path(os.path.expanduser(folder)) for folder in folders if folder]
    own = Path(os.path.expanduser("~")) / ".medad" / "models"
    return [*named, own, library.parent / "Resources" / "models", library / "Resources" / "models"]


def find_model(name_or_path: str | os.PathLike) -> Path:
    """The file of a model's name or path.

    Raises:
        ModelError: If there is no such model; names those there are.
    """
    text = os.fspath(name_or_path)
    is_name = not isinstance(name_or_path, Path) and not any(mark in text for mark in ("/", "\\", os.sep))
    path, name = Path(os.path.expanduser(text)), text.removesuffix(SUFFIX)
    if not is_name or (name != text and os.path.isfile(path)):
        return path
    available = _available()
    if name not in available:
        remedy = f"Available: {', '.join(available) or 'none'}. Or give the path of a {SUFFIX} file."
        raise ModelError(f"there is no model named {text!a}", remedy)
    return available[name]


def load_model(name_or_path: str | os.PathLike, registry: dict[str, type] | None = None) -> Model:
    """Open a model, trusting nothing in it.

    Args:
        name_or_path: A name such as ``brain-t1``, looked up in `model_folders`, or a path.
        registry: Methods by name; None for all that MedAD knows.

    Raises:
        ModelError: If it is missing, damaged, hostile or newer than the program.
    """
    path = find_model(name_or_path)
    with archive.open_archive(path) as stream:
        digest = hashlib.sha256()
        while chunk := stream.read(1 << 20):
            digest.update(chunk)
        files = archive.unpack(stream, path)
    with _naming(path):
        return replace(_assemble(files, registry), path=path, sha256=digest.hexdigest())


def save_model(model: Model, path: str | os.PathLike, registry: dict[str, type] | None = None) -> None:
    """Write a model file, whole or not at all; the same content gives the same bytes.

    What ships should stay under 20 MB; this is not enforced.

    Args:
        model: What to write; its `path` and `sha256` are of no account.
        path: Where to, by custom with the suffix ``.medad``.
        registry: Methods by name; None for all that MedAD knows.

    Raises:
        ModelError: If `load_model` would refuse it.
        OutputError: If it cannot be written; nothing is left behind and an older file is kept.
    """
    try:
        files = {
            METHOD: tensor_bytes(model.method.tensors()),
            TEMPLATE: tensor_bytes(model.template.tensors()),
            METADATA: json_bytes(bundle_metadata(model)),
            LICENCE: model.licence.encode(),
            CARD: model.card.encode(),
        }
        if model.calibration is not None:
            files[CALIBRATION] = tensor_bytes(model.calibration.tensors())
        manifest = {"format_version": FORMAT_VERSION, **model.info()}
        manifest["files"] = {entry: hashlib.sha256(content).hexdigest() for entry, content in files.items()}
        files[MANIFEST] = json_bytes({field.name: manifest[field.name] for field in fields(_Manifest)})
        _assemble(files, registry)
    except ModelError as error:
        raise ModelError(f"{path} would be refused: {error.problem}", "Correct what is to be saved.") from error
    archive.write_archive(path, files)


def list_models() -> list[ModelSummary]:
    """The models that can be named, sorted; each file's manifest is read, not its weights.

    A bad file is listed with its error and does not hide the others.
    """
    return [_summary(name, path) for name, path in _available().items()]


def verify_model(name_or_path: str | os.PathLike, registry: dict[str, type] | None = None) -> ModelSummary:
    """Load a model in full, as detection would.

    Raises:
        ModelError: If it cannot be loaded.
    """
    path = load_model(name_or_path, registry).path
    return _summary(path.stem, path)


def _assemble(files: dict[str, bytes], registry: dict[str, type] | None) -> Model:
    """The model of an archive's entries."""
    from .calibration import Calibration
    from .preparation import Template

    if registry is None:
        from .methods import METHODS as registry
    manifest = _manifest(files)
    entry = from_json(_MethodEntry, manifest.method, "method")
    if entry.name not in registry:
        raise ModelError(f"it uses the method {entry.name!a:.80}, which this version does not know", UPDATE)
    _check_files(files, manifest)
    method = registry[entry.name]
    parameters = from_json(method.Parameters, entry.parameters, f"the parameters of {entry.name}")
    template = _built(
        "its template cannot be used", Template.from_tensors, manifest.preparation, tensors_of(files, TEMPLATE)
    )
    shape = template.image.array.shape
    built = _built("its method cannot be used", method.from_tensors, parameters, tensors_of(files, METHOD))
    if not built.fits(shape):
        raise ModelError("its method is not on the grid of its template")
    calibration = None
    if manifest.calibration is not None:
        tensors = tensors_of(files, CALIBRATION)
        calibration = _built("its calibration cannot be used", Calibration.from_tensors, manifest.calibration, tensors)
        if calibration.places.mean.shape != shape:
            raise ModelError("its calibration is not on the grid of its template")
    return Model(
        name=manifest.name,
        version=manifest.version,
        created=manifest.created,
        description=manifest.description,
        modality=manifest.modality,
        method=built,
        template=template,
        calibration=calibration,
        training=manifest.training,
        authors=authors_of(files),
        card=text_of(files, CARD),
        licence=text_of(files, LICENCE),
    )


def _available() -> dict[str, Path]:
    """Model files by the name to type, sorted; a name in an earlier folder hides the later ones."""
    found: dict[str, Path] = {}
    for folder in model_folders():
        with suppress(OSError):
            for path in folder.iterdir():
                # Names with a dot in front are files being written, and what macOS strews over foreign disks.
                if path.suffix == SUFFIX and not path.name.startswith("."):
                    found.setdefault(path.stem, path)
    return dict(sorted(found.items()))


def _summary(name: str, path: Path) -> ModelSummary:
    """The summary of a file's manifest, or of what is wrong with it."""
    try:
        files = archive.read_archive(path, archive.Caps(entry_bytes=TEXT_BYTES), only=(MANIFEST,))
        with _naming(path):
            manifest = _manifest(files)
            method = from_json(_MethodEntry, manifest.method, "method").name
    except ModelError as error:
        return ModelSummary(name, path, error=str(error))
    return ModelSummary(name, path, manifest.version, manifest.description, manifest.modality, method, manifest.created)


@contextmanager
def _naming(path: str | os.PathLike) -> Iterator[None]:
    """Errors from inside name the file and always say what to do."""
    try:
        yield
    except ModelError as error:
        raise ModelError(f"{path}: {error.problem}", error.remedy or archive.DAMAGED) from error


def _manifest(files: dict[str, bytes]) -> _Manifest:
    """The checked manifest; a newer format is told before anything in it can look wrong."""
    if MANIFEST not in files:
        raise ModelError(f"this is not a MedAD model (it holds no {MANIFEST})", f"Give a {SUFFIX} file.")
    document = json_of(files, MANIFEST)
    version = document.get("format_version") if isinstance(document, dict) else None
    if type(version) is int and version > FORMAT_VERSION:
        raise ModelError(f"its format {version} is newer than this program's {FORMAT_VERSION}", UPDATE)
    manifest = from_json(_Manifest, document, MANIFEST)
    if manifest.format_version != FORMAT_VERSION:
        raise ModelError(f"its format {manifest.format_version} does not exist")
    return manifest


def _check_files(files: dict[str, bytes], manifest: _Manifest) -> None:
    """Exactly the files of the layout, each with the hash that the manifest says."""
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


def _built(problem: str, factory: Callable, *arguments: Any, **fields: Any) -> Any:
    """What `factory` makes of a stranger's values; whatever they make it raise is the file's fault."""
    try:
        return factory(*arguments, **fields)
    except MedADError as error:
        raise ModelError(f"{problem}: {error.problem}", error.remedy) from error
    except (ValueError, TypeError, LookupError, ArithmeticError, AttributeError, RuntimeError, MemoryError) as error:
        raise ModelError(f"{problem} ({error!s:.200})") from error
