"""One definition of the noise, and samples that rounding cannot change."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from support.toy_codes import CODES, random_prior

from MedADLib.methods.sampling.task import CLOSE, SamplingTask, gumbel

LENGTH, PLACE = 12, 7


@pytest.fixture(scope="module")
def task() -> SamplingTask:
    prior = random_prior(LENGTH)
    codes, where = torch.arange(LENGTH)[None] % CODES, torch.tensor([0.1])
    logits, cache = prior.fill(codes, where)
    everywhere = torch.ones(1, LENGTH, dtype=torch.bool)
    return SamplingTask(prior, codes, where, everywhere, logits, cache, range(1), 1, [(0, 5)], 2.0)


def history(task: SamplingTask):
    return lambda row: (task.codes[0], task.positions, PLACE)


def test_the_noise_is_the_one_that_shipped_models_were_calibrated_with():
    wanted = [[0.3607, 0.8271, -0.0440], [-0.2287, -0.5691, -0.3004]]
    assert torch.allclose(gumbel((0, 5), 7, 2, 3), torch.tensor(wanted), atol=1e-4)
    assert torch.allclose(gumbel((3, 0), 399, 1, 2), torch.tensor([[0.5471, -0.1469]]), atol=1e-4)
    assert float(gumbel((1, 1), 1, 100, 500).mean()) == pytest.approx(0.5772, abs=0.02)


def test_samples_get_their_own_noise_however_they_are_divided(task):
    whole = gumbel((0, 5), PLACE, 5, CODES)
    for part in (range(5), range(2), range(3, 5)):
        some = replace(task, samples=part, total=5, keys=[(0, 5)])
        assert torch.equal(some.noise(0, PLACE), whole[part.start : part.stop])


@pytest.mark.parametrize("ahead", [3e-6, -3e-6])
def test_rounding_does_not_decide_between_two_codes(task, ahead):
    exact = task.prior.double()(task.codes, task.positions.double())[0, PLACE]
    task.prior.float()
    noise = torch.full((1, CODES), -50.0, dtype=torch.float64)
    noise[0, 2], noise[0, 6] = 0.0, exact[2] - exact[6]
    noise = noise.float()
    wanted = int((exact + noise[0].double()).argmax())
    logits = exact.float()[None].clone()
    logits[0, 2] += ahead
    assert task.largest(logits, noise)[0].tolist() == [2 if ahead > 0 else 6]
    assert task.choose(logits, noise, history(task)).tolist() == [wanted]


@pytest.mark.parametrize("ahead", [3e-6, -3e-6])
def test_rounding_does_not_decide_what_is_unlikely(task, ahead):
    code = task.codes[:, PLACE]
    exact = task.prior.double()(task.codes, task.positions.double())[0, PLACE]
    task.prior.float()
    limit = float(-exact.log_softmax(0)[code[0]])
    for shift, wanted in ((1e-7, True), (-1e-7, False)):
        strict = replace(task, limit=limit - shift)
        logits = exact.float()[None].clone()
        logits[0, code] += ahead
        assert strict.unlikely(logits, code, history(strict)).tolist() == [wanted]


def test_clear_decisions_are_those_of_the_logits(task):
    logits, noise = torch.randn(200, CODES), torch.randn(200, CODES)
    clear = (logits + noise).topk(2).values.diff().abs()[:, 0] > 1e-2
    assert clear.sum() > 150 and CLOSE * 10 < 1e-2
    assert torch.equal(task.choose(logits, noise, history(task))[clear], (logits + noise).argmax(1)[clear])
