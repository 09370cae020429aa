"""A run: export the scan from the scene, compute in the worker process, and show the result in the scene."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from ..errors import InputError, MedADError, OutputError, UnfitError
from ..messages import Message
from ..preprocessing.input_check import extent_unfit, values_unfit
from ..results.exchange import read_exchange, write_volume
from ..results.text import part_name
from ..volume import LARGEST_MM, Volume, largest_extent
from .request import MASK_SOURCE, Request
from .scene.nodes import SceneResult
from .scene.sequences import frames_of, mark_frame, show_sequence
from .scene.show import jump_to, show_detection
from .scene.volumes import mask_from_node, volume_from_node
from .worker.client import Job, WorkerClient

if TYPE_CHECKING:
    from ..detection import Detection
    from .scene.sequences import Frames


# A scan that cannot be aligned cannot be forced either.
NO_ALIGNMENT = "alignment_failed"


def cannot_be_forced(refusal: str) -> bool:
    """Return whether a run refuses a scan even if it is forced, because the scan cannot be aligned."""
    facts = getattr(refusal, "parameters", {})
    return getattr(refusal, "code", "") == NO_ALIGNMENT or facts.get("force") == Message("force_helps_not")


@dataclass(frozen=True, eq=False)
class Outcome:
    """How a run ended.

    Attributes:
        message: What the user should read if the run is not done, in English; a `Message` can be translated.
        result: The nodes, if the run is done.
        unfit: Whether the scan does not fit the model, so that a run must be forced.
    """

    state: Literal["done", "failed", "cancelled"]
    message: str = ""
    result: SceneResult | None = None
    unfit: bool = False


class Run:
    """One run: reports exactly one outcome, and only a complete result reaches the scene.

    Args:
        request: What to examine and how.
        client: The worker that computes.
        on_progress: Called with (stage, fraction of the whole in [0, 1], message).
        on_finished: Called with the outcome.
        folder: Where the temporary folder is made; None for the system's.
        is_chosen: Whether the reader still looks at this scan at the end; views show no result of another one.

    Attributes:
        ended: Whether the outcome was reported.
    """

    def __init__(
        self,
        request: Request,
        client: WorkerClient,
        on_progress: Callable[[str, float, str], None],
        on_finished: Callable[[Outcome], None],
        folder: str | None = None,
        is_chosen: Callable[[], bool] = lambda: True,
    ):
        self.request = request
        self._is_chosen = is_chosen
        self._client = client
        self._on_progress, self._on_finished = on_progress, on_finished
        self._parent = folder
        self._work: Path | None = None
        self._frames: Frames | None = None
        self._found: dict[int, Detection] = {}
        self._warnings: list[str] = []
        self._removed = False
        self.ended = False

    def start(self) -> None:
        """Begin, without waiting for the end.

        Raises:
            MedADError: If it cannot begin; then no outcome is reported.
        """
        request = self.request
        self._scene = request.volume.GetScene()
        if self._scene is None:
            raise InputError("volume_without_scene", name=request.volume.GetName())
        if self._client.busy:
            raise InputError("busy")
        self._frames = frames_of(request.volume) if request.all_frames else None
        self._stamp = request.volume.GetImageData().GetMTime() if request.volume.GetImageData() else 0
        try:
            self._work = Path(tempfile.mkdtemp(prefix="MedAD-", dir=self._parent))
            self._next()
        except OSError as error:
            self._clean_up()
            raise OutputError("scan_not_handed_over", reason=error.strerror or error) from error
        except BaseException:
            self._clean_up()
            raise

    def cancel(self) -> None:
        """Stop the run; the outcome follows within two seconds."""
        if not self.ended:
            self._client.cancel()

    def progress(self, stage: str, fraction: float, message: str) -> None:
        """Report the progress of the present frame."""
        if not self._scene.IsNodePresent(self.request.volume):
            self._removed = True
            self._client.cancel()
            return
        count, number = self._count, len(self._found)
        if count > 1:
            message = Message("progress_frame", number=number + 1, count=count, step=message or part_name(stage))
        self._on_progress(stage, (number + fraction) / count, message)

    def warning(self, message: str) -> None:
        """Note a warning of the worker, in case that the result lacks it."""
        self._warnings.append(message)

    def done(self, folder: str, seconds: float) -> None:
        """Read the result of the present frame; go on with the next one, or end."""
        try:
            detection = read_exchange(Path(folder), self._volume)
            self._found[len(self._found)] = replace(detection, warnings=_joined(detection.warnings, self._warnings))
            self._warnings.clear()
            shutil.rmtree(folder, ignore_errors=True)
            if len(self._found) < self._count:
                self._next()
                return
            self._end(Outcome("done", result=self._show()))
        except MedADError as error:
            self._end(Outcome("failed", error.message))
        except OSError as error:
            self._end(Outcome("failed", Message("run_result_unreadable", reason=str(error.strerror or error))))
        except Exception as error:
            self._end(Outcome("failed", Message("run_result_not_shown", error=f"{type(error).__name__}: {error}")))
            raise

    def failed(self, kind: str, message: str) -> None:
        """End the run: the worker reports a failure."""
        if self._removed:
            self._end(Outcome("failed", Message("scan_removed")))
            return
        unfit = kind == UnfitError.__name__ and not cannot_be_forced(message)
        self._end(Outcome("failed", message, unfit=unfit))

    def cancelled(self) -> None:
        """End the run: the worker has stopped it."""
        if self._removed:
            self._end(Outcome("failed", Message("scan_removed")))
        elif not self._scene.IsNodePresent(self.request.volume):
            # The scene was closed, or the reader deleted the scan right after the click.
            self._end(Outcome("cancelled"))
        else:
            self._end(Outcome("cancelled", Message("cancelled")))

    @property
    def _count(self) -> int:
        return 1 if self._frames is None else self._frames.count

    def _next(self) -> None:
        number = len(self._found)
        volume = volume_from_node(self.request.volume) if self._frames is None else self._frames.volume(number)
        if values_unfit(volume.array):
            # Volumes without voxels or with values that are not finite are refused when they are read.
            raise InputError("volume_constant", name=volume.name, value=volume.array.flat[0])
        if extent_unfit(volume):
            raise InputError("volume_too_large", name=volume.name, extent=largest_extent(volume), limit=LARGEST_MM)
        # As the command line reads it, so that both give the same result for the same scan.
        self._volume: Volume = volume.with_array(volume.array.astype(np.float32))
        work = self._work / f"frame-{number}"
        work.mkdir()
        write_volume(self._volume, work / "scan")
        if self.request.mask is not None:
            write_volume(mask_from_node(self.request.mask, self.request.volume), work / "mask")
        job = Job(
            input=str(work / "scan"),
            mask=None if self.request.mask is None else str(work / "mask"),
            model=self.request.model,
            output=str(work / "result"),
            settings=self.request.settings,
        )
        self._client.detect(job, self)

    def _show(self) -> SceneResult:
        request, lay = self.request, self._is_chosen()
        if self._frames is not None:
            result = show_sequence(self._found, request.volume, self._frames.browser, self._scene, lay)
            return self._remember_mask(result)
        detection = self._found[0]
        image = request.volume.GetImageData()
        if image is not None and image.GetMTime() != self._stamp:
            detection = replace(detection, warnings=(*detection.warnings, Message("scan_changed")))
        result = self._remember_mask(show_detection(detection, request.volume, self._scene, lay))
        mark_frame(result)
        if detection.regions and lay:
            jump_to(result, detection.regions[0], self._scene)
        return result

    def _remember_mask(self, result: SceneResult) -> SceneResult:
        mask = self.request.mask
        result.anomaly.SetNodeReferenceID(MASK_SOURCE, mask.GetID() if mask is not None else None)
        return result

    def _end(self, outcome: Outcome) -> None:
        if not self.ended:
            self.ended = True
            self._clean_up()
            self._on_finished(outcome)

    def _clean_up(self) -> None:
        if self._work is not None:
            shutil.rmtree(self._work, ignore_errors=True)
            self._work = None


def _joined(carried: Sequence[str], reported: Sequence[str]) -> tuple[str, ...]:
    """Warnings of a result and those that the worker reported, each once, with its code if one of them has it."""
    coded = {text: text for text in reported if isinstance(text, Message)}
    return tuple(dict.fromkeys(coded.get(text, text) for text in (*carried, *reported)))
