"""The worker as a process: what it answers."""

from __future__ import annotations

import shutil
import sys
import time

import pytest
from support.synthetic import brain_volume
from support.workers import WORKER, one_worker, posix_only, worker_starter  # noqa: F401

from MedADLib.messages import Message, from_json
from MedADLib.results.exchange import FILES, read_exchange, write_volume
from MedADLib.worker.service import HEARTBEAT_SECONDS, heartbeats


def test_it_states_at_once_who_it_is(worker):
    assert worker.ready["pid"] == worker.process.pid and worker.ready["protocol"] == 1
    assert {"medad", "python", "numpy", "torch", "SimpleITK"} <= set(worker.ready["versions"])


def test_a_detection_comes_back_by_the_folder_with_progress_and_warnings(worker):
    write_volume(brain_volume(), worker.folder / "mask.npy")
    worker.detect("quickly", mask=str(worker.folder / "mask.npy"), settings={"seed": 5})
    *events, done = worker.until("done")
    assert done["id"] == "1" and done["warm"] is False and 0 < done["seconds"] < 20
    fractions = [event["fraction"] for event in events if event["event"] == "progress"]
    assert fractions == sorted(fractions) and len(fractions) >= 4 and fractions[0] >= 0 and fractions[-1] <= 1
    warned = [event["message"] for event in events if event["event"] == "warning"]
    assert warned == ["seed 5", "masked True"]
    back = read_exchange(done["output"], brain_volume(name="scan Zoë"))
    assert len(back.regions) == 2 and back.warnings == ("seed 5", "masked True")
    assert worker.outputs() == sorted(["out-1", *FILES])


def test_the_second_detection_is_warm_until_the_model_file_changes(worker):
    model = worker.model("quickly", loading=0.5)
    seconds = []
    for number, warm in (("1", False), ("2", True)):
        worker.detect("", number, model=model)
        done = worker.end()
        assert done["event"] == "done" and done["warm"] is warm
        seconds.append(done["seconds"])
    assert seconds[0] > 0.5 > seconds[1]
    model = worker.model("quickly", loading=0.25)
    worker.detect("", "3", model=model)
    assert worker.end()["warm"] is False
    assert worker.log.read_text("utf-8").count("loaded") == 2


def test_a_second_detection_meanwhile_is_refused_and_harms_nothing(worker):
    worker.detect("slowly", "1")
    worker.begun()
    worker.detect("quickly", "2")
    refused = worker.until("failed")[-1]
    assert (refused["id"], refused["kind"], refused["code"]) == ("2", "Busy", "busy")
    worker.ask("cancel", id="2")
    worker.until("progress")
    worker.ask("cancel", id="1")
    assert worker.end() == {"event": "cancelled", "id": "1"}
    assert worker.outputs() == []


@pytest.mark.skipif(sys.platform == "win32", reason="the C library is called by its POSIX name")
def test_what_libraries_print_does_not_disturb(worker):
    worker.detect("noisily")
    assert worker.end()["event"] == "done"
    log = worker.log.read_text("utf-8")
    for text in ("a print", "a raw write", "a child", "a C library", "some library's own"):
        assert text in log
    assert all(line.startswith(b'{"event"') for line in worker.lines)


def test_warnings_of_the_library_are_reported_once_and_kept(worker):
    worker.detect("warning")
    *events, done = worker.until("done")
    warned = [event for event in events if event["event"] == "warning"]
    texts = [event["message"] for event in warned]
    thick = Message("thick_slices", path="scan", spacing=12.0)
    assert texts == [
        "no brain was found in Zoë",
        thick,
        Message("odd_extent", path="scan", extent=5.0),
        "seed 0",
        "masked False",
    ]
    assert [event["code"] for event in warned] == [None, "thick_slices", "odd_extent", None, None]
    assert from_json(warned[1]["message"], warned[1]).parameters == {"path": "scan", "spacing": 12.0}
    assert read_exchange(done["output"], brain_volume()).warnings == tuple(texts)


def test_a_long_computation_shows_that_it_is_alive(worker):
    worker.detect("in_c")
    assert worker.until("alive", seconds=5)[-1]["id"] == "1"


def test_a_process_that_does_not_compute_sends_no_heartbeat():
    slept, used = [], iter([1.0, 1.5, 1.51, 1.51, 3.0, 3.0])
    beats = heartbeats(slept.append, lambda: next(used))
    next(beats)
    assert slept == [HEARTBEAT_SECONDS]
    next(beats)
    assert slept == [HEARTBEAT_SECONDS] * 4, "two intervals without computation in between"


# What goes wrong leaves the process usable.


def check_failure(worker, kind, code, message):
    failed = worker.end()
    assert (failed["event"], failed["id"], failed["kind"], failed["code"]) == ("failed", "1", kind, code), failed
    assert message in failed["message"] and "\n" not in failed["message"]
    assert from_json("", failed) == failed["message"]
    assert not (worker.folder / "out-1").exists()


def check_next_detection(worker):
    worker.detect("quickly", "2")
    assert worker.end()["event"] == "done"
    shutil.rmtree(worker.folder / "out-2")
    assert worker.outputs() == []


def test_a_failure_is_one_line_and_the_next_detection_works(worker):
    for do, kind, code, message in (
        ("without_memory", "MemoryError", "out_of_memory", "memory"),
        ("without_torch", "ImportError", "package_missing", "torch"),
        ("wrongly", "InternalError", "internal_error", "ZeroDivisionError: division by zero"),
    ):
        logged = len(worker.log.read_text("utf-8"))
        worker.detect(do, "1")
        check_failure(worker, kind, code, message)
        assert "Traceback" in worker.log.read_text("utf-8")[logged:], do
        check_next_detection(worker)


