"""Models, and model files that are safe to open.

A ``.medad`` file has the layout of a MONAI bundle. Nothing in it is executed or resolved to a Python name: methods are
looked up in the registry, their parameters are checked against a frozen dataclass, and arrays are safetensors.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import MedADError, ModelError
from ..preprocessing.brain_extraction import SMALLEST_BRAIN_ML
from ..preprocessing.space import BRAIN
from ..runtime import threads
from ..runtime.strict_json import LARGEST_NUMBER, from_json, json_bytes, text_of
from ..runtime.versions import installed_version
from . import archive
from .manifest import (
    CALIBRATION,
    CARD,
    FORMAT_VERSION,
    LICENCE,
    MANIFEST,
    METADATA,
    METHOD,
    TEMPLATE,
    Manifest,
    MethodEntry,
    authors_of,
    check_files,
    manifest_of,
    naming,
    problem_of,
)
from .store import ModelSummary, find_model, summary_of

_TENSOR_HEADER_BYTES = 1 << 22
_MOST_DIMENSIONS = 8
# On the grid of the model, a healthy brain can be smaller than the least that a scan may have.
LEAST_BRAIN_ML = SMALLEST_BRAIN_ML / 2


def tensors_of(files: dict[str, bytes], name: str) -> dict[str, np.ndarray]:
    """Parse the arrays of a safetensors entry: plain numbers, all finite and none beyond `LARGEST_NUMBER`.

    Raises:
        ModelError: If the entry is not a sound safetensors file, or holds other numbers.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load

    content = files[name]
    # The parser accepts headers of 100 MB; those of MedAD describe some hundred tensors.
    if len(content) < 8 or int.from_bytes(content[:8], "little") > min(len(content) - 8, _TENSOR_HEADER_BYTES):
        raise ModelError("tensors_not_safetensors", entry=name)
    try:
        tensors = load(content)
    except (SafetensorError, KeyError, ValueError, TypeError) as error:
        raise ModelError("tensors_unsound", entry=name, detail=error) from error
    for key, array in tensors.items():
        if array.dtype == bool and array.view(np.uint8).max(initial=0) > 1:
            raise ModelError("tensors_booleans", entry=name, key=key[:80])
        if array.dtype.kind not in "biuf":
            raise ModelError("tensors_type", entry=name, key=key[:80])
        if array.ndim > _MOST_DIMENSIONS:
            raise ModelError("tensors_dimensions", entry=name, key=key[:80], most=_MOST_DIMENSIONS)
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise ModelError("tensors_not_finite", entry=name, key=key[:80])
        if array.size and max(-float(array.min()), float(array.max())) > LARGEST_NUMBER:
            raise ModelError("tensors_too_large", entry=name, key=key[:80], most=LARGEST_NUMBER)
    return tensors


def tensor_bytes(tensors: dict[str, np.ndarray]) -> bytes:
    """Pack arrays as a safetensors file; the same arrays give the same bytes."""
    from safetensors.numpy import save

    # The writer copies the memory as it is, so a transposed view would come back scrambled.
    return save({name: np.asarray(array, order="C") for name, array in sorted(tensors.items())})


