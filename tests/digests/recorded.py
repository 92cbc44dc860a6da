"""What was recorded of each read, and how to read them all again."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from pyspark.sql import SparkSession

from tests.digests import reads, streams, where
from tests.digests.digest import difference, digest
from tests.digests.sites import Site, served

FILE = Path(__file__).with_name("digests.json")


class Sites:
    """Servers, each of which starts when it is first read; all end with the ``stack``."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        self._served: dict[str, Site] = {}

    def __getitem__(self, name: str) -> Site:
        if name not in self._served:
            self._served[name] = self._stack.enter_context(served(name))
        return self._served[name]


def load() -> dict[str, Any]:
    """What is recorded, by the names of reads."""
    found: dict[str, Any] = json.loads(FILE.read_text(encoding="utf-8")) if FILE.exists() else {}
    return found


def assert_unchanged(name: str, found: dict[str, Any]) -> None:
    """Fails, and says how it differs, unless ``found`` is what is recorded of the read called ``name``."""
    said = changes(load()[name], found)
    assert not said, f"{name}: {said}"


def of_read(name: str, sites: Sites) -> dict[str, Any]:
    """What is recorded of a batch read."""
    read = reads.READS[name]
    return {**digest(reads.rows(read, sites[read.site].url))}


def of_stream(name: str, sites: Sites) -> dict[str, Any]:
    """The same of a stream, with its micro-batches."""
    stream = streams.STREAMS[name]
    played = streams.played(stream, sites[stream.site])
    return {"micro_batches": played.windows(), **digest(played.table())}


def of_where(name: str, sites: Sites, spark: SparkSession) -> dict[str, Any]:
    """The same of a read with a predicate."""
    read = where.WHERES[name]
    return {**digest(where.rows(spark, read, sites[read.site].url))}


def every(sites: Sites, spark: SparkSession) -> Iterator[tuple[str, dict[str, Any]]]:
    """All of them, read now."""
    for name in reads.READS:
        yield name, of_read(name, sites)
    for name in streams.STREAMS:
        yield f"stream_{name}", of_stream(name, sites)
    for name in where.WHERES:
        yield name, of_where(name, sites, spark)


def changes(recorded: dict[str, Any], found: dict[str, Any]) -> str:
    """How what was read differs from what is recorded, in words; empty if it does not."""
    windows, now = recorded.get("micro_batches"), found.get("micro_batches")
    told = [] if windows == now else [f"micro-batches {windows} are recorded, {now} were made"]
    return "; ".join([*told, *filter(None, [difference(recorded, found)])])
