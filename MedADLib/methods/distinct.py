"""Restorations of several slices without those that occur twice, and which of them are decoded together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch

from ..room import slices_at_once


@dataclass(frozen=True, eq=False)
class Distinct:
    """Different restorations, slice after slice.

    Attributes:
        codes: int64 (m, length).
        counts: How many restorations are such, (m,).
        owners: Which slice each is of, (m,).
        sizes: How many each slice has.
    """

    codes: torch.Tensor
    counts: torch.Tensor
    owners: torch.Tensor
    sizes: list[int]

    @classmethod
    def of(cls, copies: torch.Tensor) -> Distinct:
        """Those among the restorations (n, S, length) of n slices; a GPU is waited for."""
        owners = torch.arange(len(copies), device=copies.device).repeat_interleave(copies.shape[1])
        rows, counts = torch.unique(torch.cat([owners[:, None], copies.flatten(0, 1)], 1), dim=0, return_counts=True)
        sizes = torch.bincount(rows[:, 0], minlength=len(copies)).tolist()
        return cls(rows[:, 1:], counts, rows[:, 0], sizes)


def together(sizes: Sequence[int], device: str) -> Iterator[range]:
    """Slices whose restorations go through the decoder in one batch: on a CPU one, on a GPU as many as fit.

    Args:
        sizes: How many restorations each slice has.
        device: ``cpu``, ``cuda`` or ``cuda:N``.
    """
    most = 1 if device == "cpu" else slices_at_once(device)
    first, held = 0, 0
    for number, size in enumerate(sizes):
        if number > first and held + size > most:
            yield range(first, number)
            first, held = number, 0
        held += size
    yield range(first, len(sizes))
