"""From a scan to the space of a model and back."""
