"""The log of the web server: a browser that closes is no error."""

from __future__ import annotations

import asyncio
import gc
import logging

import pytest

from MedADLib.browser.serving import closed_connections_unlogged

aiohttp = pytest.importorskip("aiohttp")
protocol = pytest.importorskip("wslink.protocol")


def answered(error: Exception) -> None:
    """Let wslink answer a request, and send an image in a task, over a connection that fails with this error."""

    class Answer(protocol.WslinkHandler):
        def __init__(self):
            self.functionMap = {"ask": (self, lambda _: {})}
            self.connections = {"client": type("Open", (), {"closed": False})()}
            self.web_app = type("Server", (), {})()
            self.network_monitor = type("Monitor", (), {"__enter__": lambda _: None, "__exit__": lambda *_: None})()
            self.log_emitter = type("Emitter", (), {"has": lambda *_: False, "exception": lambda *_: None})()
            self.authentified_client_ids = {"client"}

        async def sendWrappedMessage(self, *_, **__):
            raise error

        sendWrappedError = sendWrappedMessage

    async def request() -> None:
        try:
            await Answer().onCompleteMessage({"id": "rpc:client:1", "method": "ask", "args": []}, "client")
        except Exception as failed:
            logging.getLogger("aiohttp.server").exception("Error handling request", exc_info=failed)

    async def image() -> None:
        task = asyncio.ensure_future(Answer().sendWrappedMessage())
        await asyncio.sleep(0)
        assert task.done()

    for coroutine in (request, image):
        asyncio.run(coroutine())
    gc.collect()


@pytest.mark.parametrize("closed", [True, False])
def test_a_connection_that_closes_is_not_logged_and_other_errors_are(caplog, closed):
    error = aiohttp.ClientConnectionResetError("closing") if closed else ZeroDivisionError("wrong")
    with closed_connections_unlogged():
        answered(error)
    assert (caplog.text == "") == closed
    assert all((words in caplog.text) != closed for words in ("wrong", "Error handling", "never retrieved"))
    answered(error)
    assert str(error) in caplog.text, "outside the block as before"
