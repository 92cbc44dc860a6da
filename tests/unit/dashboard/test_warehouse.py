"""The warehouse back end with the real SDK against a workspace that answers over HTTP."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("databricks.sdk", reason="the extra 'databricks' is not installed")

from databricks.sdk import WorkspaceClient
from databricks.sdk.core import Config

from pi_datasource.dashboard import create_app
from pi_datasource.dashboard.download import csv_lines
from pi_datasource.dashboard.local import LocalBackend
from pi_datasource.dashboard.panels import PANELS, evaluate
from pi_datasource.dashboard.panels.tag import search
from pi_datasource.dashboard.queries import QueryContext
from pi_datasource.dashboard.selection import Selection
from pi_datasource.dashboard.warehouse import WarehouseBackend, connect
from pi_datasource.errors import TablesUnavailable
from tests.unit.dashboard import lake
from tests.unit.dashboard.fake_warehouse import TOKEN, FakeWarehouse, Plan, workspace
from tests.unit.dashboard.http_client import get, serving
from tests.unit.dashboard.lake import NASTY, NOW


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("lake")
    lake.write(made)
    return made


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    for name in ("DATABRICKS_HOST", "DATABRICKS_CLIENT_ID", "DATABRICKS_USERNAME", "DATABRICKS_TOKEN"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="module", name="_fake")
def _shared_fake(folder: Path) -> FakeWarehouse:
    return FakeWarehouse(folder)


@pytest.fixture
def fake(_fake: FakeWarehouse) -> FakeWarehouse:
    _fake.reset()
    return _fake


@pytest.fixture
def backend(fake: FakeWarehouse) -> Iterator[WarehouseBackend]:
    with workspace(fake) as url:
        yield _backend(url)


def _backend(url: str, token: str = TOKEN, **more: Any) -> WarehouseBackend:
    config = Config(
        host=url,
        token=token,
        auth_type="pat",
        config_file="/nonexistent",
        retry_timeout_seconds=3,
        http_timeout_seconds=10,
    )
    return WarehouseBackend("wh-1", "osipi", client=WorkspaceClient(config=config), poll_s=0.01, **more)


def context(backend: Any, *query: tuple[str, str], tag: str = "W1") -> QueryContext:
    return QueryContext(backend, Selection.parse(query, NOW), NOW, tag)


def _steady(told: dict[str, Any]) -> Any:
    """A panel without what may differ between two runs of one engine: which of several equal extremes is given."""
    text = json.dumps(told, default=float)
    return json.loads(
        text, object_pairs_hook=lambda pairs: {k: v for k, v in pairs if k not in ("low_at", "high_at")}
    )


@pytest.mark.parametrize("name", PANELS)
@pytest.mark.parametrize("query", [[("range", "24h")], [("range", "7d"), ("plant", NASTY), ("plant", "A")]])
def test_both_back_ends_give_equal_panels(
    backend: WarehouseBackend, folder: Path, name: str, query: list[tuple[str, str]]
) -> None:
    here = evaluate(PANELS[name], context(LocalBackend(folder), *query))
    there = evaluate(PANELS[name], context(backend, *query))
    if name not in ("kpis", "tag-summary"):
        assert _steady(there) == _steady(here)
        return
    assert there["data"].keys() == here["data"].keys()
    for figure, value in here["data"].items():
        assert there["data"][figure] == (pytest.approx(value) if isinstance(value, float) else value), figure


def test_a_search_is_the_same(backend: WarehouseBackend, folder: Path) -> None:
    assert search(context(backend), "مر") == search(context(LocalBackend(folder)), "مر")


def test_every_value_is_bound(backend: WarehouseBackend, fake: FakeWarehouse) -> None:
    evil = "x') OR 1=1 --"
    for name in PANELS:
        evaluate(PANELS[name], context(backend, ("plant", evil), ("sensor_type", evil), tag=evil))
    search(context(backend, ("plant", evil)), evil)
    assert fake.asked
    assert not [body["statement"] for body in fake.asked if "OR 1=1" in body["statement"]]
    bound = [p for body in fake.asked for p in body.get("parameters", []) if p["value"] == evil]
    assert {p["type"] for p in bound} == {"STRING"}
    assert {body["warehouse_id"] for body in fake.asked} == {"wh-1"}
    assert {(body["disposition"], body["format"]) for body in fake.asked} == {("INLINE", "JSON_ARRAY")}


def test_all_chunks_are_read(backend: WarehouseBackend, fake: FakeWarehouse, folder: Path) -> None:
    fake.chunk_rows = 7
    there = evaluate(PANELS["tag-rows"], context(backend))["data"]["rows"]
    assert there == evaluate(PANELS["tag-rows"], context(LocalBackend(folder)))["data"]["rows"]
    assert len(there) == 100
    assert fake.chunks_sent >= 14


def test_a_slow_statement_is_polled_until_it_is_done(backend: WarehouseBackend, fake: FakeWarehouse) -> None:
    fake.plan = [Plan(polls=3), Plan(polls=5)]
    assert evaluate(PANELS["errors"], context(backend))["data"]["waiting"] == 1


def test_a_statement_that_never_ends_is_stopped(fake: FakeWarehouse) -> None:
    now = [0.0]

    def sleep(seconds: float) -> None:
        now[0] += max(seconds, 60)

    with workspace(fake) as url:
        backend = _backend(url, clock=lambda: now[0], sleep=sleep)
        fake.always = Plan(polls=10**6)
        with pytest.raises(TablesUnavailable, match="has not answered within 10 minutes; is it running"):
            backend.columns()
    assert fake.cancelled == ["s-1"]


@pytest.mark.parametrize(
    ("plan", "words"),
    [
        (
            Plan(
                end="FAILED",
                error={"error_code": "BAD_REQUEST", "message": "[TABLE_NOT_FOUND] no such\ntrace"},
            ),
            "the warehouse could not run a statement (BAD_REQUEST): [TABLE_NOT_FOUND] no such",
        ),
        (Plan(end="CANCELED"), "the statement was cancelled in the workspace"),
        (Plan(end="CLOSED"), "the warehouse ended a statement with CLOSED"),
        (
            Plan(status=403, error={"error_code": "PERMISSION_DENIED", "message": "no CAN USE"}),
            "Databricks does not let this program read catalog osipi through SQL warehouse wh-1 (PermissionDenied)",
        ),
        (
            Plan(status=404, error={"error_code": "RESOURCE_DOES_NOT_EXIST", "message": "no warehouse wh-1"}),
            "Databricks could not be asked (ResourceDoesNotExist): no warehouse wh-1",
        ),
        (
            Plan(status=500, error={"error_code": "INTERNAL_ERROR", "message": "oops"}),
            "(InternalError): oops",
        ),
    ],
)
def test_what_goes_wrong_is_told(
    backend: WarehouseBackend, fake: FakeWarehouse, plan: Plan, words: str
) -> None:
    backend.columns()
    fake.always = plan
    with pytest.raises(TablesUnavailable) as caught:
        evaluate(PANELS["errors"], context(backend))
    assert words in str(caught.value)
    assert "trace" not in str(caught.value)
    assert TOKEN not in str(caught.value)


def test_a_throttled_call_is_sent_again(backend: WarehouseBackend, fake: FakeWarehouse) -> None:
    throttled = {"error_code": "REQUEST_LIMIT_EXCEEDED", "message": "slow down"}
    backend.columns()
    fake.plan = [Plan(status=429, error=throttled, headers={"Retry-After": "0"})]
    assert evaluate(PANELS["errors"], context(backend))["data"]["waiting"] == 1


def test_an_expired_token_is_told_without_it(fake: FakeWarehouse) -> None:
    with workspace(fake) as url:
        backend = _backend(url, token="dapi-expired-secret")
        with pytest.raises(TablesUnavailable, match="the token may have expired") as caught:
            backend.columns()
    assert "dapi-expired-secret" not in str(caught.value)


def test_a_catalog_without_tables_says_what_to_do(tmp_path: Path) -> None:
    with workspace(FakeWarehouse(tmp_path)) as url:
        told = evaluate(PANELS["kpis"], context(_backend(url)))
    assert (told["state"], told["words"]) == ("empty", "No table yet: run pi-datasource ingest.")


def test_a_slow_warehouse_is_visibly_waited_for(fake: FakeWarehouse) -> None:
    fake.always = Plan(polls=10**6)
    with workspace(fake) as url:
        app = create_app(_backend(url), clock=lambda: NOW, wait_s=0.05)
        with serving(app) as base:
            told = get(base, "/ingestion/api/errors")
            assert told.status == 202
            assert told.json()["state"] == "waiting"
            assert "A stopped SQL warehouse takes minutes to start" in told.json()["words"]
            fake.always = None
            with fake._lock:
                for plan, _ in fake._results.values():
                    plan.polls = 0
            for _ in range(200):
                told = get(base, "/ingestion/api/errors")
                if told.status == 200:
                    break
            assert told.json()["data"]["waiting"] == 1


def test_nothing_to_sign_in_with_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DATABRICKS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(TablesUnavailable, match="Set DATABRICKS_HOST and DATABRICKS_TOKEN, or a profile"):
        connect("1.0")


def test_a_download_is_the_same_as_from_a_folder_in_few_statements(
    backend: WarehouseBackend, fake: FakeWarehouse, folder: Path
) -> None:
    backend.columns()
    before = len(fake.asked)
    text = "".join(csv_lines(context(backend, ("range", "7d"), tag="W3")))
    assert text == "".join(csv_lines(context(LocalBackend(folder), ("range", "7d"), tag="W3")))
    assert text.count("\r\n") == 91
    assert len(fake.asked) == before + 2


def test_a_statement_under_way_is_cancelled_when_the_dashboard_stops(fake: FakeWarehouse) -> None:
    with workspace(fake) as url:
        backend = _backend(url, sleep=lambda _: backend.close())
        fake.always = Plan(polls=10**9)
        with pytest.raises(TablesUnavailable, match=r"^the dashboard is stopping$"):
            backend.columns()
        assert len(fake.cancelled) == 1
        with pytest.raises(TablesUnavailable, match=r"^the dashboard is stopping$"):
            backend.columns()
        assert len(fake.asked) == 1
