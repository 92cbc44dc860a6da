"""Serves the simulated PI server and the dashboard over its ingested data at one address."""

from __future__ import annotations

import argparse
import socket
from contextlib import closing
from pathlib import Path
from threading import Thread
from typing import Any

import uvicorn

from mock_server import Plant, Server, create_app
from pi_datasource import dashboard
from pi_datasource.dashboard import LocalBackend, pages

OURS = ("/healthz", "/metrics")
PREFIX = "/ingestion"


class Site:
    """Two ASGI apps at one address: the dashboard at its own paths, the simulator everywhere else."""

    def __init__(self, simulator: Any, pages: Any) -> None:
        self._simulator = simulator
        self._pages = pages

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Passes a request to the app that serves its path."""
        path = scope.get("path", "")
        ours = path in OURS or path == PREFIX or path.startswith(f"{PREFIX}/")
        await (self._pages if ours else self._simulator)(scope, receive, send)


def main() -> None:
    """Serves both until SIGTERM."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("port", "tags", "plants", "seed"):
        parser.add_argument(f"--{name}", type=int, required=True)
    parser.add_argument("--lakehouse", type=Path, required=True)
    given = parser.parse_args()
    plant = Plant(seed=given.seed, tags=given.tags, plants=given.plants)
    with (
        closing(LocalBackend(given.lakehouse)) as tables,
        socket.create_server(("127.0.0.1", given.port), backlog=2048) as listener,
    ):
        site = Site(create_app(Server(plant, admin=True)), dashboard.create_app(tables))
        base = f"http://127.0.0.1:{listener.getsockname()[1]}"
        Thread(target=pages.plotly_script, daemon=True).start()
        print(f"PI Web API simulator: {base}/piwebapi ({given.tags} points, seed {given.seed})")
        print(f"Dashboard:            {base}{PREFIX}", flush=True)
        config = uvicorn.Config(
            site, lifespan="off", log_level="critical", access_log=False, timeout_graceful_shutdown=2
        )
        uvicorn.Server(config).run([listener])


if __name__ == "__main__":
    main()
