"""Web server of the browser view, on this computer by default, with a secret in its address, until Ctrl-C."""

from __future__ import annotations

import asyncio
import base64
import errno
import hashlib
import logging
import os
import re
import secrets
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from ..errors import InputError

USUAL_PORT = 8765
POLL_SECONDS = 0.1
CLOSE_SECONDS = 0.4
# Everything comes from this server, and nothing may be sent elsewhere: names and texts in results and models are those
# of strangers. Vue compiles its templates in the browser, hence 'unsafe-eval', and sets styles of elements.
POLICY = (
    "default-src 'none'; script-src 'self' 'unsafe-eval' {scripts}; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; media-src 'self' blob:; font-src 'self' data:; worker-src 'self' blob:; "
    "connect-src 'self' {sockets}; base-uri 'self'; form-action 'none'; frame-ancestors 'none'; object-src 'none'"
)
HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    # The address holds the secret.
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}
INLINE_SCRIPT = re.compile(rb"<script>(.*?)</script>", re.DOTALL)
# Loggers of errors in the messages to a browser.
LOGGERS = ("wslink.protocol", "aiohttp.server", "asyncio")


def free_port(host: str, port: int | None) -> int:
    """Choose a port to listen on.

    Args:
        host: Host name or address of this computer.
        port: The requested port; None takes the default port, or any free one if that is in use.

    Raises:
        InputError: If the port is in use or not permitted, or the host is not this computer.
    """
    if port is not None and not 0 <= port < 1 << 16:
        raise InputError("port_out_of_range", port=port)
    for wanted in (USUAL_PORT, 0) if port is None else (port,):
        try:
            family, kind, protocol, _, address = socket.getaddrinfo(host, wanted, type=socket.SOCK_STREAM)[0]
            with socket.socket(family, kind, protocol) as probe:
                if os.name != "nt":
                    # Otherwise a port stays blocked for a minute after its server has ended.
                    probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind(address)
                return probe.getsockname()[1]
        except OSError as error:
            failed = error
            if error.errno == errno.EADDRINUSE and port is None:
                continue
            if error.errno == errno.EADDRINUSE:
                raise InputError("port_in_use", port=wanted) from error
            if error.errno == errno.EACCES:
                raise InputError("port_not_permitted", port=wanted) from error
            break
    raise InputError("host_unusable", host=host, reason=failed.strerror or failed) from failed


async def serve(start: Callable[[Any], Any], host: str, port: int, ready: Callable[[str], None]) -> None:
    """Serve a page until the process receives a signal to stop.

    The address carries a secret, so that other users of the computer and pages of other servers in the same browser
    have no access.

    Args:
        start: Builds the page of a server and returns an object with ``close()``.
        host: Host to listen on.
        port: Port to listen on.
        ready: Called with the address when the page can be opened.
    """
    from trame_server import Server

    # Otherwise the web server writes a line to the output.
    os.environ["WSLINK_READY_MSG"] = ""
    server = Server("medad")
    server.client_type = "vue3"
    secret = secrets.token_urlsafe(16)
    server.cli.set_defaults(authKey=secret)
    with closed_connections_unlogged(), _stop_signals() as stopped:
        page = start(server)
        shown = f"[{host}]" if ":" in host else host
        server.controller.on_server_bind.add(lambda web: _guard(web.app, secret, f"medad-{port}"))
        server.controller.on_server_ready.add(lambda **_: ready(f"http://{shown}:{port}/?secret={secret}"))
        with _no_arguments():
            running = server.start(
                port=port,
                host=host,
                thread=True,
                open_browser=False,
                show_connection_info=False,
                disable_logging=True,
                timeout=0,
                exec_mode="task",
            )
        while not (stopped.is_set() or running.done()):
            await asyncio.sleep(POLL_SECONDS)
        if running.done():
            running.result()
        # Do not wait for a browser that no longer answers.
        with suppress(TimeoutError, asyncio.TimeoutError):
            await asyncio.wait_for(server.stop(), CLOSE_SECONDS)
        page.close()


def _guard(app: Any, secret: str, cookie: str) -> None:
    """Require the secret for every request, store it in a cookie, and forbid the page all other servers.

    The cookie counts for reloading and for the files of the page. The WebSocket asks for the secret itself.
    """
    from aiohttp import web
    from trame_client.module import vue3

    page = Path(vue3.www) / "index.html"
    scripts = " ".join(f"'sha256-{_digest(script)}'" for script in INLINE_SCRIPT.findall(page.read_bytes()))

    async def add_headers(request: web.Request, response: web.StreamResponse) -> None:
        host = request.host if re.fullmatch(r"[A-Za-z0-9.\-]+(:\d+)?|\[[0-9a-f:]+\](:\d+)?", request.host) else ""
        sockets = f"ws://{host} wss://{host}" if host else ""
        response.headers["Content-Security-Policy"] = POLICY.format(scripts=scripts, sockets=sockets)
        response.headers.update(HEADERS)

    @web.middleware
    async def guarded(request: web.Request, handler: Any) -> web.StreamResponse:
        given = request.query.get("secret") or request.cookies.get(cookie, "")
        if not secrets.compare_digest(given.encode(), secret.encode()):
            return web.Response(status=403, text="Open the whole address that medad view has printed.")
        return await handler(request)

    async def index(request: web.Request) -> web.StreamResponse:
        if "secret" not in request.query or request.path == "/":
            raise web.HTTPFound(f"/index.html?secret={secret}")
        response = web.FileResponse(page)
        response.set_cookie(cookie, secret, httponly=True, samesite="Strict")
        return response

    app.middlewares.append(guarded)
    app.on_response_prepare.append(add_headers)
    app.router.add_get("/", index)
    app.router.add_get("/index.html", index)


def _digest(script: bytes) -> str:
    """Return the SHA-256 of an inline script as a Content Security Policy names it."""
    return base64.b64encode(hashlib.sha256(script).digest()).decode()


@contextmanager
def closed_connections_unlogged() -> Iterator[None]:
    """Keep errors of closed connections out of the log within the block.

    A browser may close while it gets an answer or an image, and so does the server on Ctrl-C. The failed writing is
    then logged with its traceback, though nothing is wrong.
    """

    def other(record: logging.LogRecord) -> bool:
        # wslink logs in the handler of the error, without the error; asyncio logs that of a task later.
        logged = record.exc_info or sys.exc_info()
        return not isinstance(logged[1], ConnectionError)

    for name in LOGGERS:
        logging.getLogger(name).addFilter(other)
    try:
        yield
    finally:
        for name in LOGGERS:
            logging.getLogger(name).removeFilter(other)


@contextmanager
def _no_arguments() -> Iterator[None]:
    """Hide the command line of the process from trame, which would parse it."""
    given, sys.argv = sys.argv, sys.argv[:1]
    try:
        yield
    finally:
        sys.argv = given


@contextmanager
def _stop_signals() -> Iterator[threading.Event]:
    """Set the event on Ctrl-C or SIGTERM, and call the earlier signal handlers too."""
    stopped = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield stopped
        return
    previous = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def on_signal(number: int, frame: Any) -> None:
        stopped.set()
        if callable(previous[number]) and previous[number] is not signal.default_int_handler:
            previous[number](number, frame)

    for number in previous:
        signal.signal(number, on_signal)
    try:
        yield stopped
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
