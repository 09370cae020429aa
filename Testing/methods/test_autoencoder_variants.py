from __future__ import annotations

from dataclasses import asdict, replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from support.phantoms import head, one_thread  # noqa: F401
from support.refusals import accepted

from MedADLib.errors import InputError, ModelError
from MedADLib.methods.autoencoder import Autoencoder, AutoencoderParameters
from MedADLib.networks.autoencoder import Memory, entropy
from MedADLib.networks.conv_autoencoder import ConvDecoder, ConvEncoder, Expansion
from MedADLib.runtime.progress import Progress
from MedADLib.runtime.strict_json import added, from_json
from MedADLib.training.config import Options
from MedADLib.training.data import HealthyData
from MedADLib.training.loop import Plan
from MedADLib.training.recipes.autoencoder import fitted, train
from MedADLib.training.slices import Slices

SMALL = AutoencoderParameters(size=(32, 32), channels=(8, 16, 16), latent=8)
VARIANTS = [
    {"loss": "l1"},
    pytest.param({"loss": "ssim"}, marks=pytest.mark.slow),
    pytest.param({"loss": "perceptual"}, marks=pytest.mark.slow),
    pytest.param({"variant": "uncertain"}, marks=pytest.mark.slow),
    {"variant": "memory"},
    pytest.param({"variant": "spatial", "latent": 2}, marks=pytest.mark.slow),
    pytest.param({"variant": "constrained"}, marks=pytest.mark.slow),
    pytest.param({"score": "gradient"}, marks=pytest.mark.slow),
]


def toy_scan(seed: int) -> tuple[np.ndarray, np.ndarray]:
    volume, mask = head(seed, spacing=(6.0, 6.0, 10.0), size=32)
    return (volume.array / 1100).astype(np.float32), mask


@pytest.fixture(scope="module")
def scans() -> tuple[Slices, Slices]:
    return Slices.of([toy_scan(n) for n in range(4)]), Slices.of([toy_scan(50)])


@pytest.mark.parametrize("changes", VARIANTS, ids=str)
def test_each_variant_learns_saves_and_finds(changes, scans, tmp_path):
    parameters = replace(SMALL, **changes)
    start = fitted(parameters, None, scans, Plan(1, 1e-9, every=1), tmp_path / "0", "cpu", Progress())[1]
    method, last = fitted(parameters, None, scans, Plan(60, 3e-3, every=60), tmp_path / "1", "cpu", Progress())
    key = "validation_score" if parameters.loss in ("ssim", "perceptual") else "validation_error"
    assert last[key] < 0.8 * start[key]
    image, mask = toy_scan(51)
    sick = image.copy()
    sick[15:18, 8:12, 18:22] = 0.2
    lesion = sick != image
    healthy, found = method.restore(image, mask), method.restore(sick, mask)
    # The structure of a noisy toy is hardly to be had, so that healthy tissue is far from similar too.
    assert found.score[lesion].mean() > (1.1 if parameters.loss == "ssim" else 1.3) * healthy.score[lesion].mean()
    assert np.isfinite(found.score).all() and found.score.min() > -1e-5 and (found.score[~mask] == 0).all()
    assert found.sample_score == pytest.approx(float(found.score[mask].mean()), rel=1e-5)
    again = Autoencoder.from_tensors(from_json(AutoencoderParameters, _json(parameters), "it"), method.tensors())
    assert np.array_equal(again.restore(sick, mask).score, found.score)
    only = np.zeros_like(mask)
    only[16] = mask[16]
    assert np.allclose(method.restore(sick, only).score[16], found.score[16], rtol=1e-3, atol=1e-5)


def _json(parameters: AutoencoderParameters) -> dict:
    return {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(parameters).items()}


