"""Trains the segmenter of FPI and PII on foreign patches, and tests it on anomalies of another kind."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import torch

from ..augmentation import GENTLE
from ..corruption.bands import band_edges, shift_bands
from ..corruption.corrupted import uniform
from ..corruption.foreign import BLENDINGS, paste_foreign
from ..corruption.shapes import blobs, squares
from ..metrics import Curve
from ..networks.corruption_learners import CorruptionSegmenter
from ..progress import Progress
from ..slices import Slices, generator_of
from ..training import fit
from ..training_data import HealthyData
from .fpi import FPI, FPIParameters
from .wishes import with_wishes

if TYPE_CHECKING:
    from .trainers import Options

STEPS, RATE = 1400, 2e-3
BATCH = 8
VALIDATION_SLICES = 64
DEGREES = (0.05, 0.95)
# The least degree at the beginning, and the share of the steps after which all degrees come.
EASY, EASY_UNTIL = 0.7, 0.5
BIASES = (0.1, 0.4)
SHAPES = {"square": squares, "blob": blobs}
# The numbers that keep the streams of randomness of one seed apart.
PARTNER, FOREIGN, PATCH, HELD_OUT, OTHER_KIND = 31, 32, 33, 34, 35


class Learned(NamedTuple):
    """A batch of the segmenter: corrupted slices, masks and degrees (N, 1, Y, X), positions (N,)."""

    images: torch.Tensor
    masks: torch.Tensor
    positions: torch.Tensor
    target: torch.Tensor


def train(data: HealthyData, options: Options, folder: Path, progress: Progress) -> tuple[FPI, dict]:
    """Train on a folder's healthy slices: 1400 steps of 8 slices, about 13 minutes at 160 × 160 on two CPU cores.

    Further wishes (``options.extra``): ``blending`` (``linear`` for FPI, ``poisson`` for PII), ``shape`` (``square`` or
    ``blob``), ``channels``.

    The first patches are strong ones, and weaker ones come by and by until, from half of the training on, α is uniform
    in [0.05, 0.95], as it is in the paper all the time. On brains at 1.2 mm most patches are hardly to be seen: with
    all of them from the start the network did no better, for 750 steps, than to say everywhere how usual patches are.

    The loss on the own kind of anomaly does not say how well lesions are found, and falls long after that has become
    worse. So beside ``validation_precision``, the average precision over pixels on foreign patches, the log has
    ``validation_other_precision``: that on intensity bands shifted inside smooth shapes, which the network never trains
    on. Nothing is chosen by it.

    Returns:
        The method, and the last row of its log.

    Raises:
        InputError: If a wish is unknown, or there is one training scan only.
        MedADError: As `fit`.
    """
    train, validation = data.slices()
    base = FPIParameters(size=tuple(train.images.shape[1:]))
    method = FPI.untrained(with_wishes(base, options.wishes()), options.seed)
    kind = f"{method.parameters.blending}-{method.parameters.shape}"
    progress.stage("segmenter of foreign patches", 0.0, 0.9)
    plan = options.plan(options.steps or STEPS, RATE)
    log = fit(
        method.network,
        lambda step: foreign_batch(train, step, plan.seed, method.parameters, least_degree(step, plan.steps)),
        Check(train, validation, method.parameters, plan.seed, options.device),
        plan,
        folder / kind,
        options.device,
        progress,
    )
    method.network.to("cpu").requires_grad_(False)
    return method, {"last": log[-1]}


def least_degree(step: int, steps: int) -> float:
    """The smallest α of a step's patches."""
    return max(DEGREES[0], EASY + (DEGREES[0] - EASY) * step / (EASY_UNTIL * steps))


def foreign_batch(
    slices: Slices, step: int, seed: int, parameters: FPIParameters, least: float = DEGREES[0]
) -> Learned:
    """The batch of a step: augmented slices with patches of other scans, which are augmented on their own.

    Both are, because a patch that is sharper than what surrounds it would betray itself.
    """
    chosen = slices.chosen(step, BATCH, seed)
    others = slices.near(slices.positions[chosen], [seed, PARTNER, step], slices.scans[chosen])
    images, masks, positions = slices.changed(chosen, [seed, 7, step], GENTLE)
    foreign, foreign_masks, _ = slices.changed(others, [seed, FOREIGN, step], GENTLE)
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
    """Slices with one foreign patch each; α is uniform between the least and 0.95."""
    shapes = SHAPES[parameters.shape](masks, generator)
    degrees = uniform(len(images), generator, least, DEGREES[1]).view(-1)
    blend = BLENDINGS[parameters.blending]
    corrupted = paste_foreign(images, masks, foreign, foreign_masks, shapes, degrees, blend)
    return Learned(corrupted.images, masks, positions, corrupted.target)


class Check:
    """Values on the validation scans, which are corrupted once, with patches of the training scans.

    Args:
        train: Slices of the training subjects.
        validation: Slices of the validation subjects.
        parameters: Of the method.
        seed: Of the anomalies.
        device: Where to compute.
    """

    def __init__(self, train: Slices, validation: Slices, parameters: FPIParameters, seed: int, device: str):
        chosen = validation.spread(VALIDATION_SLICES)
        others = train.near(validation.positions[chosen], [seed, HELD_OUT])
        images, masks, positions = validation.select(chosen)
        own = pasted(images, masks, positions, *train.select(others)[:2], parameters, generator_of([seed, HELD_OUT, 1]))
        generator = generator_of([seed, OTHER_KIND])
        shapes, degrees = blobs(masks, generator), uniform(len(images), generator, *BIASES).view(-1)
        shifted = shift_bands(images, masks, shapes, band_edges(images[masks > 0]), degrees, generator)
        other = Learned(shifted.images, masks, positions, shifted.target)
        self._own, self._other = (Learned(*(part.to(device) for part in batch)) for batch in (own, other))
        self._smallest = 0.5 * BIASES[0]

    def __call__(self, network: CorruptionSegmenter) -> dict[str, float]:
        """``error``: mean of |α̂ − α| over the brain; ``precision`` and ``other_precision``: see `train`."""
        brain = self._own.masks > 0
        own = _degrees(network, self._own)
        error = (own - self._own.target).abs()[brain].mean()
        precision = Curve.of(own[brain].cpu().numpy(), self._own.target[brain].cpu().numpy() > 0).average_precision()
        found, truth = _degrees(network, self._other)[brain], self._other.target[brain] > self._smallest
        other = Curve.of(found.cpu().numpy(), truth.cpu().numpy()).average_precision()
        return {"error": float(error), "precision": precision, "other_precision": other}


def _degrees(network: CorruptionSegmenter, batch: Learned) -> torch.Tensor:
    """α̂ of all slices of a batch, a few at a time."""
    parts = zip(batch.images.split(BATCH), batch.positions.split(BATCH))
    return torch.cat([network.predict(images, positions) for images, positions in parts])
