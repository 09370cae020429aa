"""Several processes give what one gives: the shares of a batch, and training with gloo on the CPU."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from support.phantoms import one_thread  # noqa: F401
from support.source_code import ROOT
from support.training import stopping_after
from support.training_process import PLAN, Pair, batches, train

from MedADLib.errors import Cancelled, InputError, MedADError
from MedADLib.training.distributed import ProcessGroup, process_group
from MedADLib.training.loop import fit

TESTING = ROOT / "Testing"


def start(folder: Path, names: list[str], count: int) -> None:
    """Run `training_process.py` as torchrun would, without its watching process, which takes seconds to start."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    common = {"WORLD_SIZE": str(count), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "OMP_NUM_THREADS": "1"}
    common["PYTHONPATH"] = os.pathsep.join([str(ROOT), str(TESTING)])
    started = [
        subprocess.Popen(
            [sys.executable, str(TESTING / "support" / "training_process.py"), str(folder), *names],
            env=os.environ | common | {"RANK": str(rank), "LOCAL_RANK": str(rank)},
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(count)
    ]
    said = [process.communicate(timeout=60)[1] for process in started]
    assert [process.returncode for process in started] == [0] * count, said


@pytest.fixture(scope="module")
def together(tmp_path_factory) -> Path:
    """Weights of one process, of two on the same batches, and of two that go on where one was stopped."""
    folder = tmp_path_factory.mktemp("group")
    train(folder, ["one"])
    with pytest.raises(Cancelled):
        fit(Pair(), batches, lambda network: {"error": 0.0}, PLAN, folder / "resumed", progress=stopping_after(6))
    start(folder, ["two", "resumed"], 2)
    return folder


def weights(folder: Path, name: str) -> dict[str, torch.Tensor]:
    kept = torch.load(folder / f"{name}.pt", weights_only=True)
    return {key: kept[key] for key in kept if key != "largest"}


@pytest.mark.parametrize("name", ["two", "resumed"])
def test_two_processes_learn_the_same_weights_as_one_with_the_joint_batch(together, name):
    one, first, second = (weights(together, which) for which in ("one-0", f"{name}-0", f"{name}-1"))
    assert all(torch.equal(first[key], second[key]) for key in one)
    # Seven samples make shares of three and four. The sums are taken in another order: float32 rounding, no more.
    assert max(float((one[key] - first[key]).abs().max()) for key in one) < 1e-5
    untrained = Pair().state_dict()
    assert min(float((one[key] - untrained[key]).abs().max()) for key in one) > 1e-3


def test_buffers_are_those_of_rank_0(together):
    kept = [torch.load(together / f"two-{rank}.pt", weights_only=True)["largest"] for rank in (0, 1)]
    share = batches(8 * 3 - 1)[0][:3]
    assert kept[0] == kept[1] == share.max()


def test_rank_0_alone_writes(together):
    assert {path.name for path in (together / "two").iterdir()} == {"checkpoint.safetensors", "log.csv"}
    assert (together / "two" / "log.csv").read_text().count("\n") == 3


@pytest.mark.parametrize("count", [2, 3, 5])
def test_shares_are_all_of_a_batch_without_overlap(count):
    batch = (torch.arange(7), torch.arange(14).view(7, 2), torch.tensor(5))
    shares = [ProcessGroup(rank, count).share(batch) for rank in range(count)]
    assert torch.equal(torch.cat([share[0] for share, _ in shares]), batch[0])
    assert torch.equal(torch.cat([share[1] for share, _ in shares]), batch[1])
    assert all(int(share[2]) == 5 for share, _ in shares)
    assert sum(fraction for _, fraction in shares) == pytest.approx(1) and all(len(share[0]) for share, _ in shares)


def test_a_batch_smaller_than_the_number_of_processes_is_refused():
    with pytest.raises(MedADError) as caught:
        ProcessGroup(0, 3).share((torch.zeros(2, 4),))
    assert caught.value.code == "batch_below_processes"
    assert caught.value.parameters == {"samples": 2, "processes": 3}


def test_alone_nothing_is_joined(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "1")
    with process_group("cpu") as (group, device):
        assert group == ProcessGroup() and device == "cpu" and not torch.distributed.is_initialized()


def test_more_processes_than_gpus_are_refused(monkeypatch):
    for key, value in {"WORLD_SIZE": "2", "RANK": "1", "LOCAL_RANK": "1"}.items():
        monkeypatch.setenv(key, value)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(InputError) as caught, process_group("cuda:0"):
        pass
    assert (caught.value.code, caught.value.parameters) == ("too_few_gpus", {"gpus": 1})
