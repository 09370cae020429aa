"""Commands that are killed: a warm process becomes a new one for each command and ends it with SIGKILL or a signal."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from support.source_code import ROOT

# Imports once. Each line of its input is one command: words, seconds until the signal (null for none), its number, and
# a file for what the command prints.
SERVER = """
import contextlib, json, os, signal, sys, time
sys.path[:0] = [{root!r}, {testing!r}]
import matplotlib.backends.backend_agg
from MedADLib.cli import main as cli
{prepare}
print("ready", flush=True)
while line := sys.stdin.readline():
    words, seconds, number, printed = json.loads(line)
    started = time.perf_counter()
    child = os.fork()
    if not child:
        os.setpgid(0, 0)
        for stream in (1, 2):
            os.dup2(os.open(printed, os.O_WRONLY | os.O_CREAT | os.O_APPEND), stream)
        os._exit(cli.main(words))
    # Here too: a signal may be due before the child has come so far.
    with contextlib.suppress(OSError):
        os.setpgid(child, child)
    sent = False
    while True:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            break
        if seconds is not None and not sent and time.perf_counter() - started >= seconds:
            sent = True
            os.killpg(child, number)
        time.sleep(0.0005)
    print(json.dumps([os.waitstatus_to_exitcode(status), time.perf_counter() - started]), flush=True)
"""
KILLED = -9


class Ended(NamedTuple):
    """How a command ended.

    Attributes:
        code: Its exit code; minus the number of the signal that ended it.
        seconds: How long it ran.
        printed: What it printed.
    """

    code: int
    seconds: float
    printed: str


class Commands:
    """Starts commands in processes of their own; see `commands`."""

    def __init__(self, server: subprocess.Popen, folder: Path):
        self._server, self._printed = server, folder / "printed.txt"

    def run(self, *words: object, after: float | None = None, number: int = 9) -> Ended:
        """Run ``medad`` with these words, and send it a signal after some seconds, if it still runs."""
        self._printed.unlink(missing_ok=True)
        request = [[str(word) for word in words], after, number, str(self._printed)]
        print(json.dumps(request), file=self._server.stdin, flush=True)
        code, seconds = json.loads(self._server.stdout.readline())
        return Ended(code, seconds, self._printed.read_text("utf-8", "replace") if self._printed.exists() else "")


@contextmanager
def commands(folder: Path, prepare: str = "") -> Iterator[Commands]:
    """Start the warm process, on one thread; `prepare` is code that it runs first, such as imports."""
    code = SERVER.format(root=str(ROOT), testing=str(ROOT / "Testing"), prepare=prepare)
    pipes = dict.fromkeys(("stdin", "stdout"), subprocess.PIPE)
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "HOME": str(folder)}
    with subprocess.Popen([sys.executable, "-c", code], text=True, env=environment, **pipes) as server:
        assert server.stdout.readline() == "ready\n"
        yield Commands(server, folder)
        server.stdin.close()
