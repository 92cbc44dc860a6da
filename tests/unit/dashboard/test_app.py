"""The dashboard over HTTP: pages, JSON, downloads, metrics, and what it refuses."""

from __future__ import annotations

import csv
import io
import json
import re
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from datetime import datetime, timedelta
from importlib.resources import files
from itertools import islice
from pathlib import Path
from threading import Event, Semaphore
from typing import Any
from urllib.parse import quote

import pytest

from pi_datasource.dashboard import LocalBackend, create_app
from pi_datasource.dashboard.download import csv_lines, split_hours
from pi_datasource.dashboard.panels import PANELS
from pi_datasource.dashboard.queries import QueryContext
from pi_datasource.dashboard.selection import Selection
from pi_datasource.errors import TablesUnavailable
from tests.unit.dashboard import lake
from tests.unit.dashboard.http_client import get, serving
from tests.unit.dashboard.lake import NASTY, NOW


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("lake <b>")
    lake.write(made)
    return made


@pytest.fixture(scope="module")
def base(folder: Path) -> Iterator[str]:
    with serving(create_app(LocalBackend(folder), clock=lambda: NOW, refresh_s=7)) as url:
        yield url


@pytest.mark.parametrize("page", ["/ingestion", "/ingestion/tag?tag=W1"])
def test_a_page_names_only_files_of_its_own(base: str, page: str) -> None:
    answer = get(base, page)
    assert answer.status == 200
    assert answer.headers["content-type"].startswith("text/html")
    assert 'data-refresh="7"' in answer.text
    named = re.findall(r'(?:src|href|data-plotly)="([^"]+)"', answer.text)
    assert [address for address in named if "//" in address] == []
    for address in named:
        if address.startswith("/ingestion/"):
            assert get(base, address).status == 200, address
    assert "<b>" not in answer.text.split('title="')[1].split('"')[0]  # the folder's name is text


def test_every_asset_is_in_the_package(base: str) -> None:
    static = files("pi_datasource.dashboard") / "static"
    for name in ("app.css", "dom.js", "charts.js", "page.js", "overview.js", "tag.js"):
        answer = get(base, f"/ingestion/static/{name}")
        assert answer.status == 200
        assert answer.text == (static / name).read_text()
    assert get(base, "/ingestion/static/../app.py").status == 404


def test_the_charts_script_is_served_from_here_and_kept(base: str) -> None:
    address = re.search(r'data-plotly="([^"]+)"', get(base, "/ingestion").text)
    assert address is not None
    answer = get(base, address[1])
    assert answer.headers["content-encoding"] == "gzip"
    assert "immutable" in answer.headers["cache-control"]
    assert get(base, address[1], If_None_Match=answer.headers["etag"]).status == 304


@pytest.mark.parametrize(
    "path", ["/ingestion", "/ingestion/api/kpis", "/ingestion/static/app.css", "/metrics", "/nope"]
)
def test_every_answer_keeps_the_browser_at_home(base: str, path: str) -> None:
    headers = get(base, path).headers
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self';" in policy
    assert "connect-src 'self'" in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"


def test_another_sites_name_is_refused(base: str) -> None:
    assert get(base, "/ingestion/api/kpis", Host="evil.example").status == 400
    assert get(base, "/healthz", Host="localhost:8010").status == 200


def test_the_api_says_what_it_has(base: str) -> None:
    told = get(base, "/ingestion/api").json()
    assert [one["panel"] for one in told["panels"]] == list(PANELS)
    for one in told["panels"]:
        assert get(base, one["path"], {"tag": "W1"} if one["per_tag"] else {}).status == 200
    assert "sensor_type" in told["parameters"]


@pytest.mark.parametrize("name", PANELS)
def test_every_panel_has_json(base: str, name: str) -> None:
    answer = get(base, f"/ingestion/api/{name}", {"tag": "W1"})
    assert answer.status == 200
    told = answer.json()
    assert told["panel"] == name
    assert told["state"] == ("empty" if name == "completeness" else "ok")
    assert told["asked"]["start"] < told["asked"]["end"]
    assert answer.headers["cache-control"] == "no-store"


