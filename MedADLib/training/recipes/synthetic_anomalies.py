"""Train the denoising autoencoder on coarse noise, and the segmenter of FPI and PII on foreign patches."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import torch

from ...corruption.blending import BLENDINGS, paste_foreign, uniform
from ...corruption.shapes import add_coarse_noise, band_edges, blobs, shift_bands, squares
from ...methods.settings import with_overrides
from ...methods.slicewise import generator_of
from ...methods.synthetic_anomalies import FPI, Denoising, FPIParameters
from ...networks.unet import CorruptionSegmenter, Denoiser
from ...runtime.progress import Progress
from ...scoring.metrics import Curve
from ..augmentation import GENTLE
from ..data import HealthyData
from ..loop import Batch, fit_slices
from ..slices import Slices

if TYPE_CHECKING:
    from ..config import Options

STEPS, RATE = 1400, 2e-3
BATCH = 8
VALIDATION_SLICES = 64
SPREAD = 0.2
# Numbers that separate the streams of random numbers of one seed.
NOISE, HELD_OUT = 41, 42

DEGREES = (0.05, 0.95)
# The least degree at the start, and the share of the steps after which all degrees occur.
EASY, EASY_UNTIL = 0.7, 0.5
BIASES = (0.1, 0.4)
SHAPES = {"square": squares, "blob": blobs}
PARTNER, FOREIGN, PATCH, HELD_OUT_PARTNER, OTHER_KIND = 31, 32, 33, 34, 35


def train_denoising(data: HealthyData, options: Options, folder: Path, progress: Progress) -> tuple[Denoising, dict]:
    """Train the denoising autoencoder: 1400 steps of 8 slices, about 13 minutes at 160 × 160 on two CPU cores.

    See `trainers.Trainer`. The noise is N(0, 0.2²) on a 16 × 16 grid, in standard intensities. ``options.extra`` may
    set ``channels``.
    """
    slices = data.slices()
    parameters = with_overrides(Denoising.Parameters(size=slices[0].size), options.overrides())
    method = Denoising.untrained(parameters, options.seed)
    progress.stage("denoising autoencoder", 0.0, 0.9)
    plan = options.plan(options.steps or STEPS, RATE)
    errors, sizes = partial(denoising_errors, seed=plan.seed), {"size": BATCH, "held": VALIDATION_SLICES}
    sample = partial(noisy_batch, slices[0], seed=plan.seed)
    log = fit_slices(
        method.network, slices, plan, errors, folder / "denoiser", options.device, progress, sample=sample, **sizes
    )
    method.network.to("cpu").requires_grad_(False)
    return method, {"last": log[-1]}


def noisy_batch(slices: Slices, step: int, seed: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Create the batch of a step: augmented slices with noise, masks, positions, and the slices without noise."""
    images, masks, positions = slices.batch(step, BATCH, seed, GENTLE)
    return _noisy(images, masks, generator_of([seed, NOISE, step])), masks, positions, images


