"""Runs for scripts: started without the panel, with or without waiting for the end."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import slicer

from ..detection import Settings
from ..errors import Cancelled, MedADError
from ..messages import Message
from .request import Request
from .run import Outcome, Run
from .scene.nodes import SceneResult

if TYPE_CHECKING:
    from ..runtime.progress import ProgressCallback

PAUSE_SECONDS = 0.01


def process(
    logic: Any,
    volume: slicer.vtkMRMLVolumeNode,
    model: str,
    waitForCompletion: bool,
    mask: slicer.vtkMRMLNode | None = None,
    allFrames: bool = False,
    progress: ProgressCallback | None = None,
    finished: Callable[[Outcome], None] | None = None,
    **settings: Any,
) -> SceneResult | Run:
    """Examine a scan and show the result in its scene.

    Args:
        logic: The module's logic.
        volume: The scan.
        model: Name or file of a model.
        waitForCompletion: Whether to return at the end of the run; Slicer stays usable meanwhile.
        mask: Segmentation or label map of the part to examine; None finds the brain.
        allFrames: Whether every frame of the scan's sequence is examined.
        progress: Called with (stage, fraction of the whole in [0, 1], message); None reports nothing.
        finished: Called with the outcome; useful without waiting.
        settings: Of `MedADLib.Settings`: device, seed, threshold (as text or number), smallest_region_ml, fast.

    Returns:
        The nodes of the result; without waiting, the run, with a `cancel` method.

    Raises:
        MedADError: If the run fails, or if something has to be installed first.
        Cancelled: If the run is cancelled while this function waits.
    """
    if missing := logic.installer.missing():
        raise MedADError("packages_missing", packages=", ".join(package.name for package in missing))
    outcomes: list[Outcome] = []

    def on_finished(outcome: Outcome) -> None:
        outcomes.append(outcome)
        if finished is not None:
            finished(outcome)

    request = Request(volume, model, mask, allFrames, Settings.from_json(settings))
    run = logic.start(request, progress or (lambda stage, fraction, message: None), on_finished)
    if not waitForCompletion:
        return run
    while not outcomes:
        slicer.app.processEvents()
        time.sleep(PAUSE_SECONDS)
    outcome = outcomes[0]
    if outcome.state == "cancelled":
        raise Cancelled()
    if outcome.result is None:
        if isinstance(outcome.message, Message):
            raise MedADError(outcome.message.code, **outcome.message.parameters)
        raise MedADError("run_failed", message=outcome.message)
    return outcome.result
