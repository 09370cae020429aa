"""A case with a simulated lesion."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np

from MedADLib.evaluation.lesion_cases import Case, CaseName


def lesion_case(subject: str, image: np.ndarray, mask: np.ndarray, truth: np.ndarray) -> Case:
    kind = "tumour" if truth.any() else "healthy"
    return Case(CaseName(subject, kind), SimpleNamespace(image=image, mask=mask), truth)
