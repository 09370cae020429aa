"""Training of models on healthy scans."""
