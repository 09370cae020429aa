"""Draws of codes from an autoregressive prior, on processors and GPUs."""
