from __future__ import annotations

import csv
from dataclasses import replace

import pytest
import torch
from support.raised import raises
from support.refusals import accepted
from support.training import same_weights, stopping_after

from MedADLib.errors import Cancelled, MedADError
from MedADLib.networks.vqvae import VQVAE
from MedADLib.training.checkpoint import load_checkpoint
from MedADLib.training.loop import Plan, fit

PLAN = Plan(12, 1e-2, every=4, seed=5)


class Line(torch.nn.Module):
    """A small network with dropout, so that the random numbers of a step matter."""

    def __init__(self, bad_step: int | None = None, bad: str = "loss"):
        super().__init__()
        torch.manual_seed(1)
        self.layers = torch.nn.Sequential(torch.nn.Linear(3, 8), torch.nn.Dropout(0.5), torch.nn.Linear(8, 1))
        self.bad_step, self.bad = bad_step, bad

    def loss(self, values, wanted, step):
        loss = (self.layers(values) - wanted).square().mean()
        if self.bad_step is not None and int(step) >= self.bad_step:
            # The root of 0 has a value but no finite gradient.
            loss = loss * torch.nan if self.bad == "loss" else loss + torch.sqrt(0 * self.layers[0].weight.sum())
        return loss, {"squared": loss.detach()}


def batches(step: int) -> tuple[torch.Tensor, ...]:
    values = torch.randn(6, 3, generator=torch.Generator().manual_seed(step))
    return values, values.sum(1, keepdim=True), torch.tensor(step)


def validate(network: torch.nn.Module) -> dict[str, float]:
    assert not network.training
    values = torch.randn(64, 3, generator=torch.Generator().manual_seed(999))
    return {"error": float((network.layers(values) - values.sum(1, keepdim=True)).detach().abs().mean())}


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory) -> tuple[Line, list[dict]]:
    network = Line()
    return network, fit(network, batches, validate, PLAN, tmp_path_factory.mktemp("unbroken"))


@pytest.mark.parametrize("steps", range(1, 13))
def test_training_goes_on_after_an_interruption_as_if_there_had_been_none(tmp_path, unbroken, steps):
    with pytest.raises(Cancelled):
        fit(Line(), batches, validate, PLAN, tmp_path, progress=stopping_after(steps))
    torch.manual_seed(12345)
    network = Line()
    history = fit(network, batches, validate, PLAN, tmp_path)
    assert same_weights(network, unbroken[0])
    untimed = [[{k: v for k, v in row.items() if k != "seconds"} for row in rows] for rows in (history, unbroken[1])]
    assert untimed[0] == untimed[1]


def test_interrupting_again_and_again_changes_nothing(tmp_path, unbroken):
    for _ in range(2):
        with pytest.raises(Cancelled):
            fit(Line(), batches, validate, PLAN, tmp_path, progress=stopping_after(5))
    network = Line()
    fit(network, batches, validate, PLAN, tmp_path)
    assert same_weights(network, unbroken[0])


def test_a_network_with_a_codebook_resumes_bit_for_bit(tmp_path):
    def fresh():
        torch.manual_seed(0)
        return VQVAE((4, 8), 1, 8, 4)

    def images(step):
        generator = torch.Generator().manual_seed(step)
        return torch.rand(4, 1, 8, 8, generator=generator), torch.ones(4, 1, 8, 8), torch.zeros(4)

    plan, nothing = Plan(8, 1e-3, every=3), lambda network: {"error": 0.0}
    whole, broken = fresh(), fresh()
    fit(whole, images, nothing, plan, tmp_path / "whole")
    with pytest.raises(Cancelled):
        fit(fresh(), images, nothing, plan, tmp_path / "broken", progress=stopping_after(5))
    fit(broken, images, nothing, plan, tmp_path / "broken")
    assert same_weights(whole, broken)


def test_the_network_learns_and_the_log_states_it(tmp_path):
    network = Line()
    plan = Plan(200, 2e-2, every=50)
    history = fit(network, batches, validate, plan, tmp_path)
    assert history[-1]["validation_error"] < 0.3 * validate(Line().eval())["error"]
    assert not network.training
    with open(tmp_path / "log.csv", newline="") as handle:
        rows = list(csv.DictReader(handle))
    assert list(rows[0]) == ["step", "rate", "train_squared", "validation_error", "seconds"]
    assert [int(row["step"]) for row in rows] == [50, 100, 150, 200]
    assert float(rows[-1]["validation_error"]) == pytest.approx(history[-1]["validation_error"])
    assert [float(row["seconds"]) for row in rows] == sorted(float(row["seconds"]) for row in rows)


def test_the_log_is_whole_after_a_resumed_run(tmp_path):
    with pytest.raises(Cancelled):
        fit(Line(), batches, validate, PLAN, tmp_path, progress=stopping_after(9))
    assert (tmp_path / "log.csv").read_text().count("\n") == 3
    fit(Line(), batches, validate, PLAN, tmp_path)
    assert [line.split(",")[0] for line in (tmp_path / "log.csv").read_text().split()] == ["step", "4", "8", "12"]


