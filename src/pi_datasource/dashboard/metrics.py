"""The metrics of ``/metrics``, in Prometheus' text format."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pi_datasource.dashboard.backend import Row
from pi_datasource.dashboard.health_text import INACTIVE_AFTER_S
from pi_datasource.dashboard.panels.pipeline import FAILED, WAITING
from pi_datasource.dashboard.queries import Query, QueryContext
from pi_datasource.schema import DONE_RUN, NOT_OVERLAP, is_past_job

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_STREAMS = Query(
    f"SELECT stream_id, sum(CASE WHEN {NOT_OVERLAP} THEN 1 ELSE 0 END) AS batches, coalesce(sum(rows_read), 0) AS rows_read, "
    "coalesce(sum(read_failures), 0) AS failures, unix_micros(max(window_end)) AS read_until, "
    f"unix_micros(max(created_at)) AS last_run FROM {{audit}} WHERE {DONE_RUN} GROUP BY stream_id ORDER BY last_run DESC, stream_id"
)
_FAMILIES: Mapping[str, tuple[str, str]] = {
    "up": ("gauge", "Whether the tables could be read: 1 or 0."),
    "table_rows": ("gauge", "Rows in each table."),
    "lag_seconds": ("gauge", "How far the end of what a stream has read is behind the present."),
    "last_run_timestamp_seconds": ("gauge", "When a stream wrote its last micro-batch."),
    "batches_total": ("counter", "Micro-batches written."),
    "rows_read_total": ("counter", "Events read from the PI server."),
    "read_failures_total": ("counter", "Tags and windows that could not be read."),
    "runs_failed": (
        "gauge",
        "Micro-batches, pieces of a backfill and repairs that failed and were not repeated since.",
    ),
    "errors_waiting": ("gauge", "Tags and windows that wait for repair."),
}


def collect(context: QueryContext) -> dict[str, Any]:
    """The values of each metric by their labels; metrics of tables that do not exist are omitted.

    Raises:
        TablesUnavailable: a table could not be read.
    """
    columns = context.backend.columns()
    sizes = {_labels(table=key): rows for key, rows in sorted(context.backend.sizes().items())}
    found: dict[str, Any] = {"table_rows": sizes} if sizes else {}
    if "audit" in columns:
        found |= _of_streams(context.rows(_STREAMS), context.now_us)
        failed = context.rows(FAILED)
        found["runs_failed"] = {_labels(stream=row["stream_id"]): row["runs"] for row in failed}
    if "errors" in columns:
        found["errors_waiting"] = {_labels(table="errors"): context.one(WAITING)["waiting"]}
    return found


def _of_streams(rows: Sequence[Row], now_us: int) -> dict[str, Any]:
    """Counters of every stream, which must never decrease; the lag of active streams only.

    A backfill, a repair and the history of a new tag have no lag: they end when they are done. A stream without a run
    for a week was replaced by another, and its lag would only raise alarms. The newest stream is always included.
    """
    found: dict[str, Any] = {}
    newest = next((row["stream_id"] for row in rows if not is_past_job(row["stream_id"])), None)
    for row in rows:
        labels = _labels(table="bronze", stream=row["stream_id"])
        values = {"batches_total": row["batches"], "rows_read_total": row["rows_read"]}
        values["read_failures_total"] = row["failures"]
        active = now_us - row["last_run"] < INACTIVE_AFTER_S * 1e6 and not is_past_job(row["stream_id"])
        if active or row["stream_id"] == newest:
            values["lag_seconds"] = max(0.0, (now_us - row["read_until"]) / 1e6)
            values["last_run_timestamp_seconds"] = row["last_run"] / 1e6
        for name, value in values.items():
            found.setdefault(name, {})[labels] = value
    return found


def _labels(**labels: str) -> str:
    escaped = {
        name: text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
        for name, text in labels.items()
    }
    return "{" + ",".join(f'{name}="{text}"' for name, text in escaped.items()) + "}"


def render(found: Mapping[str, Any], *, up: bool) -> str:
    """The text that Prometheus scrapes."""
    lines = []
    for name, (kind, meaning) in _FAMILIES.items():
        samples = {"": int(up)} if name == "up" else found.get(name)
        if samples is not None:
            full = f"pi_datasource_{name}"
            lines += [f"# HELP {full} {meaning}", f"# TYPE {full} {kind}"]
            lines += [f"{full}{labels} {value}" for labels, value in samples.items()]
    return "\n".join(lines) + "\n"
