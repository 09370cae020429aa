"""Finds the intensity classes of a network that is to learn with the categorical error."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ..intensity_classes import class_centres
from ..slices import Slices

BACKGROUND = 0.0
CATEGORICAL = "categorical"


def with_classes(parameters: Any, wishes: Mapping[str, object], train: Slices) -> Any:
    """Parameters with the classes of the training scans if the categorical error is asked for.

    The background, which is 0 in prepared scans, gets a class of its own besides those of the brain: the network is
    then told where there is no brain, without masks in its loss, and what it finds missing in a brain costs as much as
    what is too bright.

    Args:
        parameters: A frozen dataclass with `error` and `centres`.
        wishes: What the user asks for.
        train: Slices of the training subjects.

    Raises:
        InputError: If the scans have too few different intensities.
    """
    if wishes.get("error", parameters.error) != CATEGORICAL:
        return parameters
    return replace(parameters, error=CATEGORICAL, centres=(BACKGROUND, *class_centres(train.images[train.masks])))
