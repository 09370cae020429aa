"""Restoration in the code space of a VQ-VAE under an autoregressive prior (Naval Marimont and Tarroni 2021)."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import ClassVar, Literal

import numpy as np
import torch

from ..errors import SettingError
from ..messages import Message
from ..networks.autotune import convolves_faster, decodes_faster
from ..networks.code_prior import CodePrior, convolve, likelihood_of
from ..networks.monai_export import BundleNetwork, vqvae_in_monai
from ..networks.vqvae import VQVAE
from ..runtime.device import full_precision, wait_for
from ..runtime.parallel import parallel_map
from ..runtime.progress import Progress
from ..runtime.strict_json import added
from ..scoring.restoration import Restoration
from .base import Method, check_centres
from .sampling.resample import Sampler, resample_codes, sampler_for
from .sampling.task import Distinct, decoding_batches
from .slicewise import every_nth, examined_slices, interpolate_slices, slice_batch, slice_batches, slice_groups

# Share of sampling in the time of a batch of slices.
SAMPLING_SHARE = 0.4
# In fast mode: restorations S of each slice, and the step between restored slices.
FAST_SAMPLES, FAST_STEP = 3, 3


@dataclass(frozen=True)
class LatentRestorationParameters:
    """Settings of networks and restoration.

    Attributes:
        size: Slice size (Y, X).
        channels: VQ-VAE channels; every level halves the grid.
        residual_layers: Residual units of each level.
        codes: Codebook size K.
        width: Length of a code vector.
        prior_width: Token width of the prior.
        prior_layers: Blocks of the prior.
        prior_heads: Attention heads of the prior.
        restoration_nll: λ of restoration in nats; codes with a larger negative log-likelihood are resampled.
        sample_nll: λ of the sample score in nats.
        samples: Restorations S of each slice.
        sharpness: k of the weights softmax(k / mean residual).
        error: Pixel error: "l1", or "categorical", the cross-entropy of intensity classes, see `PixelError`.
        centres: Intensities of the classes of a categorical error; the first is 0, the class of the background.
        mask: How improbable codes are found: "static", once, given the scan's own codes; "dynamic", in each
            restoration, given the restored codes before them.
        slice_step: Step between restored slices; those in between are interpolated.
    """

    size: tuple[int, ...] = (160, 160)
    channels: tuple[int, ...] = (32, 64, 128)
    residual_layers: int = 2
    codes: int = 128
    width: int = 64
    prior_width: int = 128
    prior_layers: int = 6
    prior_heads: int = 4
    restoration_nll: float = 1e9
    sample_nll: float = 1e9
    samples: int = 5
    sharpness: float = 3.0
    error: Literal["l1", "categorical"] = added("l1")
    centres: tuple[float, ...] = added(())
    mask: Literal["static", "dynamic"] = added("static")
    slice_step: int = added(1)

    dimensions: ClassVar[int] = 2
    found: ClassVar[tuple[str, ...]] = ("size", "centres", "restoration_nll", "sample_nll")

    def __post_init__(self) -> None:
        levels = len(self.channels)
        if (
            len(self.coded) != self.dimensions
            or not 1 <= levels <= 6
            or any(n % (1 << levels) or not 0 < n <= 1024 for n in self.coded)
        ):
            raise SettingError("code_grid", dimensions=self.dimensions)
        numbers = (*self.channels, self.residual_layers, self.codes, self.width, self.prior_width, self.prior_layers)
        if min(numbers) < 1 or self.prior_heads < 1 or self.prior_width % self.prior_heads:
            raise SettingError("network_sizes")
        # A model file names these sizes: networks must not take more memory than the file could ever fill.
        if max(self.channels) > 512 or self.residual_layers > 8 or self.codes > 4096 or self.width > 1024:
            raise SettingError("network_too_large")
        if self.prior_width > 1024 or self.prior_layers > 32 or math.prod(self.grid) > 1 << 14:
            raise SettingError("prior_too_large")
        positive = self.sharpness > 0 and self.restoration_nll >= 0 and self.sample_nll >= 0
        if not 0 < self.samples <= 1000 or not positive:
            raise SettingError("restoration_settings")
        if not 0 < self.slice_step <= 100:
            raise SettingError("slice_step_out_of_range")
        check_centres(self.error, self.centres)

    @property
    def coded(self) -> tuple[int, ...]:
        """Shape of the input of the VQ-VAE."""
        return self.size

    @property
    def grid(self) -> tuple[int, ...]:
        """Code grid (h, w)."""
        return tuple(n >> len(self.channels) for n in self.coded)

    @property
    def further(self) -> tuple[int, ...]:
        """Distances in raster order to further codes in the prior's input, besides the one before."""
        return ()


