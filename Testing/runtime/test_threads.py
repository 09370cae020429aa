"""How many threads compute: one to each core that the process may use, in the worker and on the command line."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from support.source_code import ROOT

from MedADLib.runtime import threads

ASK = "import json, os, torch; print(json.dumps([torch.get_num_threads(), os.environ['OMP_WAIT_POLICY']]))"
# What torch will read when it is imported; whether it has been.
SET = (
    "import json, os, sys; names = 'OMP_NUM_THREADS', 'OMP_WAIT_POLICY'; "
    "print(json.dumps([*map(os.environ.get, names), 'torch' in sys.modules]))"
)


def told(code: str, **environment: str) -> list:
    """What a fresh process says that has nothing set but this."""
    inherited = {key: value for key, value in os.environ.items() if not key.startswith(("OMP_", "MKL_"))}
    done = subprocess.run(
        [sys.executable, "-c", code], env={**inherited, **environment}, cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def described(folder: Path, places: dict[int, tuple[int, int]]) -> Path:
    """Processors as Linux describes them: package and core of each."""
    for number, (package, core) in places.items():
        topology = folder / f"cpu{number}" / "topology"
        topology.mkdir(parents=True)
        (topology / "physical_package_id").write_text(f"{package}\n")
        (topology / "core_id").write_text(f"{core}\n")
    return folder


@pytest.mark.parametrize(("allowed", "cores"), [({0, 1, 2, 3}, 2), ({0, 2}, 1), ({0, 1}, 2), ({1, 4, 5}, 3)], ids=str)
def test_threads_that_share_a_core_count_once_and_cores_of_others_not_at_all(tmp_path, monkeypatch, allowed, cores):
    places = {0: (0, 0), 1: (0, 1), 2: (0, 0), 3: (0, 1), 4: (1, 0), 5: (1, 1)}
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: allowed, raising=False)
    assert threads.physical_cores(described(tmp_path, places)) == cores


def test_where_the_system_does_not_say_all_allowed_processors_count(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1, 7}, raising=False)
    assert threads.physical_cores(tmp_path) == 3


def test_the_worker_computes_with_a_thread_to_a_core_and_none_spins():
    code = f"""
from MedADLib.runtime import stdio as private_pipes
from MedADLib.worker import main as worker, service as worker_service
class Service:
    def __init__(self, *_): pass
    def serve(self):
        {ASK.replace("; ", chr(10) + " " * 8)}
worker_service.Service, private_pipes.take_pipes = Service, lambda: (None, None)
worker.main([])
"""
    assert told(code) == [threads.physical_cores(), "PASSIVE"]


def test_the_command_line_computes_as_the_worker_does():
    code = f"from MedADLib.cli.main import main; main(['models', 'list']); {SET}"
    assert told(code) == [str(threads.physical_cores()), "PASSIVE", False]


def test_importing_the_library_sets_nothing_but_loading_a_model_does():
    names = "import json, os, MedADLib; print(json.dumps([name for name in os.environ if name.startswith('OMP_')]))"
    assert told(names) == []
    code = f"""
from MedADLib import MedADError, load_model
try:
    load_model("no such model")
except MedADError:
    {SET}
"""
    assert told(code)[1] == "PASSIVE"


def test_what_the_user_has_set_stays():
    code = f"from MedADLib.runtime import threads; threads.settle(); {SET}"
    assert told(code, OMP_NUM_THREADS="1", OMP_WAIT_POLICY="ACTIVE") == ["1", "ACTIVE", False]
