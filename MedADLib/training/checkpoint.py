"""The state of a training on disk: checkpoints as safetensors, and the precision that it resumes in."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from ..errors import MedADError, OutputError
from ..networks import autotune
from ..runtime.atomic_files import PARTIAL, owned, replacing, writable_folder, write_json

LOCK = ".lock"

Optimizers = Mapping[str, torch.optim.Optimizer]


def save_checkpoint(path: Path, network: torch.nn.Module, optimizers: Optimizers, state: dict) -> None:
    """Write weights, buffers, moments by name of objective, and a JSON state; a crash leaves the previous file."""
    tensors = {f"network.{key}": value.contiguous() for key, value in network.state_dict().items()}
    for name, optimizer in optimizers.items():
        for index, moments in optimizer.state_dict()["state"].items():
            for key, value in moments.items():
                tensors[f"{_prefix(name)}.{index}.{key}"] = torch.as_tensor(value).contiguous()
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path, durable=True) as partial:
        save_file(tensors, partial, metadata={"state": json.dumps(state)})


def load_checkpoint(path: Path, network: torch.nn.Module, optimizers: Optimizers | None = None) -> dict | None:
    """Restore the weights and, for given optimizers, the moments of a checkpoint.

    Returns:
        The state; None without a readable checkpoint.

    Raises:
        MedADError: If the checkpoint belongs to another network.
    """
    if not path.is_file():
        return None
    try:
        with safe_open(path, "pt") as file:
            state = json.loads(file.metadata()["state"])
            tensors = {key: file.get_tensor(key) for key in file.keys()}
    except (SafetensorError, ValueError, TypeError, KeyError):
        return None
    weights: dict[str, torch.Tensor] = {}
    moments: dict[str, dict[int, dict[str, torch.Tensor]]] = {}
    for key, value in tensors.items():
        prefix, rest = key.split(".", 1)
        if prefix == "network":
            weights[rest] = value
        else:
            index, name = rest.split(".", 1)
            moments.setdefault(prefix, {}).setdefault(int(index), {})[name] = value
    try:
        network.load_state_dict(weights)
        if optimizers is not None:
            if not moments.keys() <= {_prefix(name) for name in optimizers}:
                raise ValueError("the checkpoint has objectives that the network does not have")
            for name, optimizer in optimizers.items():
                groups = optimizer.state_dict()["param_groups"]
                optimizer.load_state_dict({"state": moments.get(_prefix(name), {}), "param_groups": groups})
    except (RuntimeError, ValueError) as error:
        raise MedADError("checkpoint_of_other_network", path=path) from error
    return state


@contextmanager
def only_training(folder: Path) -> Iterator[None]:
    """Keep other trainings out of a folder, and remove the unfinished files of killed ones.

    Raises:
        OutputError: If another training uses the folder, or it cannot be created or written.
    """
    with writable_folder(folder), owned(folder / LOCK) as alone:
        if not alone:
            raise OutputError("folder_of_running_training", folder=folder)
        for partial in folder.rglob(f"{PARTIAL}*"):
            partial.unlink(missing_ok=True)
        try:
            yield
        finally:
            # A training that was refused leaves nothing.
            if [path.name for path in folder.iterdir()] == [LOCK]:
                (folder / LOCK).unlink(missing_ok=True)


def _prefix(name: str) -> str:
    return f"optimizer-{name}" if name else "optimizer"


def bfloat16_suits(device: str, record: Path) -> bool:
    """Return whether bfloat16 is clearly faster than float32, measured once for each training and kept in `record`.

    The measurement may differ when the computer is busy, and a training must resume in the same precision.
    """
    try:
        kept = json.loads(record.read_text(encoding="utf-8"))["bfloat16"]
    except (OSError, ValueError, TypeError, KeyError):
        kept = None
    if isinstance(kept, bool):
        return kept
    found = autotune.bfloat16_is_faster(device)
    record.parent.mkdir(parents=True, exist_ok=True)
    write_json(record, {"bfloat16": found})
    return found
