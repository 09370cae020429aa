"""What methods of one slice-wise network share: made from a seed, saved and loaded."""

from __future__ import annotations

from typing import ClassVar, TypeVar

import numpy as np
import torch

from .slicewise import load_network, network_tensors

Self = TypeVar("Self", bound="SliceNetwork")


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
