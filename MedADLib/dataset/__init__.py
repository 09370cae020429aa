"""Data sets of healthy scans for training: discovery, checks, statistics, split and choice of the space."""
