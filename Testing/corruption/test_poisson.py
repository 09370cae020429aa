"""Poisson's equation against a sparse direct solver that is built pixel by pixel."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse
import scipy.sparse.linalg
import torch
from support.phantoms import one_thread  # noqa: F401

from MedADLib.corruption.blending import blend_by_gradients
from MedADLib.corruption.poisson import differences, negative_divergence, solve
from MedADLib.corruption.shapes import blobs, squares

SHAPE = (30, 37)


def scene(seed: int, count: int = 3):
    """Random values, an irregular tissue, and unknown pixels of very different extent in each slice."""
    random = torch.Generator().manual_seed(seed)
    values = torch.rand(count, 1, *SHAPE, generator=random)
    y, x = torch.meshgrid(torch.arange(SHAPE[0]) - 14.0, torch.arange(SHAPE[1]) - 17.0, indexing="ij")
    tissue = ((y / 13) ** 2 + (x / 16) ** 2 < 1).float().expand(count, 1, -1, -1).clone()
    tissue[:, :, 10:12, 12:14] = 0
    unknown = torch.zeros_like(values)
    for number in range(count):
        unknown[number, 0, 4 + 2 * number : 12 + 4 * number, 6 : 14 + 5 * number] = 1
    return values, unknown, tissue, random


def direct(values, unknown, tissue, steps, hold) -> np.ndarray:
    """The equation of one slice as it is written down, solved by scipy; `steps(p, q)` is v from q to p."""
    free = [tuple(p) for p in np.argwhere((unknown > 0) & (tissue > 0))]
    index = {p: number for number, p in enumerate(free)}
    matrix = scipy.sparse.lil_matrix((len(free), len(free)))
    right = np.zeros(len(free))
    for p, row in index.items():
        matrix[row, row] += hold[p]
        right[row] += hold[p] * values[p]
        for q in ((p[0] - 1, p[1]), (p[0] + 1, p[1]), (p[0], p[1] - 1), (p[0], p[1] + 1)):
            if not (0 <= q[0] < SHAPE[0] and 0 <= q[1] < SHAPE[1]) or tissue[q] == 0:
                continue
            matrix[row, row] += 1
            right[row] += steps(p, q)
            if q in index:
                matrix[row, index[q]] -= 1
            else:
                right[row] += values[q]
    found = values.copy()
    found[tuple(np.array(free).T)] = scipy.sparse.linalg.spsolve(matrix.tocsr(), right)
    return found


@pytest.mark.parametrize("held", [False, True])
@pytest.mark.parametrize("guided", [False, True])
def test_the_solution_is_that_of_a_direct_solver(held, guided):
    values, unknown, tissue, random = scene(0)
    wanted = torch.rand(values.shape, generator=random)
    hold = 3 * torch.rand(values.shape, generator=random) ** 4 * held
    found = solve(values, unknown, tissue, differences(wanted, tissue) if guided else None, hold)
    for number in range(len(values)):
        v, u, t, w, h = (part[number, 0].numpy().astype(float) for part in (values, unknown, tissue, wanted, hold))
        expected = direct(v, u, t, (lambda p, q, w=w: w[p] - w[q]) if guided else (lambda p, q: 0.0), h)
        assert np.abs(found[number, 0].numpy() - expected).max() < 2e-4
    assert torch.equal(found[(unknown * tissue) == 0], values[(unknown * tissue) == 0])


@pytest.mark.parametrize("shape", [squares, blobs])
def test_a_blend_by_gradients_is_that_of_a_direct_solver(shape):
    values, _, tissue, random = scene(1)
    images, foreign = 0.3 + 0.5 * values * tissue, 0.3 + 0.5 * torch.rand(values.shape, generator=random)
    degree = shape(tissue, random) * torch.tensor([0.3, 0.6, 0.9]).view(3, 1, 1, 1)
    found = blend_by_gradients(images, foreign, degree, tissue)
    for number in range(3):
        x, y, a, t = (part[number, 0].numpy().astype(float) for part in (images, foreign, degree, tissue))

        def steps(p, q, x=x, y=y, a=a):
            share = max(a[p], a[q])
            own, other = (1 - share) * (x[p] - x[q]), share * (y[p] - y[q])
            return other if abs(other) > abs(own) else own

        expected = np.clip(direct(x, a > 0, t, steps, np.zeros(SHAPE)), 0, 1.5)
        assert np.abs(found.images[number, 0].numpy() - expected).max() < 3e-4


def test_a_picture_solves_the_equation_of_its_own_gradients():
    values, unknown, tissue, _ = scene(2)
    start = torch.where(unknown * tissue > 0, 0.0, values)
    assert torch.allclose(solve(start, unknown, tissue, differences(values, tissue)), values, atol=2e-4)


def test_the_gathered_differences_are_the_laplacian():
    values, _, tissue, _ = scene(3, 1)
    found = negative_divergence(*differences(values, torch.ones_like(tissue)))[0, 0, 1:-1, 1:-1]
    v = values[0, 0]
    expected = 4 * v[1:-1, 1:-1] - v[:-2, 1:-1] - v[2:, 1:-1] - v[1:-1, :-2] - v[1:-1, 2:]
    assert torch.allclose(found, expected, atol=1e-6)


def test_a_slice_is_solved_the_same_whatever_slices_are_with_it():
    values, unknown, tissue, _ = scene(4)
    together = solve(values, unknown, tissue)
    for number in range(3):
        one = slice(number, number + 1)
        assert torch.allclose(solve(values[one], unknown[one], tissue[one]), together[one], atol=1e-4)


def test_tissue_without_any_boundary_keeps_its_level_and_nothing_unknown_changes_nothing():
    values, _, tissue, _ = scene(5)
    found = solve(values, torch.ones_like(values), tissue)
    inside = tissue > 0
    assert torch.isfinite(found).all()
    assert torch.equal(found[~inside], values[~inside])
    for number in range(3):
        level = values[number][inside[number]]
        assert found[number][inside[number]].std() < 1e-3
        assert abs(float(found[number][inside[number]].mean() - level.mean())) < 0.1 * float(level.std())
    assert torch.equal(solve(values, torch.zeros_like(values), tissue), values)
