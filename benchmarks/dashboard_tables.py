"""Creates large tables for the dashboard's benchmark: bronze, gold and audit as after a month of ingestion."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path

import duckdb
import pyarrow as pa
from deltalake import DeltaTable, write_deltalake

END = datetime(2026, 3, 1, tzinfo=timezone.utc)
DAYS = 30
FILES = 60
TAGS = 1000
PLANTS = 4
TYPES = ("FLOW", "TEMP", "PRES", "LEVEL", "VIB", "POWER", "COUNT", "VALVE")

# Rows in the order in which they come: by time, all tags mixed, as micro-batches append them. The readings are noise
# around a sine; one event in 200 is a system state, one in 100 is questionable.
_EVENTS = """
WITH numbered AS (
    SELECT n, (n % {tags})::INTEGER AS tag, {start}::BIGINT + (n * {span} // {rows}) AS us, random() AS noise
    FROM range({rows}) AS numbers(n))
SELECT 'I1DPbench' || lpad(tag::VARCHAR, 12, '0') AS tag_webid,
       'PLANT' || (tag % {plants}) || '.A1.' || ({types})[1 + tag // {plants} % {kinds}] || '_' || lpad(tag::VARCHAR, 4, '0')
           || '.PV' AS tag_name,
       make_timestamptz(us) AS timestamp, 0::INTEGER AS sequence,
       CASE WHEN noise < 0.005 THEN NULL ELSE 100 + 20 * sin(us / 4e9 + tag) + noise END AS value,
       CASE WHEN noise < 0.005 THEN 'Bad Input' END AS value_string,
       CASE WHEN noise < 0.005 THEN 255 END::INTEGER AS state_code,
       CASE WHEN noise < 0.005 THEN 'system' ELSE 'number' END AS value_kind,
       noise >= 0.005 AS good, noise > 0.99 AS questionable, false AS substituted, false AS annotated,
       'm3/h' AS units, 'Float32' AS point_type, 'PLANT' || (tag % {plants}) AS plant,
       ({types})[1 + tag // {plants} % {kinds}] AS sensor_type, make_timestamptz({ingested}::BIGINT) AS ingestion_timestamp
FROM numbered ORDER BY us
"""
_HOURS = """
SELECT tag_webid, time_bucket(INTERVAL 1 HOUR, timestamp) AS hour, max(tag_name) AS tag_name, max(plant) AS plant,
       max(sensor_type) AS sensor_type, max(units) AS units, count(*) AS event_count,
       count(*) FILTER (good) AS good_count, count(*) FILTER (good) / count(*) AS good_share,
       min(value) AS min_value, max(value) AS max_value, avg(value) AS mean_value,
       arg_min(value, timestamp) AS first_value, arg_max(value, timestamp) AS last_value,
       arg_max(value_string, timestamp) AS last_value_string
FROM events GROUP BY tag_webid, time_bucket(INTERVAL 1 HOUR, timestamp)
"""


def make(lakehouse: Path, rows: int) -> None:
    """Tables with ``rows`` events over 30 days below ``lakehouse``; existing ones are kept."""
    bronze, gold = lakehouse / "bronze/pi_timeseries", lakehouse / "gold/pi_metrics_hourly"
    done = DeltaTable(str(bronze)).version() + 1 if (bronze / "_delta_log").is_dir() else 0
    made = connection()
    span = timedelta(days=DAYS) / FILES
    for number in range(done, FILES):
        start = END - timedelta(days=DAYS) + number * span
        made.execute(f"CREATE OR REPLACE TEMP TABLE events AS {events(start, span, rows // FILES)}")
        write_deltalake(str(gold), made.execute(_HOURS).to_arrow_table(), mode="append")
        write_deltalake(str(bronze), made.execute("FROM events").to_arrow_table(), mode="append")
        sys.stderr.write(f"  file {number + 1} of {FILES}\n")
    if not (lakehouse / "checkpoints/pi_ingestion_checkpoint/_delta_log").is_dir():
        write_deltalake(
            str(lakehouse / "checkpoints/pi_ingestion_checkpoint"), pa.Table.from_pylist(list(_audit(rows)))
        )
    if not (lakehouse / "bronze/pi_timeseries_errors/_delta_log").is_dir():
        write_deltalake(str(lakehouse / "bronze/pi_timeseries_errors"), _errors())


def connection() -> duckdb.DuckDBPyConnection:
    """A database in memory that gives the same events at each run."""
    opened = duckdb.connect()
    opened.execute("SET TimeZone = 'UTC'")
    opened.execute("SELECT setseed(0.5)")
    return opened


def events(start: datetime, span: timedelta, rows: int) -> str:
    """The query of ``rows`` events of all tags, evenly over ``[start, start + span)``."""
    return _EVENTS.format(
        tags=TAGS,
        plants=PLANTS,
        types=list(TYPES),
        kinds=len(TYPES),
        rows=rows,
        start=int(start.timestamp() * 1e6),
        span=int(span.total_seconds() * 1e6),
        ingested=int((start + span).timestamp() * 1e6),
    )


def _audit(rows: int) -> Iterator[dict[str, object]]:
    batches = DAYS * 96
    for number in range(batches):
        end = END - timedelta(minutes=15) * (batches - 1 - number)
        yield {
            "stream_id": "bench",
            "batch_id": number,
            "window_start": end - timedelta(minutes=15),
            "window_end": end,
            "tags": TAGS,
            "rows_read": rows // batches,
            "rows_inserted": rows // batches,
            "rows_updated": 0,
            "read_failures": 0,
            "seconds": 20.0,
            "lag_seconds": 5.0,
            "created_at": end + timedelta(seconds=25),
        }


def _errors() -> pa.Table:
    moment = pa.timestamp("us", tz="UTC")
    fields = [
        ("tag_webid", pa.string()),
        ("tag_name", pa.string()),
        ("window_start", moment),
        ("window_end", moment),
    ]
    fields += [
        ("status", pa.int32()),
        ("message", pa.string()),
        ("repaired_at", moment),
        ("ingestion_timestamp", moment),
    ]
    return pa.schema(fields).empty_table()
