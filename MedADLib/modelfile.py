"""Model files: what knows healthy, in one zip that is safe to open.

A ``.medad`` file has the shape of a MONAI bundle. Nothing in it is executed or resolved to a Python name: methods are
looked up in our registry, their parameters are checked against a frozen dataclass, and arrays are safetensors.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

from . import archive
from .bundle import LICENCE, METADATA, authors_of, bundle_metadata
from .entries import UPDATE, from_json, json_bytes, tensor_bytes, tensors_of, text_of
from .errors import MedADError, ModelError
from .manifest import (
    CALIBRATION,
    CARD,
    FORMAT_VERSION,
    MANIFEST,
    METHOD,
    SUFFIX,
    TEMPLATE,
    Manifest,
    MethodEntry,
    check_files,
    manifest_of,
    naming,
)
from .modelsummary import ModelSummary, own_folder, summary_of


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


def model_folders() -> list[Path]:
    """Where models are looked up by name, first match wins; the folders need not exist.

    The folders of the environment variable ``MEDAD_MODELS``, the user's own (an update of the extension leaves it
    alone), and those that ship with MedAD: beside the library in the source tree, inside it where it is installed.
    """
    library = Path(__file__).resolve().parent
    folders = os.environ.get("MEDAD_MODELS", "").split(os.pathsep)
    named = [Path(os.path.expanduser(folder)) for folder in folders if folder]
    return [*named, own_folder(), library.parent / "Resources" / "models", library / "Resources" / "models"]


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
    with naming(path):
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
        files[MANIFEST] = json_bytes({field.name: manifest[field.name] for field in fields(Manifest)})
        _assemble(files, registry)
    except ModelError as error:
        raise ModelError(f"{path} would be refused: {error.problem}", "Correct what is to be saved.") from error
    archive.write_archive(path, files)


def list_models() -> list[ModelSummary]:
    """The models that can be named, sorted; each file's manifest is read, not its weights.

    A bad file is listed with its error and does not hide the others.
    """
    return [summary_of(path) for path in _available().values()]


def verify_model(name_or_path: str | os.PathLike, registry: dict[str, type] | None = None) -> ModelSummary:
    """Load a model in full, as detection would.

    Raises:
        ModelError: If it cannot be loaded.
    """
    return summary_of(load_model(name_or_path, registry).path)


def _assemble(files: dict[str, bytes], registry: dict[str, type] | None) -> Model:
    """The model of an archive's entries."""
    from .calibration import Calibration
    from .spaces import template_from_tensors

    if registry is None:
        from .methods import METHODS as registry
    manifest = manifest_of(files)
    entry = from_json(MethodEntry, manifest.method, "method")
    if entry.name not in registry:
        raise ModelError(f"it uses the method {entry.name!a:.80}, which this version does not know", UPDATE)
    check_files(files, manifest)
    method = registry[entry.name]
    parameters = from_json(method.Parameters, entry.parameters, f"the parameters of {entry.name}")
    template = _built(
        "its template cannot be used", template_from_tensors, manifest.preparation, tensors_of(files, TEMPLATE)
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


def _built(problem: str, factory: Callable, *arguments: Any, **fields: Any) -> Any:
    """What `factory` makes of a stranger's values; whatever they make it raise is the file's fault."""
    try:
        return factory(*arguments, **fields)
    except MedADError as error:
        raise ModelError(f"{problem}: {error.problem}", error.remedy) from error
    except (ValueError, TypeError, LookupError, ArithmeticError, AttributeError, RuntimeError, MemoryError) as error:
        raise ModelError(f"{problem} ({error!s:.200})") from error
