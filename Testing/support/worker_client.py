"""The client with a real worker process that pretends to compute."""

from __future__ import annotations

import json
import time

from MedADLib.results.exchange import write_volume
from MedADLib.slicer.worker.client import Job, WorkerClient, wait
from support.fake_process import Listener
from support.synthetic import brain_volume


class LiveClient:
    """A client with a real worker that pretends to compute."""

    def __init__(self, folder, application, command):
        self.folder, self.application = folder, application
        self.client = WorkerClient(command=command, hang_seconds=3)
        write_volume(brain_volume(), folder / "input.npy")
        self.before = self.files()

    def detect(self, do, output="out"):
        model = self.folder / "model.medad"
        model.write_text(json.dumps({"do": do}), "utf-8")
        self.before = self.files()
        listener = Listener()
        job = Job(str(self.folder / "input.npy"), None, str(model), str(self.folder / output))
        self.client.detect(job, listener)
        return listener

    def files(self):
        return sorted(self.folder.rglob("*"))

    def wait(self):
        end = time.monotonic() + 20

        def pump():
            self.application.processEvents()
            assert time.monotonic() < end, self.client.log

        wait(self.client, pump)

    def cancel(self):
        """Cancel; how long that took."""
        asked = time.monotonic()
        self.client.cancel()
        self.wait()
        return time.monotonic() - asked
