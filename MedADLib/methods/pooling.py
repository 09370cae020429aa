"""The pooling that suits each method's raw score, chosen on validation scans with simulated lesions."""

from __future__ import annotations

from ..calibration import Pooling

# Chosen for the autoencoder and latent restoration; the others were not tuned yet.
USUAL = Pooling(6.0, 14.0)
TUNED: dict[str, Pooling] = {"atlas": Pooling(0.0, 6.0)}


def pooling_of(method: str) -> Pooling:
    """The pooling of a method by its name."""
    return TUNED.get(method, USUAL)
