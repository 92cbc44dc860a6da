"""Runs a server in a thread of this process."""

import socket
import ssl
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from threading import Event as Signal
from threading import Thread
from typing import Any

import uvicorn
from fastapi import FastAPI

from mock_server.server.app import create_app
from mock_server.server.auth import CHALLENGES
from mock_server.server.fault_delivery import Protocol
from mock_server.server.faults import Faults
from mock_server.server.limits import RateLimit, UrlLimit
from mock_server.server.oidc import Oidc
from mock_server.server.server import Server
from mock_server.server.stale_cache import StaleCache
from mock_server.simulation import Plant
from mock_server.webapi.generations import LATEST
from mock_server.webapi.service import wall_clock

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
    auth: str | None = None,
    oidc: Oidc | None = None,
    max_items: int = 150_000,
    max_collect: int = 1_500_000,
    rate_limit: int = 0,
    max_url: str = "httpsys",
    faults: Faults | None = None,
    skew: timedelta = timedelta(0),
    stale: timedelta = timedelta(0),
    admin: bool = False,
    version: str = LATEST,
    dashboard: bool = False,
    clock: Callable[[], datetime] | None = None,
    host: str = "127.0.0.1",
    gzip: bool = False,
    access_log: Path | None = None,
    tls: bool = False,
    tls_ca: Path | None = None,
    tls_client_ca: Path | None = None,
) -> Iterator[str]:
    """Serve `plant` while the block runs; gives the base URL, which ends with `/piwebapi`.

    The server answers when the block begins and is gone, with its port free, when it ends. Port 0 takes a
    free one. With `tls` the certificate of the authority that signed the server's is in the file `tls_ca`;
    with `tls_client_ca`, clients need a certificate signed by an authority in that file.

    Raises:
        OSError: when the port cannot be had, or a file.
        ValueError: when a setting makes no sense.
    """
    if auth is not None and auth not in CHALLENGES:
        msg = f"'{auth}' is no challenge: use {', '.join(CHALLENGES)}"
        raise ValueError(msg)
    server = Server(
        plant,
        clock or wall_clock,
        user,
        password,
        token,
        max_items,
        admin,
        version=version,
        dashboard=dashboard,
        max_collect=max_collect,
        challenge=CHALLENGES[auth] if auth else None,
        oidc=oidc,
        skew=skew,
        faults=faults or Faults(),
        rate_limit=RateLimit(rate_limit),
        url_limit=UrlLimit.parse(max_url),
        stale=StaleCache(stale),
    )
    server.check_points(server.faults)
    app = create_app(server, gzip=gzip, access_log=access_log)
    with tempfile.TemporaryDirectory(prefix="mock_server-") as folder:
        secure = _tls_settings(Path(folder), host, tls_ca, tls_client_ca) if tls or tls_client_ca else {}
        listener = socket.create_server((host, port), backlog=2048)
        try:
            with _serving(app, listener, secure):
                scheme = "https" if secure else "http"
                yield f"{scheme}://{host}:{listener.getsockname()[1]}/piwebapi"
        finally:
            listener.close()


def _tls_settings(folder: Path, host: str, ca: Path | None, client_ca: Path | None) -> dict[str, Any]:
    """The settings of uvicorn for a new certificate, whose authority is written to the file `ca`."""
    from mock_server.server.tls import Authority

    authority = Authority()
    if ca is not None:
        ca.write_bytes(authority.pem)
    hosts = dict.fromkeys((host, "localhost", "127.0.0.1", "::1", socket.gethostname()))
    certificate, key = folder / "server.pem", folder / "server.key"
    authority.issue_server(*hosts).write(certificate, key)
    settings: dict[str, Any] = {"ssl_certfile": certificate, "ssl_keyfile": key}
    if client_ca is not None:
        client_ca.read_bytes()  # unlike ssl's, its error names the file
        settings |= {"ssl_ca_certs": str(client_ca), "ssl_cert_reqs": ssl.CERT_REQUIRED}
    return settings


@contextmanager
def _serving(app: FastAPI, listener: socket.socket, secure: dict[str, Any]) -> Iterator[None]:
    config = uvicorn.Config(
        app,
        lifespan="off",
        log_config=None,
        log_level="critical",
        access_log=False,
        server_header=False,
        date_header=False,
        http=Protocol,
        timeout_graceful_shutdown=2,
        **secure,
    )
    config.load()  # here, so that an unreadable certificate raises in the caller
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
        app.state.scheduler.close()
        server.should_exit = True
        thread.join(_STOP_TIMEOUT_S)
