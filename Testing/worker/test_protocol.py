"""Requests that are none are answered and survived."""

from __future__ import annotations

import json

import pytest
from support.workers import Worker

from MedADLib.messages import from_json


@pytest.mark.parametrize(
    "line",
    [
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
        *[
            json.dumps(
                {
                    "request": "detect",
                    "id": "x",
                    **dict.fromkeys(("input", "model", "output"), "y"),
                    "mask": None,
                    "settings": {},
                    **wrong,
                }
            ).encode()
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
        ],
    ],
    ids=lambda line: repr(line[-60:]),
)
def test_bad_requests_are_answered_and_survived(shared_worker, line):
    shared_worker.say(line)
    failed = shared_worker.until("failed")[-1]
    assert failed["kind"] == "RequestError" and from_json("", failed) == failed["message"] != ""
    shared_worker.detect("", "end", model="no-such-model")
    while (event := shared_worker.until("failed")[-1])["id"] != "end":
        assert event["kind"] == "RequestError"


@pytest.fixture(scope="module")
def shared_worker(tmp_path_factory):
    worker = Worker(tmp_path_factory.mktemp("requests"))
    yield worker
    worker.process.kill()
    worker.process.wait()