def test_cancelling_leaves_a_checkpoint_that_can_be_used(tmp_path):
    with pytest.raises(Cancelled):
        fit(Line(), batches, validate, PLAN, tmp_path, progress=stopping_after(10))
    network = Line()
    before = network.layers[0].weight.clone()
    state = load_checkpoint(tmp_path / "checkpoint.safetensors", network)
    assert state["step"] == 10 and len(state["history"]) == 2
    assert not torch.equal(network.layers[0].weight, before)


def test_other_steps_than_those_of_the_checkpoint_are_refused_and_both_are_named(tmp_path):
    with raises(Cancelled, "cancelled_at_step") as stopped:
        fit(Line(), batches, validate, PLAN, tmp_path, progress=stopping_after(3))
    assert stopped.value.parameters == {"step": 3, "steps": 12}
    before = (tmp_path / "checkpoint.safetensors").read_bytes()
    with raises(MedADError, "checkpoint_of_other_plan") as caught:
        fit(Line(), batches, validate, replace(PLAN, steps=20, seed=1), tmp_path)
    assert caught.value.parameters["kept"] == "steps = 12, seed = 5"
    assert caught.value.parameters["asked"] == "steps = 20, seed = 1"
    assert (tmp_path / "checkpoint.safetensors").read_bytes() == before


def test_a_finished_run_is_not_run_again(tmp_path, unbroken):
    fit(Line(), batches, validate, PLAN, tmp_path)
    network = Line()
    history = fit(network, lambda step: pytest.fail("trained again"), validate, PLAN, tmp_path)
    assert len(history) == 3 and same_weights(network, unbroken[0])


@pytest.mark.parametrize("bad", ["loss", "gradient"])
@pytest.mark.parametrize("step", [5, 7])
def test_a_loss_that_is_not_a_number_stops_and_keeps_the_last_good_state(tmp_path, step, bad):
    with raises(MedADError, f"{bad}_not_finite") as caught:
        fit(Line(step, bad), batches, validate, PLAN, tmp_path)
    assert (caught.value.parameters["network"], caught.value.parameters["step"]) == ("Line", step)
    network = Line()
    state = load_checkpoint(tmp_path / "checkpoint.safetensors", network)
    assert state["step"] == 4
    assert all(torch.isfinite(value).all() for value in network.state_dict().values())


@pytest.mark.parametrize("kept", [0, 4, 100, 0.5, 0.999])
def test_a_half_written_checkpoint_is_ignored(tmp_path, unbroken, kept):
    fit(Line(), batches, validate, PLAN, tmp_path)
    checkpoint = tmp_path / "checkpoint.safetensors"
    content = checkpoint.read_bytes()
    checkpoint.write_bytes(content[: int(kept * len(content)) if isinstance(kept, float) else kept])
    assert load_checkpoint(checkpoint, Line()) is None
    network = Line()
    fit(network, batches, validate, PLAN, tmp_path)
    assert same_weights(network, unbroken[0])


def test_a_crash_while_writing_leaves_the_earlier_checkpoint(tmp_path, monkeypatch):
    import MedADLib.training.checkpoint as checkpoint_module

    def full_disk(tensors, path, metadata):
        path.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    with pytest.raises(Cancelled):
        fit(Line(), batches, validate, PLAN, tmp_path, progress=stopping_after(6))
    with monkeypatch.context() as patched, pytest.raises(OSError):
        patched.setattr(checkpoint_module, "save_file", full_disk)
        fit(Line(), batches, validate, PLAN, tmp_path)
    assert load_checkpoint(tmp_path / "checkpoint.safetensors", Line())["step"] == 6


def rates(schedule, steps: int) -> list[float]:
    """The learning rates of the steps."""
    found = []
    for _ in range(steps):
        found.append(schedule.get_last_lr()[0])
        schedule.optimizer.step()
        schedule.step()
    return found


def test_the_rate_warms_up_and_comes_down():
    def optimizer():
        return torch.optim.AdamW([torch.nn.Parameter(torch.zeros(1))], lr=1e-3)

    plan = Plan(1000, 1e-3)
    found = rates(plan.schedule(optimizer()), 1000)
    assert 0 < found[0] < 0.1 * 1e-3
    assert max(found) == pytest.approx(1e-3, rel=1e-2) and found.index(max(found)) <= 21
    assert found[-1] == pytest.approx(1e-5, rel=0.1)
    assert found[20:] == sorted(found[20:], reverse=True)
    assert rates(plan.schedule(optimizer(), 400), 600) == found[400:], "a resumed training continues the schedule"
    # The composition of torch's schedules accumulates rounding errors, and its state would have to be stored.
    schedules, torchs = torch.optim.lr_scheduler, optimizer()
    parts = [schedules.LinearLR(torchs, 1 / 20, 1, 19), schedules.CosineAnnealingLR(torchs, 980, 1e-5)]
    assert found == pytest.approx(rates(schedules.SequentialLR(torchs, parts, [20]), 1000), rel=1e-6)


def test_plans_that_make_no_sense_are_refused():
    wrong = [{"steps": 0}, {"every": 0}, {"rate": 0}, {"clip": 0}, {"decay": -1}]
    assert accepted(MedADError, lambda settings: Plan(**({"steps": 10} | settings)), wrong) == []
