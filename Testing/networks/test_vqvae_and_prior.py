from __future__ import annotations

import copy

import pytest
import torch
from support.phantoms import one_thread  # noqa: F401

from MedADLib.networks import vqvae as quantiser_module
from MedADLib.networks.code_prior import CodePrior, likelihood_of
from MedADLib.networks.vqvae import VQVAE, Quantiser

CODES, LENGTH = 7, 12


@pytest.fixture
def prior() -> CodePrior:
    """A random prior whose logits differ clearly, so that an error is not lost in rounding."""
    torch.manual_seed(3)
    network = CodePrior(CODES, LENGTH, width=16, layers=2, heads=2).eval()
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.4)
    return network.requires_grad_(False)


def some_codes(count: int, seed: int = 0) -> torch.Tensor:
    return torch.randint(0, CODES, (count, LENGTH), generator=torch.Generator().manual_seed(seed))


def test_a_code_changes_the_logits_after_it_and_none_before(prior):
    codes, where = some_codes(1), torch.tensor([0.2])
    usual = prior(codes, where)
    for place in range(LENGTH):
        changed = codes.clone()
        changed[0, place] = (changed[0, place] + 1) % CODES
        logits = prior(changed, where)
        assert torch.equal(logits[:, : place + 1], usual[:, : place + 1])
        for later in range(place + 1, LENGTH):
            assert (logits[:, later] - usual[:, later]).abs().max() > 1e-4


def test_filling_the_cache_gives_the_logits_of_the_forward_pass(prior):
    codes, where = some_codes(3), torch.tensor([-0.5, 0.0, 0.3])
    logits, cache = prior.fill(codes, where)
    assert torch.equal(logits, prior(codes, where))
    assert cache.keys.shape == cache.values.shape == (2, 3, 2, LENGTH, 8)


@pytest.mark.parametrize("stops", [(3, 11), (0, 1, 2, 3, 4, 11), (5, 6, 10), (10, 11)])
def test_going_on_from_the_cache_is_the_same_as_starting_anew(prior, stops):
    old, new, where = some_codes(2, 1), some_codes(2, 2), torch.tensor([-0.1, 0.4])
    new[:, : stops[0]] = old[:, : stops[0]]
    _, cache = prior.fill(old, where)
    wanted = prior(new, where)
    for before, place in zip(stops, stops[1:]):
        logits = prior.extend(new, where, before + 1, place + 1, cache)
        assert torch.allclose(logits, wanted[:, place], atol=1e-5)


def test_copies_of_a_cache_leave_the_original_alone(prior):
    codes, where = some_codes(2), torch.tensor([0.0, 0.1])
    _, cache = prior.fill(codes, where)
    keys = cache.keys.clone()
    copies = cache.copies(1, 4)
    assert copies.keys.shape[1] == 4 and torch.equal(copies.keys[:, 3], keys[:, 1])
    prior.extend(some_codes(4, 5), where[1:].expand(4), 3, 9, copies)
    assert torch.equal(cache.keys, keys)


def test_the_likelihood_of_all_codes_adds_up_to_one(prior):
    codes, where = some_codes(1), torch.tensor([0.0])
    total = torch.zeros(LENGTH)
    for code in range(CODES):
        total += (-likelihood_of(prior(codes, where), torch.full_like(codes, code)))[0].exp()
    assert torch.allclose(total, torch.ones(LENGTH), atol=1e-5)
    by_hand = -prior(codes, where).log_softmax(-1)[0, 4, codes[0, 4]]
    assert prior.nll(codes, where)[0, 4] == pytest.approx(float(by_hand), abs=1e-6)


def test_the_prior_learns_what_belongs_to_which_slice():
    torch.manual_seed(0)
    network = CodePrior(CODES, LENGTH, width=16, layers=1, heads=2)
    optimizer = torch.optim.Adam(network.parameters(), 1e-2)
    where = torch.linspace(-0.5, 0.5, 32)
    codes = torch.where(where[:, None] < 0, 1, 4).expand(-1, LENGTH).contiguous()
    for _ in range(40):
        loss, _ = network.loss(codes, where)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    network.eval()
    low = network.nll(codes[:1], torch.tensor([-0.3]))[0]
    high = network.nll(codes[:1], torch.tensor([0.3]))[0]
    assert low[0] < 0.7 and high[0] > 2.0


def clusters(steps: int, codes: int, width: int = 4) -> list[torch.Tensor]:
    """Batches of clustered latents (N, d, H, W); in the first all are nearly the same, as untrained encoders give."""
    generator = torch.Generator().manual_seed(1)
    centres = 4 * torch.randn(codes, width, generator=generator)
    batches = []
    for step in range(steps):
        of = torch.randint(0, 1 if step == 0 else codes, (4, 8, 8), generator=generator)
        noise = (1e-4 if step == 0 else 0.1) * torch.randn(4, 8, 8, width, generator=generator)
        batches.append((centres[of] + noise).movedim(-1, 1))
    return batches


