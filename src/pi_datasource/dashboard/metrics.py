"""The figures of ``/metrics``, in Prometheus' text format."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pi_datasource.dashboard.asking import Ask, Query

__all__ = ["CONTENT_TYPE", "figures", "render"]

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_LEDGER = Query(
    "SELECT count(*) AS batches, coalesce(sum(rows_read), 0) AS rows_read, coalesce(sum(read_failures), 0) AS failures, "
    "unix_micros(max(window_end)) AS read_until, unix_micros(max(created_at)) AS last_run FROM {ledger}"
)
_WAITING = Query("SELECT count(*) AS waiting FROM {errors} WHERE repaired_at IS NULL")

_FAMILIES: tuple[tuple[str, str, str], ...] = (
    ("pi_datasource_up", "gauge", "Whether the tables could be read: 1 or 0."),
    ("pi_datasource_table_rows", "gauge", "Rows in each table."),
    ("pi_datasource_lag_seconds", "gauge", "How far the end of what has been read is behind the present."),
    ("pi_datasource_last_run_timestamp_seconds", "gauge", "When the last micro-batch was written."),
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
    found: dict[str, Any] = {"pi_datasource_table_rows": dict(ask.backend.sizes())}
    if "ledger" in columns:
        row = ask.one(_LEDGER)
        found["pi_datasource_batches_total"] = row["batches"]
        found["pi_datasource_rows_read_total"] = row["rows_read"]
        found["pi_datasource_read_failures_total"] = row["failures"]
        if row["read_until"] is not None:
            found["pi_datasource_lag_seconds"] = max(0.0, (ask.now_us - row["read_until"]) / 1e6)
            found["pi_datasource_last_run_timestamp_seconds"] = row["last_run"] / 1e6
    if "errors" in columns:
        found["pi_datasource_errors_waiting"] = ask.one(_WAITING)["waiting"]
    return found


def render(found: Mapping[str, Any], *, up: bool) -> str:
    """The page that Prometheus reads."""
    lines = []
    for name, kind, meaning in _FAMILIES:
        value = int(up) if name == "pi_datasource_up" else found.get(name)
        if value is None:
            continue
        lines += [f"# HELP {name} {meaning}", f"# TYPE {name} {kind}"]
        if isinstance(value, Mapping):
            lines += [f'{name}{{table="{key}"}} {count}' for key, count in sorted(value.items())]
        else:
            lines.append(f"{name} {value}")
    return "\n".join(lines) + "\n"
