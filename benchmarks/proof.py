"""Compares a lakehouse with the oracle: bronze with its events, gold with bronze; the audit has one row per batch."""

from __future__ import annotations

import sys
from datetime import datetime
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from mock_server import Plant
from pi_datasource.delta import Lakehouse

sys.path.append(str(Path(__file__).resolve().parents[1] / "scripts"))
import itertools

from oracle_check import compare, read_delta


def proven(
    lake: Lakehouse, plant: Plant, start: datetime, end: datetime, as_of: datetime | None = None
) -> str:
    """Returns a summary of the comparison; the tables are in a folder and are those of one stream of all tags.

    Raises:
        AssertionError: something differs.
    """
    bronze, points, gold, audit = (
        read_delta(f"{lake.directory}/{name.replace('`', '').replace('.', '/')}")
        for name in (lake.bronze, lake.points, lake.gold, lake.audit)
    )
    comparison = compare(plant, bronze, start, end, as_of=as_of)
    assert comparison.equal, str(comparison)
    assert_gold_of_bronze(bronze, points, gold)
    batches = assert_one_audit_row_per_batch(audit)
    return (
        f"{comparison}; {gold.num_rows:,} hours are as recomputed; {batches} batches have one audit row each"
    )


def assert_one_audit_row_per_batch(audit: pa.Table) -> int:
    """Fails unless the batches of the only stream are numbered without gap and their windows join; how many there are.

    A batch has up to one row for its overlap besides.
    """
    overlap = pc.equal(pc.fill_null(audit["kind"], ""), "overlap")
    behind = audit.filter(overlap)["batch_id"].to_pylist()
    assert len(behind) == len(set(behind))
    audit = audit.filter(pc.invert(overlap))
    rows = audit.select(["batch_id", "window_start", "window_end"]).sort_by("batch_id").to_pylist()
    assert [row["batch_id"] for row in rows] == list(range(len(rows)))
    assert all(a["window_end"] == b["window_start"] for a, b in itertools.pairwise(rows))
    return len(rows)


def assert_gold_of_bronze(bronze: pa.Table, points: pa.Table, gold: pa.Table) -> None:
    """Fails unless ``gold`` has exactly the hours of ``bronze``, with their figures."""
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    for name, table in (("bronze", bronze), ("points", points), ("gold", gold)):
        connection.register(name, table)
    for one, other in ((_WANT, _GOT), (_GOT, _WANT)):
        assert connection.execute(f"({one}) EXCEPT ALL ({other})").fetchall() == []
    rows, *distances = connection.execute(_DISTANCES).fetchall()[0]
    assert rows == gold.num_rows
    assert max(distances) < 1e-9
    assert gold["updated_at"].null_count == 0


_WANT = """
SELECT tag_webid, date_trunc('hour', timestamp) AS hour, max(tag_name), max(plant), max(sensor_type),
       count(*), count(*) FILTER (good), count(value) FILTER (good), count(*) FILTER (questionable),
       count(*) FILTER (substituted), min(value) FILTER (good), max(value) FILTER (good),
       first(value ORDER BY timestamp, sequence) FILTER (good AND value IS NOT NULL),
       last(value ORDER BY timestamp, sequence) FILTER (good AND value IS NOT NULL),
       last(value_string ORDER BY timestamp, sequence)
FROM bronze GROUP BY ALL"""
_GOT = """
SELECT tag_webid, hour, tag_name, plant, sensor_type, event_count, good_count, good_number_count, questionable_count,
       substituted_count, min_value, max_value, first_value, last_value, last_value_string FROM gold"""
# Every segment between two events, cut at hours; an implementation independent of the pipeline's.
_DISTANCES = """
WITH pieces AS (
    SELECT tag_webid, step, good, timestamp AS a, CASE WHEN good THEN value END AS va,
           lead(timestamp) OVER events AS next_at, lead(CASE WHEN good THEN value END) OVER events AS vb
    FROM bronze LEFT JOIN (SELECT tag_webid, arg_max(step, last_seen) AS step FROM points GROUP BY ALL) USING (tag_webid)
    WINDOW events AS (PARTITION BY tag_webid ORDER BY timestamp, sequence)
), ended AS (
    SELECT *, coalesce(next_at, date_trunc('hour', a) + INTERVAL 1 HOUR) AS b,
           CASE WHEN step OR vb IS NULL THEN va ELSE vb END AS ve
    FROM pieces
), hours AS (SELECT DISTINCT tag_webid, date_trunc('hour', timestamp) AS hour FROM bronze
), cut AS (
    SELECT tag_webid, hour, good, va, ve, epoch_us(a) AS a, epoch_us(b) AS b,
           greatest(epoch_us(a), epoch_us(hour)) AS l, least(epoch_us(b), epoch_us(hour) + 3600000000) AS r
    FROM ended JOIN hours USING (tag_webid)
    WHERE b > hour AND a < hour + INTERVAL 1 HOUR AND b > a
), weighed AS (
    SELECT tag_webid, hour,
           sum((va + (ve - va) * ((l + r) / 2 - a) / (b - a)) * (r - l)) / sum(r - l) AS weighted
    FROM cut WHERE va IS NOT NULL AND r > l GROUP BY ALL
), quality AS (
    SELECT tag_webid, hour, 100 * coalesce(sum(r - l) FILTER (good), 0) / sum(r - l) AS percent
    FROM cut WHERE r > l GROUP BY ALL
), plain AS (
    SELECT tag_webid, date_trunc('hour', timestamp) AS hour, avg(value) FILTER (good) AS mean,
           CASE WHEN count(value) FILTER (good) > 1 THEN stddev_samp(value) FILTER (good) END AS deviation,
           count(*) FILTER (good) / count(*) AS share FROM bronze GROUP BY ALL
)
SELECT count(*), max(CASE WHEN g.mean_value IS NULL AND mean IS NULL THEN 0
                          ELSE coalesce(abs(g.mean_value - mean) / greatest(abs(mean), 1), 1) END),
       max(abs(good_share - share)),
       max(CASE WHEN g.time_weighted_mean IS NULL AND weighted IS NULL THEN 0
                ELSE coalesce(abs(g.time_weighted_mean - weighted) / greatest(abs(weighted), 1), 1) END),
       max(CASE WHEN g.stddev_value IS NULL AND deviation IS NULL THEN 0
                ELSE coalesce(abs(g.stddev_value - deviation) / greatest(abs(mean), 1), 1) END),
       max(coalesce(abs(g.percent_good - percent) / 100, 1))
FROM gold g JOIN plain USING (tag_webid, hour) LEFT JOIN weighed USING (tag_webid, hour)
     LEFT JOIN quality USING (tag_webid, hour)"""
