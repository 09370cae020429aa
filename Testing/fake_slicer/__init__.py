"""Slicer's Qt side without Slicer: its rules over PySide6, with the real MRML scene, so that the module can be run."""

from .fake_slicer import FakeSlicer
from .refcounts import make_immortal

make_immortal()

__all__ = ["FakeSlicer"]
