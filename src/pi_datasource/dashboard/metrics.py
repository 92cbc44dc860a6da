"""The figures of ``/metrics``, in Prometheus' text format."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pi_datasource.dashboard.backend import Row
from pi_datasource.dashboard.health_text import FORGOTTEN_S
from pi_datasource.dashboard.queries import Ask, Query
from pi_datasource.schema import is_past_job

__all__ = ["CONTENT_TYPE", "figures", "render"]

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_LEDGER = Query(
    "SELECT stream_id, count(*) AS batches, coalesce(sum(rows_read), 0) AS rows_read, "
    "coalesce(sum(read_failures), 0) AS failures, unix_micros(max(window_end)) AS read_until, "
    "unix_micros(max(created_at)) AS last_run FROM {ledger} GROUP BY stream_id ORDER BY last_run DESC, stream_id"
)
_WAITING = Query(
    "SELECT count(*) AS waiting FROM {errors} WHERE repaired_at IS NULL AND dismissed_at IS NULL"
)

_FAMILIES: tuple[tuple[str, str, str], ...] = (
    ("pi_datasource_up", "gauge", "Whether the tables could be read: 1 or 0."),
    ("pi_datasource_table_rows", "gauge", "Rows in each table."),
    (
        "pi_datasource_lag_seconds",
        "gauge",
        "How far the end of what a stream has read is behind the present.",
    ),
    ("pi_datasource_last_run_timestamp_seconds", "gauge", "When a stream wrote its last micro-batch."),
    ("pi_datasource_batches_total", "counter", "Micro-batches written."),
    ("pi_datasource_rows_read_total", "counter", "Events read from the PI server."),
    ("pi_datasource_read_failures_total", "counter", "Tags and windows that could not be read."),
    ("pi_datasource_errors_waiting", "gauge", "Tags and windows that wait for repair."),
)


def figures(ask: Ask) -> dict[str, Any]:
    """The figures by name; those of tables that do not exist are left out.

    Raises:
        TablesUnavailable: a table could not be read.
    """
    columns = ask.backend.columns()
    sizes = {_labels(table=key): rows for key, rows in sorted(ask.backend.sizes().items())}
    found: dict[str, Any] = {"pi_datasource_table_rows": sizes} if sizes else {}
    if "ledger" in columns:
        found |= _of_streams(ask(_LEDGER), ask.now_us)
    if "errors" in columns:
        found["pi_datasource_errors_waiting"] = {_labels(table="errors"): ask.one(_WAITING)["waiting"]}
    return found


def _of_streams(rows: Sequence[Row], now_us: int) -> dict[str, Any]:
    """Counters of every stream, which must never fall; the lag of those that have not been given up.

    A backfill, a repair and the history of a new tag have no lag: they end when they are done. A stream that has been silent for a week was replaced by another, and its lag would only raise alarms. The newest
    one is told however old it is.
    """
    found: dict[str, Any] = {}
    newest = next((row["stream_id"] for row in rows if not is_past_job(row["stream_id"])), None)
    for row in rows:
        labels = _labels(table="bronze", stream=row["stream_id"])
        figures = {"batches_total": row["batches"], "rows_read_total": row["rows_read"]}
        figures["read_failures_total"] = row["failures"]
        living = now_us - row["last_run"] < FORGOTTEN_S * 1e6 and not is_past_job(row["stream_id"])
        if living or row["stream_id"] == newest:
            figures["lag_seconds"] = max(0.0, (now_us - row["read_until"]) / 1e6)
            figures["last_run_timestamp_seconds"] = row["last_run"] / 1e6
        for name, value in figures.items():
            found.setdefault(f"pi_datasource_{name}", {})[labels] = value
    return found


def _labels(**labels: str) -> str:
    escaped = {
        name: text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
        for name, text in labels.items()
    }
    return "{" + ",".join(f'{name}="{text}"' for name, text in escaped.items()) + "}"


def render(found: Mapping[str, Any], *, up: bool) -> str:
    """The page that Prometheus reads."""
    lines = []
    for name, kind, meaning in _FAMILIES:
        value = int(up) if name == "pi_datasource_up" else found.get(name)
        if value is None:
            continue
        lines += [f"# HELP {name} {meaning}", f"# TYPE {name} {kind}"]
        samples = value if isinstance(value, Mapping) else {"": value}
        lines += [f"{name}{labels} {figure}" for labels, figure in samples.items()]
    return "\n".join(lines) + "\n"
