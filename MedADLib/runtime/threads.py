"""Set the threads of torch: one for each physical core, waiting passively.

Two threads of one core share its arithmetic units, so that a second one only costs time. Threads that spin while they
wait make inference many times slower on a busy machine. Torch reads both settings once, at its first import.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

COUNT, WAITING = "OMP_NUM_THREADS", "OMP_WAIT_POLICY"
CPUS = Path("/sys/devices/system/cpu")
# On every computer, whatever its number of cores.
ITK_THREADS = 8

_itk_lock, _itk_users, _itk_before = threading.Lock(), 0, 0


def settle() -> None:
    """Set number and waiting of the threads, unless the user has; call it before torch is imported."""
    wait_passively()
    os.environ.setdefault(COUNT, str(physical_cores()))


def wait_passively() -> None:
    """Set passive waiting of the threads, unless the user has set another; call it before torch is imported."""
    os.environ.setdefault(WAITING, "PASSIVE")


@contextmanager
def fixed_itk_threads() -> Iterator[None]:
    """Have ITK divide its work into `ITK_THREADS` parts within the block, in all threads of the process.

    A filter that adds numbers up, such as N4, gives other last digits for each number of parts.
    """
    global _itk_users, _itk_before
    import SimpleITK as sitk

    process = sitk.ProcessObject
    with _itk_lock:
        if not _itk_users:
            _itk_before = process.GetGlobalDefaultNumberOfThreads()
            process.SetGlobalDefaultNumberOfThreads(ITK_THREADS)
        _itk_users += 1
    try:
        yield
    finally:
        with _itk_lock:
            _itk_users -= 1
            if not _itk_users:
                process.SetGlobalDefaultNumberOfThreads(_itk_before)


def physical_cores(cpus: Path = CPUS) -> int:
    """Count the physical cores that this process may use; logical processors if Linux does not describe them."""
    if not hasattr(os, "sched_getaffinity"):
        return os.cpu_count() or 1
    allowed = os.sched_getaffinity(0)
    try:
        cores = {_core(cpus / f"cpu{number}" / "topology") for number in allowed}
    except (OSError, ValueError):
        return len(allowed)
    return len(cores)


def _core(topology: Path) -> tuple[int, int]:
    """Read package and core of a logical processor."""
    package, core = (int((topology / name).read_text()) for name in ("physical_package_id", "core_id"))
    return package, core