def trained_quantiser(codes: int = 32) -> tuple[Quantiser, torch.Tensor]:
    """A quantiser of clusters, and latents of its last batches."""
    torch.manual_seed(2)
    network = Quantiser(codes, 4).train()
    batches = clusters(400, codes)
    for batch in batches:
        network(batch)
    return network.eval(), torch.cat(batches[-8:])


@pytest.fixture(scope="module")
def shared_quantiser() -> tuple[Quantiser, torch.Tensor]:
    return trained_quantiser()


@pytest.fixture
def quantiser(shared_quantiser) -> tuple[Quantiser, torch.Tensor]:
    """A copy of the trained quantiser, and latents."""
    network, latent = shared_quantiser
    return copy.deepcopy(network), latent.clone()


def test_no_code_dies_and_every_cluster_gets_its_own(quantiser, monkeypatch):
    network, latent = quantiser
    used = network.indices(latent).unique().numel()
    error = (network(latent)[0] - latent).square().mean()
    assert used >= 29
    monkeypatch.setattr(quantiser_module, "DEAD_BELOW", 0.0)
    collapsed, _ = trained_quantiser()
    assert collapsed.indices(latent).unique().numel() < 0.75 * used
    assert error < 0.5 * (collapsed(latent)[0] - latent).square().mean()


def test_the_nearest_code_is_chosen(quantiser):
    network, latent = quantiser
    distance = (latent.movedim(1, -1)[..., None, :] - network.codebook).square().sum(-1)
    assert torch.equal(network.indices(latent), distance.argmin(-1))
    assert torch.equal(network.embed(network.indices(latent)).movedim(1, -1), network.codebook[distance.argmin(-1)])


def test_the_codebook_changes_in_training_only(quantiser):
    network, latent = quantiser
    before = {key: value.clone() for key, value in network.state_dict().items()}
    network(latent + 1)
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())
    network.train()
    network.indices(latent + 1)
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())
    network(latent + 1)
    assert not torch.equal(network.codebook, before["codebook"])


def test_reduced_precision_does_not_change_which_code_is_nearest(quantiser):
    network, _ = quantiser
    latent = 4 * torch.randn(8, 4, 16, 16, generator=torch.Generator().manual_seed(9))
    with torch.autocast("cpu", torch.bfloat16):
        quantised, indices, commitment = network(latent)
        assert torch.equal(network.indices(latent), indices)
    assert torch.equal(indices, network.indices(latent))
    assert quantised.dtype == commitment.dtype == network.codebook.dtype == torch.float32


def test_gradients_pass_straight_through_and_the_commitment_pulls_to_the_code(quantiser):
    network, latent = quantiser
    latent = latent[:1].clone().requires_grad_()
    quantised, indices, commitment = network(latent)
    quantised.sum().backward()
    assert torch.equal(latent.grad, torch.ones_like(latent))
    assert torch.allclose(commitment, (latent - network.embed(indices)).square().mean())


def test_a_first_batch_smaller_than_the_codebook_is_enough_to_start():
    torch.manual_seed(0)
    network = Quantiser(64, 4).train()
    quantised, _, _ = network(torch.randn(1, 4, 2, 2))
    assert torch.isfinite(quantised).all() and torch.isfinite(network.codebook).all()


@pytest.fixture
def vqvae() -> VQVAE:
    torch.manual_seed(5)
    network = VQVAE((8, 16), 1, 16, 4).eval().requires_grad_(False)
    network.quantiser.codebook.copy_(0.1 * torch.randn(16, 4))
    return network


def test_the_logged_error_is_that_of_decoding_the_codes(vqvae):
    images, where = torch.rand(3, 1, 16, 24), torch.tensor([-0.2, 0.0, 0.4])
    masks = (torch.rand(3, 1, 16, 24) < 0.5).float()
    indices = vqvae.encode(images, where)
    assert indices.shape == (3, 4, 6) and indices.dtype == torch.int64
    restored = vqvae.decode(indices, where)
    assert restored.shape == images.shape
    _, log = vqvae.loss(images, masks, where)
    assert float(log["error"]) == pytest.approx(float((restored - images).abs().sum() / masks.sum()), rel=1e-5)
    assert log["codes_used"] == indices.unique().numel()


def test_encoder_and_decoder_know_the_slice(vqvae):
    image, codes = torch.rand(1, 1, 16, 16), torch.zeros(1, 4, 4, dtype=torch.long)
    low, high = torch.tensor([-0.5]), torch.tensor([0.5])
    assert not torch.equal(vqvae.decode(codes, low), vqvae.decode(codes, high))
    heard = []
    vqvae.encoder.register_forward_hook(lambda module, given, out: heard.append(out))
    vqvae.encode(image, low)
    vqvae.encode(image, high)
    assert not torch.equal(*heard)
