"""The layers of the library."""

from __future__ import annotations

# From top to bottom, as the house of docs has them; what stands on one line may not import each other.
LAYERS = """
__main__
cli
browser
slicer
worker
benchmark
cohort
report
results
evaluation
detection
training
modelfile
methods
dataset
scoring
preprocessing
networks corruption io
runtime
volume
masks
errors
messages
_version
"""


RANKS = {name: rank for rank, line in enumerate(LAYERS.split("\n")) for name in line.split()}


def rank(name: str) -> int | None:
    """How far down a module is; None if no layer has it."""
    return RANKS.get(name.partition(".")[0])
