"""Synthetic anomalies in healthy slices, the training data of segmenter and denoiser.

Every corruption has as arguments healthy slices (N, 1, Y, X), their masks, the degree of corruption of each slice (N,),
and a random generator; pixels outside the masks do not change. The generator determines **position and kind** of an
anomaly, the degree its **strength**, and no random number depends on a degree. The same seed with other degrees
therefore gives the same anomaly at another strength, from none (degree 0, bit-equal slices) to full strength.
"""
