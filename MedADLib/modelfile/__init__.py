"""Model files: archive, manifest, model, card, and the folder of the user's models."""
