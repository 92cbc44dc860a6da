"""The command that serves the dashboard."""

from __future__ import annotations

import socket
from contextlib import closing, suppress
from pathlib import Path
from threading import Thread
from types import FrameType
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from pi_datasource.errors import InvalidOption, MissingPackage, PIError
from pi_datasource.version import __version__

if TYPE_CHECKING:
    from pi_datasource.dashboard import Backend

_GRACE_S = 3  # how long answers that are being sent may take at the end
_LOOPBACK = ("127.0.0.1", "localhost", "::1")
err = Console(stderr=True)


def dashboard(
    lakehouse: Annotated[
        Path | None, typer.Option(help="Folder that pi-datasource ingest writes its tables to.")
    ] = None,
    warehouse: Annotated[
        str | None, typer.Option(help="Id of a Databricks SQL warehouse; signs in as databricks-sdk does.")
    ] = None,
    catalog: Annotated[str, typer.Option(help="With --warehouse: the catalog of the tables.")] = "osipi",
    host: Annotated[
        str, typer.Option(help="Address to listen on; others than this machine's own let everybody read.")
    ] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port to listen on; 0 takes a free one.")
    ] = 8010,
) -> None:
    """Serve a page that shows whether the data are there, fresh, complete and good. It only reads.

    Example: pi-datasource dashboard --lakehouse ./lake
    """
    try:
        with closing(_backend(lakehouse, warehouse, catalog)) as backend:
            _serve(backend, host, port)
    except PIError as error:
        err.print(f"pi-datasource: {error}", style="red", highlight=False, markup=False, soft_wrap=True)
        raise typer.Exit(1) from None


def _backend(lakehouse: Path | None, warehouse: str | None, catalog: str) -> Backend:
    if (lakehouse is None) == (warehouse is None):
        message = "say where the tables are: --lakehouse FOLDER, or --warehouse ID for a Databricks catalog"
        raise InvalidOption(message)
    if lakehouse is not None:
        try:
            from pi_datasource.dashboard import LocalBackend
        except ImportError as cause:
            raise MissingPackage(_missing(cause, "dashboard")) from cause
        return LocalBackend(lakehouse)
    try:
        from pi_datasource.dashboard.warehouse import WarehouseBackend, connect
    except ImportError as cause:
        raise MissingPackage(_missing(cause, "dashboard,databricks")) from cause
    return WarehouseBackend(warehouse or "", catalog, client=connect(__version__))


def _missing(cause: ImportError, extras: str) -> str:
    return f"the dashboard needs the package {cause.name}: pip install 'pi-datasource[{extras}]'"


def _serve(backend: Backend, host: str, port: int) -> None:
    import uvicorn

    from pi_datasource.dashboard import create_app, pages
    from pi_datasource.dashboard.app import LOOPBACK_HOSTS, ROOT

    listener = _listener(host, port)
    hosts = LOOPBACK_HOSTS if host in _LOOPBACK else ("*",)
    address = f"[{host}]" if ":" in host else host
    err.print(
        f"Dashboard: http://{address}:{listener.getsockname()[1]}{ROOT}", highlight=False, soft_wrap=True
    )
    err.print(
        f"Tables:    {backend.describe()}\nStop with Ctrl-C.", highlight=False, markup=False, soft_wrap=True
    )
    app = create_app(backend, hosts=hosts)
    config = uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=_GRACE_S,
    )

    class Server(uvicorn.Server):
        def handle_exit(self, sig: int, frame: FrameType | None) -> None:
            """At the first signal nobody waits for the tables any longer, so that every answer can be sent."""
            super().handle_exit(sig, frame)
            app.state.answers.close()
            backend.close()

    with suppress(RuntimeError):  # without a thread to spare the first reader waits a second longer
        Thread(target=pages.prepare, daemon=True).start()
    try:
        Server(config).run([listener])
    finally:
        listener.close()


def _listener(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family)
    except OSError as cause:
        reason = (cause.strerror or str(cause)).partition(" (while")[0]
        message = f"cannot listen on {host}:{port} ({reason}); choose another --port, or 0 for a free one"
        raise InvalidOption(message) from cause
