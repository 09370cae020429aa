"""Export of a model's network as a MONAI bundle, which MONAI's own tools load and run without MedAD.

The bundle reconstructs images that are already in the space of the model. Preparation of a scan, resampling of codes,
calibration and regions stay in MedAD.
"""

from __future__ import annotations

import io
import os
from pathlib import Path

from ..errors import ModelError, OutputError
from ..methods.base import BundleNetwork
from ..runtime.atomic_files import staging_folder, writable_folder
from ..runtime.strict_json import json_bytes
from ..runtime.versions import installed_version
from .manifest import CARD, LICENCE, METADATA
from .model import Model, bundle_metadata, load_model
from .store import card

INFERENCE, WEIGHTS = "configs/inference.json", "models/model.pt"
SCHEMA = "https://project-monai.github.io/schema/meta_schema_20240725.json"
SLICES_AT_ONCE = 16


def export_bundle(name_or_path: str | os.PathLike, folder: str | os.PathLike) -> Path:
    """Write a MONAI bundle and return its folder, which appears whole or not at all; equal models give equal files.

    Weights are a state dict of tensors by `torch.save`, since MONAI's tools do not read safetensors. They load it with
    ``weights_only=True``, and so should everyone.

    Args:
        name_or_path: A model, as for `load_model`.
        folder: The folder of the bundle, new or empty.

    Raises:
        ModelError: If the model cannot be loaded or MONAI cannot build its network.
        OutputError: If something is in the folder already, or it cannot be written.
    """
    folder = Path(os.path.abspath(folder))
    _check_free(folder)
    model = load_model(name_or_path)
    network = model.method.monai_network()
    if network is None:
        raise ModelError("not_for_monai", model=model.name, method=model.method.name)
    files = {
        METADATA: json_bytes(_metadata(model, network)),
        INFERENCE: json_bytes(_inference(model, network)),
        WEIGHTS: _state_dict(network),
        CARD: (card(model.path) + _how_to_use(model)).encode(),
        LICENCE: model.licence.encode(),
    }
    with writable_folder(folder.parent), staging_folder(folder.parent) as staging:
        try:
            # Not the staging folder itself, which others may not read.
            complete = staging / "bundle"
            for name, content in files.items():
                (complete / name).parent.mkdir(parents=True, exist_ok=True)
                (complete / name).write_bytes(content)
            if folder.is_dir():
                folder.rmdir()
            os.rename(complete, folder)
        except OSError as error:
            raise OutputError("bundle_not_written", folder=folder, reason=error.strerror or error) from error
    return folder


def _check_free(folder: Path) -> None:
    """Refuse a folder that holds something; raises OutputError."""
    try:
        taken = os.path.lexists(folder) and (not folder.is_dir() or any(folder.iterdir()))
    except OSError as error:
        raise OutputError("bundle_not_written", folder=folder, reason=error.strerror or error) from error
    if taken:
        raise OutputError("bundle_folder_taken", folder=folder)


def _state_dict(network: BundleNetwork) -> bytes:
    import torch

    weights = {name: value.detach().cpu().contiguous().clone() for name, value in network.weights.items()}
    stream = io.BytesIO()
    torch.save(weights, stream)
    return stream.getvalue()


def _metadata(model: Model, network: BundleNetwork) -> dict:
    """``metadata.json`` by MONAI's schema; inputs and outputs are those of the network."""
    metadata = bundle_metadata(model)
    size = list(model.method.parameters.size)
    image = metadata["network_data_format"]["inputs"]["image"] | {"spatial_shape": size}
    channels = {"0": "scan in the model's space, standard intensities"}
    if network.conditioned:
        channels["1"] = "position of the slice, -0.5 (lowest) to 0.5 (highest)"
    inputs = image | {"num_channels": len(channels), "channel_def": channels}
    outputs = image | {"channel_def": {"0": "reconstruction, standard intensities"}}
    return {
        "schema": SCHEMA,
        **metadata,
        "changelog": {model.version: f"exported from the MedAD model {model.name}"},
        # The reader and writer of NIfTI files.
        "required_packages_version": {"nibabel": installed_version("nibabel") or "5.0.0"},
        "task": "Reconstruction of slices by a network that was trained on healthy anatomy",
        "data_source": str(model.training.get("data", "")),
        "network_data_format": {"inputs": {"image": inputs}, "outputs": {"pred": outputs}},
    }


