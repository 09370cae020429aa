"""The order of the library's packages: an import only points down, without a circle, and no module is too long."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from support.source_code import OWN_PACKAGE, ROOT, library_files, rank, syntax

MOST_FLAT, LONGEST = 7, 600
OWN_INIT = "__init__"
# Imports against the layers that are allowed: (module, imported module): why.
ALLOWED: dict[tuple[str, str], str] = {}


def name_of(path: Path, package: Path) -> str:
    """A module's name without that of the library's package, which itself is empty."""
    return ".".join(path.relative_to(package).with_suffix("").parts).removesuffix("__init__").rstrip(".")


def edges(package: Path) -> dict[str, set[str]]:
    """Each module of a package and the modules of it that it imports, at its top, in functions or for types only."""
    modules = {name_of(path, package): path for path in package.rglob("*.py") if "__pycache__" not in path.parts}
    own = package.name
    public = _public(modules[""])
    found: dict[str, set[str]] = {name: set() for name in modules}
    for name, path in modules.items():
        for target in _imported(name, path, own):
            while target and target not in modules:
                target = target.rpartition(".")[0]
            found[name].add(target)
        if not name:
            continue
        # The package itself only stands for the modules of its public names.
        asked = {public.get(word) for word in _names_of_package(path, own, name)}
        found[name] = (found[name] - {"", name}) | {module for module in asked if module in modules and module != name}
    # The package itself offers its public names, which are imported on request; it may import nothing else.
    found[OWN_INIT] = found.pop("") - {"", *public.values()}
    return found


def _imported(name: str, path: Path, own: str) -> Iterator[str]:
    """What a module imports of its package; of `from a import b` both `a.b`, which need not be a module, and so `a`."""
    for node in ast.walk(syntax(path)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.partition(".")[0] == own:
                    yield alias.name.partition(".")[2]
        elif isinstance(node, ast.ImportFrom):
            base = _base(name, path, node, own)
            if base is not None:
                yield from (f"{base}.{alias.name}".lstrip(".") for alias in node.names)
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("import_module") and node.args:
            word = node.args[0].value if isinstance(node.args[0], ast.Constant) else ""
            level = len(word) - len(word.lstrip("."))
            if level:
                yield _base(name, path, ast.ImportFrom(word[level:], [], level), own)
            elif word.startswith(f"{own}."):
                yield word.partition(".")[2]


def _names_of_package(path: Path, own: str, name: str) -> Iterator[str]:
    for node in ast.walk(syntax(path)):
        if isinstance(node, ast.ImportFrom) and _base(name, path, node, own) == "":
            yield from (alias.name for alias in node.names)


def _base(name: str, path: Path, node: ast.ImportFrom, own: str) -> str | None:
    """The module that a `from` names, without the package's name; None if it is of another package."""
    if node.level == 0:
        package, _, rest = (node.module or "").partition(".")
        return rest if package == own else None
    parts = name.split(".") if path.name == "__init__.py" else name.split(".")[:-1]
    parts = [part for part in parts if part][: len(parts) - node.level + 1]
    return ".".join([*parts, *filter(None, [node.module])])


def _public(path: Path) -> dict[str, str]:
    """Public names of a package and their modules, from what it shows to type checkers."""
    found = {}
    for node in ast.walk(syntax(path)):
        if isinstance(node, ast.ImportFrom) and node.level == 1 and node.module:
            found |= {alias.name: node.module for alias in node.names}
    return found


def against(found: dict[str, set[str]]) -> list[str]:
    """Imports that point up, or sideways to another package of the same layer."""
    offenders = [f"{OWN_INIT} imports {other}" for other in sorted(found.get(OWN_INIT, ()))]
    for module, imported in sorted(found.items()):
        for other in sorted(imported):
            if (module, other) in ALLOWED or None in (rank(module), rank(other)):
                continue
            same_package = module.partition(".")[0] == other.partition(".")[0]
            if rank(other) < rank(module) or (rank(other) == rank(module) and not same_package):
                offenders.append(f"{module} imports {other}")
    return offenders


def circles(found: dict[str, set[str]]) -> list[str]:
    """Groups of modules that import each other, directly or through others."""

    @cache
    def reach(start: str) -> frozenset[str]:
        seen, waiting = set(), [start]
        while waiting:
            for other in found.get(waiting.pop(), set()) - seen:
                seen.add(other)
                waiting.append(other)
        return frozenset(seen)

    rings = {tuple(sorted(other for other in reach(name) if name in reach(other))) for name in found}
    return [" <-> ".join(ring) for ring in sorted(rings) if ring]


