"""Detection methods of the literature, one file each; this is the only list of them."""

from __future__ import annotations

from .atlas import Atlas
from .autoencoder import Autoencoder
from .latent_restoration import LatentRestoration
from .method import Method, Restoration

METHODS: dict[str, type] = {method.name: method for method in (Atlas, Autoencoder, LatentRestoration)}

__all__ = ["METHODS", "Method", "Restoration"]
