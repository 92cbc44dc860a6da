"""Arrow schemas: the only definition of columns. Spark's schemas are derived from them."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence

import pyarrow as pa

from pi_datasource.errors import InvalidOption

TIMESTAMP = pa.timestamp("us", tz="UTC")

# What a value is: `value_kind` holds one of these.
NUMBER, BOOLEAN, STRING, TIMESTAMP_TEXT = "number", "boolean", "string", "timestamp"
DIGITAL, SYSTEM, ERROR, JSON, NONE = "digital", "system", "error", "json", "none"
# `value_kind` of status rows, which are not events but describe the read.
READ_FAILURE, DELETED_POINT, READ_METRICS = "read_failure", "deleted_point", "read_metrics"
STATUS_KINDS = (READ_FAILURE, DELETED_POINT, READ_METRICS)

# Columns of the checkpoint table that users are shown, in this order.
BATCH_COUNTS = (
    "rows_read",
    "rows_inserted",
    "rows_updated",
    "rows_deleted",
    "rows_late",
    "read_failures",
    "calls",
    "retries",
)

# How `stream_id` in the checkpoint table begins for rows of jobs that read past data. They do not show how far the
# ingestion lags behind.
BACKFILL, HISTORY, REPAIR = "backfill", "history", "repair"
PAST_JOBS = (BACKFILL, HISTORY, REPAIR)
# `kind` in the checkpoint table: one of the jobs above, or one of these.
STREAM, OVERLAP = "stream", "overlap"
# `status` there; a row without one is older than the column, and done.
DONE, FAILED = "done", "failed"
# Conditions in SQL: rows that count, which are neither failures nor leases; and all but the second row that a micro-batch
# with overlap has, with the same duration.
DONE_RUN = f"coalesce(status, '{DONE}') = '{DONE}'"
NOT_OVERLAP = f"coalesce(kind, '{STREAM}') <> '{OVERLAP}'"


def is_past_job(stream_id: str) -> bool:
    """Whether ``stream_id`` is that of a backfill, a new tag's history or a repair."""
    return stream_id.partition(" ")[0] in PAST_JOBS


# The key of an event: `sequence` numbers events of one tag that share a (microsecond) timestamp, in server order.
TIMESERIES_KEY = ("tag_webid", "timestamp", "sequence")


def _field(name: str, kind: pa.DataType, comment: str, *, nullable: bool = True) -> pa.Field:
    """A column; its comment becomes that of the table's column."""
    return pa.field(name, kind, nullable=nullable, metadata={b"comment": comment.encode()})


_EVENT = [
    _field("tag_webid", pa.string(), "WebID of the tag; it survives a rename", nullable=False),
    _field("tag_name", pa.string(), "name of the tag when the event was read", nullable=False),
    _field("timestamp", TIMESTAMP, "time of the event, to the microsecond", nullable=False),
    _field(
        "sequence", pa.int32(), "number of the event among those of its time, in PI's order", nullable=False
    ),
    _field("value", pa.float64(), "the number; null if the value is none"),
    _field("value_string", pa.string(), "the text or the name of the state; null if the value is a number"),
    _field("state_code", pa.int32(), "the code of a digital or system state"),
    _field(
        "value_kind",
        pa.string(),
        "what the value is: number, digital, system, string and so on",
        nullable=False,
    ),
    _field("good", pa.bool_(), "PI's Good: whether the value is valid"),
    _field("questionable", pa.bool_(), "PI's Questionable: whether the value is doubtful"),
    _field("substituted", pa.bool_(), "PI's Substituted: whether the value replaced another one"),
    _field("annotated", pa.bool_(), "PI's Annotated: whether the event has an annotation"),
    _field("units", pa.string(), "engineering units"),
    _field("point_type", pa.string(), "type of the PI point, such as Float32"),
]
_METADATA = [
    _field("tag_path", pa.string(), "path of the tag on its server"),
    _field("server_name", pa.string(), "name of the PI Data Archive"),
]
LINEAGE = [_field("ingestion_timestamp", TIMESTAMP, "when the event was read", nullable=False)]

