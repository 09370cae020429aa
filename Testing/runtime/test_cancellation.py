"""Signals: a step of a training is finished first, a second signal ends at once, forked processes leave it alone."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest
from support.source_code import ROOT

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="signals are sent the POSIX way")

CODE = """
import os, signal, sys, time
sys.path.insert(0, {root!r})
from MedADLib.runtime.cancellation import Interruption, finishing_first
with Interruption(lambda: print("cleaned up", flush=True)) as interruption, finishing_first():
    print("ready", flush=True)
    {work}
"""
# Longer than the period after which a signal ends other work.
STEP = "time.sleep(2.5); print(interruption.cancelled(), flush=True)"
WORKER = (
    "child = os.fork()\n"
    "    if not child: print('forked', flush=True); time.sleep(60)\n"
    "    time.sleep(2.5); os.kill(child, 9); print(interruption.cancelled(), flush=True)"
)


def started(work: str) -> subprocess.Popen:
    code = CODE.format(root=str(ROOT), work=work)
    pipes = dict.fromkeys(("stdout", "stderr"), subprocess.PIPE)
    process = subprocess.Popen([sys.executable, "-c", code], text=True, start_new_session=True, **pipes)
    assert process.stdout.readline() == "ready\n"
    return process


def test_a_step_is_finished_after_the_first_signal_and_the_console_says_why():
    process = started(STEP)
    process.send_signal(signal.SIGINT)
    printed, errors = process.communicate(timeout=20)
    assert (printed, process.returncode) == ("True\n", 0)
    assert errors == "medad: finishing the step, to keep its checkpoint. Another Ctrl-C ends at once.\n"


def test_a_second_signal_ends_a_step_at_once():
    process = started("time.sleep(60)")
    process.send_signal(signal.SIGINT)
    time.sleep(0.2)
    asked = time.perf_counter()
    process.send_signal(signal.SIGINT)
    printed, errors = process.communicate(timeout=20)
    assert time.perf_counter() - asked < 2 and process.returncode == 130
    assert printed == "cleaned up\n" and errors.endswith("medad: cancelled\n")


def test_ctrl_c_in_a_terminal_reaches_worker_processes_too_and_counts_once():
    process = started(WORKER)
    assert process.stdout.readline() == "forked\n"
    # A terminal signals the whole group.
    os.killpg(process.pid, signal.SIGINT)
    printed, _ = process.communicate(timeout=20)
    assert (printed, process.returncode) == ("True\n", 0)
