"""The panel of the Slicer module, one module a section."""
