"""Slicer's scene and views without the application."""
