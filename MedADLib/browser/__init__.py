"""Browser view of a result: Slicer views rendered on this computer, with controls and a table."""
