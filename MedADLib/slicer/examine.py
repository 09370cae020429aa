"""From a volume node to a result in its scene, in this process."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from ..errors import InputError, MedADError
from ..progress import Progress, ProgressCallback
from ..threshold import Threshold
from .images import volume_from_node
from .scene import SceneResult, jump_to, show_detection

if TYPE_CHECKING:
    import slicer


def examine(
    volume_node: slicer.vtkMRMLVolumeNode,
    model_name: str,
    mask_node: slicer.vtkMRMLVolumeNode | None = None,
    progress: ProgressCallback | None = None,
    detect: Callable | None = None,
    load_model: Callable | None = None,
    **settings: object,
) -> SceneResult:
    """Examine a volume, put what was found into its scene and centre the slice views on the first region.

    Args:
        volume_node: The scan.
        model_name: Name or file of a model.
        mask_node: Volume on the same grid, nonzero in the part to examine; None finds the brain.
        progress: Told about each stage.
        detect: Does the detection; None for `MedADLib.detect`.
        load_model: Loads the model; None for `MedADLib.load_model`.
        settings: Other fields of `MedADLib.Settings`; the threshold as a text or a number.

    Returns:
        The nodes of the result.

    Raises:
        MedADError: If it cannot be done; the scene is as before.
    """
    volume = volume_from_node(volume_node)
    # As the command line reads it, so that both give the same result for the same scan.
    volume = volume.with_array(volume.array.astype(np.float32))
    if mask_node is not None:
        if mask_node.GetTransformNodeID() != volume_node.GetTransformNodeID():
            problem = f"the mask {mask_node.GetName()} is under another transform than {volume.name}"
            raise InputError(problem, "Put both under the same transform.")
        settings["mask"] = volume_from_node(mask_node)
    if settings.get("threshold") is not None:
        settings["threshold"] = Threshold.parse(str(settings["threshold"]))
    try:
        from .. import detection as engine
        from .. import modelfile

        model = (load_model or modelfile.load_model)(model_name)
        detection = (detect or engine.detect)(volume, model, engine.Settings(**settings), Progress(progress))
    except ImportError as error:
        raise MedADError(
            f"the Python package {error.name or error} is missing in Slicer",
            "Install the PyTorch extension and the packages of MedAD/Resources/requirements.txt.",
        ) from error
    scene = volume_node.GetScene()
    result = show_detection(detection, volume_node, scene)
    if detection.regions:
        jump_to(result, detection.regions[0], scene)
    return result
