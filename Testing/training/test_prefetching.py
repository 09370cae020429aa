"""Batches that worker processes make."""

from __future__ import annotations

import torch

from MedADLib.training.prefetching import Prefetched


def test_batches_of_worker_processes_come_in_order_from_any_step():
    def batches(number: int) -> tuple[torch.Tensor, ...]:
        return (torch.full((2,), float(number)),)

    with Prefetched(batches, 9, workers=2) as ready:
        assert [float(ready(number)[0][0]) for number in (3, 4, 5, 6)] == [3, 4, 5, 6]
        assert float(ready(1)[0][0]) == 1 and float(ready(2)[0][0]) == 2
