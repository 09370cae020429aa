from __future__ import annotations

import numpy as np
import pytest
import torch

from MedADLib.methods.base import check_centres
from MedADLib.networks.pixel_error import PixelError

CENTRES = (0.0, 0.2, 0.5, 0.9)


def sure_of(classes: torch.Tensor, confidence: float = 20.0) -> torch.Tensor:
    """Logits of a decoder that is sure of classes (N, Y, X)."""
    return confidence * torch.nn.functional.one_hot(classes, len(CENTRES)).movedim(-1, 1).float()


def some_images() -> torch.Tensor:
    return torch.rand(2, 1, 5, 6, generator=torch.Generator().manual_seed(0))


def test_a_class_is_that_of_the_nearest_centre():
    images = some_images()
    nearest = (images[..., None] - torch.tensor(CENTRES)).abs().argmin(-1)
    assert torch.equal(PixelError("categorical", CENTRES).classes(images), nearest)
    assert PixelError("categorical", CENTRES).classes(torch.tensor([-3.0, 0.0, 7.0])).tolist() == [0, 0, 3]


def test_what_was_decoded_costs_nothing_and_all_else_does():
    compare, images = PixelError("categorical", CENTRES), some_images()
    decoded = sure_of(compare.classes(images)[:, 0])
    right = compare(decoded, images)
    assert right.shape == images.shape and right.max() < 1e-4
    changed = images.clone()
    changed[0, 0, 2, 3] = 0.9 if images[0, 0, 2, 3] < 0.5 else 0.0
    wrong = compare(decoded, changed)
    assert wrong[0, 0, 2, 3] > 10 and torch.equal(wrong > 1, changed != images)


def test_it_is_the_negative_log_probability():
    compare, images = PixelError("categorical", CENTRES), some_images()
    logits = torch.randn(2, 4, 5, 6, generator=torch.Generator().manual_seed(1))
    share = logits.exp() / logits.exp().sum(1, keepdim=True)
    by_hand = -share.gather(1, compare.classes(images)).log()
    assert torch.allclose(compare(logits, images), by_hand, atol=1e-5)
    expected = sum(share[:, k] * centre for k, centre in enumerate(CENTRES))
    assert torch.allclose(compare.image(logits)[:, 0], expected, atol=1e-6)
    assert torch.allclose(compare(logits[..., 0, 0], images[..., 0, 0]), by_hand[..., 0, 0], atol=1e-5)


def test_intensities_are_their_own_image():
    images, decoded = some_images(), some_images().flip(0)
    assert torch.equal(PixelError("l1")(decoded, images), (decoded - images).abs())
    assert torch.equal(PixelError("l2")(decoded, images), (decoded - images).square())
    assert torch.equal(PixelError("l2").image(decoded), decoded) and PixelError("l1").channels == 1


def test_centres_are_not_weights():
    assert not PixelError("categorical", CENTRES).state_dict()


@pytest.mark.parametrize(
    ("error", "centres"),
    [
        ("categorical", ()),
        ("categorical", (0.5,)),
        ("categorical", (0.1, 0.1)),
        ("categorical", (0.2, 0.1)),
        ("categorical", (0.1, float("nan"))),
        ("categorical", (float("nan"), 0.1)),
        ("categorical", (0.1, float("inf"))),
        ("categorical", tuple(np.linspace(0, 1, 65))),
        ("l1", (0.1, 0.2)),
    ],
)
def test_centres_that_make_no_sense_are_refused(error, centres):
    with pytest.raises(ValueError):
        check_centres(error, centres)
