"""Processes that are killed between two moves of files, that write into one folder, or that install one model."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from support.raised import raises
from support.source_code import ROOT

from MedADLib.errors import OutputError
from MedADLib.modelfile import store
from MedADLib.modelfile.model import load_model, save_model
from MedADLib.results.writing import check_ours
from MedADLib.runtime import atomic_files
from MedADLib.runtime.atomic_files import STAGING, locked, owned, put_in_place, staging_folder, sweep
from MedADLib.training.checkpoint import only_training

forks = pytest.mark.skipif(not hasattr(os, "fork"), reason="a forked process is killed")
TINY = ROOT / "MedAD" / "Resources" / "tiny.medad"
# The facts that mark a result are moved last.
FILES = ["scan_anomaly.nii.gz", "scan_regions.tsv", "scan.json"]
IMAGE = "scan.png"
OLD, NEW = (json.dumps({"generated_by": "MedAD", "run": run}) for run in (1, 2))


@pytest.fixture(autouse=True)
def home(tmp_path_factory, monkeypatch):
    """A home without locks and models."""
    home = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("USERPROFILE", str(home))


def write(folder: Path, text: str, names: list[str] = FILES) -> None:
    with staging_folder(folder) as staging:
        for name in names:
            (staging / name).write_text(text)
        put_in_place(staging, folder, names, [IMAGE, *FILES])


def killed_at_move(number: int, work, refused: Path | None = None) -> int:
    """Do the work in a process that is killed before it moves or removes its file of this number; return its status.

    A file that is refused cannot be moved to its place, but back to it.
    """
    if child := os.fork():
        return os.waitpid(child, 0)[1]
    moves = []

    def counted(function):
        def wrapped(*given):
            moves.append(given)
            if len(moves) == number:
                os.kill(os.getpid(), signal.SIGKILL)
            if given[-1] == refused and given[0].parent.name != atomic_files.EARLIER:
                raise OSError(13, "Permission denied")
            return function(*given)

        return wrapped

    atomic_files.os = SimpleNamespace(**{**vars(os), "replace": counted(os.replace), "rename": counted(os.rename)})
    atomic_files.Path.unlink = counted(Path.unlink)
    with suppress(OSError):
        work()
    os._exit(0)


def texts(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in folder.iterdir() if not path.name.startswith(".medad-")}


@forks
@pytest.mark.parametrize("before", [{}, dict.fromkeys([*FILES, IMAGE], OLD)], ids=["empty", "replacing"])
@pytest.mark.parametrize("number", range(1, 13))
def test_a_kill_between_two_moves_leaves_all_files_or_none(tmp_path, before, number):
    folder = tmp_path / "out"
    folder.mkdir()
    if before:
        write(folder, OLD, [*FILES[:2], IMAGE, FILES[2]])
    new = dict.fromkeys(FILES, NEW)
    ended = killed_at_move(number, lambda: write(folder, NEW))
    left = texts(folder)
    assert "scan.json" not in left or left in (before, new)
    check_ours(folder, "scan")
    assert texts(folder) in (before, new)
    assert ended or texts(folder) == new
    assert not [path for path in folder.iterdir() if STAGING.fullmatch(path.name)]
    write(folder, OLD)
    assert texts(folder) == dict.fromkeys(FILES, OLD)


@forks
@pytest.mark.parametrize("number", range(1, 20))
def test_a_kill_while_a_failed_write_is_undone_leaves_the_earlier_files(tmp_path, number):
    folder = tmp_path / "out"
    folder.mkdir()
    write(folder, OLD)
    ended = killed_at_move(number, lambda: write(folder, NEW), refused=folder / "scan.json")
    left = texts(folder)
    old, new = (dict.fromkeys(FILES, text) for text in (OLD, NEW))
    assert "scan.json" not in left or left == old
    sweep(folder)
    # Before the failure the moves are completed.
    assert texts(folder) == old or (ended and texts(folder) == new)


def test_staging_folders_of_dead_processes_are_swept_and_others_stay(tmp_path):
    for name in (".medad-abcdefgh", ".medad-mine", ".medad-ABCDEFGH"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "half").write_text("")
    with staging_folder(tmp_path) as own:
        sweep(tmp_path)
        assert own.is_dir()
        assert {path.name for path in tmp_path.iterdir()} == {".medad-mine", ".medad-ABCDEFGH", own.name}
    write(tmp_path, NEW)
    assert texts(tmp_path) == dict.fromkeys(FILES, NEW)


WRITER = """
import sys
from pathlib import Path
sys.path.insert(0, {root!r})
from MedADLib.runtime.atomic_files import put_in_place, staging_folder
sys.stdin.readline()
for _ in range(15):
    with staging_folder(Path({folder!r})) as staging:
        for name in {files!r}:
            (staging / name).write_text({text!r})
        put_in_place(staging, Path({folder!r}), {files!r}, [])
