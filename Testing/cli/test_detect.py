"""The command line: files, output and exit codes, and no files left after a failed run."""

from __future__ import annotations

import gzip
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from support.command_line import fake_detect, one_line, run
from support.source_code import ROOT
from support.synthetic import brain_volume
from support.volume_files import RAS, nifti

from MedADLib import detection
from MedADLib.cli import main
from MedADLib.cli.console import Console
from MedADLib.detection import content_hash
from MedADLib.errors import InputError, MedADError, ModelError, UnfitError
from MedADLib.io.reading import read_image
from MedADLib.messages import Message
from MedADLib.preprocessing.fit import Fit
from MedADLib.volume import orientation


@pytest.fixture
def scan(tmp_path):
    path = tmp_path / "in" / "scan.nii.gz"
    path.parent.mkdir()
    brain_volume().write(path)
    return path


@pytest.fixture
def out(tmp_path):
    return tmp_path / "out" / "deeper"


def test_a_scan_is_examined_and_the_result_summed_up(scan, out, capsys):
    assert run("detect", scan, "-o", out) == 0
    printed = capsys.readouterr()
    for words in ("scan: score 12.5", "6 healthy scans", "smallest possible p is 0.14", "2 regions", "1. ", "mm right"):
        assert words in printed.out
    assert str(out) in printed.out and "scan_anomaly.nii.gz" in printed.out
    assert printed.err == "medad: warning: another contrast\n"
    assert sorted(os.listdir(out)) == sorted(
        f"scan{suffix}"
        for suffix in (
            *(".json", ".png", "_anomaly.nii.gz", "_regions.nii.gz", "_regions.seg.nrrd", "_regions.tsv"),
            *("_restored.nii.gz", "_examined.nii.gz"),
        )
    )


def test_an_anonymous_result_has_neither_name_nor_path_of_the_scan(scan, out, capsys):
    def warned(volume, model, settings, progress):
        detection = fake_detect(volume, model, settings, progress)
        return replace(detection, warnings=(Message("unreadable", path=str(named), reason="odd"), f"see {named.name}"))

    named = scan.rename(scan.with_name("Erika_Musterfrau.nii.gz"))
    assert run("detect", named, "-o", out, "--anonymous", detect=warned) == 0
    names = {path.name.split("_")[0].split(".")[0] for path in out.iterdir()}
    assert len(names) == 1 and re.fullmatch(r"scan-[0-9a-f]{8}", *names)
    for path in out.iterdir():
        content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        assert b"Erika" not in content and b"Musterfrau" not in content, path
    assert "Musterfrau" not in capsys.readouterr().out
    facts = json.loads(next(out.glob("*.json")).read_text("utf-8"))
    assert "path" not in facts["input"]
    # The same voxels have the same name, whatever their file is called.
    assert run("detect", named.rename(named.with_name("b.nii.gz")), "-o", out, "--anonymous") == 0
    assert {path.name.split("_")[0].split(".")[0] for path in out.iterdir()} == names


def test_events_of_an_anonymous_run_do_not_name_the_scan(scan, out, tmp_path, capsys):
    folder = tmp_path / "Erika_Musterfrau"
    folder.mkdir()
    named, mask = folder / "Musterfrau.nrrd", folder / "Musterfrau_mask.nrrd"
    volume = read_image(scan)
    volume.write(named)
    volume.with_array((volume.array > 80).astype(np.float32)).write(mask)
    for path in (named, mask):
        # A header without an origin, which a warning tells.
        path.write_bytes(re.sub(rb"space origin:.*\n", b"", path.read_bytes()))
    assert run("detect", named, "-o", out, "--anonymous", "--json-log", "--no-picture", "--mask", mask) == 0
    printed = capsys.readouterr()
    events = [json.loads(line) for line in printed.out.splitlines()]
    assert "no_origin" in {event.get("code") for event in events}
    named.write_bytes(named.read_bytes()[:-99])
    assert run("detect", named, "-o", out, "--anonymous", "--json-log") == 1
    failed = capsys.readouterr()
    assert json.loads(failed.out.splitlines()[-1])["parameters"]["path"] == "the scan"
    for text in (printed.out, printed.err, failed.out, failed.err):
        assert "Musterfrau" not in text
    for path in out.glob("*.json"):
        assert "Musterfrau" not in path.read_text("utf-8")


