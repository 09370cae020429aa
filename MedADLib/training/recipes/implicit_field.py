"""Train an implicit field, with a latent for each training scan, on random voxels of whole brains."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from ...errors import InputError
from ...methods.implicit_field import ImplicitField, ImplicitFieldParameters, search_latents, voxel_coordinates
from ...methods.settings import with_overrides
from ...methods.slicewise import generator_of
from ...networks.implicit_field import AutoDecoder
from ...runtime.progress import Progress
from ..data import HealthyData, Scan
from ..loop import Batch, fit
from .intensity_classes import class_centres

if TYPE_CHECKING:
    from ..config import Options

STEPS, RATE = 3000, 2e-3
SCANS, POINTS = 16, 512
VALIDATION_STEPS, VALIDATION_POINTS, VALIDATION_RATE = 30, 1024, 0.02


class BrainVoxels:
    """Brain voxels of scans for random sampling; mirror images count as further scans.

    Args:
        scans: Pairs of image and mask, each (Z, Y, X).
        mirrored: Whether mirror images of healthy brains are healthy too.
    """

    def __init__(self, scans: list[Scan], mirrored: bool):
        self.size = scans[0][0].shape
        self.voxels = [np.flatnonzero(mask).astype(np.int32) for _, mask in scans]
        self.intensities = [image[mask].astype(np.float16) for image, mask in scans]
        self.count = len(scans) * (1 + mirrored)

    def sample(self, numbers: np.ndarray, points: int, key: list[int]) -> Batch:
        """Sample coordinates (n, points, 3) and intensities (n, points), float32, of scans by number (n,).

        Numbers beyond the last scan are mirror images. Only `key` determines the voxels.
        """
        generator, where, seen = generator_of(key), [], []
        for number in numbers:
            mirror, scan = divmod(int(number), len(self.voxels))
            chosen = torch.randint(len(self.voxels[scan]), (points,), generator=generator).numpy()
            where.append(voxel_coordinates(self.voxels[scan][chosen], self.size))
            where[-1][:, 2] *= 1 - 2 * mirror
            seen.append(torch.from_numpy(self.intensities[scan][chosen].astype(np.float32)))
        return torch.stack(where), torch.stack(seen)

    def batch(self, step: int, seed: int) -> Batch:
        """Sample the scans of a training step, and voxels of them as in `sample`."""
        random = np.random.default_rng([seed, 17, step])
        numbers = random.choice(self.count, min(SCANS, self.count), replace=False)
        return torch.from_numpy(numbers), *self.sample(numbers, POINTS, [seed, 19, step])


def train(data: HealthyData, options: Options, folder: Path, progress: Progress) -> tuple[ImplicitField, dict]:
    """Train the field: by default 3000 steps of 512 voxels of 16 scans; the latents of the scans are not stored.

    Validation fits latents of the validation scans in a few steps, and then compares other voxels.

    See `trainers.Trainer`; refuses single slices.
    """
    if data.template.kind == "plane":
        raise InputError("method_needs_volumes", method="implicit_field", other="vae")
    voxels, held = BrainVoxels(data.train, data.template.symmetric), BrainVoxels(data.validation, False)
    base = ImplicitFieldParameters(tuple(voxels.size), class_centres(np.concatenate(voxels.intensities)))
    parameters = with_overrides(base, options.overrides())
    method = ImplicitField.untrained(parameters, options.seed)
    network = AutoDecoder(method.network, voxels.count)
    everyone = np.arange(held.count)

    def held_out(step: int) -> Batch:
        batch = held.sample(everyone, VALIDATION_POINTS, [options.seed, 23, step])
        return tuple(part.to(options.device) for part in batch)

    def validate(model: AutoDecoder) -> dict[str, float]:
        latents = search_latents(model.field, held_out, held.count, VALIDATION_STEPS, VALIDATION_RATE)
        points, intensities = held_out(VALIDATION_STEPS)
        entropy, expected = model.field.errors(points, latents, intensities)
        return {"error": float((expected - intensities).abs().mean()), "cross_entropy": float(entropy.mean())}

    progress.stage(method.name, 0.1, 0.9)
    plan = options.plan(options.steps or STEPS, RATE)

    def batches(step: int) -> Batch:
        return voxels.batch(step, plan.seed)

    log = fit(network, batches, validate, plan, folder / method.name, options.device, progress)
    method.network.to("cpu").requires_grad_(False)
    return method, {"last": log[-1]}
