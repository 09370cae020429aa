"""The page in a real browser: every control changes the images of the views, and only its user has access."""

from __future__ import annotations

import asyncio
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
from contextlib import contextmanager
from dataclasses import replace
from importlib.util import find_spec

import numpy as np
import pytest
from support.references import healthy_reference
from support.source_code import ROOT
from support.stored_results import store

MISSING = [name for name in ("playwright", "trame_slicer", "slicer", "PIL") if find_spec(name) is None]
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = [
    pytest.mark.skipif(bool(MISSING), reason=f"not installed: {', '.join(MISSING)}"),
    pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed"),
    pytest.mark.skipif(os.name == "nt", reason="Ctrl-C is sent the POSIX way"),
]
SLICES = ("Red", "Green", "Yellow")
VIEWS = (*SLICES, "Space")
SECONDS = 20
# The laxest threshold of a larger brain lets all of the small one pass.
REFERENCE = replace(healthy_reference(), brain_ml=40000.0)


# Paths by which somebody without the secret could ask for the page or its files.
NEED_SECRET = (
    "", "index.html", "index.html/", "index.html?secret=", "./index.html", "%69ndex.html", "index.html%2f",
    "/index.html", "INDEX.html", "assets/", "vue.global.js", "loading.tpl", "nothing",
)  # fmt: skip
# What text of strangers in the page could try: an image, a request, a socket and a script of another server, and a
# script in the page. Each resolves to "refused" or "reached".
STRANGERS = """async other => Promise.all([
    new Promise(done => Object.assign(new Image(), {
        onload: () => done("reached"), onerror: () => done("refused"), src: other + "/logo.png"})),
    fetch(other + "/nothing", {mode: "no-cors"}).then(() => "reached", () => "refused"),
    new Promise(done => { try {
        const socket = new WebSocket(other.replace("http", "ws") + "/ws");
        socket.onopen = () => done("reached"); socket.onerror = () => done("refused");
    } catch { done("refused"); } }),
    new Promise(done => { const script = document.createElement("script");
        script.onload = () => done("reached"); script.onerror = () => done("refused");
        script.src = other + "/vue.global.js"; document.head.append(script); }),
    new Promise(done => { const script = document.createElement("script");
        script.textContent = "window.ran = true"; document.head.append(script);
        done(window.ran ? "reached" : "refused"); }),
])"""


