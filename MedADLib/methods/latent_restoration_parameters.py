"""Settings of a VQ-VAE, of the prior over its codes and of how codes are drawn anew, and which of them are refused."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, Literal

from ..entries import added
from ..networks.pixel_error import check_centres


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
        slice_step: Of so many slices one is restored; what lies between is interpolated.
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
        if not 0 < self.slice_step <= 100:
            raise ValueError("the slice step must be 1 to 100")
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
