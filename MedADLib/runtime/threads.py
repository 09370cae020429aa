"""How the threads of torch share the processor: one to a core, and none that spins while it waits.

Two threads of one core share its arithmetic, so that a second one only costs. A thread that spins for its next piece
of work makes inference many times slower on a busy machine. Torch reads both once, when it is first imported.
"""

from __future__ import annotations

import os
from pathlib import Path

COUNT, WAITING = "OMP_NUM_THREADS", "OMP_WAIT_POLICY"
CPUS = Path("/sys/devices/system/cpu")


def settle() -> None:
    """Set both for this process, as far as the user has not; before torch is imported."""
    wait_passively()
    os.environ.setdefault(COUNT, str(physical_cores()))


def wait_passively() -> None:
    """Set how threads wait, as far as the user has not; before torch is imported."""
    os.environ.setdefault(WAITING, "PASSIVE")


def physical_cores(cpus: Path = CPUS) -> int:
    """The cores that this process may use; where the system does not say which share one, its logical processors.

    Args:
        cpus: Where Linux describes the processors.
    """
    if not hasattr(os, "sched_getaffinity"):
        return os.cpu_count() or 1
    allowed = os.sched_getaffinity(0)
    try:
        places = {_place(cpus / f"cpu{number}" / "topology") for number in allowed}
    except (OSError, ValueError):
        return len(allowed)
    return len(places)


def _place(topology: Path) -> tuple[int, int]:
    """Which core of which package a logical processor belongs to."""
    package, core = (int((topology / name).read_text()) for name in ("physical_package_id", "core_id"))
    return package, core
