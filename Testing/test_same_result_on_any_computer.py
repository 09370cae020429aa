"""The number of cores does not change a result: the prepared scan bit for bit, the map within 1e-4 of its unit."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from support.phantoms import head, toy_models, with_lesion

from MedADLib import detect, load_model

COUNTS = (1, 2, 4)
# Networks add up in another order with another number of threads. Stated in docs/TROUBLESHOOTING.md.
TOLERANCE = 1e-4


@pytest.fixture(params=["atlas", "autoencoder", "latent_restoration"])
def model(request):
    return load_model(toy_models().models[request.param])


def test_results_do_not_depend_on_the_number_of_threads(model):
    scan, _ = with_lesion(head(30)[0], (30.0, 20.0, 10.0), 13.0)
    before = torch.get_num_threads(), sitk.ProcessObject.GetGlobalDefaultNumberOfThreads()
    prepared, found = [], []
    try:
        for count in COUNTS:
            torch.set_num_threads(count)
            sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(count)
            mask, _ = model.template.examined(scan)
            prepared.append(model.template.prepared(scan, mask))
            found.append(detect(scan, model))
            assert sitk.ProcessObject.GetGlobalDefaultNumberOfThreads() == count, "the setting of the process stays"
    finally:
        torch.set_num_threads(before[0])
        sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(before[1])
    for one in prepared[1:]:
        for part in ("native_mask", "to_native", "image", "mask", "bias"):
            assert np.array_equal(getattr(one, part), getattr(prepared[0], part)), part
    first = found[0]
    assert first.anomaly.array.max() > 0.5
    for one in found[1:]:
        assert np.abs(one.anomaly.array - first.anomaly.array).max() <= TOLERANCE
        assert (one.p_value, len(one.regions)) == (first.p_value, len(first.regions))
        assert one.score == pytest.approx(first.score, rel=1e-4)
