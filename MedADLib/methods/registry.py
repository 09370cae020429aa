"""The registry of detection methods and of the pooling that suits their scores.

Detection methods of the literature, one file each; this is the only list of them.

The pooling that suits each method's raw score, chosen on validation scans with simulated lesions.
"""

from __future__ import annotations

from ..scoring.calibration import Pooling
from ..scoring.restoration import Restoration
from .adversarial import AdversarialAutoencoder, FAnoGAN, VAEGANReconstruction
from .atlas import Atlas
from .autoencoder import Autoencoder
from .base import Method
from .implicit_field import ImplicitField
from .latent_restoration import LatentRestoration
from .morphaeus import MorphAEus
from .synthetic_anomalies import FPI, Denoising
from .tv_restoration import GMVAETV, VAETV
from .vae import ContextEncoder, ContextVAE, VariationalAutoencoder
from .volume_restoration import VolumeRestoration

METHODS: dict[str, type] = {
    method.name: method
    for method in (
        Atlas,
        Autoencoder,
        LatentRestoration,
        VariationalAutoencoder,
        ContextEncoder,
        ContextVAE,
        VAETV,
        GMVAETV,
        VAEGANReconstruction,
        AdversarialAutoencoder,
        FAnoGAN,
        FPI,
        Denoising,
        ImplicitField,
        MorphAEus,
        VolumeRestoration,
    )
}

__all__ = ["METHODS", "Method", "Restoration"]

# Chosen for the autoencoder and latent restoration; the others were not tuned yet.
USUAL = Pooling(6.0, 14.0)
TUNED: dict[str, Pooling] = {"atlas": Pooling(0.0, 6.0)}


def pooling_of(method: str) -> Pooling:
    """The pooling of a method by its name."""
    return TUNED.get(method, USUAL)
