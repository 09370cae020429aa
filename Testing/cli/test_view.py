"""`medad view` before there is a page: what is wrong is one line that says what to do."""

from __future__ import annotations

import importlib.util
import shutil
import socket

import pytest
from support.command_line import one_line
from support.stored_results import store

from MedADLib.cli import main
from MedADLib.cli import view as cli_view
from MedADLib.messages import Message


@pytest.fixture
def out(tmp_path):
    store(tmp_path)
    return tmp_path / "out"


@pytest.fixture
def installed(monkeypatch):
    """As if the extra were installed, for what is checked before any of it is needed."""
    monkeypatch.setattr(cli_view, "NEEDED", ())

    async def serve(*arguments):
        raise AssertionError("a page was served")

    monkeypatch.setattr("MedADLib.browser.serving.serve", serve)


def view(*words):
    return main.main(["view", *map(str, words), "--no-open"])


def test_help_says_how_to_reach_a_server(capsys):
    assert main.main(["view", "--help"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "ssh -L 8765:127.0.0.1:8765" in said and "OUTDIR" in said
    assert "All browsers on one address show the same views: a change in one changes all." in said


def test_a_folder_without_results(tmp_path, capsys):
    assert view(tmp_path) == 1
    assert one_line(capsys) == Message("no_results", folder=tmp_path)


def test_the_missing_extra_is_named(out, capsys, monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *rest: None if "trame" in name else find(name, *rest))
    assert view(out) == 1
    assert one_line(capsys) == Message("view_packages_missing")


def test_a_scan_that_was_moved_is_asked_for(out, installed, tmp_path, capsys):
    (tmp_path / "in" / "scan.nii.gz").unlink()
    assert view(out) == 1
    assert "Say where it is with --scan FILE." in one_line(capsys)


def test_another_scan_is_refused(out, installed, tmp_path, capsys):
    store(tmp_path / "other", seed=1)
    assert view(out, "--scan", tmp_path / "other" / "in" / "scan.nii.gz") == 1
    assert "is not the scan that was examined for scan: its content differs" in one_line(capsys)


def test_a_scan_chooses_its_own_results(out, tmp_path):
    store(tmp_path, "second", seed=1)
    moved = tmp_path / "moved.nii.gz"
    shutil.move(tmp_path / "in" / "second.nii.gz", moved)
    from MedADLib.results.reading import of_scan, stored_results

    assert [stored.stem for stored in of_scan(stored_results(out), moved)] == ["second"]


def test_a_port_in_use_is_named(out, installed, capsys):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert view(out, "--port", port) == 1
    assert one_line(capsys) == Message("port_in_use", port=port)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--port", "99999"), Message("port_out_of_range", port=99999)),
        (("--host", "192.0.2.1"), Message("host_unusable", host="192.0.2.1", reason="").partition(":")[0]),
    ],
)
def test_an_impossible_address_is_named(out, installed, capsys, words, said):
    assert view(out, *words) == 1
    assert said in one_line(capsys)


def test_without_a_port_any_free_one_is_taken():
    from MedADLib.browser import serving

    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            taken.bind(("127.0.0.1", serving.USUAL_PORT))
            taken.listen()
        except OSError:
            pass
        assert serving.free_port("127.0.0.1", None) != serving.USUAL_PORT
