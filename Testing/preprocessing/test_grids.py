from __future__ import annotations

import numpy as np
import pytest

from MedADLib.preprocessing.grids import brain_grid
from MedADLib.volume import Volume, spacing_ras


def scan(*spacing, order=(0, 1, 2)):
    """A volume whose array axes x, y, z run along the given ones of right, anterior, superior."""
    affine = np.zeros((4, 4))
    affine[3, 3] = 1
    for column, row in enumerate(order):
        affine[row, column] = -spacing[row]
    return Volume(np.zeros((2, 2, 2), np.float32), affine)


@pytest.mark.parametrize(
    ("spacing", "shape", "grid"),
    [
        ((0.868, 0.868, 1.0), (100, 160, 160), (1.2, 1.2, 1.5)),
        ((1.2, 1.2, 1.2), (100, 160, 160), (1.2, 1.2, 1.5)),
        ((1.5, 1.4999, 1.5), (100, 128, 128), (1.5, 1.5, 1.5)),
        ((2.0, 2.0, 2.0), (75, 96, 96), (2.0, 2.0, 2.0)),
        ((0.9, 0.9, 6.5), (24, 160, 160), (1.2, 1.2, 6.5)),
        ((5.0, 1.0, 1.0), (100, 160, 160), (1.2, 1.2, 1.5)),
        ((9.0, 9.0, 20.0), (19, 64, 64), (3.0, 3.0, 8.0)),
    ],
)
def test_the_grid_is_as_fine_as_the_scans_and_no_finer_than_it_was(spacing, shape, grid):
    assert brain_grid([scan(*spacing)] * 3) == (shape, pytest.approx(grid))
    # Room for a brain, and slices that can be halved five times.
    assert all(count * step >= wanted for count, step, wanted in zip(shape[::-1], grid, (192, 192, 150)))
    assert shape[1] % 32 == shape[2] % 32 == 0


def test_axes_may_be_stored_in_any_order():
    assert spacing_ras(scan(1, 2, 3, order=(2, 0, 1))).tolist() == [1, 2, 3]
    assert brain_grid([scan(2, 2, 5, order=(1, 2, 0))]) == ((30, 96, 96), (2.0, 2.0, 5.0))


def test_a_scan_unlike_the_others_does_not_choose():
    assert brain_grid([scan(1, 1, 1), scan(1, 1, 1), scan(4, 4, 4)])[0] == (100, 160, 160)
