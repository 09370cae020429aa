"""Requests that are none are answered and survived."""

from __future__ import annotations

import json

from support.workers import one_worker, worker_starter  # noqa: F401

from MedADLib.messages import from_json

GOOD = {
    "request": "detect",
    "id": "x",
    **dict.fromkeys(("input", "model", "output"), "y"),
    "mask": None,
    "settings": {},
}
BAD = (
    b"hello",
    b"\xff\xfe\x00",
    b"[1]",
    b"{}",
    b'{"request": "dance"}',
    b'{"request": ["detect"], "id": "x"}',
    b'{"request": "detect", "id": "x"}',
    b'{"request": "cancel"}',
    b"[" * 100_000,
    b"x" * 3_000_000,
    *(
        json.dumps(GOOD | wrong).encode()
        for wrong in (
            {"id": 3},
            {"input": None},
            {"mask": 1},
            {"output": []},
            {"settings": None},
            {"settings": {"seeds": 1}},
            {"settings": {"seed": True}},
            {"settings": {"seed": "1"}},
            {"settings": {"fast": 1}},
            {"settings": {"fast": "yes"}},
            {"settings": {"threshold": "a lot"}},
            {"settings": {"threshold": float("nan")}},
            {"more": 1},
        )
    ),
)


def test_bad_requests_are_answered_and_survived(worker):
    for line in BAD:
        name = repr(line[-60:])
        worker.say(line)
        failed = worker.until("failed")[-1]
        assert failed["kind"] == "RequestError" and from_json("", failed) == failed["message"] != "", name
        worker.detect("", "end", model="no-such-model")
        while (event := worker.until("failed")[-1])["id"] != "end":
            assert event["kind"] == "RequestError", name
