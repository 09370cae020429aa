"""What a training tells people: its plan before it begins, and what came of it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from .spaces import describe

if TYPE_CHECKING:
    from .scan_folder import Source
    from .split import Split
    from .training_command import Trained
    from .training_data import HealthyData

MEASURED = "validation_"


def plan_of(data: HealthyData, scans: Mapping[str, Source], split: Split) -> list[str]:
    """What will be done with the scans."""
    subjects = len({scans[name].subject for name in split.names()})
    parts = f"{len(split.train)} to train, {len(split.validation)} to validate, {len(split.calibration)} to calibrate"
    return [
        f"{len(split.names())} scans of {subjects} subjects: {parts}",
        f"prepared as {describe(data.template)}: {data.why}",
    ]


def outcome_of(trained: Trained, output: Path) -> list[str]:
    """Which model came out, with its settings, and how its networks did on the validation scans."""
    method, split, template = trained.method, trained.split, trained.data.template
    what = method.name if template.kind == "brain" else f"{method.name} for {describe(template)}"
    settings = ", ".join(f"{key} = {value}" for key, value in vars(method.parameters).items())
    lines = [
        f"{output}: {what}, trained on {len(split.train)}, calibrated on {len(split.calibration)} scans",
        f"settings: {settings}",
    ]
    measured = at_the_end(trained.facts)
    return [*lines, f"at the end: {', '.join(measured)}"] if measured else lines


def at_the_end(facts: Mapping[str, object]) -> list[str]:
    """What was measured on the validation scans when a training ended.

    Args:
        facts: What the training wants to be kept. The last row of a log is under ``last`` or, where several networks
            were trained, under the name of its network, which is then said too.
    """
    found = []
    for name, row in facts.items():
        if isinstance(row, Mapping):
            whose = "" if name == "last" else f"{name} "
            found += [f"{whose}{key} = {value:.4g}" for key, value in row.items() if key.startswith(MEASURED)]
    return found