@pytest.mark.parametrize("name", ["a", "e.nii.gz", "scan"])
def test_a_short_name_is_hidden_only_where_it_is_one(name):
    with Console() as console:
        console.hide([Path(name)], "X")
        console.warning(Message("unreadable", path=name, reason=f"a scan near {name}"))
    assert console.warnings[0].parameters["path"] == "X" and "near X" in console.warnings[0]
    assert "cannot be read" in console.warnings[0]


def test_the_choices_reach_the_detector(scan, out, tmp_path):
    mask = tmp_path / "mask.nii.gz"
    volume = read_image(scan)
    volume.with_array((volume.array > 80).astype(np.float32)).write(mask)
    options = ["--mask", mask, "--device", "cuda:1", "--seed", 7, "--threshold", "0.1%", "--model", "mine.medad"]
    assert run("detect", scan, "-o", out, "--no-picture", "--fast", *options) == 0
    _, model, settings = fake_detect.called
    assert model == "model mine.medad"
    assert (settings.device, settings.seed, str(settings.threshold), settings.fast) == ("cuda:1", 7, "0.1%", True)
    assert np.array_equal(settings.mask.array > 0, volume.array > 80)
    assert not (out / "scan.png").exists()
    assert run("detect", scan, "-o", out) == 0
    _, model, settings = fake_detect.called
    assert model == "model brain-t1"
    assert (settings.mask, settings.device, settings.seed, settings.threshold) == (None, "auto", 0, None)
    assert settings.fast is False


def test_a_scan_that_does_not_fit_ends_with_exit_code_4(scan, out, capsys):
    facts = {"name": "scan", "model": "brain-t1", "reason": Message("fit_no_brain"), "models": Message("another_model")}
    facts["force"] = Message("force_helps")

    def refuse(volume, model, settings, progress):
        if settings.force:
            return fake_detect(volume, model, settings, progress)
        raise UnfitError("scan_does_not_fit_seems", kind=Message("kind_ct"), **facts)

    assert run("detect", scan, "-o", out, "--json-log", detect=refuse) == 4
    printed = capsys.readouterr()
    events = [json.loads(line) for line in printed.out.splitlines()]
    assert (events[-1]["event"], events[-1]["code"], events[-1]["kind"]) == (
        *("error", "scan_does_not_fit_seems", "UnfitError"),
    )
    assert "--force" in printed.err and not out.exists()
    assert run("detect", scan, "-o", out, "--force", detect=refuse) == 0


def test_check_judges_each_scan_in_a_line(scan, tmp_path, capsys, monkeypatch):
    verdicts = iter([Fit("unfit", (Message("fit_no_brain"),), "ct", {"likeness": 0.0, "overlap": 0.5}), Fit()])
    monkeypatch.setattr(detection, "fit_of", lambda volume, model, progress: next(verdicts))
    assert run("check", scan, tmp_path / "missing.nii.gz", scan) == 1
    rows = [line.split("\t") for line in capsys.readouterr().out.splitlines()]
    assert [row[:3] for row in rows[1::2]] == [["scan", "unfit", "ct"], ["scan", "fits", ""]]
    assert rows[1][-1] == "fit_no_brain" and rows[2][1] == "error" and rows[2][-1] == "not_found"
    verdicts = iter([Fit("unfit", (Message("fit_no_brain"),))])
    assert run("check", scan) == 4 and str(Message("fit_no_brain")) in capsys.readouterr().err
    assert {len(row) for row in rows} == {len(rows[0])}


def test_check_writes_events(scan, tmp_path, capsys, monkeypatch):
    verdicts = iter([Fit("unfit", (Message("fit_no_brain"),), "ct", {"likeness": 0.0}), Fit()])
    monkeypatch.setattr(detection, "fit_of", lambda volume, model, progress: next(verdicts))
    assert run("check", scan, tmp_path / "missing.nii.gz", scan, "--json-log") == 1
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    results = [event for event in events if event["event"] == "result"]
    assert [event["verdict"] for event in results] == ["unfit", "error", "fits"]
    assert results[0]["seems"] == "ct" and results[0]["measured"] == {"likeness": 0.0}
    (reason,) = results[0]["reasons"]
    assert reason == {"message": "no brain was found in the scan", "code": "fit_no_brain", "parameters": {}}
    assert results[1]["reasons"][0]["code"] == "not_found"
    assert "path" in results[1]["reasons"][0]["parameters"] and results[2]["reasons"] == []