@posix_only
def test_a_full_disk_is_one_line_and_leaves_nothing(worker):
    worker.detect("on_a_full_disk", "1")
    check_failure(worker, "OutputError", "exchange_result_unwritable", "out-1")
    assert worker.outputs() == []
    assert "Traceback" in worker.log.read_text("utf-8")


def test_what_cannot_be_used_is_stated_and_the_process_stays(worker):
    (worker.folder / "corrupt.medad").write_bytes(b"PK\x03\x04")
    for change, kind, code, message in (
        ({"model": "missing"}, "ModelError", "model_unknown", "'missing'"),
        ({"model": "here/missing.medad"}, "ModelError", "not_found", "missing.medad"),
        ({"model": "corrupt.medad"}, "ModelError", "model_cut_short", "corrupt.medad"),
        ({"input": "missing.npy"}, "InputError", "exchange_unreadable", "missing.npy"),
        ({"mask": "corrupt.medad"}, "InputError", "exchange_damaged", "corrupt.medad"),
        ({"output": "."}, "OutputError", "exchange_folder_not_empty", ""),
        ({"output": "corrupt.medad/out"}, "OutputError", "folder_not_writable", "corrupt.medad/out"),
        ({"settings": {"smallest_region_ml": -1}}, "RequestError", "smallest_region_out_of_range", "-1 mL"),
    ):
        worker.detect("quickly", **change)
        check_failure(worker, kind, code, message)
        check_next_detection(worker)


# Cancelling.


def test_cancelling_in_the_middle_is_quick_leaves_nothing_and_keeps_the_process_warm(worker):
    worker.detect("slowly", "1")
    worker.begun()
    asked = time.monotonic()
    worker.ask("cancel", id="1")
    assert worker.end() == {"event": "cancelled", "id": "1"}
    assert time.monotonic() - asked < 1.0
    assert worker.outputs() == []
    worker.detect("slowly", "2")
    worker.begun()
    worker.ask("cancel", id="2")
    assert worker.end()["id"] == "2"
    assert worker.log.read_text("utf-8").count("loaded") == 1


# The real thing.


@pytest.mark.slow
def test_the_real_worker_started_by_its_path_from_anywhere_loads_once_and_detects(start):
    worker = start(script=WORKER)
    worker.detect("", "1", model="brain-t1-atlas", settings={"force": True})
    done = worker.end(120)
    assert done["warm"] is False
    loading = read_exchange(done["output"], brain_volume(name="scan Zoë")).provenance["seconds"]["loading the model"]
    worker.detect("", "2", model="brain-t1-atlas", settings={"force": True})
    done = worker.end(120)
    assert done["event"] == "done", done
    back = read_exchange(done["output"], brain_volume(name="scan Zoë"))
    assert back.reference.count == back.healthy_count > 0
    again = back.provenance["seconds"]["loading the model"]
    assert done["warm"] is True and again < loading / 5, "neither torch nor the model is loaded again"


# A judgement before a run.


def test_a_judgement_states_the_fit_and_why_a_run_would_be_refused(worker):
    for do, verdict, code, refusal in (
        ("quickly", "fits", [], None),
        ("doubting", "doubtful", ["fit_little_contrast"], None),
        ("unfitting", "unfit", ["fit_other_contrast"], "scan_does_not_fit_seems"),
    ):
        worker.judge(do)
        *events, judged = worker.until("judged", "failed")
        assert (judged["verdict"], judged["refusal"]["code"]) == (verdict, refusal)
        assert [reason["code"] for reason in judged["reasons"]] == code and judged["forcible"] is True
        assert any(event["event"] == "progress" for event in events)
    worker.judge("unalignable")
    assert worker.until("judged")[-1]["forcible"] is False
    assert worker.outputs() == []


def test_a_detection_uses_the_judgement_of_the_same_scan_only(worker):
    model = worker.model("quickly")
    worker.judge("", "1", model=model)
    worker.until("judged")
    worker.detect("", "2", model=model)
    assert worker.end()["event"] == "done"
    assert "judged before" in worker.log.read_text("utf-8")
    worker.judge("", "3", model=model)
    worker.until("judged")
    write_volume(brain_volume(name="other"), worker.folder / "other.npy")
    worker.detect("", "4", model=model, input=str(worker.folder / "other.npy"))
    worker.end()
    assert worker.log.read_text("utf-8").count("judged before") == 1


def test_a_detection_waits_for_a_judgement_and_can_be_cancelled_at_once(worker):
    worker.judge("judging_slowly", "1")
    worker.begun("preparation")
    worker.detect("quickly", "2")
    worker.ask("cancel", id="2")
    assert worker.until("cancelled", seconds=1)[-1]["id"] == "2", "the judgement goes on"
    worker.detect("quickly", "3")
    worker.detect("quickly", "4")
    assert worker.until("failed")[-1]["kind"] == "Busy"
    worker.ask("cancel", id="1")
    ended = [worker.until("done", "cancelled")[-1] for _ in range(2)]
    assert [(event["event"], event["id"]) for event in ended] == [("cancelled", "1"), ("done", "3")]


def test_another_judgement_ends_the_one_before(worker):
    worker.judge("judging_slowly", "1")
    worker.begun("preparation")
    worker.judge("quickly", "2")
    ended = [worker.until("judged", "cancelled")[-1] for _ in range(2)]
    assert [(event["event"], event["id"]) for event in ended] == [("cancelled", "1"), ("judged", "2")]


def test_a_judgement_that_fails_leaves_the_worker_usable(worker):
    worker.judge("refusing")
    assert worker.until("failed")[-1]["code"] == "deepbet_missing"
    check_next_detection(worker)
