"""The worker process, seen from Slicer."""
