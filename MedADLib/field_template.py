"""Builds the template of a model of volumes by their whole field of view: a grid chosen from them, and their mean."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from .brain_grid import spacing_ras
from .field import FieldTemplate
from .field_grid import extent_ras, field_grid
from .mean_template import mean_learned, sampled
from .progress import Progress
from .volume import Volume


def build_field_template(
    names: Sequence[str], read: Callable[[str], Volume], progress: Progress | None = None
) -> FieldTemplate:
    """A template of healthy volumes, read one at a time.

    Args:
        names: Of the scans, at least 3.
        read: Gives a scan by its name.
        progress: Told before each scan.

    Raises:
        InputError: If there are fewer than 3 scans, or one cannot be used.
        Cancelled: If the user asked to stop.
    """
    progress, spacings, extents, sample = progress or Progress(), [], [], sampled(names)
    for index, name in enumerate(sample):
        progress.update(0.2 * index / len(sample), f"size of {name}")
        volume = read(name)
        spacings.append(spacing_ras(volume))
        extents.append(extent_ras(volume))
    return mean_learned(FieldTemplate.empty(*field_grid(spacings, extents)), names, read, progress, start=0.2)
