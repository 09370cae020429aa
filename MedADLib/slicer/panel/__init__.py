"""The panel of the Slicer module, one module for each section."""
