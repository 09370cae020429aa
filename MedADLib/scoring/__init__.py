"""Turn raw scores into calibrated maps, regions and metrics."""
