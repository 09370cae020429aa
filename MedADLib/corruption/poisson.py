"""Solve Poisson's equation on any set of pixels, for a batch of slices, and inpaint with it."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch.nn.functional import pad

TOLERANCE = 1e-5
MOST_ROUNDS = 2000
LOOK_EVERY = 10

# The smallest degree in the training of the segmenter; smaller predictions are not findings.
UNTOUCHED = 0.05
LARGEST = 0.999


def differences(values: torch.Tensor, tissue: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Compute differences to the next pixel below and to the right, 0 where one of the two is not tissue (0 or 1).

    Values (N, 1, Y, X) give (N, 1, Y - 1, X) and (N, 1, Y, X - 1).
    """
    down = (values[:, :, 1:] - values[:, :, :-1]) * tissue[:, :, 1:] * tissue[:, :, :-1]
    across = (values[..., 1:] - values[..., :-1]) * tissue[..., 1:] * tissue[..., :-1]
    return down, across


def negative_divergence(down: torch.Tensor, across: torch.Tensor) -> torch.Tensor:
    """Sum the differences from all neighbours q to a pixel p: minus the divergence, (N, 1, Y, X)."""
    return pad(down, (0, 0, 1, 0)) - pad(down, (0, 0, 0, 1)) + pad(across, (1, 0)) - pad(across, (0, 1))


def solve(
    values: torch.Tensor,
    unknown: torch.Tensor,
    tissue: torch.Tensor,
    guidance: tuple[torch.Tensor, torch.Tensor] | None = None,
    hold: torch.Tensor | None = None,
) -> torch.Tensor:
    """Solve the discrete (screened) Poisson equation on the unknown pixels.

    For each unknown pixel p, with its at most four neighbours q in the tissue (known neighbours are the boundary):
    Σ_q (u_p − u_q) + h_p (u_p − x_p) = Σ_q v_qp, with the given values x, the guidance v and the screening h. The
    solver is conjugate gradients with Jacobi preconditioning in the box around the unknown pixels. It starts from the
    given values, so that the solution is determined in a component of tissue without a boundary, too.

    Args:
        values: x, (N, 1, Y, X).
        unknown: Pixels to compute, (N, 1, Y, X), 0 or 1; those outside the tissue do not change.
        tissue: Pixels that are neighbours, (N, 1, Y, X), 0 or 1.
        guidance: v, target differences down and across as from `differences`; None for 0, a membrane.
        hold: h, screening weight towards the given value, (N, 1, Y, X); None for 0.

    Returns:
        u, (N, 1, Y, X), bit-equal to the given values at known pixels.
    """
    unknown = unknown * tissue
    box = _Box.around(unknown)
    if box is None:
        return values
    x, free, inside = (box.cut(part) for part in (values, unknown, tissue))
    held = torch.zeros_like(x) if hold is None else box.cut(hold)
    wanted = torch.zeros_like(x) if guidance is None else box.cut(negative_divergence(*guidance))
    found = x + _conjugate_gradients(free * (wanted - negative_divergence(*differences(x, inside))), free, inside, held)
    return box.put(values, torch.where(free > 0, found, x))


def _conjugate_gradients(
    residual: torch.Tensor, free: torch.Tensor, inside: torch.Tensor, held: torch.Tensor
) -> torch.Tensor:
    """Solve Σ_q (d_p − d_q) + h_p d_p = residual_p at the free pixels for the change d, which is 0 elsewhere."""

    def product(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        return (a * b).sum(dim=(1, 2, 3), keepdim=True)

    scale = free / (_neighbours(inside) + held).clamp_min(1e-12)
    change, preconditioned = torch.zeros_like(residual), scale * residual
    direction, size = preconditioned, product(residual, preconditioned)
    enough = size * TOLERANCE**2
    for number in range(MOST_ROUNDS):
        if number % LOOK_EVERY == 0 and bool((size <= enough).all()):
            break
        pushed = free * (negative_divergence(*differences(direction, inside)) + held * direction)
        # A converged slice does not change while the others continue.
        step = torch.where(size > enough, size / product(direction, pushed).clamp_min(1e-30), 0)
        change, residual = change + step * direction, residual - step * pushed
        preconditioned = scale * residual
        before, size = size, product(residual, preconditioned)
        direction = preconditioned + size / before.clamp_min(1e-30) * direction
    return change


def _neighbours(inside: torch.Tensor) -> torch.Tensor:
    """Count the neighbours in the tissue of each pixel of the tissue."""
    down, across = inside[:, :, 1:] * inside[:, :, :-1], inside[..., 1:] * inside[..., :-1]
    return pad(down, (0, 0, 1, 0)) + pad(down, (0, 0, 0, 1)) + pad(across, (1, 0)) + pad(across, (0, 1))


@dataclass(frozen=True, eq=False)
class _Box:
    """Bounding boxes of one size around the unknown pixels of each slice: rows (N, h, 1) and columns (N, 1, w)."""

    rows: torch.Tensor
    columns: torch.Tensor

    @classmethod
    def around(cls, unknown: torch.Tensor) -> _Box | None:
        """Find the boxes of (N, 1, Y, X); None if no pixel is unknown."""
        found = []
        for axis in (1, 2):
            occupied = unknown[:, 0].amax(dim=3 - axis) > 0
            if not bool(occupied.any()):
                return None
            length = occupied.shape[1]
            first = occupied.to(torch.int64).argmax(dim=1)
            last = length - 1 - occupied.flip(1).to(torch.int64).argmax(dim=1)
            used = occupied.any(dim=1)
            size = min(int((last - first)[used].max()) + 3, length)
            start = (first - 1).clamp(0, length - size)
            found.append(start[:, None] + torch.arange(size, device=unknown.device))
        return cls(found[0][:, :, None], found[1][:, None, :])

    def cut(self, values: torch.Tensor) -> torch.Tensor:
        """Crop (N, 1, Y, X) to the boxes, (N, 1, h, w)."""
        return values[self._samples, 0, self.rows, self.columns][:, None]

    def put(self, values: torch.Tensor, part: torch.Tensor) -> torch.Tensor:
        """Return a copy of `values` with the boxes replaced by `part`."""
        values = values.clone()
        values[self._samples, 0, self.rows, self.columns] = part[:, 0]
        return values

    @property
    def _samples(self) -> torch.Tensor:
        return torch.arange(len(self.rows), device=self.rows.device)[:, None, None]


def inpaint(images: torch.Tensor, masks: torch.Tensor, share: torch.Tensor) -> torch.Tensor:
    """Minimise Σ_p h_p (u_p − x_p)² + Σ_pq (u_p − u_q)² with h = (1 − α)/α: membrane inpainting of anomalous pixels.

    Pixels with α below 0.05 do not change; with α = 1 they are the harmonic continuation of their surroundings.

    Args:
        images: x, (N, 1, Y, X).
        masks: Brain, (N, 1, Y, X), 0 or 1; the membrane ends at its edge.
        share: α, degree of corruption of each pixel, (N, 1, Y, X), 0 to 1.

    Returns:
        u, (N, 1, Y, X).
    """
    # Without any screening, the mean of a whole slice would be undetermined.
    share = share.clamp(max=LARGEST)
    hold = (1 - share) / share.clamp_min(UNTOUCHED)
    return solve(images, (share > UNTOUCHED).to(images.dtype), masks, None, hold)
