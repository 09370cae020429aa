"""Map a scan to the space of a model, and results back to the scan."""
