"""Linear layers of the prior that compute as convolutions: the same numbers, the same weights, and the same codes."""

from __future__ import annotations

import time

import pytest
import torch
from support.phantoms import one_thread  # noqa: F401
from support.toy_codes import Question, random_networks, random_prior, toy_parameters

from MedADLib.methods import latent_restoration
from MedADLib.methods.latent_restoration import LatentRestoration
from MedADLib.networks import autotune
from MedADLib.networks.code_prior import Product, convolve, product

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.mark.parametrize("shape", [(1, 6), (5, 6), (2, 7, 6), (3, 1, 6)])
def test_a_convolution_gives_the_linear_layers_numbers(shape):
    torch.manual_seed(0)
    reference, layer, tokens = torch.nn.Linear(6, 9), Product(6, 9), torch.randn(shape)
    layer.load_state_dict(reference.state_dict())
    with torch.inference_mode():
        assert torch.equal(layer(tokens), reference(tokens))
        convolve(layer, True)
        assert layer(tokens).shape == (*shape[:-1], 9)
        assert torch.allclose(layer(tokens), reference(tokens), atol=1e-6)
        some = product(tokens, layer.weight[3:], layer.bias[3:], True)
        assert torch.allclose(some, reference(tokens)[..., 3:], atol=1e-6)
        convolve(layer, False)
        assert torch.equal(layer(tokens), reference(tokens))


@pytest.mark.parametrize("mask", ["static", "dynamic"])
@pytest.mark.parametrize("sampler", ["segment", "jacobi", "sequential"])
def test_codes_do_not_depend_on_how_products_are_computed(mask, sampler):
    prior = random_prior(15)
    codes = torch.randint(0, prior.codes, (3, 15), generator=torch.Generator().manual_seed(1))
    positions = torch.tensor([-0.3, 0.0, 0.2])
    usual = Question(prior, codes, positions).ask(sampler, mask, 1.0, 5)
    convolve(prior, True)
    assert torch.equal(Question(prior, codes, positions).ask(sampler, mask, 1.0, 5), usual)
    assert (usual.view(3, 5, -1) != codes[:, None]).any()


@pytest.mark.parametrize("faster", [False, True])
def test_a_restoration_takes_what_the_trial_found_and_says_so(faster, monkeypatch):
    monkeypatch.setattr(latent_restoration, "convolves_faster", lambda device: faster)
    method = random_networks(LatentRestoration, toy_parameters(restoration_nll=1.0, samples=2))
    image = torch.rand(3, *method.parameters.size, generator=torch.Generator().manual_seed(0)).numpy()
    facts = method.restore(image, image > -1).facts
    assert facts["prior"] == ("convolutions" if faster else "linear layers")
    assert {m.convolved for m in method.prior.modules() if isinstance(m, Product)} == {faster}


def test_the_trial_is_won_by_what_is_clearly_faster():
    slow, quick = (lambda: time.sleep(0.003)), (lambda: time.sleep(0.0005))
    assert autotune._second_is_faster(slow, quick) and not autotune._second_is_faster(quick, slow)
    assert not autotune._second_is_faster(slow, slow)
    assert autotune.convolves_faster("cuda:0") is False and isinstance(autotune.convolves_faster("cpu"), bool)