def test_the_score_is_the_loss_pixel_by_pixel():
    images, masks, where = torch.rand(3, 1, 32, 32), torch.ones(3, 1, 32, 32), torch.zeros(3)
    for changes in ({}, {"loss": "l1"}, {"loss": "ssim"}, {"loss": "perceptual"}):
        network = Autoencoder.untrained(replace(SMALL, **changes), 1).network.eval()
        loss, _ = network.loss(images, masks, where)
        wanted = network.score(images, network.reconstruct(images)).mean()
        assert float(loss.detach()) == pytest.approx(float(wanted.detach()), rel=1e-5)


def test_what_the_uncertain_autoencoder_calls_uncertain_counts_less():
    network = Autoencoder.untrained(replace(SMALL, variant="uncertain"), 1).network.eval()
    images = torch.rand(2, 1, 32, 32)
    made = network.reconstruct(images)
    squared = (images - made.restored).square()
    sure, unsure = (network.score(images, made._replace(log_variance=torch.full_like(images, s))) for s in (0.0, 2.0))
    assert torch.allclose(sure, squared) and torch.allclose(unsure, squared * np.exp(-2), rtol=1e-5)
    loss, _ = network.loss(images, torch.ones_like(images), torch.zeros(2))
    wanted = (torch.exp(-made.log_variance) * squared + made.log_variance).mean()
    assert float(loss.detach()) == pytest.approx(float(wanted.detach()), rel=1e-5)


def test_the_constraint_is_the_distance_of_the_codes():
    images, rest = torch.rand(2, 1, 32, 32), (torch.ones(2, 1, 32, 32), torch.zeros(2))
    network = Autoencoder.untrained(replace(SMALL, variant="constrained"), 1).network.eval()
    plain = Autoencoder.untrained(SMALL, 1).network.eval()
    added_loss = float((network.loss(images, *rest)[0] - plain.loss(images, *rest)[0]).detach())
    distance = (plain.encoder(images) - plain.encoder(plain(images))).square().mean()
    assert added_loss == pytest.approx(float(distance.detach()), rel=1e-3)


def test_the_memory_s_loss_asks_for_few_slots():
    """Gong et al. 2019: mean (x − x̂)² + 0.0002·H(ŵ), so that spreading over many slots costs."""
    network = Autoencoder.untrained(replace(SMALL, variant="memory"), 1).network.eval()
    images = torch.rand(3, 1, 32, 32)
    made = network.reconstruct(images)
    loss, _ = network.loss(images, torch.ones_like(images), torch.zeros(3))
    spread = torch.special.entr(made.weights).sum(dim=1).mean()
    assert float(spread.detach()) > 1
    extra = (loss - (images - made.restored).square().mean()) / spread
    assert float(extra.detach()) == pytest.approx(0.0002, rel=1e-2)


def test_the_gradient_score_is_the_slope_of_the_error():
    method = Autoencoder.untrained(replace(SMALL, score="gradient"), 1)
    image, mask = toy_scan(3)
    score = method.restore(image, mask).score
    network = method.network.double().eval()
    x = torch.from_numpy(image[16])[None, None].double()

    def error(picture):
        with torch.no_grad():
            # The network gives float32, too coarse for a difference; its parts do not.
            restored = network.decoder(network.expand(network.encoder(picture)))
            return float((restored - picture).square().sum())

    for row, column in ((12, 14), (16, 16), (20, 10)):
        step = torch.zeros_like(x)
        step[0, 0, row, column] = 1e-5
        slope = (error(x + step) - error(x - step)) / 2e-5
        assert score[16, row, column] == pytest.approx(abs(slope), rel=1e-3, abs=1e-5)


def test_the_memory_answers_with_few_slots_and_cuts_the_rest():
    torch.manual_seed(0)
    memory = Memory(25, 6)
    codes = torch.randn(40, 6)
    answer, weights = memory(codes)
    assert torch.allclose(weights.sum(1), torch.ones(40), atol=1e-5) and (weights >= 0).all()
    assert torch.allclose(answer, weights @ memory.items)
    likeness = torch.nn.functional.cosine_similarity(codes[:, None], memory.items[None], dim=2)
    soft = torch.softmax(likeness, dim=1)
    assert torch.equal(weights > 0, soft > 1 / 25)
    assert torch.allclose(
        weights, torch.where(soft > 1 / 25, soft, 0) / torch.where(soft > 1 / 25, soft, 0).sum(1)[:, None]
    )
    uniform = torch.full((1, 25), 1 / 25)
    assert float(entropy(uniform)) == pytest.approx(np.log(25), rel=1e-5)
    assert float(entropy(torch.eye(25)[:1])) == 0
    answer.sum().backward()
    assert torch.isfinite(memory.items.grad).all() and (memory.items.grad != 0).any()


