"""methods.readings"""

from __future__ import annotations

from dataclasses import replace

from .base import Method
from .latent_restoration import LatentRestoration
from .vae import VariationalAutoencoder


def readings(method: Method) -> dict[str, Method]:
    """The same networks with other scores.

    Args:
        method: Trained.

    Returns:
        By a short name: the plain reconstruction of a latent restoration; of a VAE each pixel score, with the sample
        score that belongs to it, but for the model's own pair. Nothing for other methods.
    """
    if isinstance(method, LatentRestoration):
        # No code is as unlikely as that, and one restoration is enough where nothing is drawn.
        plain = replace(method.parameters, restoration_nll=1e9, samples=1)
        return {"plain reconstruction": type(method)(plain, method.vqvae, method.prior)}
    if isinstance(method, VariationalAutoencoder) and method.network.context < 1:
        pairs = (("reconstruction", "reconstruction"), ("kl_gradient", "kl"), ("product", "elbo"))
        return {
            f"{score}, sample {sample}".replace("kl_gradient", "KL gradient").replace(" kl", " KL"): type(method)(
                replace(method.parameters, score=score, sample_score=sample), method.network
            )
            for score, sample in pairs
            if (score, sample) != (method.parameters.score, method.parameters.sample_score)
        }
    return {}
