"""Networks that learn to fill holes: the context encoder (Pathak et al. 2016), and ceVAE, which is a VAE besides."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ..networks.holes import Holes
from ..networks.pixel_error import Error
from ..networks.vae import VAE
from .vae import VAEParameters, VariationalAutoencoder


@dataclass(frozen=True)
class ContextVAEParameters(VAEParameters):
    """Settings of ceVAE, by default those of Zimmerer et al. 2018.

    Attributes:
        kl_weight: β, with mean errors and mean KL.
        error: L1.
        score: The product of error and KL-gradient.
        sample_score: Error and β·KL of a slice.
        over_slices: The largest of the slices.
        context: c, the share of the loss on slices with holes; 0 is the VAE.
        fewest_holes: Holes in a slice, at least.
        most_holes: Holes in a slice, at most.
        smallest_hole: Smallest side, as a part of the slice's.
        largest_hole: Largest side.
    """

    kl_weight: float = 0.01
    error: Error = "l1"
    score: Literal["reconstruction", "kl_gradient", "product"] = "product"
    sample_score: Literal["reconstruction", "kl", "elbo"] = "elbo"
    over_slices: Literal["mean", "max"] = "max"
    context: float = 0.5
    fewest_holes: int = 0
    most_holes: int = 3
    smallest_hole: float = 0.0
    largest_hole: float = 0.5

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.context <= 1:
            raise ValueError("the context's share must be 0 to 1")
        self.holes()

    def holes(self) -> Holes:
        """What is cut out of a slice."""
        return Holes(self.fewest_holes, self.most_holes, self.smallest_hole, self.largest_hole)

    def network(self) -> VAE:
        """A fresh network."""
        return VAE(
            self.size,
            self.channels,
            self.latent,
            self.kl_weight,
            self.error,
            context=self.context,
            holes=self.holes(),
            centres=self.centres,
        )


@dataclass(frozen=True)
class ContextEncoderParameters(ContextVAEParameters):
    """Settings of the context encoder: 1 to 3 squares of 20 pixels in 128 (Pathak et al. 2016; Baur et al. 2021).

    The loss compares the whole slice, so that what lies outside of a hole is restored too when a scan is examined.

    Attributes:
        error: L2.
        score: The error; the latents have no prior, so there is no KL to speak of.
        sample_score: The mean error.
        over_slices: The mean over slices.
        context: 1; only slices with holes are learned from.
        fewest_holes: 1.
        smallest_hole: 20/128.
        largest_hole: 20/128.
    """

    error: Error = "l2"
    score: Literal["reconstruction"] = "reconstruction"
    sample_score: Literal["reconstruction"] = "reconstruction"
    over_slices: Literal["mean", "max"] = "mean"
    context: float = 1.0
    fewest_holes: int = 1
    smallest_hole: float = 20 / 128
    largest_hole: float = 20 / 128

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.context != 1:
            raise ValueError("a context encoder learns from slices with holes only; for a mixture take ceVAE")


class ContextVAE(VariationalAutoencoder):
    """ceVAE: the error of what a VAE with context restores, weighed by its KL-gradient (Zimmerer et al. 2018).

    Pixel score: |x − x̂| ⊙ |∂ KL(q(z|x) ‖ N(0, I)) / ∂x|. Sample score: the largest of the slices' mean |x − x̂| + β·KL.
    """

    name = "cevae"
    Parameters = ContextVAEParameters


class ContextEncoder(VariationalAutoencoder):
    """The error e(x, x̂) of a network that learned to fill holes from what surrounds them (Pathak et al. 2016).

    The sample score is its mean over the slices.
    """

    name = "context_encoder"
    Parameters = ContextEncoderParameters