@pytest.mark.parametrize("norm", ["batch", "instance", "none"])
@pytest.mark.parametrize("bottleneck", ["dense", "spatial"])
def test_the_backbone_comes_back_to_the_size_it_started_from(norm, bottleneck):
    size, channels = (32, 64), (4, 8, 12)
    code = ConvEncoder(size, channels, 5, bottleneck, norm=norm)(torch.rand(3, 1, *size))
    assert code.shape == ((3, 5) if bottleneck == "dense" else (3, 5, 4, 8))
    features = Expansion(size, channels, 5, bottleneck, norm)(code)
    assert features.shape == (3, 12, 4, 8)
    assert ConvDecoder(channels, 2, norm)(features).shape == (3, 2, *size)


def test_variants_that_make_no_sense_are_refused():
    wrong = [
        {"loss": "l3"},
        {"variant": "x"},
        {"score": ""},
        {"slots": 1},
        {"slots": 10**6},
        {"variant": "uncertain", "loss": "ssim"},
        {"size": (8, 8), "channels": (4,)},
    ]
    assert accepted(ValueError, lambda settings: replace(SMALL, **settings), wrong) == []


def test_a_model_from_before_the_variants_is_a_plain_one():
    old = {"size": [32, 32], "channels": [8, 16, 16], "latent": 8}
    assert from_json(AutoencoderParameters, old, "it") == SMALL
    assert from_json(AutoencoderParameters, old | {"loss": "l1"}, "it").loss == "l1"
    for bad in ({"latent": 8}, old | {"loss": "l9"}, old | {"loss": 1}, old | {"more": 1}):
        with pytest.raises(ModelError):
            from_json(AutoencoderParameters, bad, "it")
    names = set(Autoencoder.untrained(SMALL).tensors())
    assert {"encoder.0.weight", "expand.3.bias", "decoder.6.bias"} <= names
    assert not any(name.startswith(("memory", "features")) for name in names)
    assert added(3).default == 3


def data() -> HealthyData:
    return HealthyData(SimpleNamespace(symmetric=True), [toy_scan(n) for n in range(3)], [toy_scan(50)])


def test_a_user_gets_what_was_wished_for_and_a_typing_error_is_told(tmp_path):
    wishes = {"channels": [4, 8, 8], "variant": "memory", "latent": 4, "loss": "perceptual"}
    method, facts = train(data(), Options(steps=2, extra=wishes), tmp_path / "one", Progress())
    assert method.parameters == replace(SMALL, channels=(4, 8, 8), latent=4, variant="memory", loss="perceptual")
    assert facts["last"]["step"] == 2 and (tmp_path / "one" / "features" / "log.csv").is_file()
    for wrong in ({"los": "l1"}, {"loss": "l3"}, {"slots": "many"}, {"size": [32, 32]}):
        with pytest.raises(InputError):
            train(data(), Options(steps=2, extra=wrong), tmp_path / "two", Progress())


def test_without_a_latent_size_one_is_chosen_and_the_curve_drawn(tmp_path):
    options = Options(steps=2, sweep_steps=1, extra={"channels": [4, 8, 8]})
    method, facts = train(data(), options, tmp_path, Progress())
    assert list(facts["latent_sweep"]) == ["1", "2", "4", "8", "16", "32", "64", "128"]
    assert str(method.parameters.latent) in facts["latent_sweep"]
    assert (tmp_path / "sweep.png").stat().st_size > 5000
    assert len((tmp_path / "sweep.tsv").read_text().splitlines()) == 9
