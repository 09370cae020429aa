"""Training of methods on healthy scans: options, data, augmentation, loop, checkpoints and recipes."""