def _noisy(images: torch.Tensor, masks: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    return add_coarse_noise(images, masks, torch.full((len(images),), SPREAD), generator)


def denoising_errors(network: Denoiser, batches: Iterable[Batch], seed: int) -> dict[str, float]:
    """Measure held-out slices, with the same noise at each validation.

    Returns:
        Mean absolute errors over the brain: ``error`` after denoising, ``plain_error`` without noise.
    """
    images, masks, positions = (torch.cat(parts) for parts in zip(*batches))
    noisy = _noisy(images.cpu(), masks.cpu(), generator_of([seed, HELD_OUT])).to(images.device)

    def error(given: torch.Tensor) -> float:
        found = _predicted(network, given, positions)
        return float((found - images).abs()[masks > 0].mean())

    return {"error": error(noisy), "plain_error": error(images)}


class Learned(NamedTuple):
    """A batch of the segmenter: corrupted slices, masks and degrees (N, 1, Y, X), positions (N,)."""

    images: torch.Tensor
    masks: torch.Tensor
    positions: torch.Tensor
    target: torch.Tensor


def train_fpi(data: HealthyData, options: Options, folder: Path, progress: Progress) -> tuple[FPI, dict]:
    """Train the segmenter of FPI or PII: 1400 steps of 8 slices, about 13 minutes at 160 × 160 on two CPU cores.

    See `trainers.Trainer`. ``options.extra`` may set ``blending`` (``linear`` for FPI, ``poisson`` for PII), ``shape``
    (``square`` or ``blob``) and ``channels``.

    The training starts with strong patches and adds weaker ones until, in its second half, α is uniform in
    [0.05, 0.95]; in the paper it always is. On brains at 1.2 mm most patches are hardly visible: with all of them from
    the start, the network predicted only the overall frequency of patches for 750 steps.

    The loss on foreign patches is not a measure of lesion detection: it still falls when detection becomes worse. The
    log therefore has ``validation_precision``, the average precision over pixels on foreign patches, and
    ``validation_other_precision``, the same on intensity bands shifted inside smooth shapes, which are not in the
    training. No choice depends on them.

    Raises:
        InputError: If there is only one training scan.
    """
    slices = data.slices()
    parameters = with_overrides(FPIParameters(size=slices[0].size), options.overrides())
    method = FPI.untrained(parameters, options.seed)
    progress.stage("segmenter of foreign patches", 0.0, 0.9)
    plan = options.plan(options.steps or STEPS, RATE)
    check = FPICheck(*slices, parameters, plan.seed, options.device)
    log = fit_slices(
        method.network,
        slices,
        plan,
        lambda network, _: check(network),
        folder / f"{parameters.blending}-{parameters.shape}",
        options.device,
        progress,
        sample=lambda step: foreign_batch(slices[0], step, plan.seed, parameters, least_degree(step, plan.steps)),
    )
    method.network.to("cpu").requires_grad_(False)
    return method, {"last": log[-1]}


def least_degree(step: int, steps: int) -> float:
    """Return the smallest α of the patches in a step."""
    return max(DEGREES[0], EASY + (DEGREES[0] - EASY) * step / (EASY_UNTIL * steps))


def foreign_batch(
    slices: Slices, step: int, seed: int, parameters: FPIParameters, least: float = DEGREES[0]
) -> Learned:
    """Create the batch of a step: augmented slices with patches of other, separately augmented scans.

    Both are augmented, because a difference in sharpness would reveal the patch.
    """
    chosen = slices.indices(step, BATCH, seed)
    others = slices.near(slices.positions[chosen], [seed, PARTNER, step], slices.scans[chosen])
    images, masks, positions = slices.augmented(chosen, [seed, 7, step], GENTLE)
    foreign, foreign_masks, _ = slices.augmented(others, [seed, FOREIGN, step], GENTLE)
    generator = generator_of([seed, PATCH, step])
    return pasted(images, masks, positions, foreign, foreign_masks, parameters, generator, least)


def pasted(
    images: torch.Tensor,
    masks: torch.Tensor,
    positions: torch.Tensor,
    foreign: torch.Tensor,
    foreign_masks: torch.Tensor,
    parameters: FPIParameters,
    generator: torch.Generator,
    least: float = DEGREES[0],
) -> Learned:
    """Paste one foreign patch into each slice, with α uniform between the least and 0.95."""
    shapes = SHAPES[parameters.shape](masks, generator)
    degrees = uniform(len(images), generator, least, DEGREES[1]).view(-1)
    blend = BLENDINGS[parameters.blending]
    corrupted = paste_foreign(images, masks, foreign, foreign_masks, shapes, degrees, blend)
    return Learned(corrupted.images, masks, positions, corrupted.target)


class FPICheck:
    """Values on the validation scans, corrupted once with patches of the training scans."""

    def __init__(self, train: Slices, validation: Slices, parameters: FPIParameters, seed: int, device: str):
        chosen = validation.spread(VALIDATION_SLICES)
        others = train.near(validation.positions[chosen], [seed, HELD_OUT_PARTNER])
        images, masks, positions = validation.select(chosen)
        own = pasted(
            images, masks, positions, *train.select(others)[:2], parameters, generator_of([seed, HELD_OUT_PARTNER, 1])
        )
        generator = generator_of([seed, OTHER_KIND])
        shapes, degrees = blobs(masks, generator), uniform(len(images), generator, *BIASES).view(-1)
        shifted = shift_bands(images, masks, shapes, band_edges(images[masks > 0]), degrees, generator)
        other = Learned(shifted.images, masks, positions, shifted.target)
        self._own, self._other = (Learned(*(part.to(device) for part in batch)) for batch in (own, other))
        self._smallest = 0.5 * BIASES[0]

    def __call__(self, network: CorruptionSegmenter) -> dict[str, float]:
        """Compute ``error``, the mean |α̂ − α| over the brain, and the precisions that `train_fpi` describes."""
        brain = self._own.masks > 0
        own = _predicted(network, self._own.images, self._own.positions)
        error = (own - self._own.target).abs()[brain].mean()
        precision = Curve.of(own[brain].cpu().numpy(), self._own.target[brain].cpu().numpy() > 0).average_precision()
        found = _predicted(network, self._other.images, self._other.positions)[brain]
        truth = self._other.target[brain] > self._smallest
        other = Curve.of(found.cpu().numpy(), truth.cpu().numpy()).average_precision()
        return {"error": float(error), "precision": precision, "other_precision": other}


def _predicted(network: Denoiser | CorruptionSegmenter, images: torch.Tensor, positions: torch.Tensor) -> torch.Tensor:
    """Apply the network to slices (N, 1, Y, X) at positions (N,), a few at a time."""
    parts = zip(images.split(BATCH), positions.split(BATCH))
    return torch.cat([network.predict(*part) for part in parts])
