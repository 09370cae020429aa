"""A worker with a quick engine instead of a model; the environment variable MEDAD_STUB says how it behaves.

Two blobs are found in every scan. ``slow`` takes a minute in small steps, ``stubborn`` a minute in which it hears
nothing, ``silent`` the same and longer than anybody waits, ``die`` ends in the middle as if killed for its memory,
``fail`` refuses the scan, ``full`` finds the disk full.
"""

from __future__ import annotations

import errno
import os
import signal
import sys
import time
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parents[2]), str(Path(__file__).resolve().parents[1])]

from MedADLib.errors import InputError  # noqa: E402
from MedADLib.worker.main import main  # noqa: E402
from support.two_blobs import two_blobs  # noqa: E402

STEPS, MINUTE = 600, 60.0


def detect(volume, model, settings, progress):
    """Look busy for a while, then find two blobs."""
    behaviour = os.environ.get("MEDAD_STUB", "")
    print(f"examining {volume.name} with {model}", file=sys.stderr, flush=True)
    progress.stage("preparation", 0.0, 0.2, "aligning to the model's template")
    if behaviour == "fail":
        raise InputError("deepbet_missing", package="deepbet==1.0.2")
    progress.stage("restoration", 0.2, 0.9, "restoring the pseudo-healthy image")
    for step in range(STEPS if behaviour == "slow" else 4):
        progress.update(step / STEPS, f"slice {step + 1} of {STEPS}")
        time.sleep(MINUTE / STEPS if behaviour == "slow" else 0.01)
    if behaviour in ("stubborn", "silent"):
        time.sleep(MINUTE)
    if behaviour == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    if behaviour == "full":
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    progress.stage("regions", 0.9, 1.0, "delineating regions")
    return two_blobs(volume, settings, str(model))


if __name__ == "__main__":
    sys.exit(main(detect=detect, load_model=str))
