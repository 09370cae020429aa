"""Static masks on a CPU: kept codes between two drawn ones go through the prior in one piece, and no row twice."""

from __future__ import annotations

from collections.abc import Callable

import torch

from ..networks.prior import Cache
from ..networks.stretches import Stretch, read_last
from .draws import Draws

AS_IT_WAS = -1


def sample_by_segments(draws: Draws, told: Callable[[float], None]) -> torch.Tensor:
    """Restorations of some slices whose places to draw are known beforehand.

    The likelihood pass holds all there is to know before the first drawn code, and nothing is computed after the
    last. Samples are one row as long as they have drawn the same codes. The segments of all slices go through the
    prior together, for few rows make poor use of a processor.

    Args:
        draws: What to draw.
        told: Called with the part done, in [0, 1], after each drawn place; may raise to stop.

    Returns:
        int64 (n, samples, length).
    """
    restored = draws.codes[:, None].repeat(1, len(draws.samples), 1)
    growing = [_Rows(draws, number) for number in range(len(draws.codes)) if draws.places[number].any()]
    steps = max((len(rows.places) for rows in growing), default=0)
    for step in range(steps):
        growing = [rows for rows in growing if step < len(rows.places)]
        stretches = [rows.stretch(step) for rows in growing]
        started = [stretch for stretch in stretches if stretch is not None]
        logits = iter(read_last(draws.prior, started) if started else ())
        for rows, stretch in zip(growing, stretches):
            rows.draw(step, None if stretch is None else next(logits))
            if step + 1 == len(rows.places):
                restored[rows.number] = rows.restored()
        told((step + 1) / steps)
    return restored


class _Rows:
    """The different histories of one slice's samples, and their keys and values.

    Samples that have drawn nothing but the slice's own codes have no row: the likelihood pass is theirs.

    Args:
        draws: What to draw.
        number: Which slice.
    """

    def __init__(self, draws: Draws, number: int):
        self.draws, self.number = draws, number
        self.places: list[int] = draws.places[number].nonzero()[:, 0].tolist()
        self.own_codes, self.position = draws.codes[number], draws.positions[number : number + 1]
        self.prefix = draws.cache.rows(slice(number, number + 1))
        layers, _, heads, _, width = self.prefix.keys.shape
        # What is not written takes no memory yet.
        shape = (layers, len(draws.samples), heads, self.places[-1] + 1, width)
        self.cache = Cache(self.prefix.keys.new_empty(shape), self.prefix.values.new_empty(shape))
        self.codes = self.own_codes.repeat(len(draws.samples), 1)
        self.row_of, self.count = [AS_IT_WAS] * len(draws.samples), 0

    def stretch(self, step: int) -> Stretch | None:
        """What leads to a drawn place from the one before it; None if there are no rows yet."""
        if not self.count:
            return None
        first, last = self.places[step - 1] + 1, self.places[step] + 1
        return Stretch(self.codes[: self.count], self.position, first, last, self.cache)

    def draw(self, step: int, logits: torch.Tensor | None) -> None:
        """Draw the code of every sample at a place from the logits (R, K) of the rows, and split rows that differ."""
        place = self.places[step]
        unchanged = self.draws.logits[self.number, place][None]
        logits = unchanged if logits is None else torch.cat([logits, unchanged])
        chosen = self.draws.choose(
            logits[self.row_of],
            self.draws.noise(self.number, place),
            lambda sample: (self._history(self.row_of[sample]), self.position, place),
        )
        taken: set[int] = set()
        row_of: dict[tuple[int, int], int] = {(AS_IT_WAS, int(self.own_codes[place])): AS_IT_WAS}
        pairs = list(zip(self.row_of, chosen.tolist()))
        # Rows are filled in only after all were split: who splits off later must still find the codes before.
        for row, code in pairs:
            if (row, code) not in row_of:
                row_of[row, code] = row if row not in taken and row != AS_IT_WAS else self._split(row, place)
                taken.add(row)
        for (_, code), row in row_of.items():
            if row != AS_IT_WAS:
                self.codes[row, place] = code
        self.row_of = [row_of[pair] for pair in pairs]

    def restored(self) -> torch.Tensor:
        """Codes of the samples, int64 (S, length)."""
        return torch.stack([self._history(row) for row in self.row_of])

    def _history(self, row: int) -> torch.Tensor:
        return self.own_codes if row == AS_IT_WAS else self.codes[row]

    def _split(self, row: int, place: int) -> int:
        """A new row that is the same as another one up to a place."""
        new = self.count
        self.count += 1
        self.codes[new] = self._history(row)
        for kept, source in zip(self.cache, self.prefix if row == AS_IT_WAS else self.cache):
            kept[:, new, :, : place + 1] = source[:, 0 if row == AS_IT_WAS else row, :, : place + 1]
        return new
