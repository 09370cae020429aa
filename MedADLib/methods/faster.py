"""Fast mode: a method in a form that is quicker and a little less exact, for those that have one."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from .method import Method


@runtime_checkable
class Hastened(Protocol):
    """A method that can be quicker than it was calibrated."""

    def faster(self) -> Method | None:
        """The quicker form, with the same networks; None if this is as quick as it gets."""


def faster_form(method: Method) -> Method | None:
    """The quicker form of a method; None if it has none.

    Its maps are read with the healthy places of the full method, so that both must estimate the same score. Thresholds
    and p-values are measured for it apart, see `Calibration.fast`.
    """
    return method.faster() if isinstance(method, Hastened) else None
