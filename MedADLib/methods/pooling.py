"""The pooling that suits each method's raw score, chosen on validation scans with simulated lesions."""

from __future__ import annotations

from ..calibration import Pooling

SLICE_WISE = Pooling(6.0, 14.0)
# Chosen for the autoencoder and latent restoration; the others were not tuned yet.
POOLING: dict[str, Pooling] = {
    "atlas": Pooling(0.0, 6.0),
    **dict.fromkeys(
        (
            *("autoencoder", "latent_restoration", "vae", "context_encoder", "cevae", "vae_tv", "gmvae_tv"),
            *("vae_gan", "adversarial_autoencoder", "f_anogan", "fpi", "denoising", "volume_restoration"),
        ),
        SLICE_WISE,
    ),
}
