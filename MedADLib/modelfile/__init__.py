"""Model files: archive, manifest, model, and the folder of the user's models."""
