"""Channels: values pushed over a WebSocket until the client disconnects."""

import asyncio
import re
from collections.abc import Sequence
from dataclasses import dataclass

from fastapi import FastAPI, WebSocket
from fastapi import Response as HttpResponse
from starlette.concurrency import run_in_threadpool
from starlette.requests import HTTPConnection
from starlette.websockets import WebSocketDisconnect

from mock_server.plant.change_feed import Action
from mock_server.plant.events import side_by_side
from mock_server.plant.point import Point
from mock_server.plant.sensors import NO_DATA
from mock_server.server import auth
from mock_server.server.server import Server
from mock_server.webapi.call import Call
from mock_server.webapi.json.streams import streamset_body
from mock_server.webapi.messages import ApiError, Request
from mock_server.webapi.router import PREFIX, no_resource

POLL_S = 1.0
"""The polling interval: how often a channel looks for news, and the unit of `heartbeatRate`."""

_ONE = re.compile(re.escape(PREFIX) + r"/streams/([^/]+)/channel/?\Z", re.IGNORECASE)
_SEVERAL = re.compile(re.escape(PREFIX) + r"/streamsets/channel/?\Z", re.IGNORECASE)


@dataclass(frozen=True)
class Channel:
    """The subscription of a client; `heartbeat` counts polls, 0 for none."""

    call: Call
    points: Sequence[Point]
    initial: bool
    heartbeat: int

    def initial_values(self) -> bytes:
        """The newest value of each stream."""
        call = self.call
        return streamset_body(call, call.server.plant.history.snapshot(self.points, now=call.now), "Items")

    def changes(self, after: int, until: int) -> bytes:
        """The values that were added or changed in (after, until]; empty when there are none."""
        history = self.call.server.plant.history
        blocks = [
            changes.block.with_state(NO_DATA, changes.action == Action.DELETE)
            for changes in (history.changes(point, after, until) for point in self.points)
            if len(changes.action)
        ]
        return streamset_body(self.call, side_by_side(blocks), "Items") if blocks else b""


def register(app: FastAPI, server: Server) -> None:
    """Serve the channels of `server` to WebSocket requests of `app`."""

    async def serve(websocket: WebSocket) -> None:
        try:
            channel = await run_in_threadpool(_opened, server, request_of(websocket))
        except ApiError as error:
            response = error.response
            headers = {"Content-Type": response.content_type, **dict(response.headers)}
            await websocket.send_denial_response(HttpResponse(response.body, response.status, headers))
            return
        await websocket.accept()
        try:
            await _push(websocket, channel)
        except WebSocketDisconnect:
            return

    app.add_api_websocket_route("/{path:path}", serve)


async def _push(websocket: WebSocket, channel: Channel) -> None:
    """Send new values at every poll until the client disconnects."""
    if channel.initial:
        await websocket.send_text((await run_in_threadpool(channel.initial_values)).decode())
    left = asyncio.create_task(_left(websocket))
    after, silent = channel.call.now, 0
    try:
        while not left.done():
            await asyncio.wait({left}, timeout=POLL_S)
            until = max(channel.call.server.now(), after)
            changes = await run_in_threadpool(channel.changes, after, until)
            after, silent = until, 0 if changes else silent + 1
            if silent and silent == channel.heartbeat:
                changes, silent = b'{"Links":{},"Items":[]}', 0
            if changes and not left.done():
                await websocket.send_text(changes.decode())
    finally:
        left.cancel()


async def _left(websocket: WebSocket) -> None:
    """Return when the client has disconnected; its messages are ignored."""
    while (await websocket.receive())["type"] != "websocket.disconnect":
        continue


def _opened(server: Server, request: Request) -> Channel:
    auth.check(server, request)
    now = server.now()
    one = _ONE.match(request.path)
    if one is None and _SEVERAL.match(request.path) is None:
        raise no_resource(request)
    call = Call(server, request, now, {"web_id": one[1]} if one else {})
    web_ids = [one[1]] if one else call.required_texts("webId")
    initial = call.flag("includeInitialValues")
    heartbeat = call.integer("heartbeatRate", 0, low=-2_147_483_647)
    return Channel(call, [call.point(text) for text in web_ids], initial, max(heartbeat, 0))


def request_of(http: HTTPConnection, method: str = "GET", body: bytes = b"") -> Request:
    """The plain request of an HTTP or WebSocket connection."""
    headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in http.headers.raw}
    scheme = {"ws": "http", "wss": "https"}.get(http.scope["scheme"], http.scope["scheme"])
    return Request(
        method=method,
        path=str(http.scope["path"]),
        query=http.scope["query_string"].decode("latin-1"),
        headers=headers,
        body=body,
        origin=f"{scheme}://{headers.get('host') or 'localhost'}",
        raw_path=(http.scope.get("raw_path") or b"").decode("latin-1"),
        client=http.client.host if http.client else "",
    )