def test_stdout_holds_json_lines_alone_with_json_log(scan, out, capsys):
    def noisy(*args):
        print("a library talks")
        return fake_detect(*args)

    assert run("detect", scan, "-o", out, "--json-log", detect=noisy) == 0
    printed = capsys.readouterr()
    events = [json.loads(line) for line in printed.out.splitlines()]
    assert "a library talks" in printed.err
    assert {event["event"] for event in events} == {"progress", "warning", "result"}
    progress = [event for event in events if event["event"] == "progress"]
    assert all(set(event) == {"event", "stage", "fraction", "message"} for event in progress)
    fractions = [event["fraction"] for event in progress]
    assert fractions == sorted(fractions) and fractions[0] >= 0 and fractions[-1] <= 1
    assert {"reading", "brain mask", "restoration", "writing"} <= {event["stage"] for event in progress}
    result = events[-1]
    assert result["event"] == "result" and result["score"] == 12.5 and result["regions"] == 2
    assert {os.path.basename(path) for path in result["files"]} == set(os.listdir(out))
    assert result["warnings"] == ["another contrast"]


def test_a_c_library_cannot_spoil_the_json_lines(scan, out):
    code = (
        "import os, sys; sys.path[:0] = [{root!r}, {testing!r}]\n"
        "from MedADLib.cli import main as cli; from support.command_line import fake_detect\n"
        "def detect(*args):\n    os.write(1, b'printf from C')\n    return fake_detect(*args)\n"
        "sys.exit(cli.main(sys.argv[1:], detect=detect, load_model=str))"
    ).format(root=str(ROOT), testing=str(ROOT / "Testing"))
    command = [sys.executable, "-c", code, "detect", str(scan), "-o", str(out), "--json-log"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert all(json.loads(line)["event"] for line in done.stdout.splitlines())
    assert "printf from C" in done.stderr


def test_quiet_prints_warnings_only(scan, out, capsys):
    assert run("detect", scan, "-o", out, "--quiet") == 0
    printed = capsys.readouterr()
    assert printed.out == "" and printed.err == "medad: warning: another contrast\n"


def test_what_is_odd_about_the_scan_is_in_the_result_too(out, tmp_path, capsys):
    path = tmp_path / "thick.nrrd"
    brain_volume(spacing=(6.0, 6.0, 12.0)).write(path)
    assert run("detect", path, "-o", out) == 0
    thick = Message("thick_slices", path=str(path), spacing=12)
    assert thick in capsys.readouterr().err
    facts = json.loads((out / "thick.json").read_text("utf-8"))
    assert len(facts["warnings"]) == 2 and facts["warnings"][0] == thick


def test_a_folder_of_dicom_slices_gives_results_in_its_name(out, tmp_path):
    folder = tmp_path / "series 1.2"
    folder.mkdir()
    image = sitk.GetImageFromArray((brain_volume().array * 10).astype(np.uint16))
    image.SetSpacing((6.0, 6.0, 6.0))
    sitk.WriteImage(image, str(folder / "all.dcm"))
    assert run("detect", folder, "-o", out) == 0
    assert (out / "series 1.2_anomaly.nii.gz").exists()


# Failures: one line, the right exit code, nothing left.


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("paint",),
        ("detect",),
        ("detect", "scan.nii"),
        ("detect", "scan.nii", "-o", "out", "--threshold", "3 apples"),
        ("detect", "scan.nii", "-o", "out", "--threshold", "-1"),
        ("detect", "scan.nii", "-o", "out", "--device", "toaster"),
        ("detect", "scan.nii", "-o", "out", "--seed", "-1"),
        ("detect", "scan.nii", "-o", "out", "--seed", "1.5"),
        ("detect", "scan.nii", "-o", "out", "--frobnicate"),
        ("models", "burn"),
        ("evaluate", "map.nii"),
    ],
)
def test_wrong_usage_is_one_line_and_exit_code_2(words, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert run(*words) == 2
    assert "--help" in one_line(capsys)
    assert not os.listdir(tmp_path)


def test_help_is_not_a_failure_and_lists_the_commands(capsys):
    assert run("--help") == 0
    out = capsys.readouterr().out
    assert "usage: medad" in out and all(f"    {name}" in out for name in main.COMMANDS)


def test_the_help_of_each_command_begins_with_its_purpose_in_one_sentence(capsys):
    for name in main.COMMANDS:
        assert run(name, "--help") == 0
        usage, purpose, *_ = capsys.readouterr().out.split("\n\n")
        assert usage.startswith(f"usage: medad {name} ")
        assert re.fullmatch(r"[A-Z][^.]*\.", " ".join(purpose.split())), name


def test_the_examples_in_the_help_of_each_command_can_be_parsed(capsys):
    for name in main.COMMANDS:
        assert run(name, "--help") == 0
        _, _, examples = capsys.readouterr().out.partition("Examples:\n")
        lines = [line.split("    (")[0].split() for line in examples.splitlines() if line.startswith("  medad ")]
        assert len(lines) > 1, name
        for line in lines:
            words = [word.strip('"') for word in shlex.split(" ".join(line))[1:]]
            assert words[0] == name and main.build_parser(words).parse_args(words).command == name
    assert run("train", "--help") == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "recommended: synthetic_restoration" in shown and "8 subjects at least" in shown


def test_the_version_is_reported(capsys):
    from MedADLib._version import __version__

    assert run("--version") == 0
    assert capsys.readouterr().out == f"medad {__version__}\n"


def failing(error):
    def detect(volume, model, settings, progress):
        raise error

    return detect


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (InputError("no_brain", name="scan"), Message("no_brain", name="scan")),
        (ModelError("model_cut_short", path="a.medad"), Message("model_cut_short", path="a.medad")),
        (MemoryError(), Message("out_of_memory")),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory"), Message("out_of_memory")),
        (OSError(28, "No space left on device"), Message("disk_full", reason="No space left on device")),
        (ValueError("two\nlines"), Message("internal_error_in_command", kind="ValueError", reason="two lines")),
    ],
)
def test_any_failure_is_one_line_and_leaves_no_folder_behind(scan, out, capsys, error, message, tmp_path):
    assert run("detect", scan, "-o", out, detect=failing(error)) == 1
    assert one_line(capsys) == message
    assert os.listdir(tmp_path) == ["in"]


