"""All samplers draw the same codes, and the fast ones do so without computing anything twice."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from support.toy_codes import CODES, Question, random_prior

from MedADLib.methods.sampling import task
from MedADLib.methods.sampling.resample import resample_codes, sampler_for
from MedADLib.methods.sampling.task import gumbel
from MedADLib.methods.slicewise import slice_positions
from MedADLib.modelfile.model import load_model
from MedADLib.networks.code_prior import CodePrior
from MedADLib.training.data import read_scan

pytestmark = pytest.mark.usefixtures("one_thread")
FAST = ("segment", "jacobi")
GRIDS = {7: (), 15: (), 30: (5, 15)}
MASKS = ("static", "dynamic")


def random_question(length: int, scale: float = 1.0, slices: int = 2) -> Question:
    prior = random_prior(length, length, GRIDS[length])
    with torch.no_grad():
        prior.head.weight.mul_(scale)
        prior.head.bias.mul_(scale)
    codes = torch.randint(0, CODES, (slices, length), generator=torch.Generator().manual_seed(2))
    return Question(prior, codes, torch.linspace(-0.3, 0.4, slices))


@pytest.mark.parametrize("samples", [1, 15])
@pytest.mark.parametrize("scale", [1.0, 6.0])
@pytest.mark.parametrize("length", GRIDS)
@pytest.mark.parametrize("mask", MASKS)
def test_all_samplers_draw_the_same_codes_from_strict_to_everything(mask, length, scale, samples):
    question = random_question(length, scale)
    allowed = torch.from_numpy(np.random.default_rng(length).random((2, length)) < 0.8)
    for threshold in (math.inf, 4.0, 2.0, -math.inf):
        reference = question.ask("sequential", mask, threshold, samples, allowed=allowed)
        assert torch.equal(reference[:, :, ~allowed[0]][0], question.codes[0, ~allowed[0]].expand(samples, -1))
        for sampler in FAST:
            assert torch.equal(question.ask(sampler, mask, threshold, samples, allowed=allowed), reference), sampler


def naive(question: Question, mask: str, threshold: float, samples: int) -> torch.Tensor:
    """By the words of the definition: a full evaluation for every place of every sample."""
    restored = question.codes[:, None].repeat(1, samples, 1)
    for number, drawn in enumerate(restored):
        for sample, row in enumerate(drawn):
            for place in range(len(row)):
                logits = question.prior(row[None], question.positions[number : number + 1])[0, place]
                nll = float(-logits.log_softmax(0)[row[place]])
                if (question.nll[number, place] if mask == "static" else nll) > threshold:
                    row[place] = (logits + gumbel((0, 3 + number), place, samples, CODES)[sample]).argmax()
    return restored


@pytest.mark.parametrize("mask", MASKS)
@pytest.mark.parametrize("threshold", [1.0, 2.5])
def test_the_reference_does_what_the_definition_states(mask, threshold):
    question = random_question(15)
    assert torch.equal(question.ask("sequential", mask, threshold, 3), naive(question, mask, threshold, 3))


def test_a_dynamic_mask_judges_by_what_was_restored():
    question = random_question(30)
    static, dynamic = (question.ask("segment", mask, 2.5, 15) for mask in MASKS)
    kept = (question.nll <= 2.5)[:, None].expand_as(static)
    assert torch.equal(static[kept], question.codes[:, None].expand_as(static)[kept])
    assert not torch.equal(dynamic[kept], static[kept])
    for number in range(2):
        first = int((question.nll[number] > 2.5).nonzero()[0])
        assert torch.equal(static[number, :, : first + 1], dynamic[number, :, : first + 1])


@pytest.mark.parametrize("sampler", ["sequential", *FAST])
@pytest.mark.parametrize("mask", MASKS)
def test_without_a_limit_no_code_is_resampled_and_with_limit_none_all_are(mask, sampler):
    question = random_question(15)
    assert torch.equal(question.ask(sampler, mask, math.inf, 4), question.codes[:, None].expand(-1, 4, -1))
    other = Question(question.prior, (question.codes + 1) % CODES, question.positions)
    drawn = question.ask(sampler, mask, -math.inf, 4)
    assert torch.equal(drawn, other.ask(sampler, mask, -math.inf, 4))
    assert not torch.equal(drawn, question.ask(sampler, mask, -math.inf, 4, seed=1))


@pytest.mark.parametrize("sampler", FAST)
@pytest.mark.parametrize("mask", MASKS)
def test_other_slices_in_the_batch_change_nothing(mask, sampler):
    question = random_question(15, slices=5)
    together = question.ask(sampler, mask, 2.0, 6)
    for number in range(5):
        one = slice(number, number + 1)
        alone = Question(question.prior, question.codes[one], question.positions[one])
        places, limit = (alone.nll > 2.0, None) if mask == "static" else (alone.nll > -1, 2.0)
        given = (
            alone.prior,
            alone.codes[0],
            alone.positions,
            places[0],
            alone.logits[0],
            alone.cache,
            6,
            (0, 3 + number),
        )
        assert torch.equal(resample_codes(*given, lambda done: None, limit, sampler), together[number])


@pytest.mark.parametrize("threshold", [-math.inf, 1.5, 3.0])
def test_segments_compute_no_row_twice_and_nothing_that_is_known_or_not_needed(threshold, monkeypatch):
    question, evaluated = random_question(15, 3.0, slices=3), []
    real = question.prior.tokens

    def counted(codes, positions, first, last):
        for row in codes:
            evaluated.extend((float(positions[0]), tuple(row[:place].tolist())) for place in range(first, last))
        return real(codes, positions, first, last)

    monkeypatch.setattr(question.prior, "tokens", counted)
    drawn, wanted = question.ask("segment", "static", threshold, 15), set()
    for number, own in enumerate(question.codes):
        for place in range(int((question.nll[number] > threshold).nonzero().max()) + 1):
            histories = {tuple(row[:place].tolist()) for row in drawn[number]} - {tuple(own[:place].tolist())}
            wanted |= {(float(question.positions[number]), history) for history in histories}
    assert len(evaluated) == len(set(evaluated)) > 50
    assert set(evaluated) == wanted


@pytest.mark.parametrize("sampler", ["sequential", *FAST])
@pytest.mark.parametrize("mask", MASKS)
def test_progress_goes_up_to_the_end_and_can_stop_the_work(mask, sampler):
    question, reported = random_question(15), []
    limit, places = (None, question.nll > 1) if mask == "static" else (1.0, question.nll > -1)
    given = question.prior, question.codes, question.positions, places, question.logits, question.cache, 3, (0, [3, 4])
    resample_codes(*given, reported.append, limit, sampler)
    assert reported == sorted(reported) and reported[-1] == pytest.approx(1) and len(reported) > 2
    with pytest.raises(ZeroDivisionError):
        resample_codes(*given, lambda done: 1 / 0, limit, sampler)


def test_cpus_read_segments_and_gpus_iterate():
    assert sampler_for("auto", "cpu") == "segment" and sampler_for("auto", "cuda:0") == "jacobi"
    assert sampler_for("sequential", "cuda:0") == "sequential"


def shipped_question(images: np.ndarray, slices: list[int]) -> tuple[Question, float]:
    """Codes of some slices under the trained prior that ships, and its λ."""
    method = load_model("brain-t1-vqvae").method
    where = torch.from_numpy(slice_positions(len(images))[slices])
    with torch.inference_mode():
        codes = method.vqvae.encode(torch.from_numpy(images[slices].astype(np.float32))[:, None], where)
    return Question(method.prior, codes.flatten(1), where), method.parameters.restoration_nll


@pytest.mark.parametrize("limit", [None, 1.0])
@pytest.mark.parametrize("margin", [task.CLOSE, 100.0], ids=["few near ties", "all near ties"])
def test_the_reference_draws_slices_together_as_it_does_alone(monkeypatch, limit, margin):
    """Near ties are computed from the history of their own slice and sample."""
    monkeypatch.setattr(task, "CLOSE", margin)
    question, samples = random_question(15, slices=3), 4
    places, reported = torch.rand(3, 15, generator=torch.Generator().manual_seed(5)) < 0.6, []

    def ask(chosen: slice) -> torch.Tensor:
        cache, numbers = question.cache.rows(chosen), list(range(3))[chosen]
        given = question.codes[chosen], question.positions[chosen], places[chosen], question.logits[chosen], cache
        with torch.inference_mode():
            return resample_codes(question.prior, *given, samples, (0, numbers), reported.append, limit, "sequential")

    together = ask(slice(0, 3))
    assert reported == sorted(reported) and len(set(reported)) == 15 and reported[-1] == pytest.approx(1)
    assert torch.equal(together, torch.cat([ask(slice(n, n + 1)) for n in range(3)]))
    assert len(together.unique(dim=0)) > 6


STRICT, EVERYTHING = 9.0, -math.inf


@pytest.mark.slow
@pytest.mark.parametrize(
    ("mask", "threshold", "samples", "samplers"),
    [
        ("static", STRICT, 15, FAST),
        pytest.param("static", None, 15, FAST, marks=pytest.mark.slow),
        pytest.param("static", EVERYTHING, 1, FAST, marks=pytest.mark.slow),
        pytest.param("static", EVERYTHING, 15, ("segment",), marks=pytest.mark.slow),
        ("dynamic", STRICT, 1, FAST),
        ("dynamic", None, 4, FAST),
        pytest.param("dynamic", EVERYTHING, 1, FAST, marks=pytest.mark.slow),
    ],
)
def test_the_trained_prior_draws_the_same_codes_from_its_own_template(mask, threshold, samples, samplers):
    """Of a slice with something too dark in it, so that even a strict λ finds codes to draw."""
    image = load_model("brain-t1-vqvae").template.image.array.copy()
    image[48, 50:80, 60:90] *= 0.3
    question, own = shipped_question(image, [48])
    threshold = own if threshold is None else threshold
    reference = question.ask("sequential", mask, threshold, samples)
    assert (reference != question.codes[:, None]).any()
    for sampler in samplers:
        assert torch.equal(question.ask(sampler, mask, threshold, samples), reference), sampler


@pytest.mark.slow
def test_a_volume_of_4096_codes_is_drawn_the_same_by_all_samplers():
    torch.manual_seed(0)
    prior = CodePrior(8, 16**3, 16, 2, 2, further=(16, 256)).eval()
    question = Question(prior, torch.randint(0, 8, (1, 16**3)), torch.zeros(1))
    allowed = torch.zeros(1, 16**3, dtype=torch.bool)
    allowed[0, torch.randperm(16**3)[:8]] = True
    reference = question.ask("sequential", "static", -math.inf, 3, allowed=allowed)
    changed = (reference != question.codes[:, None]).any(1)
    assert changed.any() and not (changed & ~allowed).any()
    for sampler in FAST:
        assert torch.equal(question.ask(sampler, "static", -math.inf, 3, allowed=allowed), reference), sampler


@pytest.mark.slow
def test_the_trained_prior_draws_the_same_codes_from_a_real_scan(data_dir):
    model = load_model("brain-t1-vqvae")
    scan = model.template.prepared(*read_scan(data_dir / "healthy_t1_ds002748" / "sub-58_T1w.nii.gz"))
    question, own = shipped_question(scan.image, [45])
    reference = question.ask("sequential", "static", own, 15)
    assert (reference != question.codes[:, None]).any(-1).all()
    assert torch.equal(question.ask("segment", "static", own, 15), reference)
    assert torch.equal(question.ask("jacobi", "dynamic", own, 4), question.ask("segment", "dynamic", own, 4))
