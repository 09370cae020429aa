"""Progress, cancellation, devices, threads and files, known to no other part."""
