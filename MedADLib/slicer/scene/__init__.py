"""Results as nodes of a scene."""