def test_texts_of_the_plant_arrive_as_they_are(base: str) -> None:
    told = get(base, "/ingestion/api/quality", {"plant": NASTY}).json()
    assert [row["tag_name"] for row in told["data"]["rows"]] == [NASTY]
    found = get(base, "/ingestion/api/tags", {"q": "DROP TABLE"}).json()["data"]["rows"]
    assert found == [{"tag_webid": "W3", "tag_name": NASTY, "units": "°C <i>"}]


@pytest.mark.parametrize(
    ("path", "status", "words"),
    [
        ("/ingestion/api/kpis?range=2h", 400, "parameter 'range': '2h' is not one of"),
        ("/ingestion/api/kpis?oops=1", 400, "there is no parameter 'oops'"),
        ("/ingestion/api/tag-trend", 400, "parameter 'tag': give the WebId of a tag"),
        ("/ingestion/api/tag.csv", 400, "parameter 'tag': give the WebId of a tag"),
        (
            "/ingestion/api/tag-trend?tag=W1&width=-5",
            400,
            "parameter 'width': '-5' is not a number of pixels",
        ),
        ("/ingestion/api/tag-trend?tag=W1&width=%C2%B2", 400, "parameter 'width'"),
        (
            "/ingestion/api/" + quote("<script>"),
            404,
            "there is no panel '<script>'; there are kpis, timeline",
        ),
    ],
)
def test_a_bad_request_is_told_as_json(base: str, path: str, status: int, words: str) -> None:
    answer = get(base, path)
    assert answer.status == status
    assert answer.headers["content-type"] == "application/json"
    assert words in answer.json()["words"]


def test_nothing_can_be_written(base: str) -> None:
    import urllib.error
    import urllib.request

    for method in ("POST", "PUT", "DELETE", "PATCH"):
        request = urllib.request.Request(f"{base}/ingestion/api/kpis", b"{}", method=method)
        with pytest.raises(urllib.error.HTTPError) as caught:
            urllib.request.urlopen(request, timeout=10)
        with caught.value:
            assert caught.value.code == 405


def test_a_download_holds_every_event_of_the_range(base: str) -> None:
    answer = get(base, "/ingestion/api/tag.csv", {"tag": "W3", "range": "7d"})
    assert answer.headers["content-disposition"] == 'attachment; filename="tag.csv"'
    rows = list(csv.DictReader(io.StringIO(answer.text, newline="")))
    want = [row for row in lake.events() if row["tag_webid"] == "W3"]
    assert len(rows) == len(want)
    for got, row in zip(rows, want, strict=True):
        assert datetime.fromisoformat(got["timestamp"].replace("Z", "+00:00")) == row["timestamp"]
        assert (got["tag_name"], got["units"], got["good"]) == (NASTY, "°C <i>", "true")
        assert (int(got["sequence"]), float(got["value"])) == (row["sequence"], row["value"])


class Counted(LocalBackend):
    """Counts the statements that read bronze."""

    statements = 0

    def _prepared(self, cursor: Any, statement: Any, shared: Any) -> Any:
        self.statements += "bronze" in statement.tables
        return super()._prepared(cursor, statement, shared)


@pytest.mark.parametrize(("most", "statements"), [(1_000_000, 2), (600, 5), (60, 31), (1, 31)])
def test_a_download_is_few_statements(folder: Path, most: int, statements: int) -> None:
    backend = Counted(folder)
    text = "".join(
        csv_lines(QueryContext(backend, Selection.parse([("range", "7d")], NOW), NOW, tag="W1"), most)
    )
    want = [row for row in lake.events() if row["tag_webid"] == "W1"]
    got = [line.split(",")[1] for line in text.split("\r\n")[1:-1]]
    assert got == [f"{row['timestamp']:%Y-%m-%dT%H:%M:%S.%fZ}" for row in want]
    assert backend.statements == statements


