"""The training function of each method, by name."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Protocol

from ..methods.base import Method
from ..methods.registry import ENTRIES, METHODS, LazyObjects
from ..methods.settings import check_names
from ..runtime.progress import Progress
from .config import Options
from .data import HealthyData

RECIPES = f"{__package__}.recipes"


class Trainer(Protocol):
    """Training function of a recipe."""

    def __call__(self, data: HealthyData, options: Options, folder: Path, progress: Progress) -> tuple[Method, dict]:
        """Train a method.

        Args:
            data: Healthy scans.
            options: Steps, seed and device; ``options.extra`` and the latent size override the parameters of the
                method, except those that the training determines.
            folder: Folder for checkpoints, logs and figures.
            progress: Receives the stages and steps; may cancel.

        Returns:
            The method on the CPU, and facts of the training for the model file, such as the last row of its log.

        Raises:
            InputError: If a setting is unknown or has a wrong value, or the scans do not suit the method.
            MedADError: See `loop.fit`.
        """


TRAINERS: Mapping[str, Trainer] = LazyObjects(RECIPES, lambda entry: entry.recipe)


def check_settings(method: str, options: Options) -> None:
    """Refuse settings with a name that a method does not have; their values are checked with the scans.

    Raises:
        InputError: For the first unknown name.
    """
    recipe = import_module(f"{RECIPES}.{ENTRIES[method].recipe.partition(':')[0]}")
    if hasattr(recipe, "check_settings"):
        recipe.check_settings(options)
    else:
        check_names(METHODS[method].Parameters, options.overrides())
