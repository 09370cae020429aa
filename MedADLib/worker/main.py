"""The worker process, which computes for Slicer and keeps models in memory: requests on stdin, events on stdout.

Run this file by its path; it needs nothing on the Python path. The process ends when stdin ends, on the request
``quit``, and after an idle time. Stderr is a log. See `protocol` for requests and events.
"""

from __future__ import annotations

import argparse
import faulthandler
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

IDLE_SECONDS = 600.0


def main(
    argv: list[str] | None = None,
    detect: Callable[..., Any] | None = None,
    load_model: Callable[..., Any] | None = None,
    judge: Callable[..., Any] | None = None,
) -> int:
    """Serve requests until the idle time has passed, and return the exit code; the end of stdin ends the process.

    Args:
        argv: Arguments without the name of the program; None for those of the process.
        detect: Used instead of `MedADLib.detect`.
        load_model: Used instead of `MedADLib.load_model`.
        judge: Used instead of `MedADLib.detection.judge`.
    """
    from MedADLib.runtime import threads
    from MedADLib.runtime.stdio import take_pipes

    threads.settle()
    from MedADLib.worker.service import Service

    parser = argparse.ArgumentParser(description="The computing process of MedAD; started by its Slicer module.")
    parser.add_argument("--idle-seconds", type=float, default=IDLE_SECONDS, help="end after so long without work")
    args = parser.parse_args(argv)
    requests, events = take_pipes()
    faulthandler.enable(sys.stderr)
    # Ctrl-C in Slicer's terminal reaches this process too, but Slicer decides when to stop.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _lower_priority()
    Service(requests, events, args.idle_seconds, detect, load_model, judge).serve()
    return 0


def _lower_priority() -> None:
    """Lower the priority of the process, so that the user interface of Slicer stays responsive."""
    try:
        if sys.platform == "win32":
            import ctypes

            kernel, below_normal = ctypes.windll.kernel32, 0x4000
            kernel.GetCurrentProcess.restype = ctypes.c_void_p
            kernel.SetPriorityClass(ctypes.c_void_p(kernel.GetCurrentProcess()), below_normal)
        else:
            os.nice(5)
    except OSError as error:
        print(f"the priority stays as it is: {error}", file=sys.stderr)


if __name__ == "__main__":
    own = Path(__file__).resolve().parent
    # Python puts the folder of this file first, where its modules would hide packages of the same name.
    sys.path[:] = [folder for folder in sys.path if Path(folder or ".").resolve() != own]
    sys.path.insert(0, str(own.parent.parent))
    import MedADLib  # noqa: F401, while it can be found

    sys.path.pop(0)
    code = main()
    sys.stderr.flush()
    # Not by sys.exit: at this point threads of some libraries hang or crash.
    os._exit(code)
