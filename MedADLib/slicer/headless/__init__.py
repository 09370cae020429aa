"""Scene and views of Slicer without the application."""