def both_ways(found: dict[str, set[str]]) -> list[str]:
    """Imports of each other by two packages, one of which may be inside the other."""

    def home(module: str) -> str:
        """The package that a module is or is in; a module in none stands for itself."""
        is_package = any(other.startswith(f"{module}.") for other in found)
        return module if is_package else module.rpartition(".")[0] or module

    arrows: dict[tuple[str, str], list[str]] = {}
    for module, imported in found.items():
        for other in imported:
            arrows.setdefault((home(module), home(other)), []).append(f"{module} imports {other}")
    pairs = [(here, there) for here, there in arrows if here < there and (there, here) in arrows]
    return sorted(arrow for here, there in pairs for arrow in arrows[here, there] + arrows[there, here])


@pytest.fixture(scope="module")
def library():
    return edges(ROOT / OWN_PACKAGE)


def test_every_module_is_in_a_layer(library):
    assert [name for name in library if name != OWN_INIT and rank(name) is None] == []


def test_imports_only_point_down(library):
    assert against(library) == []


def test_there_is_no_import_circle(library):
    assert circles(library) == []


def test_no_two_packages_import_each_other(library):
    assert both_ways(library) == []


def test_exceptions_are_still_needed(library):
    assert [pair for pair in ALLOWED if pair[1] not in library.get(pair[0], set())] == []


def test_detection_reaches_neither_dataset_nor_training(library):
    # The registry names the modules of methods and imports them on request.
    methods = [name for name in library if name.startswith("methods.")]
    seen, waiting = set(), ["detection", "modelfile.model", *methods]
    while waiting:
        for other in library[waiting.pop()] - seen:
            seen.add(other)
            waiting.append(other)
    assert [name for name in sorted(seen) if name.partition(".")[0] in ("dataset", "training")] == []


def test_few_modules_lie_flat_and_none_is_too_long():
    flat = [path.name for path in (ROOT / OWN_PACKAGE).glob("*.py")]
    assert len(flat) <= MOST_FLAT, flat
    lengths = {path.relative_to(ROOT).as_posix(): path.read_text("utf-8").count("\n") for path in library_files()}
    assert {name: lines for name, lines in lengths.items() if lines > LONGEST} == {}


@pytest.fixture
def imports_of(tmp_path):
    """Write a package of these modules and read its imports."""

    def write(**modules: str):
        package = tmp_path / "House"
        for name, text in {"__init__": "", **modules}.items():
            path = package / f"{name.replace('__in__', '/')}.py"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return edges(package)

    return write


@pytest.fixture
def planted(imports_of):
    """Write a package of these modules and find wrong imports and circles in it."""
    return lambda **modules: (against(found := imports_of(**modules)), circles(found))


def test_imports_that_point_up_are_found_wherever_they_stand(planted):
    lazy = "def f():\n    from ..training import loop\n"
    typing = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from ..cli.main import run\n"
    sideways = "from ..networks import unet\nfrom ..runtime import device\nfrom . import reading\n"
    found, rings = planted(
        scoring__in__pooling=lazy,
        runtime__in__device=typing,
        io__in__dicom=sideways,
        io__in__reading="",
        networks__in__unet="import House.volume\n",
        volume="",
        training__in__loop="",
        cli__in__main="",
    )
    assert found == [
        "io.dicom imports networks.unet",
        "runtime.device imports cli.main",
        "scoring.pooling imports training.loop",
    ]
    assert rings == []


def test_imports_by_name_are_found_also_in_the_package_itself(planted):
    public = "if TYPE_CHECKING:\n    from .volume import Volume\n"
    found, _ = planted(
        __init__=f"{public}def __getattr__(name):\n    import_module('.io.reading', __name__).patch(Volume)\n",
        volume="import_module('.reading', 'House.io')\n",
        runtime__in__device="importlib.import_module('..scoring.pooling', __package__)\n",
        scoring__in__pooling="",
        io__in__reading="",
    )
    assert found == ["__init__ imports io.reading", "runtime.device imports scoring.pooling"]


def test_circles_are_found_through_other_modules_and_public_names(planted):
    found, rings = planted(
        __init__="if TYPE_CHECKING:\n    from .detection import detect\n",
        detection="from .volume import Volume\n",
        volume="def f():\n    from . import detect\n",
        io__in__a="from .b import x\n",
        io__in__b="from . import c\n",
        io__in__c="def f():\n    from House.io.a import y\n",
    )
    assert found == ["volume imports detection"]
    assert rings == ["detection <-> volume", "io.a <-> io.b <-> io.c"]


def test_two_packages_that_import_each_other_are_found_even_without_a_circle_of_modules(imports_of):
    found = imports_of(
        methods__in__restoration="from .sampling.task import x\n",
        methods__in__sampling__in____init__="",
        methods__in__sampling__in__task="def f():\n    from ..slices import y\n",
        methods__in__sampling__in__cpu="from .task import x\n",
        methods__in__slices="from ..volume import Volume\n",
        volume="",
    )
    assert against(found) == circles(found) == []
    assert both_ways(found) == [
        "methods.restoration imports methods.sampling.task",
        "methods.sampling.task imports methods.slices",
    ]