def test_debug_shows_the_traceback(scan, out, capsys):
    assert run("detect", scan, "-o", out, "--debug", detect=failing(ValueError("odd"))) == 1
    printed = capsys.readouterr().err
    assert "Traceback" in printed and printed.splitlines()[-1].startswith("medad: error: ValueError: odd")


def test_a_failure_is_an_event_too(scan, out, capsys):
    error = InputError("bad_seed", value=-1)
    assert run("detect", scan, "-o", out, "--json-log", detect=failing(error)) == 1
    last = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert last.pop("code") == "bad_seed" and last.pop("parameters") == {"value": -1}
    assert last == {"event": "error", "kind": "InputError", "message": str(error)}
    bad = MedADError("loss_not_finite", network="prior", value=float("nan"), step=3)
    assert run("detect", scan, "-o", out, "--json-log", detect=failing(bad)) == 1
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["parameters"]["value"] is None
    assert run("detect", scan, "-o", out, "--json-log", detect=failing(MemoryError())) == 1
    last = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert last["kind"] == "MemoryError" and {"code", "parameters"} <= last.keys()


def test_a_bad_input_is_named_before_the_model_is_loaded(out, capsys, tmp_path):
    path = tmp_path / "cut.nii.gz"
    brain_volume().write(path)
    path.write_bytes(path.read_bytes()[:-200])

    def load(name):
        raise AssertionError("the model was loaded")

    assert main.main(["detect", str(path), "-o", str(out)], detect=fake_detect, load_model=load) == 1
    assert one_line(capsys) == Message("compressed_data_cut_short", path=path)
    assert os.listdir(tmp_path) == ["cut.nii.gz"]


def test_a_folder_that_cannot_be_written_is_found_out_before_anything_is_read(scan, capsys, tmp_path):
    blocked = tmp_path / "file"
    blocked.touch()
    detect = failing(AssertionError("it was computed"))
    assert run("detect", scan, "-o", blocked, detect=detect) == 1
    assert one_line(capsys) == Message("folder_is_file", folder=blocked)


def test_a_failed_rerun_keeps_the_result_that_was_there(scan, out, capsys):
    assert run("detect", scan, "-o", out) == 0
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    assert run("detect", scan, "-o", out, detect=failing(InputError("no_brain", name="scan"))) == 1
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before


