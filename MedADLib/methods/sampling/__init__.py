"""Sampling of codes from an autoregressive prior, on CPUs and GPUs."""
