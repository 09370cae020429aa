"""Makes Resources/Screenshots/*.png: the module's panel on the bench, beside Slicer's own four views.

The scan is the MNI152 brain with the demo's simulated lesion; the model is the one that ships, run by the real worker.
"""

from __future__ import annotations

import os
import signal
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "Testing")]
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

from bench import Bench  # noqa: E402

from MedADLib.benchmark.standard_scan import mni152_brain  # noqa: E402
from MedADLib.cli.demo import demo_scan  # noqa: E402

FOLDER = ROOT / "Resources" / "Screenshots"
PATIENCE = 900


def main() -> None:
    """Go through the panel as the README does, and take a picture at every step."""
    FOLDER.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, Bench(Path(folder)) as bench:
        take(bench)


def take(bench: Bench) -> None:
    """All pictures, in the order of a user's way."""
    bench.load_volume(demo_scan(mni152_brain()).volume)
    bench.open_module("MedAD")
    picture(bench, "before")
    bench.click("runButton")
    # The longest stage, far enough into it for a time to be told.
    bench.wait(lambda: bench.ui.progressBar.value > 500 and "left" in bench.ui.stageLabel.text, PATIENCE)
    bench.click("logCheckBox")
    picture(bench, "running")
    bench.click("logCheckBox")
    bench.wait(lambda: not bench.widget.panel.running, PATIENCE)
    bench.run_events(2)
    picture(bench, "result")
    bench.type("thresholdBox", "10")
    bench.run_events(2)
    bench.cell("regionsTable", 1, 6).click()
    bench.cell("regionsTable", 2, 0).tick()
    picture(bench, "regions")
    bench.cell("regionsTable", 0, 6).click()
    bench.choose("viewSelector", "Blend of scan and pseudo-healthy")
    bench.drag("fadeSlider", 100)
    picture(bench, "restoration")
    bench.choose("viewSelector", "Anomaly map")
    bench.click("runButton")
    bench.wait(lambda: bench.ui.progressBar.value > 150, PATIENCE)
    # As the system does when memory runs out.
    os.kill(bench.widget.logic.client._connection._process.pid, signal.SIGKILL)
    bench.wait(lambda: not bench.widget.panel.running, PATIENCE)
    picture(bench, "error")


def picture(bench: Bench, name: str) -> None:
    """Take one."""
    bench.screenshot(FOLDER / f"{name}.png")
    print(f"{FOLDER / name}.png")


if __name__ == "__main__":
    main()
