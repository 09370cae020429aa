"""Detections in 3D Slicer: the only package of the library that uses MRML."""
