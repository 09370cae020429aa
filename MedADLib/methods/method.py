"""What every detection method offers: a restored scan and how far the scan is from it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, Protocol

import numpy as np

from ..errors import ModelError
from ..progress import Progress


@dataclass(frozen=True, eq=False)
class Restoration:
    """What a method makes of a prepared scan, all on the model's grid.

    Attributes:
        score: Raw score of each voxel, float32 (Z, Y, X), 0 outside the brain, larger = more unusual.
        restored: The healthy version in standard intensities, float32 (Z, Y, X).
        sample_score: One number for the scan, larger = more unusual.
        facts: What is worth recording, JSON-able.
    """

    score: np.ndarray
    restored: np.ndarray
    sample_score: float
    facts: dict = field(default_factory=dict)


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