def test_a_download_too_many_is_refused_until_one_has_ended(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    go, begun = Event(), Semaphore(0)

    def slow(context: QueryContext) -> Iterator[str]:
        lines = csv_lines(context)
        begun.release()
        go.wait(30)
        return lines

    monkeypatch.setattr("pi_datasource.dashboard.app.csv_lines", slow)
    with (
        serving(create_app(LocalBackend(folder), clock=lambda: NOW)) as base,
        ThreadPoolExecutor(4) as readers,
    ):
        told = [readers.submit(get, base, "/ingestion/api/tag.csv", {"tag": "W3"}) for _ in range(4)]
        assert all(begun.acquire(timeout=10) for _ in told)
        refused = get(base, "/ingestion/api/tag.csv", {"tag": "W3"})
        go.set()
        assert (refused.status, refused.headers["retry-after"]) == (503, "5")
        assert refused.json()["words"] == "4 downloads are under way; try again when one has ended"
        assert [one.result().status for one in told] == [200] * 4
        assert [get(base, "/ingestion/api/tag.csv", {"tag": "W3"}).status for _ in range(6)] == [200] * 6


def test_parts_hold_whole_hours_up_to_a_number_of_events() -> None:
    hour = 3_600_000_000
    counts = [(0, 5), (hour, 5), (3 * hour, 1), (4 * hour, 50), (5 * hour, 2)]
    assert split_hours(counts, 10) == [
        (0, 2 * hour), (3 * hour, 4 * hour), (4 * hour, 5 * hour), (5 * hour, 6 * hour),
    ]  # fmt: skip
    assert split_hours([], 10) == []


@pytest.mark.parametrize("piece", [1, 2, 3, 7, 1000])
def test_pieces_of_a_download_neither_lose_nor_double_events(folder: Path, piece: int) -> None:
    rows = [lake.event("W", "T", NOW, float(n), ("A", "F")) | {"sequence": n} for n in range(10)]
    spare = folder.parent / f"pieces {piece}"
    lake.write(spare, rows)
    text = "".join(
        csv_lines(QueryContext(LocalBackend(spare), Selection.parse([], NOW), NOW, tag="W"), piece)
    )
    assert [line.split(",")[2:4] for line in text.split("\r\n")[1:-1]] == [
        [str(n), f"{n}.0"] for n in range(10)
    ]


def test_metrics_are_prometheus_text(base: str) -> None:
    answer = get(base, "/metrics")
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    samples = dict(line.rsplit(" ", 1) for line in answer.text.splitlines() if not line.startswith("#"))
    assert samples["pi_datasource_up"] == "1"
    stream = '{table="bronze",stream="stream-1"}'
    assert float(samples[f"pi_datasource_lag_seconds{stream}"]) == 60.0
    assert int(samples[f"pi_datasource_batches_total{stream}"]) == len(lake.batches())
    assert int(samples[f"pi_datasource_read_failures_total{stream}"]) == 0
    assert int(samples['pi_datasource_table_rows{table="bronze"}']) == len(lake.events())
    assert int(samples[f"pi_datasource_rows_read_total{stream}"]) == sum(
        b["rows_read"] for b in lake.batches()
    )
    assert samples['pi_datasource_errors_waiting{table="errors"}'] == "1"
    for name in {sample.partition("{")[0] for sample in samples}:
        assert f"# TYPE {name} " in answer.text
        assert f"# HELP {name} " in answer.text


@pytest.mark.parametrize("job", ["backfill ab12 21600s", "history ab12 cd34 21600s", "repair ab12"])
def test_what_fills_in_the_past_has_counters_and_no_lag(tmp_path: Path, job: str) -> None:
    lake.write(tmp_path)
    later = [{**row, "created_at": row["created_at"] + timedelta(seconds=30)} for row in lake.pieces(job)]
    lake.put(tmp_path, "checkpoints/pi_ingestion_checkpoint", later, lake.AUDIT)
    with serving(create_app(LocalBackend(tmp_path), clock=lambda: NOW)) as base:
        lines = get(base, "/metrics").text.splitlines()
    assert f'pi_datasource_batches_total{{table="bronze",stream="{job}"}} 6' in lines
    timed = [line for line in lines if re.match(r"pi_datasource_(lag|last_run_timestamp)_seconds\{", line)]
    assert [line.partition("{")[2].partition("}")[0] for line in timed] == [
        'table="bronze",stream="stream-1"'
    ] * 2


def test_a_stream_given_up_keeps_its_counters_and_raises_no_alarm(tmp_path: Path) -> None:
    lake.write(tmp_path)
    old = [
        {**batch, "stream_id": 'old "\\\n', "created_at": batch["created_at"] - timedelta(days=8)}
        for batch in lake.batches()
    ]
    lake.put(tmp_path, "checkpoints/pi_ingestion_checkpoint", old, lake.AUDIT)
    with serving(create_app(LocalBackend(tmp_path), clock=lambda: NOW)) as base:
        lines = get(base, "/metrics").text.splitlines()
    labels = r'{table="bronze",stream="old \"\\\n"}'
    assert f"pi_datasource_batches_total{labels} 6" in lines
    assert [line for line in lines if line.startswith("pi_datasource_lag_seconds{")] == [
        'pi_datasource_lag_seconds{table="bronze",stream="stream-1"} 60.0'
    ]


class Broken:
    """A back end that cannot be asked."""

    def columns(self) -> Any:
        message = "the tables are on the moon"
        raise TablesUnavailable(message)

    sizes = columns

    def rows(self, _: Any) -> Any:
        return self.columns()

    def describe(self) -> str:
        return "the moon"


def test_tables_that_cannot_be_read_are_told_and_the_program_lives() -> None:
    with serving(create_app(Broken(), clock=lambda: NOW)) as base:  # type: ignore[arg-type]
        told = get(base, "/ingestion/api/kpis")
        assert (told.status, told.json()["words"]) == (503, "the tables are on the moon")
        download = get(base, "/ingestion/api/tag.csv", {"tag": "W1"})
        assert (download.status, download.json()["words"]) == (503, "the tables are on the moon")
        assert get(base, "/healthz").json() == {"status": "ok", "tables": "the moon"}
        assert get(base, "/metrics").text.splitlines()[-1] == "pi_datasource_up 0"
        assert get(base, "/ingestion").status == 200


class Slow(LocalBackend):
    """ResultCache nothing until ``go`` is set; ``asked`` is set by the first statement."""

    def __init__(self, lakehouse: Path) -> None:
        super().__init__(lakehouse)
        self.asked, self.go = Event(), Event()

    def rows(self, statement: Any) -> Any:
        self.asked.set()
        self.go.wait(60)
        return super().rows(statement)


def test_slow_questions_leave_room_for_others_and_are_bounded(folder: Path) -> None:
    backend = Slow(folder)
    with (
        serving(create_app(backend, clock=lambda: NOW, wait_s=1000)) as base,
        ThreadPoolExecutor(60) as readers,
    ):
        told = [readers.submit(get, base, "/ingestion/api/tags", {"q": str(n)}) for n in range(60)]
        try:
            refused = [one.result() for one in islice(as_completed(told, 30), 24)]
            for path in ("/healthz", "/ingestion", "/ingestion/static/app.css", "/ingestion/api"):
                with urllib.request.urlopen(base + path, timeout=10) as answer:
                    assert answer.status == 200
        finally:
            backend.go.set()
        assert {(one.status, one.headers["retry-after"]) for one in refused} == {(503, "5")}
        assert (
            refused[0].json()["words"] == "36 queries are already running or waiting; try again in a moment"
        )
        assert sorted(one.result().status for one in told) == [200] * 36 + [503] * 24


def test_home_leads_to_the_page(base: str) -> None:
    assert "Ingestion runs" in get(base, "/").text


def test_figures_are_valid_json_even_for_numbers_that_are_none(tmp_path: Path) -> None:
    rows = [lake.event("W", "T", NOW, value, ("A", "F")) for value in (float("nan"), float("inf"), 1.0)]
    lake.write(tmp_path, [{**row, "sequence": n} for n, row in enumerate(rows)])
    with serving(create_app(LocalBackend(tmp_path), clock=lambda: NOW)) as base:
        for name in PANELS:
            answer = get(base, f"/ingestion/api/{name}", {"tag": "W"})
            assert answer.status == 200, answer.text
            json.loads(answer.body, parse_constant=pytest.fail)