@dataclass(frozen=True, eq=False)
class Model:
    """A model, loaded or about to be saved.

    Attributes:
        name: Short name, such as ``brain-t1``.
        version: Version of the model, such as ``1.0.0``.
        created: ISO date, or date and time.
        description: One line on what it is for.
        modality: The kind of scan that it is for, such as ``T1 MR``.
        method: A method of the registry with its networks.
        template: The model's space.
        calibration: Its scores on healthy scans; None without a calibration.
        training: Data, licences and split of its training; free-form JSON.
        authors: Authors of the model.
        card: Model card, Markdown.
        licence: Licence of the model, in full.
        path: The file that it was loaded from.
        sha256: Hash of that whole file.
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
        """Return the facts that ``medad models info`` prints: JSON-able, without arrays, card and licence."""
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


def load_model(name_or_path: str | os.PathLike, registry: dict[str, type] | None = None) -> Model:
    """Load a model from a file of unknown origin.

    Args:
        name_or_path: A name such as ``brain-t1``, looked up in `model_folders`, or a path.
        registry: Methods by name; None for all of MedAD.

    Raises:
        ModelError: If it is missing, damaged, hostile or newer than the program.
    """
    threads.wait_passively()
    path = find_model(name_or_path)
    with archive.open_archive(path) as stream:
        digest = hashlib.sha256()
        while chunk := stream.read(1 << 20):
            digest.update(chunk)
        files = archive.unpack(stream, path)
    with naming(path):
        return replace(_assemble(files, registry), path=path, sha256=digest.hexdigest())


def save_model(model: Model, path: str | os.PathLike, registry: dict[str, type] | None = None) -> None:
    """Write a model file atomically; the same content gives the same bytes.

    Models that ship with MedAD should stay under 20 MB; this is not enforced.

    Args:
        model: The model; its `path` and `sha256` are ignored.
        path: The file, usually with the suffix ``.medad``.
        registry: Methods by name; None for all of MedAD.

    Raises:
        ModelError: If `load_model` would refuse it.
        OutputError: If it cannot be written; no partial file is left, and an older file stays.
    """
    from ..methods.base import halved

    try:
        files = {
            METHOD: tensor_bytes(halved(model.method.tensors())),
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
        raise ModelError("model_would_be_refused", path=path, **problem_of(error)) from error
    archive.write_archive(path, files)


def verify_model(name_or_path: str | os.PathLike, registry: dict[str, type] | None = None) -> ModelSummary:
    """Load a model in full, as a detection does.

    Raises:
        ModelError: If it cannot be loaded.
    """
    return summary_of(load_model(name_or_path, registry).path)


def _assemble(files: dict[str, bytes], registry: dict[str, type] | None) -> Model:
    """Build a model from the entries of an archive."""
    from ..preprocessing.spaces import template_from_tensors
    from ..scoring.calibration import Calibration

    if registry is None:
        from ..methods.registry import METHODS as registry
    manifest = manifest_of(files)
    entry = from_json(MethodEntry, manifest.method, "method")
    if entry.name not in registry:
        raise ModelError("method_unknown", method=entry.name[:80])
    check_files(files, manifest)
    method = registry[entry.name]
    parameters = from_json(method.Parameters, entry.parameters, f"the parameters of {entry.name}")
    template = _built("template_unusable", template_from_tensors, manifest.preparation, tensors_of(files, TEMPLATE))
    shape = template.image.array.shape
    built = _built("method_unusable", method.from_tensors, parameters, tensors_of(files, METHOD))
    if not built.fits(shape):
        raise ModelError("method_not_on_grid")
    calibration = None
    if manifest.calibration is not None:
        tensors = tensors_of(files, CALIBRATION)
        calibration = _built("calibration_unusable", Calibration.from_tensors, manifest.calibration, tensors)
        if calibration.shape != shape:
            raise ModelError("calibration_not_on_grid")
        if calibration.member_count != max(len(built.members), 1):
            raise ModelError("calibration_of_other_members")
        references = {calibration.reference_of(fast).brain_ml for fast in (False, True)}
        if template.kind == BRAIN and min(references) < LEAST_BRAIN_ML:
            raise ModelError("calibration_volume", ml=min(references), least=LEAST_BRAIN_ML)
    shared = ("name", "version", "created", "description", "modality", "training")
    return Model(
        **{name: getattr(manifest, name) for name in shared},
        method=built,
        template=template,
        calibration=calibration,
        authors=authors_of(files),
        card=text_of(files, CARD),
        licence=text_of(files, LICENCE),
    )


def _built(code: str, factory: Callable, *arguments: Any) -> Any:
    """Call `factory` with values of unknown origin, and turn every error into a ModelError of `code`."""
    try:
        return factory(*arguments)
    except MedADError as error:
        raise ModelError(code, **problem_of(error)) from error
    except (ValueError, TypeError, LookupError, ArithmeticError, AttributeError, RuntimeError, MemoryError) as error:
        raise ModelError(code, reason="", problem=f"{error!s:.200}", advice="") from error


def bundle_metadata(model: Model) -> dict:
    """Return ``metadata.json`` by the bundle specification of MONAI."""
    image = {
        "type": "image",
        "format": "magnitude",
        "modality": model.modality,
        "num_channels": 1,
        "dtype": "float32",
        "spatial_shape": ["*", "*", "*"],
        "value_range": [],
        "is_patch_data": False,
        "channel_def": {"0": "scan"},
    }
    anomaly = image | {"modality": "n/a", "channel_def": {"0": "anomaly map, -log10 of the healthy exceedance"}}
    restored = image | {"channel_def": {"0": "pseudo-healthy scan"}}
    names = ("monai", "torch", "numpy", "SimpleITK", "safetensors")
    installed = {name: installed_version(name) or "not installed" for name in names}
    return {
        "version": model.version,
        "monai_version": installed["monai"],
        "pytorch_version": installed["torch"],
        "numpy_version": installed["numpy"],
        "required_packages_version": {name: installed[name] for name in ("SimpleITK", "safetensors")},
        "task": "Unsupervised anomaly detection",
        "description": model.description,
        "authors": model.authors,
        "copyright": f"See {LICENCE}",
        "intended_use": "Research only; not for diagnosis",
        "network_data_format": {"inputs": {"image": image}, "outputs": {"anomaly": anomaly, "restored": restored}},
    }
