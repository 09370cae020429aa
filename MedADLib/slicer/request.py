"""The request of a run: what to examine and how, checked as far as possible without the voxels."""

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


@dataclass(frozen=True, eq=False)
class Request:
    """What to examine and how to do it.

    Attributes:
        volume: The scan.
        model: Name or file of a model.
        mask: Segmentation or label map of the part to examine; None finds the brain.
        all_frames: Whether every frame of the scan's sequence is examined.
        settings: Of `MedADLib.Settings`, as JSON: device, seed, threshold, smallest_region_ml, fast.

    Raises:
        InputError: If a node is of the wrong kind, or a setting is unknown or out of range.
    """

    volume: slicer.vtkMRMLVolumeNode
    model: str
    mask: slicer.vtkMRMLNode | None = None
    all_frames: bool = False
    settings: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.volume is None:
            raise InputError("no_volume")
        if not isinstance(self.volume, slicer.vtkMRMLScalarVolumeNode):
            raise InputError("not_scalar_volume", name=_called(self.volume))
        if self.mask is not None and not isinstance(
            self.mask, (slicer.vtkMRMLSegmentationNode, slicer.vtkMRMLScalarVolumeNode)
        ):
            raise InputError("mask_node_kind", name=_called(self.mask))
        if unknown := sorted(set(self.settings) - set(SETTINGS)):
            raise InputError("request_setting", name=unknown[0], known=", ".join(SETTINGS))
        seed, smallest = self.settings.get("seed"), self.settings.get("smallest_region_ml")
        if seed is not None and (not isinstance(seed, Integral) or isinstance(seed, bool) or seed < 0):
            raise InputError("request_seed", value=repr(seed))
        if smallest is not None and (not isinstance(smallest, Real) or not 0 <= smallest < 1e4):
            raise InputError("request_smallest_region", value=repr(smallest))
        if type(fast := self.settings.get("fast", False)) is not bool:
            raise InputError("request_fast", value=repr(fast))
        if self.settings.get("threshold") is not None:
            Threshold.parse(str(self.settings["threshold"]))


def again(result: SceneResult, detection: Detection) -> Request:
    """Rebuild the request of a result, to repeat its run.

    Args:
        result: The nodes of the result.
        detection: Their content.

    Raises:
        InputError: If it was limited by a mask that is no longer in the scene.
    """
    provenance = detection.provenance
    settings = provenance.get("settings", {})
    mask = result.anomaly.GetNodeReference(MASK_SOURCE)
    if mask is None and result.anomaly.GetNodeReferenceID(MASK_SOURCE):
        raise InputError("mask_node_gone")
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
            # Results made before the fast mode existed lack it.
            "fast": settings.get("fast", False),
        },
    )


def _called(thing: object) -> str:
    """Return the name of a node, or the representation of anything else."""
    return thing.GetName() if isinstance(thing, slicer.vtkMRMLNode) else repr(thing)
