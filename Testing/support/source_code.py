"""What the project's own source files import, read from their syntax trees without running them."""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
OWN_PACKAGE = "MedADLib"

# From top to bottom, as docs/ARCHITECTURE.md draws them; what stands on one line may not import each other.
LAYERS = """
__main__
cli
browser
slicer
worker
benchmark
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
volume
masks
runtime
errors
messages
_version
"""


RANKS = {name: rank for rank, line in enumerate(LAYERS.split("\n")) for name in line.split()}


def rank(name: str) -> int | None:
    """How far down a module is; None if no layer has it."""
    return RANKS.get(name.partition(".")[0])


def library_files(folder: str = OWN_PACKAGE) -> list[Path]:
    """Every Python file under a folder of the repository."""
    return sorted(path for path in (ROOT / folder).rglob("*.py") if "__pycache__" not in path.parts)


@cache
def syntax(path: Path) -> ast.Module:
    """The syntax tree of a file."""
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


@cache
def imports(path: Path, file_scope_only: bool = False) -> frozenset[str]:
    """The absolute names of all modules a file imports; for `from a import b` both `a` and `a.b`.

    Args:
        path: A file of the repository.
        file_scope_only: Leave out what is imported inside functions, and what only a type checker sees.
    """
    names: set[str] = set()
    for node in _nodes(syntax(path), file_scope_only):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = _absolute(path, node)
            names.add(module)
            names.update(f"{module}.{alias.name}" for alias in node.names)
    return frozenset(names)


def imported_on_loading(path: Path) -> set[str]:
    """The modules that loading a file brings in at once, through the project's own modules as far as they go."""
    found: set[str] = set()
    waiting = [path]
    while waiting:
        for name in imports(waiting.pop(), file_scope_only=True) - found:
            found.add(name)
            waiting.extend(_own_files(name))
    return found


def top_level(names: Collection[str]) -> set[str]:
    """The packages that the modules belong to."""
    return {name.partition(".")[0] for name in names}


def _nodes(tree: ast.AST, file_scope_only: bool) -> Iterator[ast.AST]:
    for node in ast.iter_child_nodes(tree):
        if file_scope_only and (isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)) or _typing(node)):
            continue
        yield node
        yield from _nodes(node, file_scope_only)


def _typing(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)


def _absolute(path: Path, node: ast.ImportFrom) -> str:
    if node.level == 0:
        return node.module or ""
    package = path.relative_to(ROOT).parts[: -node.level]
    return ".".join((*package, *filter(None, [node.module])))


@cache
def _own_files(name: str) -> list[Path]:
    """The files that importing a module of ours runs: its own and its packages' `__init__.py`."""
    parts = name.split(".")
    if parts[0] != OWN_PACKAGE:
        return []
    files = [ROOT.joinpath(*parts[:count], "__init__.py") for count in range(1, len(parts) + 1)]
    files.append(ROOT.joinpath(*parts).with_suffix(".py"))
    return [file for file in files if file.is_file()]
