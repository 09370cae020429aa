"""The run section of the panel: button, progress, time left, news and errors."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import qt
from slicer.i18n import tr as _

from ...messages import translated
from ...results.text import part_name
from .notices import NoticeBox
from .texts import breakable, sentence, tooltip

FIRST_WORD_SECONDS = 1.5
SMOOTHING = 0.3
# The layouts of a new result are done by then.
LAID_OUT_MS = 300


class TimeLeft:
    """Estimates the remaining time from the progress so far; `clock` is monotonic, in seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic):
        self._clock = clock
        self._started = clock()
        self._first: tuple[float, float] | None = None
        self._end = 0.0

    def text(self, fraction: float) -> str:
        """Describe the time left after a fraction in [0, 1], such as ``about 20 s left``; empty while it is unknown."""
        now = self._clock()
        if self._first is None:
            # Progress before the first report (a process that starts, a model that loads) does not show the pace.
            self._first = (now, fraction)
        since, before = now - self._first[0], self._first[1]
        if now - self._started < FIRST_WORD_SECONDS or fraction <= before or since <= 0:
            return ""
        end = now + since / (fraction - before) * (1.0 - fraction)
        self._end = end if self._end == 0 else self._end + SMOOTHING * (end - self._end)
        return _words(max(0.0, self._end - now))


def _words(seconds: float) -> str:
    if seconds < 3:
        return _("almost done")
    if seconds < 60:
        step = 1 if seconds < 10 else 5
        return _("about {seconds} s left").format(seconds=step * round(seconds / step))
    return _("about {minutes} min left").format(minutes=round(seconds / 60))


class RunPanel:
    """Buttons, progress, cancel, log, the line for news and the box for errors.

    `on_run` and `on_cancel` start and stop a run, `on_force` starts one on a scan that does not fit the model.
    """

    def __init__(
        self, ui: Any, on_run: Callable[[], None], on_cancel: Callable[[], None], on_force: Callable[[], None]
    ):
        self._ui = ui
        self._left: TimeLeft | None = None
        self._stage, self._furthest = "", 0.0
        ui.runButton.connect("clicked(bool)", lambda checked=False: on_run())
        ui.forceButton.connect("clicked(bool)", lambda checked=False: on_force())
        ui.cancelButton.connect("clicked(bool)", lambda checked=False: on_cancel())
        ui.logCheckBox.connect("toggled(bool)", ui.logText.setVisible)
        ui.logText.visible = False
        # A part of the panel, so that it ends with it.
        self._later = qt.QTimer(ui.verdictLabel)
        self._later.setSingleShot(True)
        self._later.setInterval(LAID_OUT_MS)
        self._later.connect("timeout()", self._reveal)
        self._errors = NoticeBox(ui.errorBox, ui.errorIcon, ui.errorLabel)
        self.clear()
        self._show_running(False)

    @property
    def running(self) -> bool:
        """Whether a run is shown."""
        return self._left is not None

    def enable(self, obstacle: str, forcible: bool = False) -> None:
        """Enable the button, or show the obstacle to a detection; empty if there is none.

        Args:
            obstacle: Why a detection cannot run.
            forcible: Whether the scan can be examined nevertheless.
        """
        if self.running:
            obstacle = _("A detection is running.")
        self._ui.forceButton.visible = forcible and not self.running
        self._ui.runButton.enabled = not obstacle
        self._ui.runButton.toolTip = tooltip(obstacle) or _("Find anomalous regions in the scan.")

    def begin(self) -> None:
        """Show that a run has begun."""
        self._left, self._stage, self._furthest = TimeLeft(), "", 0.0
        self.clear()
        self._ui.cancelButton.enabled = True
        self._show_running(True)
        self.progress("start", 0.0, _("Starting the computation"))

    def progress(self, stage: str, fraction: float, message: str) -> None:
        """Show how far the run is."""
        if self._left is None:
            return
        # A part that is repeated, as on the CPU after a GPU failed, must not look like lost work.
        self._furthest = fraction = max(self._furthest, fraction)
        self._ui.progressBar.setValue(round(1000 * fraction))
        left = self._left.text(fraction)
        what = translated(message or part_name(stage))
        self._ui.stageLabel.text = breakable(f"{sentence(what)}{', ' + left if left else ''}")
        if stage != self._stage:
            self._stage = stage
            self.log(f"{100 * fraction:3.0f} % {stage}: {message}" if message else f"{100 * fraction:3.0f} % {stage}")

    def cancelling(self) -> None:
        """Show that the run is being stopped."""
        self._ui.cancelButton.enabled = False
        self._ui.stageLabel.text = _("Stopping …")

    def end(self, message: str, failed: bool = False) -> None:
        """Show that the run has ended, with an error or news to read; without a message, the result is enough."""
        self._left = None
        self._show_running(False)
        if failed:
            self.fail(message)
            return
        self.say(message)
        if not message:
            self._later.start()

    def say(self, message: str) -> None:
        """Show news below the button, in place of those before and of an error."""
        self._errors.clear()
        self._ui.statusLabel.text = breakable(sentence(message))
        self._ui.statusLabel.visible = bool(message)

    def fail(self, message: str) -> None:
        """Show an error in a box below the button, in place of news."""
        self.say("")
        self._errors.show(sentence(message), "error")

    def clear(self) -> None:
        """Show neither news nor errors."""
        self.say("")

    def log(self, line: str) -> None:
        """Add a line to the log."""
        self._ui.logText.appendPlainText(line.rstrip("\n"))

    def _show_running(self, running: bool) -> None:
        for widget in (self._ui.progressBar, self._ui.cancelButton, self._ui.stageLabel):
            widget.visible = running
        self._ui.runButton.visible = not running

    def _reveal(self) -> None:
        """Scroll the panel to the verdict."""
        verdict = self._ui.verdictLabel
        around = verdict.parentWidget()
        while around is not None and not around.inherits("QScrollArea"):
            around = around.parentWidget()
        if around is not None and verdict.visible:
            around.ensureWidgetVisible(verdict)
