"""A small lakehouse written without Spark, whose every row is known to the tests."""

from __future__ import annotations

import math
import statistics
from collections import defaultdict
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pyarrow as pa
from deltalake import write_deltalake

from pi_datasource import schema

NOW = datetime(2026, 3, 1, 6, 0, 30, tzinfo=timezone.utc)
NASTY = "<img src=x onerror=document.title='hacked'> \"' & ;DROP TABLE t-- 😀 \u202eمرحبا"
EVENTS = schema.timeseries(["plant", "sensor_type"])
MOMENT = schema.TIMESTAMP


def events() -> list[dict[str, Any]]:
    """Thirty hours of four tags: a steady number, a slow one with states, one that fell silent, one with a nasty name."""
    rows = []
    start = NOW - timedelta(hours=30)
    for step in range(30 * 60):
        at = start + timedelta(minutes=step, microseconds=step % 7 * 100_001)
        bad = step % 97 == 0
        rows.append(event("W1", "A.FLOW.1", at, None if bad else step * 0.5, ("A", "FLOW"), good=not bad))
        if step % 20 == 0:
            rows.append(_state("W2", "B.PUMP.1", at, ("on", "off")[step // 40 % 2]))
            rows.append(event("W3", NASTY, at, float(step), (NASTY, "<b>TYPE</b>"), units="°C <i>"))
        if step < 20 * 60:
            rows.append(event("W4", "B.TEMP.1", at, 20.0 + step % 5, ("B", "TEMP")))
    rows += [{**rows[-1], "sequence": number} for number in (1, 2)]  # three events on one timestamp
    return rows


def event(
    tag: str,
    name: str,
    at: datetime,
    value: float | None,
    group: tuple[str, str],
    *,
    good: bool = True,
    units: str = "m",
) -> dict[str, Any]:
    """One row of bronze; ``group`` is plant and sensor type, and a value of None is a system state."""
    state = {} if value is not None else {"value_string": "Bad Input", "state_code": 255}
    return {
        "tag_webid": tag,
        "tag_name": name,
        "timestamp": at,
        "sequence": 0,
        "value": value,
        **state,
        "value_kind": "number" if value is not None else "system",
        "good": good,
        "questionable": False,
        "substituted": False,
        "annotated": False,
        "units": units,
        "point_type": "Float32",
        "plant": group[0],
        "sensor_type": group[1],
        "ingestion_timestamp": NOW,
    }


def _state(tag: str, name: str, at: datetime, state: str) -> dict[str, Any]:
    row = event(tag, name, at, None, ("B", "PUMP"), units="")
    return {**row, "value_kind": "digital", "value_string": state, "state_code": int(state == "on")}


def hours(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The hourly table of ``rows``, worked out in plain Python."""
    groups: dict[tuple[str, datetime], list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        groups[row["tag_webid"], row["timestamp"].replace(minute=0, second=0, microsecond=0)].append(row)
    return [
        {
            **{name: group[-1][name] for name in ("tag_webid", "tag_name", "plant", "sensor_type", "units")},
            "hour": hour,
            "event_count": len(group),
            "good_count": sum(row["good"] for row in group),
            **_figures([row["value"] for row in group if row["good"] and row["value"] is not None]),
            "last_value_string": max(group, key=_order).get("value_string"),
        }
        for (_, hour), group in groups.items()
    ]


def _order(row: dict[str, Any]) -> tuple[datetime, int]:
    return row["timestamp"], row["sequence"]


def _figures(numbers: list[float]) -> dict[str, float | None]:
    numbers = [number for number in numbers if math.isfinite(number)]
    if not numbers:
        return {"min_value": None, "max_value": None, "mean_value": None}
    return {"min_value": min(numbers), "max_value": max(numbers), "mean_value": statistics.fmean(numbers)}


def batches(count: int = 6, **more: Any) -> list[dict[str, Any]]:
    """Rows of the audit table, one in five minutes, the last one a minute ago."""
    return [
        {
            "stream_id": "stream-1",
            "batch_id": number,
            "window_start": NOW - timedelta(minutes=5 * (count - number) + 1),
            "window_end": NOW - timedelta(minutes=5 * (count - number - 1) + 1),
            "tags": 4,
            "rows_read": 100 + number,
            "rows_inserted": 90 + number,
            "rows_updated": number,
            "read_failures": 0,
            "seconds": 2.5,
            "lag_seconds": 3.0,
            "created_at": NOW - timedelta(minutes=5 * (count - number - 1) + 1) + timedelta(seconds=3),
            **more,
        }
        for number in range(count)
    ]


def pieces(stream_id: str, age: timedelta = timedelta(days=400)) -> list[dict[str, Any]]:
    """Rows of the audit table of a job that has filled in a past so long ago; the last one was written 57 seconds ago."""
    moved = {"stream_id": stream_id, "lag_seconds": age.total_seconds()}
    return [
        {**row, **moved, **{name: row[name] - age for name in ("window_start", "window_end")}}
        for row in batches()
    ]


AUDIT = pa.schema(
    [
        ("stream_id", pa.string()),
        ("batch_id", pa.int64()),
        ("window_start", MOMENT),
        ("window_end", MOMENT),
        *(
            (name, pa.int64())
            for name in ("tags", "rows_read", "rows_inserted", "rows_updated", "read_failures")
        ),
        ("seconds", pa.float64()),
        ("lag_seconds", pa.float64()),
        ("created_at", MOMENT),
    ]
)
HOURS = pa.schema(
    [
        ("tag_webid", pa.string()),
        ("hour", MOMENT),
        *((name, pa.string()) for name in ("tag_name", "plant", "sensor_type", "units")),
        ("event_count", pa.int64()),
        ("good_count", pa.int64()),
        *((name, pa.float64()) for name in ("min_value", "max_value", "mean_value")),
        ("last_value_string", pa.string()),
    ]
)
FAILURES = pa.schema(
    [
        ("tag_webid", pa.string()),
        ("tag_name", pa.string()),
        ("window_start", MOMENT),
        ("window_end", MOMENT),
        ("status", pa.int32()),
        ("message", pa.string()),
        ("repaired_at", MOMENT),
    ]
)


def failures() -> list[dict[str, Any]]:
    """One failure that was repaired and one that waits, with a message of the nasty kind."""
    waiting = {
        "tag_webid": "W3",
        "tag_name": NASTY,
        "window_start": NOW - timedelta(hours=1),
        "window_end": NOW,
        "status": 502,
        "message": f"HTTP 502: {NASTY}",
        "repaired_at": None,
    }
    return [waiting, {**waiting, "tag_webid": "W1", "repaired_at": NOW}]


def write(folder: Path, rows: list[dict[str, Any]] | None = None) -> list[dict[str, Any]]:
    """Writes all tables below ``folder``, bronze in three files by time; returns the events."""
    rows = events() if rows is None else rows
    third = max(1, len(rows) // 3)
    for first in range(0, len(rows), third):
        put(folder, "bronze/pi_timeseries", rows[first : first + third], EVENTS)
    put(folder, "gold/pi_metrics_hourly", hours(rows), HOURS)
    put(folder, "checkpoints/pi_ingestion_checkpoint", batches(), AUDIT)
    put(folder, "bronze/pi_timeseries_errors", failures(), FAILURES)
    return rows


def put(folder: Path, table: str, rows: list[dict[str, Any]], columns: pa.Schema) -> None:
    """Appends ``rows`` to a table, which is made when it is not there; new columns are added."""
    write_deltalake(
        str(folder / table), pa.Table.from_pylist(rows, columns), mode="append", schema_mode="merge"
    )
