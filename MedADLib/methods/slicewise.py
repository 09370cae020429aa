"""What the slice-wise networks share: weights to and from numpy, and batches of a volume's slices."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch

from ..errors import ModelError
from ..progress import Progress
from ..room import slices_at_once
from ..slices import examined_slices, slice_positions
from .method import require_tensors


def network_tensors(network: torch.nn.Module, prefix: str = "") -> dict[str, np.ndarray]:
    """A network's weights and buffers as numpy arrays, float32 where they are floats."""
    return {prefix + key: value.detach().cpu().numpy() for key, value in network.state_dict().items()}


def load_network(name: str, network: torch.nn.Module, tensors: dict[str, np.ndarray]) -> None:
    """Put weights into a network and make it ready to infer.

    Raises:
        ModelError: If a tensor is missing, extra, or of another shape or type.
    """
    state = network.state_dict()
    require_tensors(name, tensors, {key: tuple(value.shape) for key, value in state.items()})
    for key, value in state.items():
        if torch.from_numpy(np.zeros(0, tensors[key].dtype)).dtype != value.dtype:
            raise ModelError(f"the tensor {key} of the {name} model has type {tensors[key].dtype}, not {value.dtype}")
    network.load_state_dict({key: torch.from_numpy(np.array(value)) for key, value in tensors.items()})
    network.eval().requires_grad_(False)


def with_prefix(tensors: dict[str, np.ndarray], prefix: str) -> dict[str, np.ndarray]:
    """The tensors of one of several networks, without its prefix."""
    return {key[len(prefix) :]: value for key, value in tensors.items() if key.startswith(prefix)}


def slice_batches(
    image: np.ndarray,
    mask: np.ndarray,
    device: str,
    progress: Progress | None,
    start: float = 0.0,
    stop: float = 1.0,
    unit: str = "slice",
) -> Iterator[tuple[np.ndarray, torch.Tensor, torch.Tensor]]:
    """The slices of a prepared scan that hold brain, a few at a time.

    Args:
        image: Standard intensities, (Z, Y, X).
        mask: Brain, (Z, Y, X).
        device: Where the tensors go.
        progress: Told before each batch.
        start: Progress fraction at the first batch.
        stop: Progress fraction after the last.
        unit: What a slice is called in messages.

    Yields:
        Slice indices (n,), images (n, 1, Y, X), positions (n,).
    """
    groups = slice_groups(examined_slices(mask), device)
    total, before = sum(map(len, groups)), 0
    for chosen in groups:
        if progress is not None:
            progress.update(start + (stop - start) * before / total, f"{unit} {before + 1} of {total}")
        before += len(chosen)
        yield chosen, *slice_batch(image, chosen, device)


def slice_groups(used: np.ndarray, device: str) -> list[np.ndarray]:
    """Slice indices (n,) a few at a time, as many as go through a device together."""
    together = slices_at_once(device)
    return [used[first : first + together] for first in range(0, len(used), together)]


def slice_batch(image: np.ndarray, chosen: np.ndarray, device: str) -> tuple[torch.Tensor, torch.Tensor]:
    """Slices (n, 1, Y, X) of a prepared scan (Z, Y, X) on a device, and their positions (n,)."""
    batch = torch.from_numpy(image[chosen].astype(np.float32))[:, None]
    return brought(batch, device), brought(torch.from_numpy(slice_positions(len(image))[chosen]), device)


def brought(tensor: torch.Tensor, device: str) -> torch.Tensor:
    """A tensor on a device; to a GPU through pinned memory, so that nobody waits for the copy."""
    return tensor if device == "cpu" else tensor.pin_memory().to(device, non_blocking=True)
