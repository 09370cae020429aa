"""WGAN-GP: penalty and losses against known values, and the parameters that each objective trains."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from support.phantoms import one_thread  # noqa: F401
from torch import nn

from MedADLib.networks.adversarial import (
    PENALTY,
    VAEGAN,
    AdversarialAutoEncoder,
    CodeCritic,
    CodeEncoder,
    Generator,
    ImageCritic,
    IziF,
    WassersteinGAN,
    critic_loss,
    gradient_penalty,
    opponent_loss,
)
from MedADLib.training.loop import Plan, fit

SIZE, CHANNELS, LATENT = (16, 16), (4, 8), 6
MEAN, SPREAD = torch.tensor([1.0, -1.0]), torch.tensor([0.5, 1.5])


def linear(slope: torch.Tensor):
    return lambda samples: samples.flatten(1) @ slope.flatten()


def image_gan(seed: int = 0) -> WassersteinGAN:
    torch.manual_seed(seed)
    return WassersteinGAN(Generator(SIZE, CHANNELS, LATENT), ImageCritic(SIZE, CHANNELS), LATENT, critic_steps=2)


def network(name: str, seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    if name == "gan":
        return image_gan(seed)
    if name == "vae_gan":
        return VAEGAN(SIZE, CHANNELS, LATENT, CHANNELS)
    return AdversarialAutoEncoder(SIZE, CHANNELS, LATENT)


def pictures(number: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(number)
    images = torch.rand(4, 1, 1, 1, generator=generator) * torch.ones(4, 1, *SIZE)
    return images, torch.ones_like(images), torch.zeros(4)


def nothing(_: nn.Module) -> dict[str, float]:
    return {"error": 0.0}


@pytest.mark.parametrize("shape", [(5, 3), (5, 1, 4, 6)])
@pytest.mark.parametrize("norm", [0.0, 0.5, 1.0, 3.0])
def test_the_penalty_of_a_linear_critic_is_ten_times_its_slope_less_one_squared(shape, norm):
    slope = torch.randn(shape[1:], generator=torch.Generator().manual_seed(1))
    slope = norm * slope / slope.norm()
    found = gradient_penalty(linear(slope), torch.randn(shape), torch.randn(shape))
    assert PENALTY == 10
    assert float(found) == pytest.approx(10 * (norm - 1) ** 2, rel=1e-4, abs=1e-4)


def test_the_penalty_looks_at_each_sample_between_its_own_two():
    # The slope of |x|²/2 at x is |x|; with equal ends there is one place only.
    samples = torch.diag(torch.tensor([0.5, 1.0, 4.0]))
    found = gradient_penalty(lambda x: 0.5 * x.square().sum(dim=1), samples, samples.clone()).detach()
    assert float(found) == pytest.approx(10 * (0.25 + 0 + 9) / 3, rel=1e-5)
    ends = torch.zeros(2000, 1), torch.full((2000, 1), 2.0)
    seen = []
    gradient_penalty(lambda x: seen.append(x.detach()) or x.sum(dim=1), *ends)
    assert seen[0].min() >= 0 and seen[0].max() <= 2 and float(seen[0].var()) == pytest.approx(4 / 12, rel=0.1)


def test_the_penalty_teaches_the_critic_its_slope():
    slope = torch.tensor([2.0, 0.0], requires_grad=True)
    gradient_penalty(linear(slope), torch.randn(3, 2), torch.randn(3, 2)).backward()
    assert torch.allclose(slope.grad, torch.tensor([2 * 10 * (2.0 - 1), 0.0]), atol=1e-4)


def test_equal_distributions_are_no_distance_apart_and_shifted_ones_their_shift():
    generator = torch.Generator().manual_seed(2)
    critic = linear(torch.tensor([0.6, 0.8]))
    distances = []
    for _ in range(400):
        loss, log = critic_loss(critic, torch.randn(8, 2, generator=generator), torch.randn(8, 2, generator=generator))
        assert float(loss) == pytest.approx(-float(log["wasserstein"]), abs=1e-4)
        distances.append(float(log["wasserstein"]))
    # One distance has the variance 2/8.
    assert abs(sum(distances) / 400) < 4 * math.sqrt(0.25 / 400)
    real = torch.randn(8, 2, generator=generator)
    _, log = critic_loss(critic, real + torch.tensor([3.0, 4.0]), real)
    assert float(log["wasserstein"]) == pytest.approx(5, rel=1e-4)


def test_the_opponent_is_trained_to_raise_the_judgement_and_gets_no_gradient_from_the_loss_of_the_critic():
    fake = torch.zeros(4, 2, requires_grad=True)
    opponent_loss(linear(torch.tensor([0.6, 0.8])), fake).backward()
    assert torch.allclose(fake.grad, -torch.tensor([0.6, 0.8]).expand(4, 2) / 4)
    fake = torch.zeros(4, 2, requires_grad=True)
    slope = torch.ones(2, requires_grad=True)
    critic_loss(linear(slope), torch.ones(4, 2), fake)[0].backward()
    assert fake.grad is None and slope.grad is not None


@pytest.mark.parametrize("made", ["image critic", "code critic", "generator", "vae_gan", "adversarial_autoencoder"])
def test_each_sample_is_treated_by_itself_also_in_training(made):
    torch.manual_seed(0)
    images = torch.rand(5, 1, *SIZE)
    models = {
        "image critic": (ImageCritic(SIZE, CHANNELS), images),
        "code critic": (CodeCritic(LATENT), torch.randn(5, LATENT)),
        "generator": (Generator(SIZE, CHANNELS, LATENT), torch.randn(5, LATENT)),
        "vae_gan": (network("vae_gan"), images),
        "adversarial_autoencoder": (network("adversarial_autoencoder"), images),
    }
    model, samples = models[made]
    model.train()
    before = [buffer.clone() for buffer in model.buffers()]
    with torch.no_grad():
        assert torch.allclose(model(samples)[:2], model(samples[:2]), atol=1e-5)
    assert all(torch.equal(a, b) for a, b in zip(before, model.buffers()))


def test_critics_give_one_number_a_sample_and_see_brightness():
    critic = ImageCritic(SIZE, CHANNELS)
    images = torch.rand(3, 1, *SIZE)
    assert critic(images).shape == (3,) and CodeCritic(LATENT)(torch.randn(3, LATENT)).shape == (3,)
    assert critic.features(images).shape == (3, 8 * 4 * 4)
    assert not torch.allclose(critic(images), critic(2 * images), atol=1e-3)


OBJECTIVES = [
    ("gan", "critic", "critic."),
    ("gan", "generator", "generator."),
    ("vae_gan", "critic", "critic."),
    ("vae_gan", "autoencoder", ("encoder.", "expansion.", "decoder.")),
    ("adversarial_autoencoder", "critic", "critic."),
    ("adversarial_autoencoder", "autoencoder", ("encoder.", "expansion.", "decoder.")),
    ("adversarial_autoencoder", "encoder", "encoder."),
]


@pytest.mark.parametrize(("name", "objective", "prefixes"), OBJECTIVES)
def test_an_objective_trains_its_own_parameters_only(tmp_path, name, objective, prefixes):
    model = network(name)
    (own,) = [candidate for candidate in model.objectives() if candidate.name == objective]
    model.objectives = lambda: (own,)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    fit(model, pictures, nothing, Plan(2, 1e-2, every=2), tmp_path)
    changed = {key for key, value in model.state_dict().items() if not torch.equal(value, before[key])}
    wanted = {key for key in before if key.startswith(prefixes)}
    assert changed <= wanted
    assert changed >= {key for key in wanted if key.endswith("weight")}


def test_the_encoder_learns_and_generator_and_critic_stay_frozen(tmp_path):
    gan = image_gan()
    before = {key: value.clone() for key, value in gan.state_dict().items()}
    izi = IziF(gan, CodeEncoder(SIZE, CHANNELS, LATENT), kappa=1.0)
    first = izi.encoder[0][0].weight.clone()
    fit(izi, pictures, nothing, Plan(3, 1e-2, every=3), tmp_path)
    assert all(torch.equal(value, before[key]) for key, value in gan.state_dict().items())
    assert not torch.equal(izi.encoder[0][0].weight, first)


def test_the_encoder_loss_is_the_picture_error_and_kappa_times_that_of_the_features():
    gan, encoder = image_gan(), CodeEncoder(SIZE, CHANNELS, LATENT).eval()
    images = torch.rand(3, 1, *SIZE)
    restored = gan.generator(encoder(images))
    squared = (images - restored).square().mean()
    features = (gan.critic.features(images) - gan.critic.features(restored)).square().mean()
    for kappa in (0.0, 1.0, 2.5):
        loss, _ = IziF(gan, encoder, kappa).loss(images)
        assert float(loss.detach()) == pytest.approx(float((squared + kappa * features).detach()), rel=1e-5)
    assert encoder(100 * images).abs().max() <= 1


def test_the_objectives_are_those_of_the_recipe():
    critic, generator = WassersteinGAN(nn.Linear(2, 2), nn.Linear(2, 1), 2).objectives()
    assert (critic.repeat, generator.repeat) == (5, 1)
    assert critic.betas == generator.betas == (0.0, 0.9)
    assert [objective.name for objective in network("adversarial_autoencoder").objectives()] == [
        "critic",
        "autoencoder",
        "encoder",
    ]
    assert network("vae_gan").objectives()[0].repeat == 5


def test_without_divergence_from_the_prior_and_judgement_the_loss_of_vae_gan_is_the_mean_error():
    model = VAEGAN(SIZE, CHANNELS, LATENT, CHANNELS, adversarial=0.0)
    last = model.encoder[-1]
    nn.init.zeros_(last.weight)
    nn.init.zeros_(last.bias)
    images, masks, positions = pictures(3)
    torch.manual_seed(5)
    loss, log = model.autoencoder_loss(images, masks, positions)
    torch.manual_seed(5)
    restored = model.decode(torch.randn(4, LATENT))
    assert float(log["kl"]) == 0
    assert float(loss.detach()) == pytest.approx(float((images - restored).abs().mean().detach()), rel=1e-5)
    with torch.no_grad():
        last.bias[:LATENT] = 2.0  # KL(N(2, 1) ‖ N(0, 1)) is 2 nats a latent
    assert float(model.autoencoder_loss(images, masks, positions)[1]["kl"]) == pytest.approx(2 * LATENT, rel=1e-5)


def test_the_constraint_is_the_distance_of_the_codes_of_slice_and_reconstruction():
    model = network("adversarial_autoencoder")
    images, masks, positions = pictures(4)
    with torch.no_grad():
        model.encoder[-1].weight.mul_(100)
    plain = AdversarialAutoEncoder(SIZE, CHANNELS, LATENT, constraint=0.0)
    plain.load_state_dict(model.state_dict())
    apart = (model.encode(images) - model.encode(model(images))).square().sum(dim=1).mean()
    both = [one.autoencoder_loss(images, masks, positions)[0].detach() for one in (model, plain)]
    assert float(both[0] - both[1]) == pytest.approx(float(apart.detach()) / (SIZE[0] * SIZE[1]), rel=1e-3)


@pytest.mark.parametrize("name", ["gan", "vae_gan", "adversarial_autoencoder"])
def test_the_same_seed_plays_the_same_game(tmp_path, name):
    plan = Plan(3, 1e-3, every=2, seed=4)
    games = []
    for number, one in enumerate((plan, plan, replace(plan, seed=5))):
        model = network(name)
        fit(model, pictures, nothing, one, tmp_path / str(number))
        games.append(torch.cat([value.flatten() for value in model.state_dict().values()]))
    assert torch.equal(games[0], games[1]) and not torch.equal(games[0], games[2])


def blob(number: int) -> tuple[torch.Tensor]:
    """Draws from a normal distribution that is neither round nor at the origin."""
    points = torch.randn(128, 2, generator=torch.Generator().manual_seed(number))
    return (points * SPREAD + MEAN,)


def test_a_generator_learns_mean_and_spread_of_a_distribution(tmp_path):
    torch.manual_seed(0)
    gan = WassersteinGAN(nn.Linear(2, 2), CodeCritic(2, 64), 2)

    def points() -> torch.Tensor:
        with torch.no_grad():
            return gan.generator(torch.randn(4000, 2, generator=torch.Generator().manual_seed(1)))

    assert not torch.allclose(points().mean(dim=0), MEAN, atol=0.5)
    assert not torch.allclose(points().std(dim=0), SPREAD, atol=0.5)
    history = fit(gan, blob, nothing, Plan(300, 2e-2, every=100), tmp_path)
    assert torch.allclose(points().mean(dim=0), MEAN, atol=0.2)
    assert torch.allclose(points().std(dim=0), SPREAD, atol=0.2)
    assert history[-1]["train_critic_wasserstein"] < 0.2 * history[0]["train_critic_wasserstein"]


def test_the_encoder_spreads_its_codes_over_the_prior(tmp_path):
    torch.manual_seed(0)
    # In one dimension the slope of a critic cannot turn around, because the penalty keeps it away from 0.
    model = AdversarialAutoEncoder(SIZE, CHANNELS, latent=2)
    critic, _, encoder = model.objectives()
    model.objectives = lambda: (critic, encoder)

    def shades(number: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        halves = torch.rand(32, 1, 1, 2, generator=torch.Generator().manual_seed(number))
        images = halves.repeat_interleave(SIZE[1] // 2, dim=3).expand(32, 1, *SIZE)
        return images, torch.ones_like(images), torch.zeros(32)

    def spread() -> torch.Tensor:
        with torch.no_grad():
            return torch.cat([model.encode(shades(1000 + number)[0]) for number in range(10)]).std(dim=0)

    assert (spread() < 0.1).all()
    fit(model, shades, nothing, Plan(100, 4e-3, every=100), tmp_path)
    assert (spread() > 0.3).all() and (spread() < 2).all()
