"""Progress, cancellation, devices, threads, files and JSON: helpers that know nothing of images or models."""
