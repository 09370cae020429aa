"""Synthetic anomalies for healthy slices: what the segmenter, the denoiser and restoration by corruption learn from.

Every corruption takes healthy slices (N, 1, Y, X), their masks, how strong it is to be in each slice (N,), and a
generator; it changes nothing outside the masks. **Where and what** an anomaly is comes from the generator, **how
strong** it is from the degrees, and no draw depends on a degree. So the same seed with other degrees gives the same
anomaly at another strength, from nothing (degree 0, the slice bit for bit) to all of it. FPI draws one degree a slice;
restoration by cold diffusion (DISYRE) asks for the degrees of its time steps, several of one seed where it needs them,
and finds the step that a slice has really reached in `Corrupted.level`.
"""

from .blending import Corrupted

__all__ = ["Corrupted"]
