"""The base class of detection methods, and of those with one network for slices."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import ClassVar, TypeVar

import numpy as np
import torch

from ..errors import ModelError, SettingError
from ..networks.conv_autoencoder import grid_of
from ..networks.monai_export import BundleNetwork
from ..networks.pixel_error import FEWEST, MOST
from ..preprocessing.space import COARSEST_MM, FINEST_MM
from ..runtime.device import full_precision
from ..runtime.progress import Progress
from ..runtime.strict_json import LARGEST_NUMBER
from ..scoring.restoration import Restoration

Self = TypeVar("Self", bound="Method")


def is_grid(shape: Sequence[int], spacing: Sequence[float]) -> bool:
    """Return whether shape (Z, Y, X) and spacing (x, y, z) in mm are those of a 3-D grid that a template can have."""
    sizes = len(shape) == len(spacing) == 3 and min(shape) >= 1
    return sizes and FINEST_MM <= min(spacing) <= max(spacing) <= COARSEST_MM


def check_sizes(size: Sequence[int], channels: Sequence[int], latent: int) -> None:
    """Check that a network can have these sizes, and that they are not excessive, as in a hostile model file.

    Raises:
        SettingError: If a size is not allowed.
    """
    if len(size) != 2 or not 1 <= len(channels) <= 8:
        raise SettingError("backbone_levels")
    if any(n % (1 << len(channels)) or not 0 < n <= 1024 for n in size):
        raise SettingError("backbone_size")
    if min(channels) < 1 or max(channels) > 512 or not 1 <= latent <= 4096:
        raise SettingError("backbone_channels")
    # These sizes come from a model file: the dense layer must not need more memory than the file could fill.
    channel, rows, columns = grid_of(size, channels)
    if channel * rows * columns > 1 << 15:
        raise SettingError("backbone_grid")


def check_centres(error: str, centres: Sequence[float]) -> None:
    """Check that class centres suit the error, and that they are not excessive, as in a hostile model file.

    Raises:
        SettingError: If they are not allowed.
    """
    if error != "categorical":
        if len(centres):
            raise SettingError("centres_without_classes")
        return
    if not FEWEST <= len(centres) <= MOST:
        raise SettingError("centre_count", fewest=FEWEST, most=MOST)
    # These comparisons are false for NaN, which is refused too.
    if not all(abs(centre) < 1e6 for centre in centres) or not all(a < b for a, b in pairwise(centres)):
        raise SettingError("centre_order")


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


def generated_slices(network: torch.nn.Module, count: int, columns: int, seed: int) -> list[np.ndarray]:
    """Sample slices of a network with ``sample_prior(count, noise)``, (count, Y, X) for each column."""
    with torch.inference_mode():
        images = network.cpu().eval().sample_prior(count * columns, torch.Generator().manual_seed(seed))
    return list(images[:, 0].float().numpy().reshape(columns, count, *images.shape[2:]))


def check_weights(name: str, network: torch.nn.Module, tensors: dict[str, np.ndarray]) -> None:
    """Check that the tensors are the weights of a network, which may be on the device ``meta``, without memory.

    Raises:
        ModelError: If a tensor is missing, unknown, or of another shape or type.
    """
    state = network.state_dict()
    require_tensors(name, tensors, {key: tuple(value.shape) for key, value in state.items()})
    for key, value in state.items():
        found = tensors[key].dtype
        if torch.from_numpy(np.zeros(0, np.float32 if found == np.float16 else found)).dtype != value.dtype:
            raise ModelError("tensor_type", method=name, tensor=key, dtype=found, expected=value.dtype)


def load_network(name: str, network: torch.nn.Module, tensors: dict[str, np.ndarray]) -> None:
    """Load weights into a network, in eval mode and without gradients; those in half precision become float32.

    Raises:
        ModelError: If a tensor is missing, unknown, or of another shape or type.
    """
    check_weights(name, network, tensors)
    tensors = {key: value.astype(np.float32) if value.dtype == np.float16 else value for key, value in tensors.items()}
    network.load_state_dict({key: torch.from_numpy(np.array(value)) for key, value in tensors.items()})
    network.eval().requires_grad_(False)


def halved(tensors: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return tensors with those of weights in half precision that hold half-precision values; see `rounded`."""
    found = dict(tensors)
    for key, value in tensors.items():
        if value.dtype == np.float32 and value.ndim > 1 and np.array_equal(value, half := _half(value)):
            found[key] = half
    return found


def _half(values: np.ndarray) -> np.ndarray:
    with np.errstate(over="ignore"):
        return values.astype(np.float16)


def rounded(method: Self) -> Self:
    """Round weights to half precision, which halves the model file; to do before the calibration.

    Biases, and means and variances of normalisations, stay in single precision; so do weights beyond its range.
    """
    tensors = method.tensors()
    for key, value in tensors.items():
        if value.dtype == np.float32 and value.ndim > 1 and np.isfinite(half := _half(value)).all():
            tensors[key] = half
    return type(method).from_tensors(method.parameters, tensors)


