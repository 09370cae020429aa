from __future__ import annotations

import warnings

import pytest
import torch
from support.phantoms import one_thread  # noqa: F401
from torch.nn.functional import interpolate

from MedADLib.networks.morphaeus import integrate, jacobian_determinant, roughness, warp

SIZES = [(20, 26), (10, 14, 12)]


def some_field(size: tuple[int, ...], reach: float, seed: int = 0) -> torch.Tensor:
    """Smooth vectors (2, dims, *size) of about this length in pixels."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.randn(2, len(size), *(4,) * len(size), generator=generator)
    return reach * interpolate(coarse, size=size, mode="bilinear" if len(size) == 2 else "trilinear")


def inner(values: torch.Tensor, margin: int = 4) -> torch.Tensor:
    """All but the pixels near the edges, where a flow leaves the picture."""
    return values[(..., *(slice(margin, -margin),) * (values.ndim - 2))]


@pytest.mark.parametrize("size", SIZES)
def test_without_velocity_nothing_moves(size):
    images, still = torch.rand(2, 3, *size), torch.zeros(2, len(size), *size)
    assert not integrate(still).any()
    assert torch.allclose(warp(images, still), images, atol=1e-5)
    assert torch.allclose(jacobian_determinant(still), torch.ones(2, 1, *size))


@pytest.mark.parametrize("size", SIZES)
def test_warps_and_flows_are_those_of_monai(size):
    field, images = some_field(size, 2.0), torch.rand(2, 1, *size)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from monai.networks.blocks.warp import DVF2DDF, Warp

        pull, flow = Warp(padding_mode="border"), DVF2DDF(7, padding_mode="border")
    assert torch.allclose(warp(images, field), pull(images, field), atol=1e-4)
    assert torch.allclose(integrate(field), flow(field), atol=1e-4)


def test_a_warp_fetches_from_where_the_displacement_points():
    image = torch.zeros(1, 1, 9, 11)
    image[0, 0, 5, 7] = 1
    displacement = torch.zeros(1, 2, 9, 11)
    displacement[:, 0], displacement[:, 1] = 2, -3
    expected = torch.zeros_like(image)
    expected[0, 0, 3, 10] = 1
    assert torch.allclose(warp(image, displacement), expected, atol=1e-5)
    # What was moved is undone by the inverse flow.
    back = warp(warp(image, integrate(displacement)), integrate(-displacement))
    assert torch.allclose(inner(back, 3), inner(image, 3), atol=1e-4)


def test_a_constant_velocity_moves_by_itself():
    velocity = torch.zeros(1, 3, 6, 7, 8) + torch.tensor([1.0, -2.0, 0.5]).view(1, 3, 1, 1, 1)
    assert torch.allclose(integrate(velocity), velocity, atol=1e-5)


@pytest.mark.parametrize("size", [(40, 48), (24, 20, 22)])
def test_the_opposite_velocity_flows_back(size):
    velocity = some_field(size, 1.5, seed=3)
    there, back = integrate(velocity), integrate(-velocity)
    # φ∘φ⁻¹(p) = p + u⁻¹(p) + u(p + u⁻¹(p))
    round_trip = back + warp(there, back)
    assert inner(there).norm(dim=1).mean() > 1
    assert inner(round_trip).norm(dim=1).mean() < 0.05 and inner(round_trip).abs().max() < 0.5
    assert (jacobian_determinant(there) > 0).all()


def test_the_jacobian_determinant_tells_growth_turning_and_folding():
    y, x = torch.meshgrid(torch.arange(8.0), torch.arange(9.0), indexing="ij")
    shear = torch.stack([0.5 * y, 0.25 * x + 0.3 * y])[None]
    assert torch.allclose(jacobian_determinant(shear), torch.full((1, 1, 8, 9), 1.5 * 1.25), atol=1e-5)
    mixed = torch.stack([0.5 * x, 0.4 * y])[None]
    assert torch.allclose(jacobian_determinant(mixed), torch.full((1, 1, 8, 9), 1 - 0.2), atol=1e-5)
    folded = torch.stack([-2 * y, 0 * x])[None]
    assert torch.allclose(jacobian_determinant(folded), torch.full((1, 1, 8, 9), -1.0), atol=1e-5)


def test_roughness_is_half_the_mean_squared_slope():
    y, x = torch.meshgrid(torch.arange(6.0), torch.arange(7.0), indexing="ij")
    # ‖∇v‖² is 3² + 4² of the first component and 2² of the second.
    velocity = torch.stack([3 * y - 4 * x, 2 * x])[None]
    assert roughness(velocity).item() == pytest.approx(0.5 * (9 + 16 + 4) / 2, rel=1e-5)
    assert roughness(torch.full((2, 3, 5, 6, 7), 4.0)) == 0


@pytest.mark.parametrize("size", SIZES)
def test_roughness_and_its_gradient_are_those_of_central_differences(size, recwarn):
    field = some_field(size, 2.0).requires_grad_()
    slopes = torch.gradient(field, dim=list(range(2, 2 + len(size))))
    by_hand = 0.5 * sum(inner(slope, 1).square().mean() for slope in slopes)
    assert roughness(field).item() == pytest.approx(by_hand.item(), rel=1e-5)
    found, wanted = (torch.autograd.grad(value, field)[0] for value in (roughness(field), by_hand))
    assert torch.allclose(found, wanted, rtol=1e-5, atol=1e-9)
    assert not [warning for warning in recwarn if "indexing" in str(warning.message)]
