"""The page in a real browser: every control changes the real pictures of the views, and nobody else gets to see it."""

from __future__ import annotations

import io
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from dataclasses import replace
from importlib.util import find_spec

import numpy as np
import pytest
from conftest import ROOT
from references import healthy_reference
from test_reopening import store

MISSING = [name for name in ("playwright", "trame_slicer", "slicer", "PIL") if find_spec(name) is None]
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = [
    pytest.mark.skipif(bool(MISSING), reason=f"not installed: {', '.join(MISSING)}"),
    pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed"),
    pytest.mark.skipif(os.name == "nt", reason="Ctrl-C is sent the POSIX way"),
]
VIEWS = ("Red", "Green", "Yellow", "Space")
SECONDS = 20
# The laxest threshold of a larger brain lets all of the small one pass.
REFERENCE = replace(healthy_reference(), brain_ml=20000.0)


class Page:
    """The page of a running `medad view`, and pictures of its views."""

    def __init__(self, page):
        self.page = page
        boxes = {view: page.locator(f"#view-{view}").bounding_box() for view in VIEWS}
        self.boxes = {
            view: tuple(round(box[key]) for key in ("x", "y", "width", "height")) for view, box in boxes.items()
        }

    def pictures(self) -> dict[str, np.ndarray]:
        """What the views look like now, in grey."""
        from PIL import Image

        shot = np.asarray(Image.open(io.BytesIO(self.page.screenshot())).convert("L"), dtype=float)
        return {view: shot[y : y + high, x : x + wide] for view, (x, y, wide, high) in self.boxes.items()}

    def still(self) -> dict[str, np.ndarray]:
        """The same, once the better pictures that follow each movement have come."""
        before, end = self.pictures(), time.monotonic() + SECONDS
        while time.monotonic() < end:
            time.sleep(0.3)
            now = self.pictures()
            if all(np.array_equal(before[view], now[view]) for view in VIEWS):
                return now
            before = now
        raise AssertionError("the views do not come to rest")

    def changes(self, action, views=VIEWS) -> None:
        """Do something; each of these views must then look different."""
        before, end = self.still(), time.monotonic() + SECONDS
        action()
        same = set(views)
        while same:
            assert time.monotonic() < end, f"the pictures of {sorted(same)} did not change"
            now = self.pictures()
            same = {view for view in same if np.abs(now[view] - before[view]).max() < 40}

    def slide(self, name: str, key: str) -> None:
        self.page.locator(f"#{name}").press(key)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """A running `medad view` of two results, and its address."""
    folder = tmp_path_factory.mktemp("study")
    for seed, name in enumerate(("first", "second")):
        store(folder, name, spots=2 + seed, seed=seed, reference=REFERENCE)
    command = [sys.executable, "-m", "MedADLib", "view", str(folder / "out"), "--no-open", "--port", "0"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        watchdog = threading.Timer(60, process.kill)
        watchdog.start()
        try:
            line = process.stdout.readline()
            address = re.search(r"http://127\.0\.0\.1:\d+/\?secret=\S+", line)
            assert address, line + process.stderr.read()
            yield process, address.group()
        finally:
            watchdog.cancel()
            process.kill()


def test_a_reader_works_through_a_result(server):
    from playwright.sync_api import sync_playwright

    process, address = server
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        chromium = browser.new_page(viewport={"width": 1280, "height": 800})
        asked, failed = [], []
        chromium.on("request", lambda request: asked.append(request.url))
        chromium.on("pageerror", lambda error: failed.append(str(error)))
        chromium.goto(address)
        rows = chromium.locator("#regions tbody tr")
        rows.nth(1).wait_for(timeout=1000 * SECONDS)
        page = Page(chromium)
        for view, picture in page.still().items():
            assert picture.std() > 5, f"{view} is empty"
        text = chromium.locator("body").inner_text()
        for words in ("More unusual than 6 of 6 healthy scans", "Not a medical device", "unlike the training data"):
            assert words in text
        assert rows.count() == 2 and chromium.locator("#allowed").inner_text() == "1 ml"
        assert all(fits(chromium, selector) for selector in (".head", ".panel", ".views"))

        page.changes(lambda: rows.nth(1).click(), ("Red", "Green", "Yellow"))
        assert "selected" in rows.nth(1).get_attribute("class")
        page.changes(lambda: page.slide("threshold", "End"), VIEWS)
        assert chromium.locator("#count").inner_text().startswith("1 region,")
        assert chromium.locator("#allowed").inner_text() == "1000 ml"
        page.changes(lambda: page.slide("threshold", "Home"), VIEWS)
        assert rows.count() == 2
        page.changes(lambda: chromium.locator("#anomaly").click(), ("Red", "Green", "Yellow"))
        page.changes(lambda: chromium.locator("#outlines").click(), ("Red", "Green", "Yellow"))
        page.changes(lambda: page.slide("fade", "End"), ("Red", "Green", "Yellow"))
        page.changes(lambda: chromium.locator("#view-Red").click(position={"x": 160, "y": 120}), ("Green", "Yellow"))
        page.changes(lambda: chromium.locator("#results").select_option("second"), VIEWS)
        rows.nth(2).wait_for(timeout=1000 * SECONDS)

        chromium.reload()
        rows.nth(2).wait_for(timeout=1000 * SECONDS)
        browser.close()
    host = address.partition("?")[0]
    assert [url for url in asked if not url.startswith((host, "data:", "blob:"))] == []
    assert failed == []
    with pytest.raises(urllib.error.HTTPError, match="403"):
        urllib.request.urlopen(host)

    process.send_signal(signal.SIGINT)
    said, errors = process.communicate(timeout=10)
    assert process.returncode in (0, 130), errors
    assert "Traceback" not in errors and "ERR|" not in errors


def fits(page, selector: str) -> bool:
    """Whether nothing of an element is cut off by the window or by itself."""
    return page.locator(selector).evaluate(
        "e => e.scrollWidth <= e.clientWidth + 1 && e.scrollHeight <= e.clientHeight + 1"
        " && e.getBoundingClientRect().right <= innerWidth && e.getBoundingClientRect().bottom <= innerHeight"
    )
