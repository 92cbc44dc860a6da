"""The demo's one address: the dashboard where its paths are, the simulated PI server everywhere else."""

from __future__ import annotations

from pathlib import Path

from demo_site import Site
from mock_server import Plant, Server, create_app
from pi_datasource import dashboard
from tests.unit.dashboard.http_client import get, serving


def test_the_two_share_an_address(tmp_path: Path) -> None:
    pages = dashboard.create_app(dashboard.LocalBackend(tmp_path))
    with serving(Site(create_app(Server(Plant(seed=1, tags=4, plants=1))), pages)) as base:
        assert "PI ingestion" in get(base, "/ingestion").text
        assert get(base, "/ingestion/api/kpis").json()["words"] == "No table yet: run pi-datasource ingest."
        assert get(base, "/healthz").json()["status"] == "ok"
        assert "pi_datasource_up 1" in get(base, "/metrics").text.splitlines()
        assert "Links" in get(base, "/piwebapi").json()
        assert "ingestion" not in get(base, "/").text.split("</title>")[0]
        assert get(base, "/ingestions").status == 404
