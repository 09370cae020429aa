"""The judgement of the chosen scan before a run: computed in the worker process, and kept by the content of the scan.

Nothing begins before the user has rested on a choice, and nothing where packages are missing. A large scan is handed
over in steps, so that the panel never waits.
"""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import qt
import slicer

from ..errors import MedADError
from ..messages import Message
from ..results.exchange import byte_parts, volume_parts
from ..worker.protocol import Judged, Subject
from .scene.volumes import volume_from_node

if TYPE_CHECKING:
    from ..modelfile.store import ModelSummary
    from .request import Request

DELAY_MS = 400
KEPT = 100


class Judge:
    """Judges the chosen scan, and remembers what it found.

    Args:
        logic: The module's logic, with ``client`` and ``installer``.
        on_change: Called when `found`, `failure` or `judging` has changed by itself.

    Attributes:
        found: The fit of the chosen scan; None while it is not known.
        failure: Why the chosen scan could not be judged; empty if nothing went wrong.
        judging: Whether it is being judged.
    """

    def __init__(self, logic: Any, on_change: Callable[[], None]):
        self._logic, self._on_change = logic, on_change
        self._volume: slicer.vtkMRMLVolumeNode | None = None
        self._model: ModelSummary | None = None
        self._key: Hashable = None
        self._content: Hashable = None
        self._work: Path | None = None
        # By what changes with the nodes, so that a choice is looked up at once, and by content.
        self._known: OrderedDict[Hashable, Judged] = OrderedDict()
        self._asked = False
        self.found: Judged | None = None
        self.failure = ""
        self.judging = False
        self._steps: Iterator[None] | None = None
        self._later, self._turn = _timer(DELAY_MS, self._begin), _timer(0, self._go_on)

    def follow(self, volume: slicer.vtkMRMLVolumeNode | None, model: ModelSummary | None, idle: bool) -> None:
        """Judge this scan and model from now on; None cancels.

        Args:
            volume: The chosen scan; None for nothing to judge.
            model: The chosen model; None for nothing to judge.
            idle: Whether a judgement may begin: no detection or installation is going on.
        """
        key = None if volume is None or model is None else _key(volume, model)
        if key != self._key:
            self.cancel()
            self._key, self._asked, self.failure = key, False, ""
            self._volume, self._model = (None, None) if key is None else (volume, model)
            self.found = self._known.get(key)
        if key is None or not idle:
            self._later.stop()
        elif not self._asked and self.found is None and not self._later.active:
            self._later.start()

    def make_way(self, request: Request) -> None:
        """Let a run begin: a judgement of the same scan, model and mask goes on for it, any other one is cancelled."""
        self._later.stop()
        chosen = request.volume is self._volume and self._model is not None and request.model == self._model.name
        if not chosen or request.mask is not None or request.all_frames or self._steps is not None:
            self.cancel()
        # The run judges the scan too.
        self._asked = self._asked or chosen

    def cancel(self) -> None:
        """Stop the judgement in progress."""
        self._later.stop()
        self._turn.stop()
        if self.judging:
            self._logic.client.cancel_judgement()
            self._end()

    def close(self) -> None:
        """Stop for good, and release the scene."""
        self._on_change = lambda: None
        self.follow(None, None, False)

    def judged(self, found: Judged) -> None:
        """Keep and report a judgement."""
        self._end()
        self._keep(found)
        self._on_change()

    def failed(self, kind: str, message: str) -> None:
        """Report that the scan could not be judged; the run is left to the user."""
        self._end()
        self.failure = message
        self._on_change()

    def cancelled(self) -> None:
        """Report that the process was ended for another reason."""
        self._end()
        self._on_change()

    def _begin(self) -> None:
        client = self._logic.client
        if self._volume is None or client.busy or not self._logic.installer.installed():
            return
        self._asked = self.judging = True
        self._steps = self._hand_over()
        self._on_change()
        self._go_on()

    def _go_on(self) -> None:
        """Do one more step of the handing over, and leave Slicer to the user in between."""
        if self._steps is None:
            return
        try:
            next(self._steps)
            self._turn.start()
        except StopIteration:
            self._steps = None
        except MedADError as error:
            self.failed(type(error).__name__, error.message)
        except OSError as error:
            message = Message("scan_not_handed_over", reason=str(error.strerror or error))
            self.failed(type(error).__name__, message)

    def _hand_over(self) -> Iterator[None]:
        """Hand the scan to the worker, unless the same content was judged before; yields between steps."""
        volume = volume_from_node(self._volume)
        array, digest = np.ascontiguousarray(volume.array), hashlib.sha256()
        for part in byte_parts(array):
            digest.update(part)
            yield
        facts = volume.described, volume.has_spacing, volume.has_orientation, volume.affine.tobytes()
        self._content = digest.hexdigest(), array.shape, array.dtype.str, facts, _file(self._model)
        known = self._known.get(self._content)
        if known is not None:
            self._steps = None
            self.judged(_of(known, volume.name))
            return
        self._work = Path(tempfile.mkdtemp(prefix="MedAD-", dir=slicer.app.temporaryPath))
        yield from volume_parts(volume, self._work / "scan")
        self._steps = None
        if self._logic.client.busy:
            # A script has begun a run meanwhile.
            self._asked = False
            self.cancelled()
            return
        self._logic.client.judge(Subject(str(self._work / "scan"), None, self._model.name), self)

    def _keep(self, found: Judged) -> None:
        self.found = found
        for key in (self._key, self._content):
            self._known[key] = found
        while len(self._known) > KEPT:
            self._known.popitem(last=False)

    def _end(self) -> None:
        steps, self._steps, self.judging = self._steps, None, False
        if steps is not None:
            # Windows deletes no file that is open.
            steps.close()
        if self._work is not None:
            shutil.rmtree(self._work, ignore_errors=True)
            self._work = None


def _timer(milliseconds: int, callback: Callable[[], None]) -> qt.QTimer:
    timer = qt.QTimer()
    timer.setSingleShot(True)
    timer.setInterval(milliseconds)
    timer.connect("timeout()", callback)
    return timer


def _key(volume: slicer.vtkMRMLVolumeNode, model: ModelSummary) -> Hashable:
    """Return what changes whenever voxels, geometry or model change: VTK's times of change never repeat."""
    image = volume.GetImageData()
    return volume.GetMTime(), image and image.GetMTime(), _file(model)


def _file(model: ModelSummary) -> Hashable:
    try:
        return model, model.path.stat().st_mtime_ns
    except OSError:
        return model, 0


def _of(found: Judged, name: str) -> Judged:
    """Return the judgement of another scan of the same content under its own name."""
    if not isinstance(found.refusal, Message):
        return found
    return replace(found, refusal=Message(found.refusal.code, **{**found.refusal.parameters, "name": name}))
