"""The pipeline's tables, each defined once: columns, comments, key, clustering and properties."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import pyarrow as pa

from pi_datasource import schema
from pi_datasource.delta import batch_report
from pi_datasource.delta.lakehouse import Lakehouse
from pi_datasource.schema import TIMESTAMP

CHANGE_FEED = "delta.enableChangeDataFeed"
DELETION_VECTORS = "delta.enableDeletionVectors"
_LOG_RETENTION = "delta.logRetentionDuration"
_FILE_RETENTION = "delta.deletedFileRetentionDuration"
# Queries of older versions find their files for this long.
_COMMON = {_FILE_RETENTION: "interval 7 days"}
# Of these tables nobody reads old versions. They get an entry in the log with every run, and each checkpoint of the log holds
# the files that compactions have replaced within the retention.
_NO_OLD_VERSIONS = {_LOG_RETENTION: "interval 2 days", _FILE_RETENTION: "interval 1 day"}
# delta-rs and duckdb read the tables in a folder: neither deletion vectors nor checkpoints of version 2.
# Every commit lists the log, in a folder the whole of it: a run a minute adds ten thousand entries a week.
_IN_FOLDER = {
    DELETION_VECTORS: "false",
    "delta.checkpointPolicy": "classic",
    _LOG_RETENTION: "interval 7 days",
}
# The engine of the platform reads them; a changed event then does not rewrite its file, and files are merged by the engine.
_ON_PLATFORM = {
    DELETION_VECTORS: "true",
    "delta.checkpointPolicy": "classic",
    _LOG_RETENTION: "interval 30 days",
    "delta.autoOptimize.optimizeWrite": "true",
    "delta.autoOptimize.autoCompact": "true",
}


@dataclass(frozen=True)
class TableDefinition:
    """A table as it is created. ``columns`` carry their comments as metadata; those of ``key`` are never null.

    Several rows may have the same key where it is not ``unique``.
    """

    name: str
    columns: pa.Schema
    comment: str
    key: tuple[str, ...]
    cluster_by: tuple[str, ...]
    properties: Mapping[str, str]
    unique: bool = True

    @property
    def required(self) -> frozenset[str]:
        """The names of the columns that are NOT NULL."""
        return frozenset(each.name for each in self.columns if not each.nullable) | frozenset(self.key)


def comment_of(column: pa.Field) -> str | None:
    """What the column is for; None where it is not said."""
    text = (column.metadata or {}).get(b"comment")
    return None if text is None else text.decode()


def columns_of(fields: Iterable[tuple[str, pa.DataType, str]]) -> pa.Schema:
    """A schema of columns with their comments, which can all be null."""
    return pa.schema([pa.field(name, kind, metadata={"comment": text}) for name, kind, text in fields])


ERRORS = columns_of(
    (
        ("tag_webid", pa.string(), "WebID of the tag"),
        ("tag_name", pa.string(), "Name of the tag"),
        ("window_start", TIMESTAMP, "Start of the window that could not be read, included"),
        ("window_end", TIMESTAMP, "End of the window, not included"),
        ("status", pa.int32(), "HTTP status of the answer; null where there was none"),
        ("message", pa.string(), "What the server said"),
        ("repaired_at", TIMESTAMP, "When the window was read after all"),
        ("dismissed_at", TIMESTAMP, "When it was given up, because no selection reads the tag any more"),
        ("dismissed_reason", pa.string(), "Why it was given up"),
        ("ingestion_timestamp", TIMESTAMP, "When the failure was recorded"),
    )
)
POINTS = columns_of(
    (
        ("tag_webid", pa.string(), "WebID of the tag, which survives a rename"),
        ("tag_name", pa.string(), "Name of the tag when it was last listed"),
        ("point_type", pa.string(), "Type of the point in PI"),
        ("units", pa.string(), "Engineering units"),
        ("step", pa.bool_(), "Whether a value holds until the next one, instead of a line between both"),
        ("server_name", pa.string(), "PI Data Archive that holds the tag"),
        ("selection", pa.string(), "The server and the tags that were selected, as an identifier"),
        ("first_seen", TIMESTAMP, "When this selection first listed the tag, by the server's clock"),
        ("last_seen", TIMESTAMP, "When it last did, to the hour"),
        ("ended_at", TIMESTAMP, "When the server no longer listed the tag; null while it does"),
        ("filled_at", TIMESTAMP, "Up to when its history has been read; null while it waits for that"),
    )
)
MAINTENANCE = columns_of(
    (
        ("table_name", pa.string(), "Name of the table"),
        ("optimized_at", TIMESTAMP, "When its small files were last merged"),
    )
)


def all_tables(
    lakehouse: Lakehouse, events: pa.Schema, groups: Iterable[str] = ()
) -> tuple[TableDefinition, ...]:
    """The tables that a run writes: ``events`` are the columns of bronze, ``groups`` those that ``tag_pattern`` names."""
    hourly = schema.hourly(groups)
    return (
        TableDefinition(
            lakehouse.bronze,
            events,
            "Events of PI tags, one row per event",
            schema.TIMESERIES_KEY,
            ("timestamp", "tag_webid"),
            {CHANGE_FEED: "true"},
        ),
        TableDefinition(
            lakehouse.errors,
            ERRORS,
            "Tags and windows that could not be read, until they are repaired or dismissed",
            ("tag_webid", "window_start", "window_end"),
            ("window_start", "tag_webid"),
            {},
        ),
        TableDefinition(
            lakehouse.points,
            POINTS,
            "PI tags by selection: when each was first and last listed, and whether it has ended",
            ("tag_webid", "selection"),
            ("tag_webid",),
            {},
        ),
        TableDefinition(
            lakehouse.gold,
            hourly,
            "Metrics of each PI tag by hour (UTC), computed from its events",
            ("tag_webid", "hour"),
            ("hour", "tag_webid"),
            {},
        ),
        audit(lakehouse),
    )


def audit(lakehouse: Lakehouse) -> TableDefinition:
    """The audit table, which a lease needs before anything else exists."""
    return TableDefinition(
        lakehouse.audit,
        batch_report.SCHEMA,
        "What each run of the ingestion has read and written, one row per window",
        ("stream_id", "batch_id"),
        ("created_at",),
        _NO_OLD_VERSIONS,
        unique=False,  # one row per kind, which is null in older rows, and per window of a piece of a backfill
    )


def maintenance(lakehouse: Lakehouse) -> TableDefinition:
    """The table of when each of the others was last optimized."""
    return TableDefinition(
        lakehouse.maintenance,
        MAINTENANCE,
        "When the files of each table were last merged",
        ("table_name",),
        ("table_name",),
        _NO_OLD_VERSIONS,
    )


def properties(definition: TableDefinition, *, on_platform: bool) -> dict[str, str]:
    """All properties of the table in a catalog of Databricks (``on_platform``), or elsewhere."""
    return {**_COMMON, **(_ON_PLATFORM if on_platform else _IN_FOLDER), **definition.properties}
