"""Delivery of responses as `Delivery` says: delayed, truncated, or not at all."""

import asyncio
import socket
import struct
from contextlib import suppress
from http import HTTPStatus
from typing import Any

from fastapi import Response as HttpResponse
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from mock_server.webapi.messages import Delivery

_TRANSPORT = "mock_server.connection"
_DRIP_S = 0.05
_CLOSE_TIMEOUT_S = 5.0
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)  # SO_LINGER: on, 0 s


class Protocol(HttpToolsProtocol):
    """uvicorn's protocol, which also gives the application access to the transport."""

    def on_message_begin(self) -> None:  # noqa: D102 - as inherited
        super().on_message_begin()
        self.scope["extensions"] = {_TRANSPORT: {"transport": self.transport}}

    def shutdown(self) -> None:
        """Abort an idle TLS connection: a graceful close would wait for clients that keep their connections."""
        idle = self.cycle is None or self.cycle.response_complete
        if idle and self.scheme == "https" and not self.transport.get_write_buffer_size():
            self.transport.abort()
        else:
            super().shutdown()


class DeliveredResponse(HttpResponse):
    """A response and its delivery."""

    def __init__(self, body: bytes, status: int, headers: dict[str, str], delivery: Delivery) -> None:
        super().__init__(body, status or 200, headers)
        self.delivery = delivery

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the response; returns early when the client disconnects."""
        if self.delivery.delay_s and await _client_left(receive, self.delivery.delay_s):
            return
        if not self.delivery.ends:
            await super().__call__(scope, receive, send)
            return
        transport: asyncio.Transport = scope["extensions"][_TRANSPORT]["transport"]
        try:
            await self._write(transport, receive)
        finally:
            _end(transport, reset=self.delivery.reset)
        if not await _client_left(receive, _CLOSE_TIMEOUT_S):
            transport.abort()

    async def _write(self, transport: asyncio.Transport, receive: Receive) -> None:
        if not self.delivery.head:
            return
        part = bytes(self.body)[: int(len(self.body) * self.delivery.share)]
        if self.delivery.chunked:
            part = b"%x\r\n%b\r\n" % (len(part), part) if part else b""
        transport.write(self._head() + part)
        for _ in range(int(self.delivery.drip_s / _DRIP_S)):
            if await _client_left(receive, _DRIP_S):
                return
            transport.write(b" ")

    def _head(self) -> bytes:
        phrase = self.delivery.reason or HTTPStatus(self.status_code).phrase
        framing = (b"transfer-encoding", b"chunked")
        lines = [
            framing if self.delivery.chunked and name == b"content-length" else (name, value)
            for name, value in (*self.raw_headers, (b"connection", b"close"))
        ]
        head = b"".join(b"%b: %b\r\n" % line for line in lines)
        return b"HTTP/1.1 %d %b\r\n%b\r\n" % (self.status_code, phrase.encode("latin-1"), head)


async def _client_left(receive: Receive, within_s: float) -> bool:
    """Whether the client disconnects within that time."""
    with suppress(asyncio.TimeoutError):
        return await asyncio.wait_for(_disconnected(receive), within_s)
    return False


async def _disconnected(receive: Receive) -> bool:
    message: dict[str, Any] = {}
    while message.get("type") != "http.disconnect":  # the rest of a body may arrive first
        message = dict(await receive())
    return True


def _end(transport: asyncio.Transport, *, reset: bool) -> None:
    if not reset:
        transport.close()
        return
    with (
        suppress(OSError),
        socket.socket(fileno=socket.dup(transport.get_extra_info("socket").fileno())) as copy,
    ):
        copy.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
    transport.abort()
