"""Synthetic anomalies in healthy slices, the training data of segmenter, denoiser and restoration by corruption.

Every corruption has as arguments healthy slices (N, 1, Y, X), their masks, the degree of corruption of each slice (N,),
and a random generator; pixels outside the masks do not change. The generator determines **position and kind** of an
anomaly, the degree its **strength**, and no random number depends on a degree. The same seed with other degrees
therefore gives the same anomaly at another strength, from none (degree 0, bit-equal slices) to full strength. FPI uses
one random degree for each slice. Restoration by cold diffusion (DISYRE,
Naval Marimont et al. 2024) uses the degrees of its time steps, several of
one seed where needed, and finds the actual step of a slice from `Corrupted.level`.
"""

from .blending import Corrupted

__all__ = ["Corrupted"]
