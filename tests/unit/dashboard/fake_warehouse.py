"""A Databricks workspace that runs statements: real HTTP, and duckdb over a lakehouse folder behind it.

It speaks the Statement Execution API as the SDK calls it. What it is told to do with the next statements stands in
``plan``; without a plan a statement succeeds at once.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Lock, Thread
from typing import Any

import duckdb
from deltalake import DeltaTable

TOKEN = "dapi-fake-0123456789"
PATH = "/api/2.0/sql/statements"
TYPES = {"BIGINT": "LONG", "HUGEINT": "DECIMAL", "INTEGER": "INT", "DOUBLE": "DOUBLE", "BOOLEAN": "BOOLEAN"}


@dataclass
class Plan:
    """What happens to one statement: an HTTP status instead of an answer, polls before it ends, and how it ends."""

    status: int = 200
    polls: int = 0
    end: str = "SUCCEEDED"
    error: dict[str, str] | None = None
    headers: dict[str, str] = field(default_factory=dict)


class FakeWarehouse:
    """Tables of a folder as schema ``bronze`` and so on of a catalog, read only through SQL."""

    def __init__(self, lakehouse: Path, catalog: str = "osipi", chunk_rows: int = 500) -> None:
        self.plan: list[Plan] = []
        self.always: Plan | None = None
        self.asked: list[dict[str, Any]] = []
        self.chunks_sent = 0
        self.cancelled: list[str] = []
        self.chunk_rows = chunk_rows
        self._lock = Lock()
        self._results: dict[str, tuple[Plan, Any]] = {}
        self._database = duckdb.connect()
        self._database.execute("SET TimeZone = 'UTC'")
        self._database.execute(f"ATTACH ':memory:' AS {catalog}")
        self._database.execute(f"USE {catalog}")
        # What Spark's SQL has and duckdb lacks, written a second time.
        for macro in (
            "unix_micros(t) AS epoch_us(t)",
            "timestamp_micros(n) AS make_timestamptz(n)",
            "pmod(a, b) AS a - b * CAST(floor(a / b) AS BIGINT)",
        ):
            self._database.execute(f"CREATE MACRO {macro}")
        for log in sorted(lakehouse.glob("*/*/_delta_log")):
            schema, name = log.parent.parts[-2:]
            self._database.execute(f"CREATE SCHEMA IF NOT EXISTS {schema}")
            self._database.register("source", DeltaTable(str(log.parent)).to_pyarrow_table())
            self._database.execute(f"CREATE TABLE {schema}.{name} AS FROM source")

    def reset(self) -> None:
        """As it was in the beginning; the tables stay."""
        self.plan, self.always, self.asked, self.cancelled = [], None, [], []
        self.chunks_sent, self.chunk_rows = 0, 500
        self._results.clear()

    def post(self, body: dict[str, Any]) -> tuple[int, dict[str, Any], dict[str, str]]:
        """``POST /api/2.0/sql/statements``."""
        with self._lock:
            self.asked.append(body)
            plan = self.always or (self.plan.pop(0) if self.plan else Plan())
            if plan.status != 200:
                return plan.status, plan.error or {}, plan.headers
            identity = f"s-{len(self.asked)}"
            self._results[identity] = (plan, None if plan.polls else self._run(body))
            return 200, self._state(identity), {}

    def get(self, identity: str) -> dict[str, Any]:
        """``GET /api/2.0/sql/statements/ID``."""
        with self._lock:
            plan, result = self._results[identity]
            if plan.polls:
                plan.polls -= 1
            if not plan.polls and result is None and plan.end == "SUCCEEDED":
                self._results[identity] = (plan, self._run(self.asked[int(identity[2:]) - 1]))
            return self._state(identity)

    def chunk(self, identity: str, index: int) -> dict[str, Any]:
        """``GET /api/2.0/sql/statements/ID/result/chunks/N``."""
        with self._lock:
            self.chunks_sent += 1
            return self._chunk(self._results[identity][1], index)

    def _state(self, identity: str) -> dict[str, Any]:
        plan, result = self._results[identity]
        if plan.polls:
            return {"statement_id": identity, "status": {"state": "RUNNING"}}
        if plan.end != "SUCCEEDED":
            return {"statement_id": identity, "status": {"state": plan.end, "error": plan.error}}
        if isinstance(result, str):
            error = {"error_code": "BAD_REQUEST", "message": result}
            return {"statement_id": identity, "status": {"state": "FAILED", "error": error}}
        columns, _ = result
        return {
            "statement_id": identity,
            "status": {"state": "SUCCEEDED"},
            "manifest": {"format": "JSON_ARRAY", "truncated": False, "schema": {"columns": columns}},
            "result": self._chunk(result, 0),
        }

    def _chunk(self, result: Any, index: int) -> dict[str, Any]:
        _, rows = result
        first = index * self.chunk_rows
        part = {
            "chunk_index": index,
            "row_offset": first,
            "data_array": rows[first : first + self.chunk_rows],
        }
        if not rows:
            del part["data_array"]
        if first + self.chunk_rows < len(rows):
            part["next_chunk_index"] = index + 1
        return part

    def _run(self, body: dict[str, Any]) -> Any:
        sql = body["statement"].replace("`osipi`.information_schema", "system.information_schema")
        sql = re.sub(r"(?<![:\w]):([a-z_]\w*)", r"$\1", sql.replace("`", '"'))
        casts = {"BIGINT": int, "DOUBLE": float, "STRING": str}
        values = {p["name"]: casts[p["type"]](p["value"]) for p in body.get("parameters", [])}
        try:
            answer = self._database.execute(sql, values)
            names = [(column[0], str(column[1])) for column in answer.description or ()]
            rows = [[_text(value) for value in row] for row in answer.fetchall()]
        except duckdb.Error as error:
            return str(error)
        return [{"name": name, "type_name": TYPES.get(kind, "STRING")} for name, kind in names], rows


def _text(value: Any) -> str | None:
    if value is None:
        return None
    return str(value).lower() if isinstance(value, bool) else str(value)


class Workspace(ThreadingHTTPServer):
    """A workspace with one warehouse."""

    def __init__(self, warehouse: FakeWarehouse) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.warehouse = warehouse


class Handler(BaseHTTPRequestHandler):
    """The part of the REST API that the dashboard uses."""

    protocol_version = "HTTP/1.1"
    server: Workspace

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"] or 0))
        if self.headers["Authorization"] != f"Bearer {TOKEN}":
            self._send(401, {"error_code": "UNAUTHENTICATED", "message": "Invalid access token."})
        elif self.path.rstrip("/") == PATH:
            self._send(*self.server.warehouse.post(json.loads(body)))
        elif self.path.endswith("/cancel"):
            self.server.warehouse.cancelled.append(self.path.split("/")[-2])
            self._send(200, {})
        else:
            self._send(404, {"error_code": "ENDPOINT_NOT_FOUND", "message": self.path})

    def do_GET(self) -> None:
        parts = self.path.removeprefix(PATH).strip("/").split("/")
        if not self.path.startswith(PATH):
            self._send(404, {"error_code": "ENDPOINT_NOT_FOUND", "message": self.path})
        elif len(parts) == 1:
            self._send(200, self.server.warehouse.get(parts[0]))
        else:
            self._send(200, self.server.warehouse.chunk(parts[0], int(parts[-1])))

    def _send(self, status: int, body: dict[str, Any], headers: dict[str, str] | None = None) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        for name, value in {**(headers or {}), "Content-Type": "application/json"}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: Any) -> None:
        """Nothing on stderr."""


@contextmanager
def workspace(warehouse: FakeWarehouse) -> Iterator[str]:
    """The address of the workspace while the block runs."""
    server = Workspace(warehouse)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)