class Method(ABC):
    """Base class of detection methods, built from validated parameters and tensors, never from code in a file.

    A subclass has `_restore`, ``untrained(parameters, seed)`` and `networks`, or `tensors` and `from_tensors` of its
    own. Methods that can do more than score override `faster`, `alternative_scores`, `prior_slices` and
    `monai_network`.

    Attributes:
        name: Name in the registry.
        Parameters: Class of the settings, a frozen dataclass.
        unit: What the method restores at a time, "slice" or "volume".
        adjustable: Settings that `medad calibrate` may change, because no network depends on them.
    """

    name: ClassVar[str]
    Parameters: ClassVar[type]
    unit: ClassVar[str] = "slice"
    adjustable: ClassVar[tuple[str, ...]] = ()
    parameters: object

    @property
    def members(self) -> tuple[str, ...]:
        """Names of the members of an ensemble, in the order of its score maps; empty for a single method."""
        return ()

    def networks(self) -> dict[str, torch.nn.Module]:
        """Return the networks by the prefix of their tensors; a method without networks has none."""
        return {}

    def tensors(self) -> dict[str, np.ndarray]:
        """Return everything that was learned, as arrays for safetensors."""
        return {
            prefix + key: value.detach().cpu().numpy()
            for prefix, network in self.networks().items()
            for key, value in network.state_dict().items()
        }

    @classmethod
    def from_tensors(cls: type[Self], parameters, tensors: dict[str, np.ndarray]) -> Self:
        """Build the method from saved parameters and tensors.

        Networks take memory only once the tensors have their shapes, because a small file may name large networks.

        Raises:
            ModelError: If they do not fit.
        """
        with torch.device("meta"):
            planned = cls.untrained(parameters).networks()
        unknown = {key: value for key, value in tensors.items() if not key.startswith(tuple(planned))}
        own = {
            prefix: {key[len(prefix) :]: value for key, value in tensors.items() if key.startswith(prefix)} | unknown
            for prefix in planned
        }
        for prefix, network in planned.items():
            check_weights(cls.name, network, own[prefix])
        method = cls.untrained(parameters)
        for prefix, network in method.networks().items():
            load_network(cls.name, network, own[prefix])
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
        """Restore a prepared scan: compute its pseudo-healthy image and the score of each voxel.

        Args:
            image: Standard intensities, float32 (Z, Y, X), 0 outside the brain.
            mask: Brain, bool (Z, Y, X).
            seed: Random seed.
            device: ``cpu``, ``cuda`` or ``cuda:N``.
            progress: Receives the progress and may cancel; its `timed` parts are the profile in the result.

        Returns:
            Score and pseudo-healthy image, each float32 (Z, Y, X) and 0 outside the mask, and the sample score. The
            pseudo-healthy image has no negative intensity. An ensemble has a score map for each member, (M, Z, Y, X).

        Raises:
            Cancelled: If the user stops the run.
            ModelError: If a value is not finite, or beyond `LARGEST_NUMBER`.
        """
        with full_precision(device):
            found = self._restore(image, mask, seed, device, progress or Progress())
        with np.errstate(over="ignore", invalid="ignore"):
            score, restored = (
                np.where(mask, part, 0).astype(np.float32) for part in (found.score, np.maximum(found.restored, 0))
            )
        # Weights within their limits can still overflow when they are multiplied.
        for part in (score, restored, np.asarray(found.sample_score)):
            # A comparison with NaN is false.
            if not max(-float(part.min()), float(part.max())) <= LARGEST_NUMBER:
                raise ModelError("restoration_not_finite", method=self.name)
        return replace(found, score=score, restored=restored)

    @abstractmethod
    def _restore(self, image: np.ndarray, mask: np.ndarray, seed: int, device: str, progress: Progress) -> Restoration:
        """Compute the restoration; `restore` replaces values outside the mask."""

    def faster(self) -> Method | None:
        """Return the fast form, with the same networks; None if there is none or this form is already as fast.

        Its maps use the voxelwise healthy mean and SD of the full method, so both forms must estimate the same score.
        Thresholds and p-values are calibrated separately, see `Calibration.fast`.
        """
        return None

    def alternative_scores(self) -> dict[str, Method]:
        """Return the same networks with each of their other scores, by a short name."""
        return {}

    def prior_slices(self, count: int, columns: int, flat: bool, seed: int = 0) -> list[np.ndarray]:
        """Sample slices of healthy anatomy from the prior of a generative method, without any scan.

        Args:
            count: Slices in each column.
            columns: Heights in the brain, from low to high; more samples if the prior does not depend on the height.
            flat: Whether the method was trained on single slices, which have no height.
            seed: Random seed.

        Returns:
            (count, Y, X) for each column; of volumes, slices of the same volumes. Empty if there is no prior.
        """
        return []

    def monai_network(self) -> BundleNetwork | None:
        """Return the network that reconstructs a slice; None if classes of MONAI and PyTorch alone cannot build it."""
        return None


@dataclass(frozen=True)
class BackboneParameters:
    """Sizes of a network with the layers of `networks.conv_autoencoder`.

    Attributes:
        size: Slice size (Y, X).
        channels: Channels of each level.
        latent: Latent size; of each grid position if spatial.
    """

    size: tuple[int, ...] = (160, 160)
    channels: tuple[int, ...] = (16, 32, 64, 64, 64)
    latent: int = 128

    def __post_init__(self) -> None:
        check_sizes(self.size, self.channels, self.latent)


class SliceNetwork(Method):
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

    def prior_slices(self, count: int, columns: int, flat: bool, seed: int = 0) -> list[np.ndarray]:
        """Sample slices from the prior, if the network has one; see `Method.prior_slices`."""
        return generated_slices(self.network, count, columns, seed) if hasattr(self.network, "sample_prior") else []
