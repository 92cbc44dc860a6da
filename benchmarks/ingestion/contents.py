"""Compares a table of events with what the server holds, tag by tag."""

from __future__ import annotations

import math
from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple

from pyspark.sql import DataFrame
from pyspark.sql import functions as F  # noqa: N812 - Spark's customary name

from benchmarks.ingestion.moving_server import Plant, ticks
from benchmarks.read.recordings import POOL

_MODULUS = 1_000_003


class Sums(NamedTuple):
    """What the events of one tag add up to; two different sets of times hardly have the same ``times`` and ``squares``."""

    rows: int
    times: int
    squares: int
    value: float


def wrong(table: DataFrame, plant: Plant, start: datetime, end: datetime, tags: Iterable[int]) -> str:
    """How the table differs from the server's events of ``tags`` in the window; empty if it does not."""
    micros = F.unix_micros("timestamp")
    residue = F.pmod(micros, F.lit(_MODULUS))
    found = table.groupBy("tag_name").agg(
        F.count(F.lit(1)), F.sum(micros), F.sum(residue * residue), F.sum("value"),
        F.count_distinct("timestamp", "sequence"),
    )  # fmt: skip
    rows = {row[0]: row for row in found.collect()}
    truths = [_sums(plant, place, start, end) for place in range(len(plant.recordings))]
    wanted = {_name(tag): truths[tag % POOL] for tag in tags}
    wanted = {name: sums for name, sums in wanted.items() if sums.rows}
    if rows.keys() != wanted.keys():
        return f"{len(rows)} tags have events, not {len(wanted)}"
    for name, sums in wanted.items():
        row = rows[name]
        if row[5] != row[1]:
            return f"{name} has {row[1]} rows of {row[5]} keys"
        if tuple(row[1:4]) != sums[:3] or not math.isclose(row[4], sums.value, rel_tol=1e-9):
            return f"{name} adds up to {row[1:5]}, not {tuple(sums)}"
    return ""


def wrong_hours(gold: DataFrame, bronze: DataFrame) -> str:
    """Whether the hours do not count the events of the table of events; empty if they do."""
    hour = F.date_trunc("hour", "timestamp").alias("hour")
    counted = bronze.groupBy("tag_webid", hour).agg(F.count(F.lit(1)).alias("event_count"))
    stored = gold.select("tag_webid", "hour", F.col("event_count").cast("long"))
    differing = counted.exceptAll(stored).count() + stored.exceptAll(counted).count()
    return f"{differing} hours differ from the events" if differing else ""


def _sums(plant: Plant, place: int, start: datetime, end: datetime) -> Sums:
    source = plant.recordings[place]
    first, last = ticks(start), ticks(end)
    chosen = [i for i, tick in enumerate(source.ticks) if first <= tick < last]
    micros = [source.ticks[i] // 10 for i in chosen]
    squares = sum((each % _MODULUS) ** 2 for each in micros)
    return Sums(len(chosen), sum(micros), squares, sum(source.numbers[i] or 0.0 for i in chosen))


def _name(tag: int) -> str:
    return f"PLANT{tag % 4 + 1}.UNIT{tag // 1000:04d}.TI{tag:07d}"
