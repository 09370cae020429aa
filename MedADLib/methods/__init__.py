"""Detection methods of the literature, one file each; this is the only list of them."""

from __future__ import annotations

from .adversarial_autoencoder import AdversarialAutoencoder
from .atlas import Atlas
from .autoencoder import Autoencoder
from .context_encoding import ContextEncoder, ContextVAE
from .denoising import Denoising
from .f_anogan import FAnoGAN
from .fpi import FPI
from .implicit_field import ImplicitField
from .latent_restoration import LatentRestoration
from .method import Method, Restoration
from .morphaeus import MorphAEus
from .tv_restoration import GMVAETV, VAETV
from .vae import VariationalAutoencoder
from .vae_gan import VAEGANReconstruction
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
