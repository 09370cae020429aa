"""Rules for every file of the repository: portable, safe to read, small enough to review and to ship."""

from __future__ import annotations

import ast
import re
import subprocess
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


@pytest.mark.parametrize("path", SHIPPED_CODE, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_shipped_code_never_runs_what_it_reads(path):
    calls, modules = set(), set()
    for node in ast.walk(syntax(path)):
        if isinstance(node, ast.Call):
            calls.add(ast.unparse(node.func))
            assert all(ast.unparse(word.value) == "False" for word in node.keywords if word.arg == "allow_pickle")
        elif isinstance(node, ast.Import):
            modules.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            modules.add(node.module or "")
            calls.update(f"{node.module}.{alias.name}" for alias in node.names)
    assert not modules & UNSAFE_MODULES
    assert not (calls & UNSAFE_CALLS) - ALLOWED_CALLS.get(path.relative_to(ROOT).as_posix(), set())
    if "torch.jit.load" in calls:
        source = path.read_text("utf-8")
        assert "sha256" in source, "a TorchScript file is code: load one only after comparing its hash with a known one"


def test_files_are_small_enough_to_read_and_to_ship():
    code = [*SHIPPED_CODE, *library_files("Testing"), *library_files("Resources")]
    lengths = {path.relative_to(ROOT).as_posix(): len(path.read_text("utf-8").splitlines()) for path in code}
    assert {name: lines for name, lines in lengths.items() if lines > 600} == {}
    sizes = {path.relative_to(ROOT).as_posix(): path.stat().st_size for path in repository_files()}
    assert {name: size for name, size in sizes.items() if size > 20e6} == {}
    assert sum(sizes.values()) < 100e6, "the extension index takes no checkout above 100 MB"


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
