"""``pi-datasource dashboard``: serves the dashboard."""

from __future__ import annotations

import socket
from contextlib import closing, suppress
from pathlib import Path
from threading import Thread
from types import FrameType
from typing import TYPE_CHECKING, Annotated

import typer

from pi_datasource.cli.exit_codes import err, exit_on_error
from pi_datasource.errors import InvalidOption, MissingPackage
from pi_datasource.version import __version__

if TYPE_CHECKING:
    from pi_datasource.dashboard import Backend

_SHUTDOWN_S = 3  # how long responses that are being sent may take at the end
_LOOPBACK = ("127.0.0.1", "localhost", "::1")


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
    with exit_on_error(), closing(_backend(lakehouse, warehouse, catalog)) as backend:
        _serve(backend, host, port)


def _backend(lakehouse: Path | None, warehouse: str | None, catalog: str) -> Backend:
    if (lakehouse is None) == (warehouse is None):
        message = "say where the tables are: --lakehouse FOLDER, or --warehouse ID for a Databricks catalog"
        raise InvalidOption(message)
    try:
        if lakehouse is not None:
            from pi_datasource.dashboard import LocalBackend

            return LocalBackend(lakehouse)
        from pi_datasource.dashboard.warehouse import WarehouseBackend, connect

        return WarehouseBackend(warehouse or "", catalog, client=connect(__version__))
    except ImportError as cause:
        extras = "dashboard" if lakehouse is not None else "dashboard,databricks"
        message = f"the dashboard needs the package {cause.name}: pip install 'pi-datasource[{extras}]'"
        raise MissingPackage(message) from cause


def _serve(backend: Backend, host: str, port: int) -> None:
    import uvicorn

    from pi_datasource.dashboard import create_app, pages
    from pi_datasource.dashboard.app import LOOPBACK_HOSTS, ROOT

    app = create_app(backend, hosts=LOOPBACK_HOSTS if host in _LOOPBACK else ("*",))
    config = uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=_SHUTDOWN_S,
    )

    class Server(uvicorn.Server):
        def handle_exit(self, sig: int, frame: FrameType | None) -> None:
            """Ends every wait for the tables at the first signal, so that all responses can be sent."""
            super().handle_exit(sig, frame)
            app.state.cache.close()
            backend.close()

    with _listener(host, port) as listener:
        name, bound = f"[{host}]" if ":" in host else host, listener.getsockname()[1]
        err.print(f"Dashboard: http://{name}:{bound}{ROOT}", highlight=False, soft_wrap=True)
        place = f"Tables:    {backend.describe()}\nStop with Ctrl-C."
        err.print(place, highlight=False, markup=False, soft_wrap=True)
        with suppress(RuntimeError):  # without a spare thread the first page load takes a second longer
            Thread(target=pages.plotly_script, daemon=True).start()
        Server(config).run([listener])


def _listener(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family)
    except OSError as cause:
        reason = (cause.strerror or str(cause)).partition(" (while")[0]
        message = f"cannot listen on {host}:{port} ({reason}); choose another --port, or 0 for a free one"
        raise InvalidOption(message) from cause
