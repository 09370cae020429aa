"""The process that computes for Slicer and stays warm."""