def test_the_sidecar_of_a_scan_is_not_overwritten(scan, capsys):
    sidecar = scan.with_name("scan.json")
    sidecar.write_text('{"EchoTime": 0.003}')
    assert run("detect", scan, "-o", scan.parent) == 1
    assert one_line(capsys) == Message("not_our_file", path=sidecar)
    assert sidecar.read_text() == '{"EchoTime": 0.003}'


def test_results_can_lie_beside_their_scan(scan):
    assert run("detect", scan, "-o", scan.parent) == 0
    assert len(os.listdir(scan.parent)) == 9


# Stopping.

# Imports once, and then becomes a new process for each line of its input: words, what to do, and where stderr goes.
STOPPED = """
import hashlib, json, os, sys, time
sys.path[:0] = [{root!r}, {testing!r}]
import MedADLib.results.figure, MedADLib.results.writing
from MedADLib.cli import detect as _, main as cli
from support.command_line import fake_detect
def busy_detect(busy):
    def detect(volume, model, settings, progress):
        progress.stage("restoration", 0, 1)
        print("busy", file=sys.stderr, flush=True)
        exec(busy)
    return detect
def slow_picture(detection, path):
    path.write_bytes(b"half a picture")
    print("busy", file=sys.stderr, flush=True)
    time.sleep(30)
while line := sys.stdin.readline():
    words, busy, errors = json.loads(line)
    if child := os.fork():
        print(child, flush=True)
        status = os.waitpid(child, 0)[1]
        print(os.waitstatus_to_exitcode(status), flush=True)
        continue
    os.dup2(os.open(errors, os.O_WRONLY), 2)
    detect = busy_detect(busy)
    if busy == "writing":
        MedADLib.results.figure.draw, detect = slow_picture, fake_detect
    sys.exit(cli.main(words, detect=detect, load_model=str))
"""
BUSY = {
    "reporting": "for _ in range(3000): time.sleep(0.01); progress.update(0.5)",
    "silent": "time.sleep(30)",
    "in C": "hashlib.pbkdf2_hmac('sha256', b'', b'', 10**9)",
    "stubborn": "while True:\n try: time.sleep(30)\n except BaseException: pass",
    "writing": "writing",
}


@pytest.fixture(scope="module")
def commands():
    """A process that starts commands."""
    code = STOPPED.format(root=str(ROOT), testing=str(ROOT / "Testing"))
    command = [sys.executable, "-c", code]
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    with subprocess.Popen(command, text=True, **pipes) as process:
        yield process
        process.stdin.close()


@pytest.mark.skipif(os.name == "nt", reason="signals are sent the POSIX way")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["SIGINT", "SIGTERM"])
@pytest.mark.parametrize("busy", BUSY)
def test_a_signal_ends_the_run_within_two_seconds_and_leaves_nothing(commands, scan, out, tmp_path, busy, number):
    pipe = tmp_path / "errors"
    os.mkfifo(pipe)
    print(json.dumps([["detect", str(scan), "-o", str(out)], BUSY[busy], str(pipe)]), file=commands.stdin, flush=True)
    child = int(commands.stdout.readline())
    try:
        with open(pipe, encoding="utf-8") as stderr:
            printed = ""
            while "busy" not in printed:
                printed = stderr.readline()
                assert printed, "it ended by itself"
            time.sleep(0.1)
            asked = time.perf_counter()
            os.kill(child, number)
            watchdog = threading.Timer(20, os.kill, (child, signal.SIGKILL))
            watchdog.start()
            errors, code = stderr.read(), int(commands.stdout.readline())
            took = time.perf_counter() - asked
            watchdog.cancel()
            child = None
    finally:
        if child is not None:
            os.kill(child, signal.SIGKILL)
    assert code == 130
    assert took < 2.0
    assert errors == "medad: cancelled\n"
    assert sorted(os.listdir(tmp_path)) == ["errors", "in"]


def test_cancelled_runs_keep_the_result_that_was_there(scan, out):
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a background job is started with it ignored
    assert run("detect", scan, "-o", out) == 0
    before = {path.name: path.read_bytes() for path in out.iterdir()}

    def interrupted(volume, model, settings, progress):
        os.kill(os.getpid(), signal.SIGINT)
        return fake_detect(volume, model, settings, progress)

    assert run("detect", scan, "-o", out, detect=interrupted) == 130
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


# The other commands.