class Page:
    """The page of a running `medad view`, and images of its views."""

    def __init__(self, page):
        self.page = page
        boxes = {view: page.locator(f"#view-{view}").bounding_box() for view in VIEWS}
        self.boxes = {
            view: tuple(round(box[key]) for key in ("x", "y", "width", "height")) for view, box in boxes.items()
        }

    def images(self) -> dict[str, np.ndarray]:
        """What the views look like now, in red, green and blue: the map can be as bright as the scan."""
        from PIL import Image

        shot = np.asarray(Image.open(io.BytesIO(self.page.screenshot())).convert("RGB"), dtype=float)
        return {view: shot[y : y + high, x : x + wide] for view, (x, y, wide, high) in self.boxes.items()}

    def still(self) -> dict[str, np.ndarray]:
        """Return the images once two in succession are equal: finer ones follow each movement."""
        before, end = self.images(), time.monotonic() + SECONDS
        while time.monotonic() < end:
            time.sleep(0.3)
            now = self.images()
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
            now = self.images()
            same = {view for view in same if np.abs(now[view] - before[view]).max() < 40}

    def slide(self, name: str, key: str) -> None:
        self.page.locator(f"#{name}").press(key)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """A running `medad view` of two results, and its address."""
    folder = tmp_path_factory.mktemp("study")
    for seed, name in enumerate(("first", "second")):
        store(folder, name, spots=2 + seed, seed=seed, brighter=-45.0, reference=REFERENCE)
    command = [sys.executable, "-m", "MedADLib", "view", str(folder / "out"), "--no-open", "--port", "0"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        watchdog = threading.Timer(180, process.kill)
        watchdog.start()
        try:
            line = process.stdout.readline()
            address = re.search(r"http://127\.0\.0\.1:\d+/\?secret=\S+", line)
            assert address, line + process.stderr.read()
            yield process, address.group()
        finally:
            watchdog.cancel()
            process.kill()


@contextmanager
def opened_browser():
    """An empty page in a browser."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        yield browser.new_page(viewport={"width": 1280, "height": 800})
        browser.close()


def test_swiping_changes_the_part_between_the_old_and_the_new_line_and_no_other(server):
    _, address = server
    with opened_browser() as chromium:
        chromium.goto(address)
        chromium.locator("#regions tbody tr").nth(1).wait_for(timeout=1000 * SECONDS)
        chromium.add_style_tag(content=".over, .grip { display: none }")
        page = Page(chromium)
        scan = page.still()
        page.changes(lambda: chromium.locator("#blend").fill("40"), SLICES)
        first = page.still()
        page.changes(lambda: chromium.locator("#blend").fill("70"), SLICES)
        second = page.still()
        chromium.locator("#blend").fill("100")
        restored = page.still()
        for view in SLICES:
            columns = {part: round(part * scan[view].shape[1] / 100) for part in (30, 60)}
            # Lossy images are the same but for rounding, and spill a block of pixels over the line.
            for image, part in ((first, 60), (second, 30)):
                left, right = np.s_[:, : columns[part] - 16], np.s_[:, columns[part] + 17 :]
                assert differing(image[view][left], scan[view][left]) == 0, view
                assert differing(image[view][right], restored[view][right]) == 0, view
                assert differing(image[view][right], scan[view][right]) > 0.01, view
                assert image[view][:, columns[part]].mean() > 180, "the line is seen"
        chromium.locator("#blend").fill("0")
        assert all(differing(image, scan[view]) == 0 for view, image in page.still().items())


def test_the_line_can_be_dragged_in_the_view_itself_and_fading_takes_its_place(server):
    _, address = server
    with opened_browser() as chromium:
        chromium.goto(address)
        chromium.locator("#regions tbody tr").nth(1).wait_for(timeout=1000 * SECONDS)
        page = Page(chromium)
        box = chromium.locator("#grip-Green").bounding_box()
        middle = box["y"] + box["height"] / 2

        def drag():
            chromium.mouse.move(box["x"] + box["width"] - 12, middle)
            chromium.mouse.down()
            chromium.mouse.move(box["x"] + box["width"] / 4, middle, steps=5)
            chromium.mouse.up()

        page.changes(drag, SLICES)
        swiped = page.still()
        assert float(chromium.locator("#blend").input_value()) == pytest.approx(75, abs=2), "of pseudo-healthy"
        page.changes(lambda: chromium.locator("label:has(#compare-fade)").click(), SLICES)
        assert not chromium.locator("#grip-Green").count()
        page.changes(lambda: page.slide("blend", "End"), SLICES)
        page.changes(lambda: chromium.locator("label:has(#compare-swipe)").click(), SLICES)
        chromium.locator("#blend").fill("75")
        assert differing(page.still()["Red"], swiped["Red"]) < 0.02, "the same blend, whichever way it is seen"
        chromium.locator("#blend").fill("0")
        page.still()


def differing(one: np.ndarray, other: np.ndarray) -> float:
    """Return the share of pixels that differ in their brightness between two images."""
    return float((np.abs((one - other) @ (0.299, 0.587, 0.114)) > 24).mean())


@pytest.mark.parametrize("secret", ["wrong", "", None])
def test_a_connection_without_the_secret_is_refused(server, secret):
    _, address = server
    answers = asyncio.run(talk(address, secret))
    assert [answer["error"]["code"] for answer in answers] == [-32000, -32000, -32000], answers
    assert not any("result" in answer for answer in answers)


def test_a_connection_with_the_secret_is_not(server):
    """The teeth of the test above."""
    _, address = server
    answers = asyncio.run(talk(address, address.partition("secret=")[2]))
    assert "clientID" in answers[0]["result"] and "state" in answers[1]["result"]


async def talk(address: str, secret: str | None) -> list[dict]:
    """What the server answers to a greeting, a question for the page's state and a try to change it."""
    import aiohttp
    from wslink.chunking import UnChunker

    asked = [
        ("system:c0:0", "wslink.hello", [{"secret": secret}] if secret is not None else []),
        ("rpc:c0:1", "trame.state.get", []),
        ("rpc:c0:2", "trame.state.update", [[{"key": "anomaly_on", "value": True}]]),
    ]
    answers, reader = {}, UnChunker()
    reader.set_max_message_size(1 << 30)
    place = address.partition("?")[0].replace("http", "ws") + "ws"
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as session:
        # The first of two doors is the cookie; the second, behind it, is tested here.
        with pytest.raises(aiohttp.WSServerHandshakeError, match="403"):
            await session.ws_connect(place)
        async with session.get(address) as page:
            assert page.status == 200
        return await asked_over(await session.ws_connect(place, max_msg_size=0), asked, answers, reader, secret)


async def asked_over(socket, asked, answers, reader, secret) -> list[dict]:
    """Ask over a WebSocket, and return the answers in order."""
    import msgpack
    from wslink.chunking import generate_chunks

    async with socket:
        for number, method, args in asked:
            message = msgpack.packb({"wslink": "1.0", "id": number, "method": method, "args": args})
            for chunk in generate_chunks(message, 0):
                await socket.send_bytes(chunk)
        while len(answers) < len(asked):
            answer = reader.process_chunk((await socket.receive(SECONDS)).data)
            # Besides answers there may be news of the views, for those who may have them.
            if answer is not None and answer.get("id") in [number for number, _, _ in asked]:
                answers[answer["id"]] = answer
            elif answer is not None:
                assert secret not in ("wrong", "", None), "news for somebody without the secret"
    return [answers[number] for number, _, _ in asked]


def test_a_reader_works_through_a_result(server):
    process, address = server
    with opened_browser() as chromium:
        asked, failed = [], []
        chromium.on("request", lambda request: asked.append(request.url))
        chromium.on("pageerror", lambda error: failed.append(str(error)))
        # What the policy of the page forbids is reported on its console.
        chromium.on("console", lambda line: failed.append(line.text) if "Security Policy" in line.text else None)
        chromium.goto(address)
        rows = chromium.locator("#regions tbody tr")
        rows.nth(1).wait_for(timeout=1000 * SECONDS)
        page = Page(chromium)
        for view, image in page.still().items():
            assert image.std() > 5, f"{view} is empty"
        text = chromium.locator("body").inner_text()
        for words in ("More anomalous than 6 of 6 healthy scans", "Not a medical device", "another contrast"):
            assert words in text
        assert rows.count() == 2 and chromium.locator("#allowed").inner_text() == "1 mL"
        assert all(fits(chromium, selector) for selector in (".head", ".panel", ".views"))

        page.changes(lambda: rows.nth(1).click(), SLICES)
        assert "selected" in rows.nth(1).get_attribute("class")
        page.changes(lambda: page.slide("threshold", "End"), VIEWS)
        assert chromium.locator("#count").inner_text().startswith("1 region,")
        assert chromium.locator("#allowed").inner_text() == "1000 mL"
        page.changes(lambda: page.slide("threshold", "Home"), VIEWS)
        assert rows.count() == 2
        page.changes(lambda: chromium.locator("#anomaly").click(), SLICES)
        page.changes(lambda: chromium.locator("#outlines").click(), SLICES)
        page.changes(lambda: page.slide("blend", "End"), SLICES)
        page.changes(lambda: chromium.locator("#view-Red").click(position={"x": 160, "y": 120}), ("Green", "Yellow"))
        page.changes(lambda: chromium.locator("#results").select_option("second"), VIEWS)
        rows.nth(2).wait_for(timeout=1000 * SECONDS)

        chromium.reload()
        rows.nth(2).wait_for(timeout=1000 * SECONDS)
        host = address.partition("?")[0]
        assert [url for url in asked if not url.startswith((host, "data:", "blob:"))] == []
        assert failed == []
        reached = chromium.evaluate(STRANGERS, host.rstrip("/").replace("127.0.0.1", "localhost"))
        assert reached == ["refused"] * 5
        # All by the policy, not by the missing cookie.
        assert len(failed) >= len(reached)
    for path in NEED_SECRET:
        with pytest.raises(urllib.error.HTTPError, match="403") as refused:
            urllib.request.urlopen(host + path)
        headers = refused.value.headers
        assert headers["X-Content-Type-Options"] == "nosniff" and headers["Referrer-Policy"] == "no-referrer"
        assert "default-src 'none'" in headers["Content-Security-Policy"]
        assert "script-src 'self' 'unsafe-eval' 'sha256-" in headers["Content-Security-Policy"]

    process.send_signal(signal.SIGINT)
    printed, errors = process.communicate(timeout=10)
    assert process.returncode in (0, 130), errors
    assert "Traceback" not in errors and "ERR|" not in errors


def fits(page, selector: str) -> bool:
    """Whether nothing of an element is cut off by the window or by itself."""
    return page.locator(selector).evaluate(
        "e => e.scrollWidth <= e.clientWidth + 1 && e.scrollHeight <= e.clientHeight + 1"
        " && e.getBoundingClientRect().right <= innerWidth && e.getBoundingClientRect().bottom <= innerHeight"
    )
