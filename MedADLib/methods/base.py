"""The interface of detection methods, their fast mode, and the base class for one slice-wise network.

What every detection method offers: a restored scan and how far the scan is from it.

Fast mode: a method in a form that is quicker and a little less exact, for those that have one.

What methods of one slice-wise network share: made from a seed, saved and loaded.
"""

from __future__ import annotations

from typing import ClassVar, Protocol, TypeVar, runtime_checkable

import numpy as np
import torch

from ..errors import ModelError
from ..networks.monai_twin import BundleNetwork
from ..runtime.progress import Progress
from ..scoring.restoration import Restoration

Self = TypeVar("Self", bound="SliceNetwork")


class Method(Protocol):
    """A detection method; built from validated parameters and tensors, never from code in a file."""

    name: ClassVar[str]
    Parameters: ClassVar[type]
    parameters: object

    def tensors(self) -> dict[str, np.ndarray]:
        """All that was learned, for safetensors."""

    @classmethod
    def from_tensors(cls, parameters, tensors: dict[str, np.ndarray]) -> Method:
        """The method of saved parameters and tensors; raises ModelError where they do not fit."""

    def fits(self, shape: tuple[int, ...]) -> bool:
        """Whether prepared scans of this shape (Z, Y, X) can be restored."""

    def restore(
        self,
        image: np.ndarray,
        mask: np.ndarray,
        *,
        seed: int = 0,
        device: str = "cpu",
        progress: Progress | None = None,
    ) -> Restoration:
        """Restore a prepared scan.

        Args:
            image: Standard intensities, float32 (Z, Y, X), 0 outside the brain.
            mask: Brain, bool (Z, Y, X).
            seed: Of everything random.
            device: ``cpu``, ``cuda`` or ``cuda:N``.
            progress: Told now and then; may cancel. Its `timed` parts are the profile that goes into the result.
        """


def require_tensors(name: str, tensors: dict[str, np.ndarray], shapes: dict[str, tuple[int, ...]]) -> None:
    """Refuse tensors that are not exactly those expected.

    Raises:
        ModelError: Naming the first tensor that is missing, extra or of another shape.
    """
    for key in shapes.keys() - tensors.keys():
        raise ModelError(f"the {name} model lacks the tensor {key}", "Get the model file again.")
    for key in tensors.keys() - shapes.keys():
        raise ModelError(f"the {name} model has an unknown tensor {key}", "Get the model file again, or update MedAD.")
    for key, shape in shapes.items():
        if tuple(tensors[key].shape) != tuple(shape):
            raise ModelError(f"the tensor {key} of the {name} model has shape {tensors[key].shape}, not {shape}")


@runtime_checkable
class Hastened(Protocol):
    """A method that can be quicker than it was calibrated."""

    def faster(self) -> Method | None:
        """The quicker form, with the same networks; None if this is as quick as it gets."""


@runtime_checkable
class InMONAI(Protocol):
    """A method with a network that classes of MONAI and PyTorch alone can build."""

    def monai_network(self) -> BundleNetwork | None:
        """The network that reconstructs a slice; None if such classes cannot build it with these parameters."""


def faster_form(method: Method) -> Method | None:
    """The quicker form of a method; None if it has none.

    Its maps are read with the healthy places of the full method, so that both must estimate the same score. Thresholds
    and p-values are measured for it apart, see `Calibration.fast`.
    """
    return method.faster() if isinstance(method, Hastened) else None


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


class SliceNetwork:
    """A method whose parameters have a `size` and make its `network()`."""

    name: ClassVar[str]
    Parameters: ClassVar[type]

    def __init__(self, parameters, network: torch.nn.Module):
        self.parameters, self.network = parameters, network

    @classmethod
    def untrained(cls: type[Self], parameters, seed: int = 0) -> Self:
        """Fresh weights from a seed."""
        torch.manual_seed(seed)
        return cls(parameters, parameters.network())

    def tensors(self) -> dict[str, np.ndarray]:
        """The network's weights."""
        return network_tensors(self.network)

    @classmethod
    def from_tensors(cls: type[Self], parameters, tensors: dict[str, np.ndarray]) -> Self:
        """The method of saved weights; raises ModelError where they do not fit."""
        method = cls.untrained(parameters)
        load_network(cls.name, method.network, tensors)
        return method

    def fits(self, shape: tuple[int, ...]) -> bool:
        """Whether scans of this shape (Z, Y, X) can be restored."""
        return tuple(shape[1:]) == tuple(self.parameters.size)