"""


def started(code: str, **values: object) -> subprocess.Popen:
    code = code.format(root=str(ROOT), **values)
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen([sys.executable, "-c", code], text=True, **pipes)


def test_two_writers_into_one_folder_never_mix_their_files(tmp_path):
    folder = tmp_path / "out"
    folder.mkdir()
    names = [f"scan-{number}" for number in range(20)]
    writers = [started(WRITER, folder=str(folder), files=names, text=text) for text in ("one", "two")]
    for writer in writers:
        writer.stdin.write("\n")
        writer.stdin.flush()
    seen = Counter()
    while any(writer.poll() is None for writer in writers):
        with locked(folder):
            seen[tuple(sorted(Counter(texts(folder).values()).items()))] += 1
    assert [writer.communicate()[1] for writer in writers] == ["", ""]
    assert set(seen) <= {(), (("one", 20),), (("two", 20),)}
    assert {path.name for path in folder.iterdir()} == set(names)


INSTALL = """
import sys
sys.path.insert(0, {root!r})
from MedADLib.modelfile import store
from MedADLib.modelfile.model import load_model
sys.stdin.readline()
try:
    print(store.add({path!r}).name)
except store.NameTakenError as error:
    print(error.code)
"""


def test_two_installs_of_models_of_one_name_lose_none(tmp_path, monkeypatch):
    """The second one gets the name of its file, or is refused, and never replaces the first."""
    monkeypatch.setenv("MEDAD_MODELS", "")
    paths = []
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        paths.append(tmp_path / name / f"{name}.medad")
        save_model(replace(load_model(TINY), name="same", authors=name), paths[-1])
    for _ in range(3):
        installs = [started(INSTALL, path=str(path)) for path in paths]
        for install in installs:
            install.stdin.write("\n")
            install.stdin.flush()
        printed = [install.communicate() for install in installs]
        assert [errors for _, errors in printed] == ["", ""]
        found = {load_model(path).authors for path in store.own_folder().glob("*.medad")}
        assert found == {"first", "second"}, printed
        for path in store.own_folder().glob("*"):
            path.unlink()


def test_a_partial_model_of_a_killed_process_is_removed_by_the_next_write(tmp_path):
    mine, other = tmp_path / ".partial-0123abcd-a.medad", tmp_path / ".partial-0123abcd-b.medad"
    mine.write_text("half")
    other.write_text("half")
    save_model(load_model(TINY), tmp_path / "a.medad")
    assert {path.name for path in tmp_path.iterdir() if path.is_file()} == {"a.medad", other.name}


def test_a_second_training_in_one_work_folder_is_refused_and_a_dead_one_is_cleaned_up(tmp_path):
    work = tmp_path / "work"
    (work / "prepared").mkdir(parents=True)
    (work / "prepared" / ".partial-0123abcd-scan.safetensors").write_text("half")
    with only_training(work):
        assert not list((work / "prepared").iterdir())
        with raises(OutputError, "folder_of_running_training"), only_training(work):
            pytest.fail("two trainings ran")
    with only_training(work):
        pass


def test_a_folder_that_stays_locked_is_an_error_with_a_code(tmp_path, monkeypatch):
    monkeypatch.setattr(atomic_files, "PATIENCE", 0.1)
    with locked(tmp_path), raises(OutputError, "folder_busy"), staging_folder(tmp_path):
        pytest.fail("it was written")
    with owned(tmp_path / "lock") as first, owned(tmp_path / "lock") as second:
        assert (first, second) == (True, False)
