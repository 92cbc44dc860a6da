"""Serving a plant over HTTP from a thread of this process."""

import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from threading import Event as Signal
from threading import Thread

import uvicorn
from fastapi import FastAPI

from mock_server.app import create_app
from mock_server.plant import Plant
from mock_server.server import Server, wall_clock

_START_TIMEOUT_S = 30.0
_STOP_TIMEOUT_S = 10.0


@contextmanager
def running(
    plant: Plant,
    port: int = 0,
    *,
    user: str | None = None,
    password: str | None = None,
    token: str | None = None,
    max_items: int = 150_000,
    admin: bool = False,
    clock: Callable[[], datetime] | None = None,
    host: str = "127.0.0.1",
    gzip: bool = False,
    access_log: Path | None = None,
) -> Iterator[str]:
    """Serve `plant` while the block runs; gives the base URL, which ends with `/piwebapi`.

    The server answers when the block begins and is gone, with its port free, when it ends. Port 0 takes a
    free one.

    Raises:
        OSError: when the port cannot be had.
    """
    server = Server(plant, clock or wall_clock, user, password, token, max_items, admin)
    listener = socket.create_server((host, port), backlog=2048)
    try:
        with _serving(create_app(server, gzip=gzip, access_log=access_log), listener):
            yield f"http://{host}:{listener.getsockname()[1]}/piwebapi"
    finally:
        listener.close()


@contextmanager
def _serving(app: FastAPI, listener: socket.socket) -> Iterator[None]:
    config = uvicorn.Config(
        app,
        lifespan="off",
        log_config=None,
        log_level="critical",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=2,
    )
    server = uvicorn.Server(config)
    ready = Signal()

    async def startup(sockets: "list[socket.socket] | None" = None) -> None:
        await type(server).startup(server, sockets)
        ready.set()

    server.startup = startup  # type: ignore[method-assign]
    thread = Thread(target=server.run, args=([listener],), name="mock_server", daemon=True)
    thread.start()
    try:
        if not ready.wait(_START_TIMEOUT_S):
            msg = "the simulator did not start in time"
            raise RuntimeError(msg)
        yield
    finally:
        server.should_exit = True
        thread.join(_STOP_TIMEOUT_S)