_CURVE = pa.struct(
    [
        pa.field("first_at", TIMESTAMP),
        pa.field("first_number", pa.float64()),
        pa.field("last_at", TIMESTAMP),
        pa.field("last_number", pa.float64()),
        pa.field("area", pa.float64()),
        pa.field("seconds", pa.float64()),
    ]
)
_SURROUNDINGS = pa.struct(
    [
        pa.field("good_seconds", pa.float64()),
        pa.field("last_good", pa.bool_()),
        pa.field("before_at", TIMESTAMP),
        pa.field("before_number", pa.float64()),
        pa.field("before_good", pa.bool_()),
        pa.field("after_at", TIMESTAMP),
        pa.field("after_number", pa.float64()),
    ]
)
_HOUR = [
    _field("tag_webid", pa.string(), "WebID of the tag; it survives a rename"),
    _field("hour", TIMESTAMP, "start of the hour in UTC; an hour without events has no row"),
    _field("tag_name", pa.string(), "name of the tag at the last event of the hour"),
]
_FIGURES = [
    _field("units", pa.string(), "engineering units at the last event of the hour"),
    _field("event_count", pa.int64(), "number of events"),
    _field("good_count", pa.int64(), "number of good events"),
    _field(
        "good_number_count",
        pa.int64(),
        "number of good events with a finite number: the statistics are of them",
    ),
    _field("questionable_count", pa.int64(), "number of questionable events"),
    _field("substituted_count", pa.int64(), "number of substituted events"),
    _field("good_share", pa.float64(), "good_count / event_count, between 0 and 1"),
    _field(
        "percent_good", pa.float64(), "percentage of the hour after good events; PI's PercentGood by time"
    ),
    _field("min_value", pa.float64(), "lowest number"),
    _field("max_value", pa.float64(), "highest number"),
    _field("mean_value", pa.float64(), "mean of the numbers; PI's Average by event"),
    _field("stddev_value", pa.float64(), "sample standard deviation of the numbers; PI's StdDev by event"),
    _field("time_weighted_mean", pa.float64(), "mean by time; PI's Average by time"),
    _field("first_value", pa.float64(), "first number"),
    _field("last_value", pa.float64(), "last number"),
    _field("last_value_string", pa.string(), "text or state of the hour's last event"),
    _field("updated_at", TIMESTAMP, "when the row was computed last with another result"),
    _field("curve", _CURVE, "internal: the hour's first and last event, and the area and time between them"),
    _field("surroundings", _SURROUNDINGS, "internal: good time, and the events next to the hour"),
]
# A column of `pi_points`, joined to the events while their hour is computed.
_STEP = "step"

RESERVED = tuple(
    dict.fromkeys([field.name for field in [*_EVENT, *_METADATA, *LINEAGE, *_HOUR, *_FIGURES]] + [_STEP])
)
"""Names, in any case, that no named group of ``tag_pattern`` may have: some table has a column of this name.

Names that begin with ``_`` are reserved as well, for internal columns of the pipeline, Delta and Spark.
"""


def check_pattern_columns(names: Sequence[str]) -> None:
    """Checks that every table can have columns of these names.

    Raises:
        ValueError: a name is reserved, or two differ only in case.
    """
    for name in names:
        if name.startswith("_"):
            message = f"the group name {name!r} begins with '_', as only internal columns do; choose another"
            raise ValueError(message)
        if _folded(name) in RESERVED:
            message = (
                f"the group name {name!r} is the name of another column of the tables; choose another than "
                f"{', '.join(RESERVED)}"
            )
            raise ValueError(message)
    if len({_folded(name) for name in names}) < len(names):
        message = "two group names differ only in case, which Spark ignores"
        raise ValueError(message)


def _folded(name: str) -> str:
    """Equal for names that Spark treats as equal: it compares them in upper and in lower case."""
    return name.upper().casefold()


def timeseries(pattern_columns: Iterable[str] = (), include_metadata: bool = False) -> pa.Schema:
    """The columns of ``pi_timeseries`` in their order; one row is one event."""
    metadata = _METADATA if include_metadata else []
    return pa.schema([*_EVENT, *text_columns(pattern_columns), *metadata, *LINEAGE])


def hourly(pattern_columns: Iterable[str] = ()) -> pa.Schema:
    """The columns of ``pi_metrics_hourly`` in their order; one row is one hour of one tag."""
    return pa.schema([*_HOUR, *text_columns(pattern_columns), *_FIGURES])


def text_columns(names: Iterable[str]) -> list[pa.Field]:
    """Text columns of these names, such as those of the groups of ``tag_pattern``."""
    return [pa.field(name, pa.string()) for name in names]


def selection(full: pa.Schema, names: Sequence[str]) -> pa.Schema:
    """The columns of ``full`` called ``names``, in that order.

    Raises:
        InvalidOption: a column does not exist; the message suggests the nearest.
    """
    for name in names:
        if name in full.names:
            continue
        near = difflib.get_close_matches(name.lower(), full.names, n=1)
        if name in {field.name for field in _METADATA} and "tag_name" in full.names:
            hint = "set include_metadata=true to have it"
        else:
            hint = f"did you mean {near[0]!r}?" if near else f"the columns are {', '.join(full.names)}"
        message = f"option 'columns': there is no column {name!r}; {hint}"
        raise InvalidOption(message)
    return pa.schema([full.field(name) for name in names])


def check_projection(full: pa.Schema, wanted: pa.Schema) -> None:
    """Checks that ``wanted``, a schema given by the user, is a selection of the columns of ``full``.

    Raises:
        InvalidOption: a column does not exist, or has another type or nullability.
    """
    for field in wanted:
        index = full.get_field_index(field.name)
        if index < 0:
            message = f"schema: there is no column {field.name!r}; the columns are {', '.join(full.names)}"
            raise InvalidOption(message)
        if full.field(index).type != field.type:
            message = f"schema: column {field.name!r} is {full.field(index).type}, not {field.type}"
            raise InvalidOption(message)
        if full.field(index).nullable and not field.nullable:
            message = f"schema: column {field.name!r} can be null; leave out NOT NULL"
            raise InvalidOption(message)
