"""Training state on disk: safetensors, written whole or not at all."""

from __future__ import annotations

import json
import os
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from .errors import MedADError


def save_checkpoint(path: Path, network: torch.nn.Module, optimizer: torch.optim.Optimizer, state: dict) -> None:
    """Write weights, optimizer moments and a JSON-able state; a crash leaves the previous file.

    Args:
        path: The checkpoint file.
        network: Its parameters and buffers are kept.
        optimizer: Its per-parameter tensors are kept.
        state: Step number and history.
    """
    tensors = {f"network.{key}": value.contiguous() for key, value in network.state_dict().items()}
    for index, moments in optimizer.state_dict()["state"].items():
        for key, value in moments.items():
            tensors[f"optimizer.{index}.{key}"] = torch.as_tensor(value).contiguous()
    partial = path.with_name(f".partial-{path.name}")
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(tensors, partial, metadata={"state": json.dumps(state)})
    with open(partial, "rb+") as handle:
        os.fsync(handle.fileno())
    os.replace(partial, path)


def load_checkpoint(
    path: Path, network: torch.nn.Module, optimizer: torch.optim.Optimizer | None = None
) -> dict | None:
    """Put a checkpoint back.

    Args:
        path: The checkpoint file.
        network: Receives the weights.
        optimizer: Receives the moments, if given.

    Returns:
        The state, or None where there is no usable checkpoint.

    Raises:
        MedADError: If the checkpoint is of another network.
    """
    if not path.is_file():
        return None
    try:
        with safe_open(path, "pt") as file:
            state = json.loads(file.metadata()["state"])
            tensors = {key: file.get_tensor(key) for key in file.keys()}
    except (SafetensorError, ValueError, TypeError, KeyError):
        return None
    moments: dict[int, dict[str, torch.Tensor]] = {}
    for key, value in tensors.items():
        if key.startswith("optimizer."):
            _, index, name = key.split(".", 2)
            moments.setdefault(int(index), {})[name] = value
    try:
        network.load_state_dict({k[len("network.") :]: v for k, v in tensors.items() if k.startswith("network.")})
        if optimizer is not None:
            groups = optimizer.state_dict()["param_groups"]
            optimizer.load_state_dict({"state": moments, "param_groups": groups})
    except (RuntimeError, ValueError) as error:
        raise MedADError(f"{path} is of another network", "Give another --work folder, or remove it.") from error
    return state
