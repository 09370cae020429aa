"""The pooling that suits each method's raw score, chosen on validation scans with simulated lesions."""

from __future__ import annotations

from ..calibration import Pooling

POOLING: dict[str, Pooling] = {
    "atlas": Pooling(0.0, 6.0),
    "autoencoder": Pooling(6.0, 14.0),
    "latent_restoration": Pooling(6.0, 14.0),
}
