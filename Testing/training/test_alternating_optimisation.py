"""Alternating optimisation in the training loop."""

from __future__ import annotations

import csv

import numpy as np
import pytest
import torch
from support.raised import raises
from support.training import same_weights, stopping_after

from MedADLib.errors import Cancelled, MedADError
from MedADLib.networks.alternating_optimisation import Objective
from MedADLib.training.checkpoint import load_checkpoint
from MedADLib.training.loop import Plan, fit

PLAN = Plan(6, 1e-2, every=2, seed=3)


class Game(torch.nn.Module):
    """A generator of numbers against a critic that makes two steps for each of its own."""

    def __init__(self, bad: bool = False):
        super().__init__()
        torch.manual_seed(1)
        self.generator, self.critic = torch.nn.Linear(2, 1), torch.nn.Linear(1, 1)
        self.bad, self.order, self.touched = bad, [], []

    def objectives(self):
        return (
            Objective("critic", self.critic.parameters(), self.critic_loss, rate=5e-2, repeat=2, betas=(0.5, 0.9)),
            Objective("generator", self.generator.parameters(), self.generator_loss),
        )

    def critic_loss(self, real, number):
        self.order.append(("critic", int(number)))
        made = self.generator(torch.randn(len(real), 2))
        loss = self.critic(made).mean() - self.critic(real).mean() + self.critic.weight.square().sum()
        return loss * (torch.nan if self.bad else 1), {"loss": loss.detach()}

    def generator_loss(self, real, number):
        self.order.append(("generator", int(number)))
        loss = -self.critic(self.generator(torch.randn(len(real), 2))).mean()
        return loss, {"loss": loss.detach(), "weight": self.critic.weight.detach().sum()}


def batches(number):
    return torch.randn(8, 1, generator=torch.Generator().manual_seed(number)) + 3, torch.tensor(number)


def validate(network):
    return {"error": float(network.generator.bias.detach())}


def test_objectives_come_in_order_and_every_optimizer_step_has_its_own_batch(tmp_path):
    game = Game()
    history = fit(game, batches, validate, PLAN, tmp_path)
    assert game.order[:6] == [
        ("critic", 0), ("critic", 1), ("generator", 2), ("critic", 3), ("critic", 4), ("generator", 5)
    ]  # fmt: skip
    assert game.order[-1] == ("generator", 17) and len(game.order) == 18
    with open(tmp_path / "log.csv", newline="") as handle:
        columns = next(csv.reader(handle))
    assert columns[2:6] == ["train_critic_loss", "train_generator_loss", "train_generator_weight", "validation_error"]
    assert len(history) == 3


@pytest.mark.parametrize("steps", range(1, 6))
def test_a_game_resumes_bit_for_bit(tmp_path, steps):
    whole, broken = Game(), Game()
    fit(whole, batches, validate, PLAN, tmp_path / "whole")
    with pytest.raises(Cancelled):
        fit(Game(), batches, validate, PLAN, tmp_path / "broken", progress=stopping_after(steps))
    fit(broken, batches, validate, PLAN, tmp_path / "broken")
    assert same_weights(whole, broken)


def test_each_optimizer_is_the_plain_one_of_its_own_parameters(tmp_path):
    """The same game by hand, with torch's AdamW and no loop of ours."""
    plan, game, hand = Plan(3, 1e-2, every=3, seed=3, clip=1e9), Game(), Game()
    fit(game, batches, validate, plan, tmp_path)
    critic = torch.optim.AdamW(hand.critic.parameters(), betas=(0.5, 0.9), weight_decay=0)
    generator = torch.optim.AdamW(hand.generator.parameters(), weight_decay=0)
    for step in range(3):
        torch.manual_seed(int(np.random.default_rng([3, step]).integers(2**62)))
        players = [(critic, hand.critic_loss, 5e-2)] * 2 + [(generator, hand.generator_loss, 1e-2)]
        for number, (optimizer, loss, rate) in enumerate(players, 3 * step):
            hand.zero_grad()
            loss(*batches(number))[0].backward()
            optimizer.param_groups[0]["lr"] = rate * plan.factor_at(step)
            optimizer.step()
    assert same_weights(game, hand)


def norm_of(network: torch.nn.Module) -> float:
    return float(torch.cat([p.grad.flatten() for p in network.parameters() if p.grad is not None]).norm())


def test_gradients_are_clipped_for_each_objective(tmp_path):
    class Steep(Game):
        def critic_loss(self, real, number):
            loss = 1e6 * self.critic.weight.sum()
            self.touched.append([p.grad is None for p in self.generator.parameters()])
            return loss, {}

        def generator_loss(self, real, number):
            self.touched.append(
                float(torch.cat([p.grad.flatten() for p in self.critic.parameters() if p.grad is not None]).norm())
            )
            return super().generator_loss(real, number)

    game = Steep()
    fit(game, batches, validate, Plan(1, 1e-2, clip=0.5), tmp_path)
    assert game.touched[0] == [True, True] and game.touched[-1] == pytest.approx(0.5, rel=1e-4)
    # The generator's loss runs through the critic, but leaves the critic's gradient alone.
    assert norm_of(game.critic) == pytest.approx(0.5, rel=1e-4)


def test_an_objective_that_is_not_finite_is_named_and_the_last_state_stays(tmp_path):
    fit(Game(), batches, validate, Plan(2, 1e-2, every=2), tmp_path / "good")
    with raises(MedADError, "loss_not_finite") as caught:
        fit(Game(bad=True), batches, validate, PLAN, tmp_path)
    reported = caught.value.parameters
    assert (reported["network"], str(reported["value"]), reported["step"]) == ("critic", "nan", 0)
    assert load_checkpoint(tmp_path / "good" / "checkpoint.safetensors", Game())["step"] == 2


def test_a_checkpoint_of_other_objectives_is_refused(tmp_path):
    class Other(Game):
        def objectives(self):
            return (Objective("everything", self.parameters(), self.critic_loss),)

    fit(Game(), batches, validate, PLAN, tmp_path)
    with pytest.raises(MedADError, match="checkpoint.safetensors") as caught:
        fit(Other(), batches, validate, PLAN, tmp_path)
    assert caught.value.code == "checkpoint_of_other_network"


def test_parameters_that_are_frozen_stay_and_an_objective_without_any_is_refused(tmp_path):
    game = Game()
    game.critic.requires_grad_(False)
    with pytest.raises(ValueError, match="critic"):
        fit(game, batches, validate, PLAN, tmp_path)
    with pytest.raises(ValueError, match="no spaces"):
        Objective("no spaces", game.generator.parameters(), game.generator_loss)
    for wrong in ({"repeat": 0}, {"rate": 0.0}):
        with pytest.raises(ValueError, match="generator"):
            Objective("generator", game.generator.parameters(), game.generator_loss, **wrong)


def test_two_objectives_of_one_name_are_refused(tmp_path):
    class Twins(Game):
        def objectives(self):
            return (Objective("a", self.critic.parameters(), self.critic_loss),) * 2

    with pytest.raises(ValueError, match="'a', 'a'"):
        fit(Twins(), batches, validate, PLAN, tmp_path)


def test_alternating_training_in_bfloat16_keeps_weights_in_float32(tmp_path):
    game = Game()
    history = fit(game, batches, validate, Plan(150, 2e-2, every=150, reduced=True), tmp_path)
    assert history[-1]["validation_error"] > 0.5
    assert all(value.dtype == torch.float32 for value in game.state_dict().values())
