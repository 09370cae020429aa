"""Rules for every file of the repository: portable, safe to read, small enough to review and to ship."""

from __future__ import annotations

import ast
import re
import subprocess
import zlib
from pathlib import Path

import pytest
from support.source_code import ROOT, library_files, syntax

IGNORED_FOLDERS = {".git", ".venv", "__pycache__", ".pytest_cache", ".ruff_cache", "build", "dist", "runs", "demo"}
SHIPPED_CODE = [*library_files("MedADLib"), *library_files("MedAD")]
# Each of these runs, or can run, code that comes with the data it reads.
UNSAFE_MODULES = {"pickle", "cPickle", "_pickle", "dill", "cloudpickle", "joblib", "marshal", "shelve"}
UNSAFE_CALLS = {"torch.load", "torch.save", "eval", "exec", "yaml.load", "os.system", "pd.read_pickle"}
# MONAI's tools read weights in this format only. MedAD writes them and never reads them.
ALLOWED_CALLS = {"MedADLib/modelfile/monai_bundle.py": {"torch.save"}}
MACHINE_PATH = re.compile(r"(?<![\w.:/~$}])/(?:work|tmp|root|home|Users|opt)/\w")
PACKAGE_HOST = re.compile(r"pypi\.org|pythonhosted\.org|npmjs\.org|deb\.debian\.org")


def repository_files():
    """What git tracks or would track; without git, everything that is not a known by-product."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    try:
        listing = subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout.decode().split("\0")
        found = [ROOT / name for name in listing if name]
    except (OSError, subprocess.CalledProcessError):
        found = [path for path in ROOT.rglob("*") if not IGNORED_FOLDERS.intersection(path.relative_to(ROOT).parts)]
    return sorted(path for path in found if path.is_file() and ".egg-info" not in path.as_posix())


def text_files():
    contents = ((path, path.read_bytes()) for path in repository_files())
    return {path.relative_to(ROOT).as_posix(): data for path, data in contents if b"\0" not in data[:8192]}


@pytest.fixture(scope="module")
def texts():
    return text_files()


def test_no_path_of_one_machine_and_no_package_host(texts):
    hits = [
        f"{name}:{number}: {line.strip()[:100]}"
        for name, data in texts.items()
        for number, line in enumerate(data.decode("utf-8").splitlines(), start=1)
        if MACHINE_PATH.search(line) or PACKAGE_HOST.search(line)
    ]
    assert not hits, "\n".join(hits)


def test_text_is_utf8_with_unix_line_endings_and_a_last_newline(texts):
    assert [name for name, data in texts.items() if b"\r" in data] == []
    assert [name for name, data in texts.items() if data and not data.endswith(b"\n")] == []


def test_nothing_is_left_undone():
    marker = re.compile(r"\b(?:TODO|FIXME|XXX|HACK|raise NotImplementedError)\b")
    code = {*SHIPPED_CODE, *library_files("Testing")} - {Path(__file__)}
    assert [path.name for path in code if marker.search(path.read_text("utf-8"))] == []


def unsafe(tree, text="", allowed=frozenset()):
    """What a file imports or calls that runs what it reads."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            # A pickle: read only tensors, and only after comparing its hash with a known one.
            only_tensors = any(
                word.arg == "weights_only" and ast.unparse(word.value) == "True" for word in node.keywords
            )
            if not (dotted(node.func) == "torch.load" and only_tensors and "sha256" in text):
                found.add(dotted(node.func))
            if any(word.arg == "allow_pickle" and ast.unparse(word.value) != "False" for word in node.keywords):
                yield "allow_pickle"
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in UNSAFE_MODULES)
        elif isinstance(node, ast.ImportFrom):
            if node.module in UNSAFE_MODULES:
                yield node.module
            found.update(f"{node.module}.{alias.name}" for alias in node.names)
    yield from sorted(found & UNSAFE_CALLS - allowed)
    # A TorchScript file is code: load one only after comparing its hash with a known one.
    if "torch.jit.load" in found and "sha256" not in text:
        yield "torch.jit.load"


def dotted(node):
    """A name as it is written, such as torch.load; empty for what is not one."""
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def test_shipped_code_never_runs_what_it_reads():
    found = {}
    for path in SHIPPED_CODE:
        name = path.relative_to(ROOT).as_posix()
        if wrong := list(unsafe(syntax(path), path.read_text("utf-8"), ALLOWED_CALLS.get(name, frozenset()))):
            found[name] = wrong
    assert len(SHIPPED_CODE) > 100 and found == {}


def test_unsafe_code_is_found():
    code = "import pickle\nfrom torch import load\ntorch.save(x)\ny = eval(z)\nload(f, allow_pickle=True)\n"
    assert list(unsafe(ast.parse(code))) == ["pickle", "allow_pickle", "eval", "torch.load", "torch.save"]
    assert list(unsafe(ast.parse("import torch\ntorch.jit.load(f)"))) == ["torch.jit.load"]
    assert list(unsafe(ast.parse("from marshal import loads\ntorch.save(x)"), "", {"torch.save"})) == ["marshal"]
    assert list(unsafe(ast.parse("np.load(f, allow_pickle=False)\ntorch.jit.load(f)"), "sha256")) == []
    vetted, blind = "torch.load(f, weights_only=True)", ("torch.load(f)", "torch.load(f, weights_only=False)")
    assert list(unsafe(ast.parse(vetted), "sha256")) == [] and list(unsafe(ast.parse(vetted))) == ["torch.load"]
    assert all(list(unsafe(ast.parse(f"{vetted}\n{call}"), "sha256")) == ["torch.load"] for call in blind)


def test_files_are_small_enough_to_read_and_to_ship():
    code = [*SHIPPED_CODE, *library_files("Testing"), *library_files("Resources")]
    lengths = {path.relative_to(ROOT).as_posix(): len(path.read_text("utf-8").splitlines()) for path in code}
    assert {name: lines for name, lines in lengths.items() if lines > 600} == {}
    sizes = {path.relative_to(ROOT).as_posix(): path.stat().st_size for path in repository_files()}
    assert {name: size for name, size in sizes.items() if size > 20e6} == {}
    models = [size for name, size in sizes.items() if name.startswith("Resources/models/")]
    assert len(models) >= 4 and sum(models) < 40e6
    # A clone of one commit holds each file twice: as it is, and compressed.
    packed = sum(len(zlib.compress(path.read_bytes())) for path in repository_files())
    assert sum(sizes.values()) + packed < 100e6, "the extension index takes no clone above 100 MB"


def test_no_module_is_a_drawer_for_odds_and_ends():
    names = {path.stem for path in SHIPPED_CODE}
    assert not names & {"utils", "util", "helpers", "misc", "common"}


def test_licence_is_apache_2():
    text = (ROOT / "LICENSE").read_text("utf-8")
    assert "Apache License" in text and "Version 2.0, January 2004" in text and "END OF TERMS AND CONDITIONS" in text


def test_ci_runs_the_tests():
    script = ROOT / ".ci" / "run"
    assert script.stat().st_mode & 0o111, ".ci/run is not executable"
    assert "make test-all" in script.read_text("utf-8").splitlines()


def test_the_files_that_start_first_exist():
    names = re.findall(r'"([\w/]+\.py)"', (ROOT / "Testing" / "conftest.py").read_text("utf-8"))
    assert names and [name for name in names if not (ROOT / "Testing" / name).is_file()] == []
