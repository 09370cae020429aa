"""The packages that versions of Slicer carry."""

from __future__ import annotations

SLICER_5_12 = {"numpy": "2.4.6", "scipy": "1.17.1", "SimpleITK": "2.5.5", "pydicom": "3.0.2", "pip": "25.3"}


SLICER_5_8 = {"numpy": "1.26.4", "scipy": "1.13.1", "SimpleITK": "2.3.1", "pydicom": "2.4.4", "pip": "24.0"}


OURS = {"safetensors": "0.8.0", "monai": "1.6.1", "deepbet": "1.0.2"}
