from __future__ import annotations

import numpy as np
import pytest
import torch
from support.phantoms import one_thread  # noqa: F401

from MedADLib.networks.losses import CORRELATION_WINDOW, dissimilarity, squared_correlation


def pair(*size: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    first = torch.rand(2, 1, *size, generator=generator)
    return first, 0.6 * first + 0.4 * torch.rand(2, 1, *size, generator=generator)


def test_the_correlation_is_that_of_every_window():
    first, second = pair(12, 15)
    found, radius = squared_correlation(first, second), CORRELATION_WINDOW // 2
    a, b = (np.pad(values[1, 0].double().numpy(), radius) for values in (first, second))
    for y, x in ((0, 0), (5, 7), (11, 3), (4, 14)):
        one, two = (values[y : y + CORRELATION_WINDOW, x : x + CORRELATION_WINDOW].ravel() for values in (a, b))
        assert found[1, 0, y, x].item() == pytest.approx(np.corrcoef(one, two)[0, 1] ** 2, abs=1e-4)


@pytest.mark.parametrize("size", [(24, 20), (12, 10, 11)])
def test_the_correlation_is_that_of_monai(size):
    from monai.losses import LocalNormalizedCrossCorrelationLoss

    first, second = pair(*size)
    theirs = LocalNormalizedCrossCorrelationLoss(len(size), CORRELATION_WINDOW, reduction="none")(second, first)
    assert torch.allclose(squared_correlation(first, second), -theirs, atol=1e-4)
    everywhere = torch.ones_like(first)
    assert dissimilarity(first, second, everywhere).item() == pytest.approx(1 + theirs.mean().item(), abs=1e-5)


def test_brightness_and_contrast_do_not_count_and_structure_does():
    first, _ = pair(24, 24)
    everywhere = torch.ones_like(first)
    inner = squared_correlation(first, 0.3 - 0.2 * first)[..., 4:-4, 4:-4]
    assert torch.allclose(inner, torch.ones_like(inner), atol=1e-3)
    assert dissimilarity(first, first, everywhere) < 1e-4
    assert dissimilarity(first, first.flip(0), everywhere) > 0.8


def test_background_does_not_count():
    first, second = pair(16, 16)
    masks = torch.ones_like(first)
    wide = [torch.nn.functional.pad(values, (20, 20, 20, 20)) for values in (first, second, masks)]
    wider = [torch.nn.functional.pad(values, (50, 50, 50, 50)) for values in (first, second, masks)]
    assert dissimilarity(*wide).item() == pytest.approx(dissimilarity(*wider).item(), abs=1e-6)
    # Over the whole slice, the value would be that of the background.
    assert 1 - squared_correlation(*wide[:2]).mean() < 1 - squared_correlation(*wider[:2]).mean() - 0.05


def test_a_flat_picture_is_like_nothing_and_gives_finite_gradients():
    first, _ = pair(16, 16)
    flat = torch.full_like(first, 0.7).requires_grad_()
    found = dissimilarity(first, flat, torch.ones_like(first))
    found.backward()
    assert squared_correlation(first, flat.detach())[..., 4:-4, 4:-4].max() < 1e-3
    assert torch.isfinite(flat.grad).all()
