"""The request of a run: what to examine and how, checked as far as possible without the voxels."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import slicer

from ..detection import Settings
from ..errors import InputError
from .scene.sequences import frames_of

if TYPE_CHECKING:
    from ..detection import Detection
    from .scene.nodes import SceneResult

MASK_SOURCE = "MedAD.maskSource"


@dataclass(frozen=True, eq=False)
class Request:
    """What to examine and how to do it.

    Attributes:
        volume: The scan.
        model: Name or file of a model.
        mask: Segmentation or label map of the part to examine; None finds the brain.
        all_frames: Whether every frame of the scan's sequence is examined.
        settings: Settings without the mask.

    Raises:
        InputError: If a node is of the wrong kind.
    """

    volume: slicer.vtkMRMLVolumeNode
    model: str
    mask: slicer.vtkMRMLNode | None = None
    all_frames: bool = False
    settings: Settings = Settings()

    def __post_init__(self) -> None:
        if self.volume is None:
            raise InputError("no_volume")
        if not isinstance(self.volume, slicer.vtkMRMLScalarVolumeNode):
            raise InputError("not_scalar_volume", name=_called(self.volume))
        if self.mask is not None and not isinstance(
            self.mask, (slicer.vtkMRMLSegmentationNode, slicer.vtkMRMLScalarVolumeNode)
        ):
            raise InputError("mask_node_kind", name=_called(self.mask))


def again(result: SceneResult, detection: Detection) -> Request:
    """Rebuild the request of a result from its nodes and their content, to repeat its run.

    Raises:
        InputError: If it was limited by a mask that is no longer in the scene.
    """
    mask = result.anomaly.GetNodeReference(MASK_SOURCE)
    if mask is None and result.anomaly.GetNodeReferenceID(MASK_SOURCE):
        raise InputError("mask_node_gone")
    return Request(
        volume=result.input,
        model=detection.provenance["model"]["name"],
        mask=mask,
        all_frames=frames_of(result.anomaly) is not None,
        settings=Settings.of_provenance(detection.provenance),
    )


def settings_of(parameters: Any, **others: Any) -> Settings:
    """Read the settings that the module's parameter node holds.

    Args:
        parameters: The parameter node; a setting such as ``smallest_region_ml`` is its ``smallestRegionMl``.
        others: Settings that it does not hold.

    Raises:
        InputError: If a value is out of range.
    """
    bound = {name: getattr(parameters, parameter) for name, parameter in _bound(parameters)}
    return Settings.from_json({**bound, **others})


def write_settings(parameters: Any, settings: Settings) -> None:
    """Write the settings that the module's parameter node holds."""
    for name, parameter in _bound(parameters):
        setattr(parameters, parameter, getattr(settings, name))


def _bound(parameters: Any) -> Iterator[tuple[str, str]]:
    """Iterate over the settings that a parameter node holds, with the names of its parameters."""
    for name in Settings.names():
        first, *others = name.split("_")
        parameter = first + "".join(map(str.title, others))
        if hasattr(parameters, parameter):
            yield name, parameter


def _called(thing: object) -> str:
    """Return the name of a node, or the representation of anything else."""
    return thing.GetName() if isinstance(thing, slicer.vtkMRMLNode) else repr(thing)
