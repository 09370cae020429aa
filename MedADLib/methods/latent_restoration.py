"""Restoration in the code space of a VQ-VAE under an autoregressive prior (Naval Marimont and Tarroni 2021)."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import ClassVar, Literal

import numpy as np
import torch

from ..entries import added
from ..networks.pixel_error import check_centres
from ..networks.prior import CodePrior, likelihood_of
from ..networks.vqvae import VQVAE
from ..precision import decodes_faster
from ..progress import Progress
from ..slices import examined_slices
from .method import Restoration
from .resampling import Sampler, resample_codes, sampler_for
from .slicewise import load_network, network_tensors, slice_batches, with_prefix

# Of the time that some slices take.
DRAWING = 0.4
# Restorations S in fast mode.
FAST_SAMPLES = 5


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
        prior_layers: Its blocks.
        prior_heads: Its attention heads.
        restoration_nll: λ of restoration in nats; codes less likely than this are drawn anew.
        sample_nll: λ of the sample score in nats.
        samples: Restorations S of each slice.
        sharpness: k of the weights softmax(k / mean residual).
        error: Of a pixel: "l1", or "categorical", the cross-entropy of intensity classes, see `PixelError`.
        centres: Intensities of the classes of a categorical error; the first is 0, the class of the background.
        mask: Which codes are unlikely: "static", judged once, given the scan's own codes; "dynamic", judged again
            given the restored codes before them.
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
    samples: int = 15
    sharpness: float = 3.0
    error: Literal["l1", "categorical"] = added("l1")
    centres: tuple[float, ...] = added(())
    mask: Literal["static", "dynamic"] = added("static")

    dimensions: ClassVar[int] = 2

    def __post_init__(self) -> None:
        levels = len(self.channels)
        if (
            len(self.coded) != self.dimensions
            or not 1 <= levels <= 6
            or any(n % (1 << levels) or not 0 < n <= 1024 for n in self.coded)
        ):
            raise ValueError(f"the size must be {self.dimensions}-D and divisible by 2 to the number of levels")
        numbers = (*self.channels, self.residual_layers, self.codes, self.width, self.prior_width, self.prior_layers)
        if min(numbers) < 1 or self.prior_heads < 1 or self.prior_width % self.prior_heads:
            raise ValueError("network sizes must be positive, the prior's width divisible by its heads")
        # A model file names these sizes: networks must not take more memory than the file could ever fill.
        if max(self.channels) > 512 or self.residual_layers > 8 or self.codes > 4096 or self.width > 1024:
            raise ValueError("at most 512 channels, 8 residual layers, 4096 codes and a code width of 1024 are allowed")
        if self.prior_width > 1024 or self.prior_layers > 32 or math.prod(self.grid) > 1 << 14:
            raise ValueError("at most a prior width of 1024, 32 layers and 16384 codes of a scan are allowed")
        positive = self.sharpness > 0 and self.restoration_nll >= 0 and self.sample_nll >= 0
        if not 0 < self.samples <= 1000 or not positive:
            raise ValueError("samples must be 1 to 1000, sharpness positive, thresholds not negative")
        check_centres(self.error, self.centres)

    @property
    def coded(self) -> tuple[int, ...]:
        """Shape of what is turned into codes."""
        return self.size

    @property
    def grid(self) -> tuple[int, ...]:
        """Code grid (h, w)."""
        return tuple(n >> len(self.channels) for n in self.coded)

    @property
    def further(self) -> tuple[int, ...]:
        """How many places back the codes lie that the prior is shown besides the one before."""
        return ()


class LatentRestoration:
    """Codes that the prior finds unlikely are drawn anew; what changes in the picture is unusual.

    Attributes:
        sampler: How they are drawn; all samplers draw the same codes, see `resample_codes`.
        reduced: Whether pictures are decoded in bfloat16; None finds out whether that is faster. The codes are the same
            either way.
    """

    name = "latent_restoration"
    Parameters: ClassVar[type] = LatentRestorationParameters
    unit: ClassVar[str] = "slice"

    def __init__(self, parameters: LatentRestorationParameters, vqvae: VQVAE, prior: CodePrior):
        self.parameters, self.vqvae, self.prior = parameters, vqvae, prior
        self.sampler: Sampler = "auto"
        self.reduced: bool | None = None

    @classmethod
    def untrained(cls, parameters: LatentRestorationParameters, seed: int = 0) -> LatentRestoration:
        """Fresh weights from a seed."""
        p = parameters
        torch.manual_seed(seed)
        vqvae = VQVAE(tuple(p.channels), p.residual_layers, p.codes, p.width, p.error, p.centres, p.dimensions)
        torch.manual_seed(seed + 1)
        prior = CodePrior(p.codes, math.prod(p.grid), p.prior_width, p.prior_layers, p.prior_heads, further=p.further)
        return cls(parameters, vqvae, prior)

    def tensors(self) -> dict[str, np.ndarray]:
        """The weights of both networks."""
        return network_tensors(self.vqvae, "vqvae.") | network_tensors(self.prior, "prior.")

    @classmethod
    def from_tensors(cls, parameters: LatentRestorationParameters, tensors: dict[str, np.ndarray]) -> LatentRestoration:
        """The method of saved weights; raises ModelError where they do not fit."""
        method = cls.untrained(parameters)
        vqvae, prior = with_prefix(tensors, "vqvae."), with_prefix(tensors, "prior.")
        strays = {key: value for key, value in tensors.items() if not key.startswith(("vqvae.", "prior."))}
        load_network(cls.name, method.vqvae, vqvae | strays)
        load_network(cls.name, method.prior, prior)
        return method

    def fits(self, shape: tuple[int, ...]) -> bool:
        """Whether scans of this shape (Z, Y, X) can be restored."""
        return tuple(shape[1:]) == tuple(self.parameters.size)

    def faster(self) -> LatentRestoration | None:
        """The same with fewer restorations, which are the first of the full method's; None if it has so few already.

        The sample score does not depend on S. The pixel score is a weighted mean over restorations in which the
        closest ones count most: of fewer, the closest are a little further from the scan.
        """
        if self.parameters.samples <= FAST_SAMPLES:
            return None
        method = type(self)(replace(self.parameters, samples=FAST_SAMPLES), self.vqvae, self.prior)
        method.sampler, method.reduced = self.sampler, self.reduced
        return method

    def restore(
        self,
        image: np.ndarray,
        mask: np.ndarray,
        *,
        seed: int = 0,
        device: str = "cpu",
        progress: Progress | None = None,
    ) -> Restoration:
        """Score Σ ω e(x, x_s) over S restorations; sample score Σ NLL·1[NLL > λ]. See `Method.restore`."""
        p, progress = self.parameters, progress or Progress()
        self.vqvae.to(device).eval()
        self.prior.to(device).eval()
        reduced = decodes_faster(device) if self.reduced is None else self.reduced
        score, restored = np.zeros(image.shape, np.float32), np.where(mask, image, 0).astype(np.float32)
        unit = 1.0 if p.error == "categorical" else float(image[mask].std()) + 1e-6
        sample_score, redrawn, changed, distinct, slices = 0.0, 0, 0.0, 0, 0
        limit, total = None if p.mask == "static" else p.restoration_nll, len(examined_slices(mask))
        with torch.inference_mode():
            for chosen, batch, positions in slice_batches(image, mask, device, progress, unit=self.unit):
                with progress.timed("encode"):
                    codes = self.vqvae.encode(batch, positions).flatten(1)
                with progress.timed("nll"):
                    logits, cache = self.prior.fill(codes, positions)
                    counted = torch.from_numpy(self._counted(mask[chosen])).to(device)
                    nll = torch.where(counted, likelihood_of(logits, codes), 0)
                    unlikely = nll > p.restoration_nll
                    sample_score += float(torch.where(nll > p.sample_nll, nll, 0).double().sum())
                with progress.timed("restore"):
                    copies = resample_codes(
                        self.prior,
                        codes,
                        positions,
                        unlikely if limit is None else counted,
                        logits,
                        cache,
                        p.samples,
                        (seed, chosen.tolist()),
                        self._teller(progress, slices, slices + DRAWING * len(chosen), total),
                        limit,
                        self.sampler,
                    ).view(len(chosen), -1, codes.shape[1])
                    redrawn += int(unlikely.sum())
                    changed += float((copies != codes[:, None]).sum(-1).float().mean(1).sum())
                for row, index in enumerate(chosen):
                    ends = (slices + DRAWING * len(chosen) + (1 - DRAWING) * n for n in (row, row + 1))
                    told = self._teller(progress, *ends, total)
                    different, counts = torch.unique(copies[row], dim=0, return_counts=True)
                    distinct += len(counts)
                    with progress.timed("decode"):
                        decoded = self._decoded(different, positions[row : row + 1], reduced, told)
                        restored[index], score[index] = self._compare(decoded, counts, batch[row], unit)
                slices += len(chosen)
        facts = {f"codes_redrawn_per_{self.unit}": redrawn / max(slices, 1), f"{self.unit}s": slices}
        if redrawn:
            facts |= {
                "restorations_drawn": p.samples,
                f"codes_changed_per_{self.unit}": changed / slices,
                f"restorations_per_{self.unit}": distinct / slices,
                "mask": p.mask,
                "sampler": sampler_for(self.sampler, device),
                "decoder": "bfloat16" if reduced else "float32",
            }
        restored = np.where(mask, np.maximum(restored, 0), 0).astype(np.float32)
        return Restoration(np.where(mask, score, 0).astype(np.float32), restored, sample_score, facts)

    def code_nll(self, image: np.ndarray, mask: np.ndarray, device: str = "cpu") -> np.ndarray:
        """Negative log-likelihood of the codes that hold brain, in nats, (n,); λ is a percentile of these."""
        found = []
        self.vqvae.to(device).eval()
        self.prior.to(device).eval()
        with torch.inference_mode():
            for chosen, batch, positions in slice_batches(image, mask, device, None):
                codes = self.vqvae.encode(batch, positions).flatten(1)
                found.append(self.prior.nll(codes, positions).cpu().numpy()[self._with_brain(mask[chosen])])
        return np.concatenate(found)

    def _with_brain(self, masks: np.ndarray) -> np.ndarray:
        """Codes whose patches hold brain, bool (n, length), of masks (n, Y, X)."""
        grid, size = self.parameters.grid, self.parameters.coded
        patches = masks.reshape(len(masks), *(n for g, s in zip(grid, size) for n in (g, s // g)))
        return patches.any(axis=tuple(range(2, patches.ndim, 2))).reshape(len(masks), -1)

    def _counted(self, masks: np.ndarray) -> np.ndarray:
        """Codes that may be drawn anew and add to the sample score, bool (n, length): those of whole slices."""
        return np.ones((len(masks), self.prior.length), bool)

    def _teller(self, progress: Progress, start: float, stop: float, total: int) -> Callable[[float], None]:
        """What is told how far some work is, in [0, 1], that leads from `start` to `stop` slices of `total`."""

        def told(done: float) -> None:
            at = start + (stop - start) * done
            progress.update(at / total, f"restoring {self.unit} {min(int(at) + 1, total)} of {total}")

        return told

    def _decoded(
        self, codes: torch.Tensor, position: torch.Tensor, reduced: bool, told: Callable[[float], None]
    ) -> torch.Tensor:
        """What the decoder, in bfloat16 if reduced, makes of codes (n, length), (n, channels, Y, X)."""
        grids = codes.view(-1, *self.parameters.grid)
        with torch.autocast(codes.device.type, torch.bfloat16, enabled=reduced):
            decoded = self.vqvae.decode(grids, position.expand(len(grids))).float()
        told(1.0)
        return decoded

    def _compare(
        self, decoded: torch.Tensor, counts: torch.Tensor, image: torch.Tensor, unit: float
    ) -> tuple[np.ndarray, np.ndarray]:
        """Weighted restoration and residual of one slice, from the different restorations and how many are such.

        The weights divide by the *mean* residual of a restoration, in units of the scan's spread, or in nats if it is
        a cross-entropy; with the sum over all pixels, as the formula is sometimes printed, all weights would be the
        same.
        """
        pictures = self.vqvae.compare.picture(decoded)[:, 0]
        residuals = self.vqvae.compare(decoded, image.expand(len(decoded), *image.shape))[:, 0]
        closeness = self.parameters.sharpness / (residuals.flatten(1).mean(dim=1) / unit).clamp_min(1e-6)
        weights = torch.softmax(closeness + counts.to(closeness.dtype).log(), dim=0)
        weights = weights.view(-1, *[1] * image[0].ndim)
        return (weights * pictures).sum(0).cpu().numpy(), (weights * residuals).sum(0).cpu().numpy()
