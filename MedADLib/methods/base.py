"""The interface of detection methods: what all have, what some have, and a base class for one slice-wise network."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar, Protocol, TypeVar, runtime_checkable

import numpy as np
import torch

from ..errors import ModelError
from ..networks.monai_export import BundleNetwork
from ..runtime.progress import Progress
from ..scoring.restoration import Restoration

Self = TypeVar("Self", bound="BaseMethod")


class Method(Protocol):
    """A detection method, built from validated parameters and tensors, never from code in a file."""

    name: ClassVar[str]
    Parameters: ClassVar[type]
    parameters: object

    def tensors(self) -> dict[str, np.ndarray]:
        """Return everything that was learned, as arrays for safetensors."""

    @classmethod
    def from_tensors(cls, parameters, tensors: dict[str, np.ndarray]) -> Method:
        """Build the method from saved parameters and tensors.

        Raises:
            ModelError: If they do not fit.
        """

    def fits(self, shape: tuple[int, ...]) -> bool:
        """Return whether the method accepts prepared scans of this shape (Z, Y, X)."""

    def restore(
        self,
        image: np.ndarray,
        mask: np.ndarray,
        *,
        seed: int = 0,
        device: str = "cpu",
        progress: Progress | None = None,
    ) -> Restoration:
        """Restore a prepared scan: compute its pseudo-healthy image and the score of each voxel.

        Args:
            image: Standard intensities, float32 (Z, Y, X), 0 outside the brain.
            mask: Brain, bool (Z, Y, X).
            seed: Random seed.
            device: ``cpu``, ``cuda`` or ``cuda:N``.
            progress: Receives the progress and may cancel; its `timed` parts are the profile in the result.

        Returns:
            Score and pseudo-healthy image, each float32 (Z, Y, X), and the sample score.

        Raises:
            Cancelled: If the user stops the run.
        """


def require_tensors(name: str, tensors: dict[str, np.ndarray], shapes: dict[str, tuple[int, ...]]) -> None:
    """Check that the tensors are exactly those expected.

    Raises:
        ModelError: If a tensor is missing, unknown or of another shape; the message names the first.
    """
    for key in shapes.keys() - tensors.keys():
        raise ModelError("tensor_missing", method=name, tensor=key)
    for key in tensors.keys() - shapes.keys():
        raise ModelError("tensor_unknown", method=name, tensor=key)
    for key, shape in shapes.items():
        if tuple(tensors[key].shape) != tuple(shape):
            found = tensors[key].shape
            raise ModelError("tensor_shape", method=name, tensor=key, shape=found, expected=tuple(shape))


@runtime_checkable
class WithFastMode(Protocol):
    """A method with a fast mode."""

    def faster(self) -> Method | None:
        """Return the fast form, with the same networks; None if this form is already as fast."""


@runtime_checkable
class InMONAI(Protocol):
    """A method with a network that classes of MONAI and PyTorch alone can build."""

    def monai_network(self) -> BundleNetwork | None:
        """Return the network that reconstructs a slice; None if such classes cannot build it with these parameters."""


def faster_form(method: Method) -> Method | None:
    """Return the fast form of a method; None if it has none.

    Its maps use the voxelwise healthy mean and SD of the full method, so both forms must estimate the same score.
    Thresholds and p-values are calibrated separately, see `Calibration.fast`.
    """
    return method.faster() if isinstance(method, WithFastMode) else None


@runtime_checkable
class WithAlternativeScores(Protocol):
    """A method with networks that also give other scores than its own."""

    def alternative_scores(self) -> dict[str, Method]:
        """Return the same networks with each of the other scores, by a short name."""


def alternative_scores(method: Method) -> dict[str, Method]:
    """Return the same networks with other scores, by a short name; nothing for methods of one score."""
    return method.alternative_scores() if isinstance(method, WithAlternativeScores) else {}


@runtime_checkable
class WithPrior(Protocol):
    """A generative method: slices can be sampled from what it learned, without any scan."""

    def prior_slices(self, count: int, columns: int, flat: bool, seed: int = 0) -> list[np.ndarray]:
        """Sample slices of healthy anatomy.

        Args:
            count: Slices in each column.
            columns: Heights in the brain, from low to high; more samples if the prior does not depend on the height.
            flat: Whether the method was trained on single slices, which have no height.
            seed: Random seed.

        Returns:
            (count, Y, X) for each column; of volumes, slices of the same volumes. Empty if there is no prior.
        """


def prior_slices(method: Method, count: int, columns: int, flat: bool, seed: int = 0) -> list[np.ndarray]:
    """Sample slices from the prior of a method, see `WithPrior`; nothing for methods without one."""
    return method.prior_slices(count, columns, flat, seed) if isinstance(method, WithPrior) else []


def generated_slices(network: torch.nn.Module, count: int, columns: int, seed: int) -> list[np.ndarray]:
    """Sample slices of a network with ``sample_prior(count, noise)``, (count, Y, X) for each column."""
    with torch.inference_mode():
        images = network.cpu().eval().sample_prior(count * columns, torch.Generator().manual_seed(seed))
    return list(images[:, 0].float().numpy().reshape(columns, count, *images.shape[2:]))


def load_network(name: str, network: torch.nn.Module, tensors: dict[str, np.ndarray]) -> None:
    """Load weights into a network, in eval mode and without gradients.

    Raises:
        ModelError: If a tensor is missing, unknown, or of another shape or type.
    """
    state = network.state_dict()
    require_tensors(name, tensors, {key: tuple(value.shape) for key, value in state.items()})
    for key, value in state.items():
        if torch.from_numpy(np.zeros(0, tensors[key].dtype)).dtype != value.dtype:
            found = tensors[key].dtype
            raise ModelError("tensor_type", method=name, tensor=key, dtype=found, expected=value.dtype)
    network.load_state_dict({key: torch.from_numpy(np.array(value)) for key, value in tensors.items()})
    network.eval().requires_grad_(False)


class BaseMethod:
    """Base class of methods: restoration within the mask, and the model file's tensors of one or several networks.

    A subclass has ``networks()`` and ``untrained(parameters, seed)``, or its own tensors, and ``_restore``.
    """

    name: ClassVar[str]
    Parameters: ClassVar[type]

    def networks(self) -> dict[str, torch.nn.Module]:
        """Return the networks by the prefix of their tensors."""
        raise NotImplementedError

    def tensors(self) -> dict[str, np.ndarray]:
        """Return the weights and buffers of the networks."""
        return {
            prefix + key: value.detach().cpu().numpy()
            for prefix, network in self.networks().items()
            for key, value in network.state_dict().items()
        }

    @classmethod
    def from_tensors(cls: type[Self], parameters, tensors: dict[str, np.ndarray]) -> Self:
        """Build the method from saved weights.

        Raises:
            ModelError: If they do not fit.
        """
        method = cls.untrained(parameters)
        networks = method.networks()
        unknown = {key: value for key, value in tensors.items() if not key.startswith(tuple(networks))}
        for prefix, network in networks.items():
            own = {key[len(prefix) :]: value for key, value in tensors.items() if key.startswith(prefix)}
            load_network(cls.name, network, own | unknown)
        return method

    def fits(self, shape: tuple[int, ...]) -> bool:
        """Return whether the method accepts prepared scans of this shape (Z, Y, X)."""
        size = tuple(self.parameters.size)
        return tuple(shape)[-len(size) :] == size

    def restore(
        self,
        image: np.ndarray,
        mask: np.ndarray,
        *,
        seed: int = 0,
        device: str = "cpu",
        progress: Progress | None = None,
    ) -> Restoration:
        """Restore a prepared scan; see `Method.restore`.

        Outside the mask, score and pseudo-healthy image are 0; a pseudo-healthy image has no negative intensity.
        """
        found = self._restore(image, mask, seed, device, progress or Progress())
        score, restored = (
            np.where(mask, part, 0).astype(np.float32) for part in (found.score, np.maximum(found.restored, 0))
        )
        return replace(found, score=score, restored=restored)

    def _restore(self, image: np.ndarray, mask: np.ndarray, seed: int, device: str, progress: Progress) -> Restoration:
        """Compute the restoration; values outside the mask are not used, except by the sample score."""
        raise NotImplementedError


class SliceNetwork(BaseMethod):
    """Base class of a method with one network; its parameters have a `size` (Y, X) and build the `network()`."""

    def __init__(self, parameters, network: torch.nn.Module):
        self.parameters, self.network = parameters, network

    @classmethod
    def untrained(cls: type[Self], parameters, seed: int = 0) -> Self:
        """Build the method with random weights from a seed."""
        torch.manual_seed(seed)
        return cls(parameters, parameters.network())

    def networks(self) -> dict[str, torch.nn.Module]:
        """Return the network, without a prefix."""
        return {"": self.network}
