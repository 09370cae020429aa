"""The training function of each method, by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path

from ..methods.registry import ENTRIES, METHODS, LazyObjects
from ..methods.settings import check_names
from ..runtime.progress import Progress
from .config import Options
from .data import HealthyData

RECIPES = f"{__package__}.recipes"
Trainer = Callable[[HealthyData, Options, Path, Progress], tuple[object, dict]]
TRAINERS: Mapping[str, Trainer] = LazyObjects(RECIPES, lambda entry: entry.recipe)


def check_settings(method: str, options: Options) -> None:
    """Refuse settings with a name that a method does not have; their values are checked with the scans.

    Args:
        method: Name of the method.
        options: Options of the training.

    Raises:
        InputError: For the first unknown name.
    """
    recipe = import_module(f"{RECIPES}.{ENTRIES[method].recipe.partition(':')[0]}")
    if hasattr(recipe, "check_settings"):
        recipe.check_settings(options)
    else:
        check_names(METHODS[method].Parameters, options.overrides())
