"""What to examine and how, checked as far as that needs no voxels."""

from __future__ import annotations

from dataclasses import dataclass, field
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any

import slicer

from ..errors import InputError
from ..scoring.healthy_reference import Threshold
from .scene.sequences import frames_of

if TYPE_CHECKING:
    from ..detection import Detection
    from .scene.nodes import SceneResult

MASK_SOURCE = "MedAD.maskSource"
SETTINGS = ("device", "seed", "threshold", "smallest_region_ml", "fast")
FIND = "Give a node, such as slicer.util.getNode('MRHead')."


@dataclass(frozen=True, eq=False)
class Request:
    """What to examine and how.

    Attributes:
        volume: The scan.
        model: Name or file of a model.
        mask: Segmentation or label map of the part to examine; None finds the brain.
        all_frames: Whether every frame of the scan's sequence is examined.
        settings: Of `MedADLib.Settings`, as JSON: device, seed, threshold, smallest_region_ml, fast.

    Raises:
        InputError: If something is not what it should be.
    """

    volume: slicer.vtkMRMLVolumeNode
    model: str
    mask: slicer.vtkMRMLNode | None = None
    all_frames: bool = False
    settings: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.volume is None:
            raise InputError("no volume is selected", "Select the volume to examine.")
        if not isinstance(self.volume, slicer.vtkMRMLScalarVolumeNode):
            raise InputError(f"{_called(self.volume)} is no scalar volume", FIND)
        if self.mask is not None and not isinstance(
            self.mask, (slicer.vtkMRMLSegmentationNode, slicer.vtkMRMLScalarVolumeNode)
        ):
            raise InputError(f"the mask {_called(self.mask)} is neither a segmentation nor a label map", FIND)
        if unknown := sorted(set(self.settings) - set(SETTINGS)):
            raise InputError(f"there is no setting {unknown[0]}", f"Use {', '.join(SETTINGS)}.")
        seed, smallest = self.settings.get("seed"), self.settings.get("smallest_region_ml")
        if seed is not None and (not isinstance(seed, Integral) or isinstance(seed, bool) or seed < 0):
            raise InputError(f"the seed {seed!r} is no whole number from 0 on", "For example seed=0.")
        if smallest is not None and (not isinstance(smallest, Real) or not 0 <= smallest < 1e4):
            raise InputError(f"a smallest region of {smallest!r} mL makes no sense", "Give 0 to 10000.")
        if type(fast := self.settings.get("fast", False)) is not bool:
            raise InputError(f"the fast mode cannot be {fast!r}", "Give fast=True or fast=False.")
        if self.settings.get("threshold") is not None:
            Threshold.parse(str(self.settings["threshold"]))


def again(result: SceneResult, detection: Detection) -> Request:
    """The request that a result was made by.

    Args:
        result: The nodes of the result.
        detection: What they hold.

    Raises:
        InputError: If it was limited by a mask that is no longer in the scene.
    """
    provenance = detection.provenance
    settings = provenance.get("settings", {})
    mask = result.anomaly.GetNodeReference(MASK_SOURCE)
    if mask is None and result.anomaly.GetNodeReferenceID(MASK_SOURCE):
        raise InputError("the brain mask of this result is no longer in the scene", "Choose a mask and run again.")
    return Request(
        volume=result.input,
        model=provenance["model"]["name"],
        mask=mask,
        all_frames=frames_of(result.anomaly) is not None,
        settings={
            "seed": int(provenance.get("seed", 0)),
            "device": str(provenance.get("device", "auto")).partition(":")[0],
            "threshold": settings.get("threshold"),
            "smallest_region_ml": settings.get("smallest_region_ml"),
            # Results of before there was a fast mode do not say.
            "fast": settings.get("fast", False),
        },
    )


def _called(thing: object) -> str:
    """A node's name, or what else was given."""
    return thing.GetName() if isinstance(thing, slicer.vtkMRMLNode) else repr(thing)
