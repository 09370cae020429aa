"""The coded meaning of a region, as Slicer writes it into segments."""

from __future__ import annotations

CODE = "SCT^49755003^Morphologically Altered Structure"
# No type narrower than the category is claimed: a detector of anomalies cannot tell a mass from a haemorrhage.
TERMINOLOGY = (
    f"Segmentation category and type - 3D Slicer General Anatomy list~{CODE}~{CODE}~^^"
    "~Anatomic codes - DICOM master list~^^~^^"
)
