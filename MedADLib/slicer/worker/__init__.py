"""The worker process as Slicer sees it."""