@dataclass(frozen=True, eq=False)
class _Restored:
    """Restoration of a batch of slices.

    Attributes:
        score: (n, Y, X).
        image: Weighted mean of the restorations, (n, Y, X).
        sample_scores: Contributions to the scan's sample score, (n,).
        resampled: Number of resampled codes.
        changed: Number of codes that differ from the scan's, as a mean over the restorations.
        different: Number of different restorations.
    """

    score: np.ndarray
    image: np.ndarray
    sample_scores: np.ndarray
    resampled: int
    changed: float
    different: int


class LatentRestoration(Method):
    """Latent restoration of slices: improbable codes are resampled, and the change is the anomaly.

    Naval Marimont and Tarroni 2021. Codes with NLL > λ under the prior are sampled S times; pixel score:
    Σ_s ω_s·e(x, x_s) with ω = softmax(k / mean e(x, x_s)). Sample score: Σ NLL·1[NLL > λ_s] over the codes.

    Attributes:
        sampler: Sampling algorithm; all give the same codes, see `resample_codes`.
        reduced: Whether images are decoded in bfloat16; None measures whether that is faster. The codes are the same
            in both cases.
    """

    name = "latent_restoration"
    Parameters: ClassVar[type] = LatentRestorationParameters
    adjustable: ClassVar[tuple[str, ...]] = (
        "samples", "restoration_nll", "sample_nll", "sharpness", "mask", "slice_step",
    )  # fmt: skip

    def __init__(self, parameters: LatentRestorationParameters, vqvae: VQVAE, prior: CodePrior):
        self.parameters, self.vqvae, self.prior = parameters, vqvae, prior
        self.sampler: Sampler = "auto"
        self.reduced: bool | None = None

    @classmethod
    def untrained(cls, parameters: LatentRestorationParameters, seed: int = 0) -> LatentRestoration:
        """Build the method with random weights from a seed."""
        p = parameters
        torch.manual_seed(seed)
        vqvae = VQVAE(tuple(p.channels), p.residual_layers, p.codes, p.width, p.error, p.centres, p.dimensions)
        torch.manual_seed(seed + 1)
        prior = CodePrior(p.codes, math.prod(p.grid), p.prior_width, p.prior_layers, p.prior_heads, further=p.further)
        return cls(parameters, vqvae, prior)

    def networks(self) -> dict[str, torch.nn.Module]:
        """Return the networks by the prefix of their tensors."""
        return {"vqvae.": self.vqvae, "prior.": self.prior}

    def faster(self) -> LatentRestoration | None:
        """Return the method with fewer restorations of fewer slices; None if it has as few already.

        The restorations are the first ones of the full method. The pixel score is a weighted mean in which the
        restorations closest to the scan have the largest weights; with fewer restorations, the closest are slightly
        farther away. Pooling covers more slices than are skipped, and the sample score is interpolated like the map.
        """
        p = self.parameters
        step = max(p.slice_step, FAST_STEP) if self.unit == "slice" else p.slice_step
        quick = replace(p, samples=min(p.samples, FAST_SAMPLES), slice_step=step)
        if quick == p:
            return None
        method = type(self)(quick, self.vqvae, self.prior)
        method.sampler, method.reduced = self.sampler, self.reduced
        return method

    def _restore(self, image: np.ndarray, mask: np.ndarray, seed: int, device: str, progress: Progress) -> Restoration:
        """Score Σ ω e(x, x_s) over S restorations; sample score Σ NLL·1[NLL > λ]."""
        p = self.parameters
        self.vqvae.to(device).eval()
        self.prior.to(device).eval()
        reduced = decodes_faster(device) if self.reduced is None else self.reduced
        convolved = convolves_faster(device)
        convolve(self.prior, convolved)
        unit = 1.0 if p.error == "categorical" or not mask.any() else float(image[mask].std()) + 1e-6
        examined = examined_slices(mask)
        used = every_nth(examined, p.slice_step)
        groups, total = slice_groups(used, device), len(used)

        def message(done: float) -> str:
            code = {"slice": "progress_restored_slice", "volume": "progress_restored_volume"}[self.unit]
            return Message(code, number=min(int(done * total) + 1, total), count=total)

        parts = parallel_map(
            groups,
            lambda chosen, own: self._restored_slices(image, mask, chosen, unit, reduced, seed, device, own),
            progress,
            message,
            [len(chosen) for chosen in groups],
            device,
        )
        score, change = np.zeros(image.shape, np.float32), np.zeros(image.shape, np.float32)
        sample_scores = np.zeros(len(image))
        for chosen, part in zip(groups, parts):
            score[chosen], change[chosen] = part.score, part.image - image[chosen]
            sample_scores[chosen] = part.sample_scores
        # Interpolate the change, not the image: it is smoother across slices, and edges of the scan stay in place.
        for values in (score, change, sample_scores):
            interpolate_slices(values, used, examined)
        resampled = sum(part.resampled for part in parts)
        facts = {f"codes_redrawn_per_{self.unit}": resampled / max(total, 1), f"{self.unit}s": total}
        if resampled:
            facts |= {
                "restorations_drawn": p.samples,
                f"codes_changed_per_{self.unit}": sum(part.changed for part in parts) / total,
                f"restorations_per_{self.unit}": sum(part.different for part in parts) / total,
                "mask": p.mask,
                "sampler": sampler_for(self.sampler, device),
                "decoder": "bfloat16" if reduced else "float32",
                "prior": "convolutions" if convolved else "linear layers",
            }
        if p.slice_step > 1:
            facts["slice_step"] = p.slice_step
        return Restoration(score, image + change, float(sample_scores.sum()), facts)

    @torch.inference_mode()
    def _restored_slices(
        self,
        image: np.ndarray,
        mask: np.ndarray,
        chosen: np.ndarray,
        unit: float,
        reduced: bool,
        seed: int,
        device: str,
        progress: Progress,
    ) -> _Restored:
        """Restore a batch of slices of a scan."""
        p, (batch, positions) = self.parameters, slice_batch(image, chosen, device)
        dynamic = p.mask == "dynamic"
        with progress.timed("encode"):
            codes = self.vqvae.encode(batch, positions).flatten(1)
            wait_for(device)
        with progress.timed("nll"):
            logits, cache = self.prior.fill(codes, positions)
            counted = torch.from_numpy(self._counted(mask[chosen])).to(device)
            nll = torch.where(counted, likelihood_of(logits, codes), 0)
            unlikely = nll > p.restoration_nll
            sample_scores = torch.where(nll > p.sample_nll, nll, 0).double().sum(1)
            wait_for(device)
        with progress.timed("restore"):
            copies = resample_codes(
                self.prior,
                codes,
                positions,
                counted if dynamic else unlikely,
                logits,
                cache,
                p.samples,
                (seed, chosen.tolist()),
                lambda done: progress.update(SAMPLING_SHARE * done),
                p.restoration_nll if dynamic else None,
                self.sampler,
            ).view(len(chosen), -1, codes.shape[1])
            resampled = int(unlikely.sum())
            changed = float((copies != codes[:, None]).sum(-1).float().mean(1).sum())
        with progress.timed("decode"):
            found = Distinct.of(copies)
            compared = self._compared(found, batch, positions, unit, reduced, progress)
            images, scores = (torch.stack(parts).cpu().numpy() for parts in zip(*compared))
        return _Restored(scores, images, sample_scores.cpu().numpy(), resampled, changed, sum(found.sizes))

    def _compared(
        self,
        found: Distinct,
        batch: torch.Tensor,
        positions: torch.Tensor,
        unit: float,
        reduced: bool,
        progress: Progress,
    ) -> list[tuple[torch.Tensor, torch.Tensor]]:
        """Compute image and score of each slice on the device, without synchronisation in between."""
        compared, where = [], positions[found.owners]
        codes, counts, where = (part.split(found.sizes) for part in (found.codes, found.counts, where))
        for some in decoding_batches(found.sizes, str(batch.device)):

            def on_progress(done: float, some: range = some) -> None:
                part = (some.start + done * len(some)) / len(found.sizes)
                progress.update(SAMPLING_SHARE + (1 - SAMPLING_SHARE) * part)

            here = slice(some.start, some.stop)
            decoded = self._decoded(torch.cat(codes[here]), torch.cat(where[here]), reduced, on_progress)
            for row, of_slice in zip(some, decoded.split(found.sizes[here])):
                compared.append(self._compare(of_slice, counts[row], batch[row], unit))
        return compared

    def alternative_scores(self) -> dict[str, LatentRestoration]:
        """Return the plain reconstruction: no code is resampled, so one restoration is enough."""
        plain = replace(self.parameters, restoration_nll=1e9, samples=1)
        return {"plain reconstruction": type(self)(plain, self.vqvae, self.prior)}

    def prior_slices(self, count: int, columns: int, flat: bool, seed: int = 0) -> list[np.ndarray]:
        """Sample slices from the autoregressive prior, at heights from low to high; see `Method.prior_slices`."""
        positions = np.zeros(columns) if flat else np.linspace(-0.4, 0.4, columns, dtype=np.float32)
        seeds = range(seed, seed + columns) if flat else [seed] * columns
        return [codes_from_prior(self, float(place), count, key) for place, key in zip(positions, seeds)]

    def monai_network(self) -> BundleNetwork | None:
        """Return the reconstruction of a slice from its codes, without the prior; None for volumes."""
        return vqvae_in_monai(self.vqvae) if self.parameters.dimensions == 2 else None

    def code_nll(self, image: np.ndarray, mask: np.ndarray, device: str = "cpu") -> np.ndarray:
        """Compute the negative log-likelihood in nats of the codes that contain brain, (n,); λ is a percentile of it.

        Args:
            image: Standard intensities, float32 (Z, Y, X).
            mask: Brain, bool (Z, Y, X).
            device: ``cpu``, ``cuda`` or ``cuda:N``.
        """
        found = []
        self.vqvae.to(device).eval()
        self.prior.to(device).eval()
        with torch.inference_mode(), full_precision(device):
            for chosen, batch, positions in slice_batches(image, mask, device, None):
                codes = self.vqvae.encode(batch, positions).flatten(1)
                found.append(self.prior.nll(codes, positions).cpu().numpy()[self._with_brain(mask[chosen])])
        return np.concatenate(found)

    def _with_brain(self, masks: np.ndarray) -> np.ndarray:
        """Find the codes with brain in their patch, bool (n, length), of masks (n, Y, X)."""
        grid, size = self.parameters.grid, self.parameters.coded
        patches = masks.reshape(len(masks), *(n for g, s in zip(grid, size) for n in (g, s // g)))
        return patches.any(axis=tuple(range(2, patches.ndim, 2))).reshape(len(masks), -1)

    def _counted(self, masks: np.ndarray) -> np.ndarray:
        """Select the codes that may be resampled and add to the sample score, bool (n, length): all of a slice."""
        return np.ones((len(masks), self.prior.length), bool)

    def _decoded(
        self, codes: torch.Tensor, positions: torch.Tensor, reduced: bool, on_progress: Callable[[float], None]
    ) -> torch.Tensor:
        """Decode codes (n, length) to (n, channels, Y, X), in bfloat16 if reduced."""
        grids = codes.view(-1, *self.parameters.grid)
        with torch.autocast(codes.device.type, torch.bfloat16, enabled=reduced):
            decoded = self.vqvae.decode(grids, positions).float()
        on_progress(1.0)
        return decoded

    def _compare(
        self, decoded: torch.Tensor, counts: torch.Tensor, image: torch.Tensor, unit: float
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Compute the weighted restoration and residual of one slice from its different restorations.

        The weights use the *mean* residual of a restoration, in units of the scan's SD, or in nats if it is a
        cross-entropy. With the sum over all pixels, as the formula is sometimes printed, all weights would be equal.
        """
        images = self.vqvae.compare.image(decoded)[:, 0]
        residuals = self.vqvae.compare(decoded, image.expand(len(decoded), *image.shape))[:, 0]
        closeness = self.parameters.sharpness / (residuals.flatten(1).mean(dim=1) / unit).clamp_min(1e-6)
        weights = torch.softmax(closeness + counts.to(closeness.dtype).log(), dim=0)
        weights = weights.view(-1, *[1] * image[0].ndim)
        return (weights * images).sum(0), (weights * residuals).sum(0)


def codes_from_prior(method: LatentRestoration, position: float, count: int, seed: int = 0) -> np.ndarray:
    """Sample slices (count, Y, X) at a coordinate in [-0.5, 0.5], or volumes (count, Z, Y, X), from the prior."""
    grid, length = method.parameters.grid, method.prior.length
    # A restoration may have left them on a GPU.
    for network in (method.vqvae, method.prior):
        network.cpu().eval()
    with torch.inference_mode():
        where = torch.tensor([position])
        start = torch.zeros(1, length, dtype=torch.long)
        logits, cache = method.prior.fill(start, where)
        everything = torch.ones(length, dtype=torch.bool)
        key = (seed, int(round((position + 0.5) * 1e6)))
        codes = resample_codes(method.prior, start[0], where, everything, logits[0], cache, count, key)
        return method.vqvae.decode_images(codes.view(count, *grid), where.expand(count))[:, 0].numpy()
