"""A result in a web browser: Slicer's own views drawn on this computer, controls and a table beside them."""