def _inference(model: Model, network: BundleNetwork) -> dict:
    """``inference.json``: the reconstruction of each NIfTI file of a folder, slice by slice."""
    # NIfTI axes (x, y, z) to MedAD's order and back.
    order = [0, 3, 2, 1]
    preprocessing = [
        {"_target_": "LoadImaged", "keys": "image", "reader": "NibabelReader", "ensure_channel_first": True},
        {"_target_": "Transposed", "keys": "image", "indices": order},
        {"_target_": "EnsureTyped", "keys": "image", "dtype": "$torch.float32"},
    ]
    if network.conditioned and model.template.image.array.shape[0] > 1:
        preprocessing.append({"_target_": "AddCoordinateChannelsd", "keys": "image", "spatial_dims": [0]})
    elif network.conditioned:
        # A single slice is at position 0.
        without = "$lambda image: torch.cat([image, torch.zeros_like(image)])"
        preprocessing.append({"_target_": "Lambdad", "keys": "image", "func": without})
    saving = {
        "_target_": "SaveImage",
        "output_dir": "@output_dir",
        "output_postfix": "reconstruction",
        "separate_folder": False,
        "resample": False,
        # Without a channel axis, a single slice stays an image of three axes.
        "channel_dim": None,
        "squeeze_end_dims": False,
    }
    return {
        "imports": ["$import glob", "$import os"],
        "bundle_root": ".",
        "dataset_dir": "$os.path.join(@bundle_root, 'input')",
        "output_dir": "$os.path.join(@bundle_root, 'eval')",
        "checkpoint": f"$os.path.join(@bundle_root, '{WEIGHTS}')",
        "device": "$torch.device('cuda' if torch.cuda.is_available() else 'cpu')",
        **network.config,
        "network": "$@network_def.to(@device)",
        "datalist": "$[{'image': path} for path in sorted(glob.glob(os.path.join(@dataset_dir, '*.nii*')))]",
        "preprocessing": {"_target_": "Compose", "transforms": preprocessing},
        "dataset": {"_target_": "Dataset", "data": "@datalist", "transform": "@preprocessing"},
        "inferer": {
            "_target_": "SliceInferer",
            "roi_size": list(model.method.parameters.size),
            "spatial_dim": 0,
            "sw_batch_size": SLICES_AT_ONCE,
        },
        "postprocessing": {
            "_target_": "Compose",
            "transforms": [
                {"_target_": "Transpose", "indices": order},
                {"_target_": "SqueezeDim", "dim": 0, "update_meta": False},
                saving,
            ],
        },
        "predict": "$torch.no_grad()(lambda images: @inferer(images.unsqueeze(0).to(@device), @network)[0])",
        # Not in `initialize`, which `monai.bundle.load` evaluates with another folder as the root.
        "run": [
            "$@network.load_state_dict(torch.load(@checkpoint, map_location=@device, weights_only=True))",
            "$@network.eval()",
            "$[@postprocessing(@predict(scan['image'])) for scan in @dataset]",
        ],
    }


def _how_to_use(model: Model) -> str:
    """The part of the bundle's README that says how MONAI runs it."""
    depth, height, width = model.template.image.array.shape
    return f"""
## MONAI bundle

This folder was made by `medad models export {model.name} --monai`. It holds the network alone: MONAI reconstructs
images that are in the space of the model. Brain extraction, registration, intensity standardisation, resampling of
improbable codes, anomaly map, calibration and regions are not part of it; `medad detect` has them.

- Input: NIfTI images of {width} × {height} × {depth} voxels (x, y, z) on the grid of the model, in its standard
  intensities, 0 outside what is examined. MedAD prepares one from a scan:

```python
from MedADLib import load_model
from MedADLib.io.reading import read_image

template, scan = load_model("{model.name}").template, read_image("scan.nii.gz")
prepared = template.prepared(scan, template.examined(scan)[0])
template.image.with_array(prepared.image, "scan").write("input/scan.nii.gz")
```

- Output: `NAME_reconstruction.nii.gz`, the reconstruction of each image `NAME.nii.gz` on the same grid.

In this folder, with the packages `monai`, `fire`, `nibabel` and, for the first command, `jsonschema`:

```
python -m monai.bundle verify_metadata --meta_file configs/metadata.json --filepath schema.json
python -m monai.bundle verify_net_in_out network_def --meta_file configs/metadata.json \\
    --config_file configs/inference.json
python -m monai.bundle run --config_file configs/inference.json --dataset_dir input --output_dir output
```

In Python, `monai.bundle.load("NAME", bundle_dir="FOLDER", workflow_type="inference")` gives the network of the bundle
FOLDER/NAME. Its weights, `{WEIGHTS}`, are a state dict; load them with `torch.load(..., weights_only=True)`. A
configuration of MONAI is code: run only bundles that you trust.
"""
