from __future__ import annotations

import numpy as np
import pytest
import torch
from support.phantoms import one_thread  # noqa: F401
from support.toy_codes import CODES, random_prior

from MedADLib.methods.sampling.resample import resample_codes
from MedADLib.methods.sampling.task import gumbel
from MedADLib.runtime import device

GRIDS = [(1, 7), (3, 5), (4, 4)]


def drawn(prior, codes, unlikely, samples, key=(0, 5), position=0.1) -> torch.Tensor:
    where = torch.tensor([position])
    logits, cache = prior.fill(codes[None], where)
    return resample_codes(prior, codes, where, unlikely, logits[0], cache, samples, key)


def naive(prior, codes, unlikely, samples, key=(0, 5), position=0.1) -> torch.Tensor:
    """A full evaluation of every place of every sample, with the same noise."""
    restored = codes.repeat(samples, 1)
    for place in range(len(codes)):
        if unlikely[place]:
            for sample in range(samples):
                logits = prior(restored[sample : sample + 1], torch.tensor([position]))[0, place]
                noise = gumbel(key, place, samples, CODES)[sample]
                restored[sample, place] = int((logits + noise).argmax())
    return restored


def patterns(length: int) -> dict[str, torch.Tensor]:
    places = torch.arange(length)
    some = torch.from_numpy(np.random.default_rng(length).random(length) < 0.4)
    return {
        "none": places < 0,
        "first": places == 0,
        "last": places == length - 1,
        "middle": places == length // 2,
        "neighbours": (places == 2) | (places == 3),
        "some": some,
        "all": places >= 0,
    }


@pytest.mark.parametrize("samples", [1, 15])
@pytest.mark.parametrize("grid", GRIDS)
@pytest.mark.parametrize("pattern", ["none", "first", "last", "middle", "neighbours", "some", "all"])
def test_resampling_is_the_naive_one_made_faster(grid, pattern, samples):
    length = grid[0] * grid[1]
    prior = random_prior(length, seed=length)
    codes = torch.randint(0, CODES, (length,), generator=torch.Generator().manual_seed(2))
    unlikely = patterns(length)[pattern]
    found = drawn(prior, codes, unlikely, samples)
    assert found.shape == (samples, length) and found.dtype == torch.int64
    assert torch.equal(found, naive(prior, codes, unlikely, samples))
    assert torch.equal(found[:, ~unlikely], codes[~unlikely].expand(samples, -1))


@pytest.mark.parametrize("at_once", [1, 2, 5])
@pytest.mark.parametrize("pattern", ["first", "neighbours", "some", "all"])
def test_so_it_is_where_the_prior_is_shown_further_codes_and_few_samples_are_drawn_at_once(
    pattern, at_once, monkeypatch
):
    prior, codes = random_prior(27, further=(3, 9)), torch.arange(27) % CODES
    monkeypatch.setattr(device, "CODES_ON_CPU", 27 * at_once)
    told = []
    unlikely, where = patterns(27)[pattern], torch.tensor([0.1])
    logits, cache = prior.fill(codes[None], where)
    found = resample_codes(prior, codes, where, unlikely, logits[0], cache, 5, (0, 5), told.append)
    assert torch.equal(found, naive(prior, codes, unlikely, 5))
    assert told == sorted(told) and told[-1] == pytest.approx(1) and len(told) == unlikely.sum() * -(-5 // at_once)


def test_the_first_samples_are_the_same_however_many_are_drawn_and_keys_count():
    prior = random_prior(15)
    codes, everything = torch.zeros(15, dtype=torch.long), torch.ones(15, dtype=torch.bool)
    many = drawn(prior, codes, everything, 15)
    assert torch.equal(drawn(prior, codes, everything, 15), many)
    assert torch.equal(drawn(prior, codes, everything, 4), many[:4])
    assert len(torch.unique(many, dim=0)) > 1
    for key in ((1, 5), (0, 6)):
        assert not torch.equal(drawn(prior, codes, everything, 15, key), many)


def test_codes_are_drawn_by_their_probability_and_not_just_the_likeliest():
    prior = random_prior(3)
    codes, first = torch.tensor([1, 2, 3]), torch.tensor([True, False, False])
    found = drawn(prior, codes, first, 6000)[:, 0]
    shares = torch.bincount(found, minlength=CODES) / len(found)
    wanted = prior(codes[None], torch.tensor([0.1]))[0, 0].softmax(-1)
    assert (shares - wanted).abs().max() < 0.03


def test_the_likelihood_pass_can_be_used_again_after_resampling():
    prior = random_prior(15)
    codes, where = torch.zeros(15, dtype=torch.long), torch.tensor([0.1])
    logits, cache = prior.fill(codes[None], where)
    keys, values, copy = cache.keys.clone(), cache.values.clone(), codes.clone()
    resample_codes(prior, codes, where, torch.ones(15, dtype=torch.bool), logits[0], cache, 3, (0, 0))
    assert torch.equal(cache.keys, keys) and torch.equal(cache.values, values) and torch.equal(codes, copy)
