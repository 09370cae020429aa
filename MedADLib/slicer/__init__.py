"""Detections in 3D Slicer: the only folder of the library that knows MRML."""
