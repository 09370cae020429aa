"""The metadata that makes a model file a MONAI bundle for those who know bundles."""

from __future__ import annotations

import importlib.metadata
from typing import TYPE_CHECKING

from .entries import json_of
from .errors import ModelError

if TYPE_CHECKING:
    from .modelfile import Model

METADATA, LICENCE = "configs/metadata.json", "LICENSE"
_METADATA_KEYS = {
    "version", "monai_version", "pytorch_version", "numpy_version", "required_packages_version", "task", "description",
    "authors", "copyright", "network_data_format",
}  # fmt: skip


def authors_of(files: dict[str, bytes]) -> str:
    """Who made the model, from the bundle's metadata, of which MedAD needs nothing else.

    Raises:
        ModelError: If the metadata is not that of a bundle.
    """
    metadata = json_of(files, METADATA)
    if not isinstance(metadata, dict) or _METADATA_KEYS - set(metadata) or type(metadata["authors"]) is not str:
        raise ModelError(f"{METADATA} is not a bundle's metadata")
    return metadata["authors"]


def bundle_metadata(model: Model) -> dict:
    """``metadata.json`` as MONAI's bundle specification wants it."""
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
    anomaly = image | {"modality": "n/a", "channel_def": {"0": "anomaly map, SD above the healthy mean"}}
    restored = image | {"channel_def": {"0": "pseudo-healthy scan"}}
    return {
        "version": model.version,
        "monai_version": _installed("monai"),
        "pytorch_version": _installed("torch"),
        "numpy_version": _installed("numpy"),
        "required_packages_version": {name: _installed(name) for name in ("SimpleITK", "safetensors")},
        "task": "Unsupervised anomaly detection",
        "description": model.description,
        "authors": model.authors,
        "copyright": f"See {LICENCE}",
        "intended_use": "Research only; not for diagnosis",
        "network_data_format": {"inputs": {"image": image}, "outputs": {"anomaly": anomaly, "restored": restored}},
    }


def _installed(package: str) -> str:
    """The installed version, without importing the package."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"
