"""Healthy scans for training: found, checked, compared and split."""
