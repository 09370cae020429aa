"""From raw scores to calibrated maps, regions and metrics."""