def test_maps_are_evaluated_against_references(tmp_path, capsys):
    volume = brain_volume()
    truth = np.zeros_like(volume.array)
    truth[10:13, 10:14, 10:13] = 1
    volume.with_array(truth).write(tmp_path / "truth.nii.gz")
    volume.with_array(truth * 5 + volume.array / 100).write(tmp_path / "map.nii.gz")
    table = tmp_path / "evaluation.tsv"
    words = ["evaluate", tmp_path / "map.nii.gz", "--truth", tmp_path / "truth.nii.gz", "--threshold", "3", "-o", table]
    assert run(*words) == 0
    lines = capsys.readouterr().out.splitlines()
    row = dict(zip(lines[0].split("\t"), lines[1].split("\t")))
    assert row["case"] == "map" and float(row["average_precision"]) == 1 and float(row["dice"]) == 1
    assert len(table.read_text("utf-8").splitlines()) == 3
    assert run(*words[:-1], tmp_path / "evaluation.docx") == 1
    assert one_line(capsys) == Message("bad_table_name", path=tmp_path / "evaluation.docx")


def test_the_module_can_be_run(tmp_path):
    command = [sys.executable, "-m", "MedADLib", "detect", str(tmp_path / "no.nii"), "-o", str(tmp_path / "out")]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=60)
    assert done.returncode == 1
    assert done.stderr == f"medad: error: {Message('not_found', path=tmp_path / 'no.nii')}\n"
    assert not os.listdir(tmp_path)


def test_output_into_a_closed_pipe_is_not_a_crash():
    command = f"{sys.executable} -m MedADLib models | true"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, cwd=ROOT, timeout=60)
    assert done.stderr == ""


def test_what_the_user_says_about_the_file_reaches_the_scan_and_its_mask(tmp_path, out, capsys):
    path = nifti(tmp_path / "scan.nii", codes=(0, 0), offset=(0, 0, 0))
    assert run("detect", path, "-o", out, "--json-log") == 1
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["code"] == "no_orientation"
    words = ("--orientation", "lps", "--spacing", "2", "3", "1.5")
    assert run("detect", path, "-o", out, "--mask", path, *words) == 0
    volume, _, settings = fake_detect.called
    assert orientation(volume) == "LPS" and volume.spacing == pytest.approx([2, 3, 1.5])
    assert settings.mask.same_grid(volume)
    facts = json.loads((out / "scan.json").read_text())
    assert facts["input"]["reading"] == {"orientation": "LPS", "spacing": [2.0, 3.0, 1.5]}


@pytest.mark.parametrize(
    "words", [("--orientation", "RAR"), ("--spacing", "1", "1"), ("--spacing", "1", "0", "1"), ("--use", "both")]
)
def test_an_impossible_word_about_the_file_is_wrong_usage(scan, out, words):
    assert run("detect", scan, "-o", out, *words) == 2


def test_a_contradiction_in_the_header_is_settled_by_the_user(tmp_path, out, capsys):
    mirrored = np.diag([-1, 1, 1, 1]) @ RAS
    path = nifti(tmp_path / "scan.nii", sform=mirrored)
    assert run("detect", path, "-o", out) == 1 and "--use" in one_line(capsys)
    for form, affine in (("sform", mirrored), ("qform", RAS)):
        assert run("detect", path, "-o", out, "--use", form) == 0
        assert np.allclose(fake_detect.called[0].affine, affine)


def test_a_result_of_another_scan_of_the_same_name_is_not_replaced(tmp_path, out, capsys):
    first, second = tmp_path / "a" / "scan.nii.gz", tmp_path / "b" / "scan.nii.gz"
    for number, path in enumerate((first, second)):
        path.parent.mkdir()
        volume = brain_volume()
        volume.with_array(volume.array + number).write(path)

    def detect(volume, *args):
        found = fake_detect(volume, *args)
        return replace(found, provenance={**found.provenance, "input": {"sha256": content_hash(volume)}})

    assert run("detect", first, "-o", out, detect=detect) == 0
    before = {path: path.read_bytes() for path in out.iterdir()}
    capsys.readouterr()
    assert run("detect", second, "-o", out, "--json-log", detect=detect) == 1
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["code"] == "folder_of_another_scan"
    assert {path: path.read_bytes() for path in out.iterdir()} == before
    # The same scan again, another state of the same file, and a copy of it elsewhere.
    assert run("detect", first, "-o", out, detect=detect) == 0
    first.write_bytes(second.read_bytes())
    assert run("detect", first, "-o", out, detect=detect) == 0
    assert run("detect", second, "-o", out, detect=detect) == 0
