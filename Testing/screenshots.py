"""Makes Resources/Screenshots/*.png inside the real Slicer; `make screenshots` starts it.

The scan is that of `make demo`, the MNI152 brain with a simulated lesion; the model is the one that ships, run by the
real worker, for which Slicer's Python needs the packages that Run Detection installs.
"""

from __future__ import annotations

import os
import signal
import sys
import time
import traceback
from pathlib import Path

import qt
import slicer

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "Resources" / "Screenshots"
SCAN = ROOT / "demo" / "mni152.nii.gz"
WIDTH, HEIGHT = 1600, 1000
# The panel's part of the window, wide enough for the table of regions.
PANEL_WIDTH = 540
PATIENCE_SECONDS = 900
START_MS, SETTLE_SECONDS = 1000, 1.0


def wait(until=lambda: False, seconds: float = SETTLE_SECONDS) -> None:
    """Run the event loop until something is true, at most for so long."""
    end = time.monotonic() + seconds
    while time.monotonic() < end and not until():
        slicer.app.processEvents()
        time.sleep(0.01)


def save(name: str) -> None:
    """Draw the views and write what the window shows."""
    wait()
    slicer.util.forceRenderAllViews()
    wait()
    if not slicer.util.mainWindow().grab().save(str(FOLDER / f"{name}.png")):
        raise OSError(f"{FOLDER / name}.png could not be written")


def prepare() -> None:
    """Give the window its size and the panel most of its height."""
    window = slicer.util.mainWindow()
    window.resize(WIDTH, HEIGHT)
    slicer.app.layoutManager().setLayout(slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpView)
    slicer.util.selectModule("MedAD")
    wait()
    slicer.util.findChild(window, "DataProbeCollapsibleWidget").collapsed = True
    dock = slicer.util.findChild(window, "PanelDockWidget")
    window.resizeDocks([dock], [PANEL_WIDTH], qt.Qt.Horizontal)


def scroll_to(widget) -> None:
    """Bring a part of the panel into view."""
    area = widget.parentWidget()
    while not area.inherits("QScrollArea"):
        area = area.parentWidget()
    area.ensureWidgetVisible(widget)


def take() -> None:
    """Go through the panel as the tutorial does, with a screenshot at every step."""
    prepare()
    widget = slicer.util.getModuleWidget("MedAD")
    ui, panel = widget.ui, widget.panel
    slicer.util.loadVolume(str(SCAN))
    save("before")
    ui.runButton.click()
    # The longest stage, far enough into it to know the time that is left.
    wait(lambda: ui.progressBar.value > 500 and "left" in ui.stageLabel.text, PATIENCE_SECONDS)
    ui.logCheckBox.checked = True
    save("running")
    ui.logCheckBox.checked = False
    wait(lambda: not panel.running, PATIENCE_SECONDS)
    save("result")
    ui.thresholdSlider.setValue(round(0.8 * ui.thresholdSlider.maximum))
    wait()
    ui.regionsTable.selectRow(1)
    ui.regionsTable.item(2, 0).setCheckState(qt.Qt.Unchecked)
    scroll_to(ui.exportButton)
    save("regions")
    ui.regionsTable.selectRow(0)
    ui.viewSelector.setCurrentIndex(ui.viewSelector.findText("Blend of scan and pseudo-healthy"))
    ui.fadeSlider.setValue(ui.fadeSlider.maximum)
    scroll_to(ui.runButton)
    save("restoration")
    ui.viewSelector.setCurrentIndex(0)
    ui.runButton.click()
    wait(lambda: ui.progressBar.value > 150, PATIENCE_SECONDS)
    # As the system does when memory runs out.
    os.kill(widget.logic.client._connection._process.pid, signal.SIGKILL)
    wait(lambda: not panel.running, PATIENCE_SECONDS)
    save("error")


def main() -> None:
    """Take all screenshots and leave Slicer."""
    failed = True
    try:
        take()
        failed = False
    except Exception:
        traceback.print_exc()
    sys.stdout.flush()
    slicer.util.exit(int(failed))


qt.QTimer.singleShot(START_MS, main)
