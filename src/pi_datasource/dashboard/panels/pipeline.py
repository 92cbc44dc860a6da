"""Panels about the ingestion: runs, lag, changes, read failures, audits."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from pi_datasource.dashboard.health_text import Failure, Stream, headline, judge
from pi_datasource.dashboard.panels.panel import Panel
from pi_datasource.dashboard.queries import LOOKBACK, Query, QueryContext
from pi_datasource.dashboard.selection import HOUR_US
from pi_datasource.schema import DONE_RUN, NOT_OVERLAP, PAST_JOBS, is_past_job

_RUNS_SHOWN = 40
_ROWS_SHOWN = 100
_MIN_SILENCE_US = HOUR_US
_USUAL_INTERVALS = 10

_RUN = (
    "stream_id, batch_id, unix_micros(window_start) AS window_start, unix_micros(window_end) AS window_end, tags, "
    "rows_read, rows_inserted, rows_updated, rows_deleted, rows_late, read_failures, calls, retries, "
    "throttled_seconds, seconds, lag_seconds, unix_micros(created_at) AS created_at, kind, status, error"
)
# The newest end of a window over the streams alone, and over backfills and the like as well. The table is small; this
# does not bound its time, so that a pipeline that stopped a year ago is shown as such.
_LIVE = " AND ".join(f"stream_id NOT LIKE '{job} %'" for job in PAST_JOBS)
_WATERMARK = Query(
    f"SELECT unix_micros(max(CASE WHEN {_LIVE} THEN window_end END)) AS streams, "
    f"unix_micros(max(window_end)) AS every FROM {{audit}} WHERE {DONE_RUN}"
)
RUNS = Query(
    f"SELECT {_RUN} FROM {{audit}} WHERE {DONE_RUN} OR status = 'failed' ORDER BY created_at DESC, batch_id DESC LIMIT :shown"
)
STREAMS = Query(
    "WITH numbered AS (SELECT stream_id, unix_micros(created_at) AS created_at, "
    "unix_micros(window_start) AS window_start, unix_micros(window_end) AS window_end, read_failures, "
    "throttled_seconds, row_number() OVER "
    f"(PARTITION BY stream_id ORDER BY created_at DESC, batch_id DESC) AS age FROM {{audit}} WHERE {DONE_RUN} AND {NOT_OVERLAP}) "
    "SELECT stream_id, created_at, window_start, window_end, read_failures, throttled_seconds "
    "FROM numbered WHERE age <= 20 ORDER BY stream_id, created_at DESC"
)
# A failed run that was repeated with success has no row any more.
FAILED = Query(
    "SELECT stream_id, count(*) AS runs, unix_micros(max(created_at)) AS created_at, "
    "max_by(error, created_at) AS error FROM {audit} WHERE status = 'failed' GROUP BY stream_id ORDER BY stream_id"
)
STATUSES = Query(
    "SELECT DISTINCT status FROM {errors} WHERE repaired_at IS NULL AND dismissed_at IS NULL "
    "AND window_end > timestamp_micros(:since) AND window_start < timestamp_micros(:until) "
    "ORDER BY status NULLS LAST LIMIT 5"
)
CHANGES = Query(
    "SELECT unix_micros(window_end) - pmod(unix_micros(window_end), :grain) AS moment, "
    "sum(rows_inserted) AS inserted, sum(rows_updated) AS edited, sum(rows_deleted) AS deleted, "
    "sum(rows_late) AS late, sum(read_failures) AS failures, sum(retries) AS retries "
    f"FROM {{audit}} WHERE {DONE_RUN} AND window_end >= timestamp_micros(:start) AND window_end < timestamp_micros(:end) "
    "GROUP BY unix_micros(window_end) - pmod(unix_micros(window_end), :grain) ORDER BY moment",
    {"audit": ("start", "end")},
)
TAGS = (
    "SELECT tag_webid, max_by(tag_name, hour) AS tag_name, max_by(plant, hour) AS plant, "
    "unix_micros(max(hour)) AS last_hour, unix_micros(min(hour)) AS first_hour, sum(event_count) AS events "
    "FROM {gold} WHERE hour >= timestamp_micros(:lookback) AND hour < timestamp_micros(:end){where} "
    "GROUP BY tag_webid"
)
# No event for at least an hour, and for ten times the usual interval between events of the tag.
_STALE = ":read_until - last_hour - 3600000000 > greatest(:quiet, :usual * (last_hour - first_hour + 3600000000) / events)"
PLANTS = Query(
    f"WITH tags AS ({TAGS}) SELECT plant, count(*) AS tags, count_if({_STALE}) AS stale, "
    "max(last_hour) AS last_hour FROM tags GROUP BY plant ORDER BY plant NULLS LAST",
    LOOKBACK,
)
STALE = Query(
    f"WITH tags AS ({TAGS}) SELECT tag_webid, tag_name, plant, last_hour, events FROM tags WHERE {_STALE} "
    "ORDER BY last_hour, tag_name, tag_webid LIMIT :shown",
    LOOKBACK,
)
RECENT = Query(
    "SELECT plant, unix_micros(max(timestamp)) AS moment FROM {bronze} "
    "WHERE timestamp >= timestamp_micros(:recent) AND timestamp < timestamp_micros(:end){where} GROUP BY plant",
    {"bronze": ("recent", "end")},
)
WAITING = Query("SELECT count(*) AS waiting FROM {errors} WHERE repaired_at IS NULL AND dismissed_at IS NULL")
DISMISSED = Query(
    "SELECT dismissed_reason AS reason, count(*) AS dismissed FROM {errors} "
    "WHERE repaired_at IS NULL AND dismissed_at IS NOT NULL GROUP BY dismissed_reason ORDER BY reason NULLS LAST"
)
ERRORS = Query(
    "SELECT tag_webid, tag_name, unix_micros(window_start) AS window_start, "
    "unix_micros(window_end) AS window_end, status, message FROM {errors} "
    "WHERE repaired_at IS NULL AND dismissed_at IS NULL "
    "ORDER BY window_start DESC, tag_name, tag_webid LIMIT :shown"
)
AUDITED = Query(
    "SELECT count(*) AS checks, coalesce(sum(server_count), 0) AS server_events, "
    "coalesce(sum(table_count), 0) AS table_events, count_if(server_count <> table_count) AS differences, "
    "unix_micros(max(checked_at)) AS checked_at FROM {completeness} "
    "WHERE window_end > timestamp_micros(:start) AND window_end <= timestamp_micros(:end)"
)
DIFFERENCES = Query(
    "SELECT tag_name, unix_micros(window_start) AS window_start, unix_micros(window_end) AS window_end, "
    "server_count, table_count FROM {completeness} WHERE server_count <> table_count "
    "AND window_end > timestamp_micros(:start) AND window_end <= timestamp_micros(:end) "
    "ORDER BY window_end DESC, tag_name LIMIT :shown"
)


@dataclass(frozen=True)
class Watermark:
    """The time up to which events have been read; both are None before the first run.

    ``stream_us`` is that of the streams, which a backfill does not move; ``read_until_us`` is that of backfills where
    no stream has run yet.
    """

    stream_us: int | None
    read_until_us: int | None


def watermark(context: QueryContext) -> Watermark:
    """The watermark from the audit table."""
    row = context.one(_WATERMARK)
    streams, every = (None if row[name] is None else int(row[name]) for name in ("streams", "every"))
    return Watermark(streams, every if streams is None else streams)


def health(context: QueryContext) -> dict[str, Any]:
    """The last runs, and a sentence on the state of each stream."""
    batches: dict[str, list[dict[str, Any]]] = {}
    for row in context.rows(STREAMS):
        batches.setdefault(row["stream_id"], []).append(row)
    streams = [Stream.of(name, rows) for name, rows in batches.items()]
    failed = {row["stream_id"]: Failure(row["created_at"], row["error"]) for row in context.rows(FAILED)}
    streams += [Stream.without_run(name, failed[name].at_us) for name in failed if name not in batches]
    verdicts = [
        judge(stream, context.now_us, _statuses(context, stream), failed.get(stream.stream_id))
        for stream in streams
    ]
    runs = context.rows(RUNS, shown=_RUNS_SHOWN)
    for run in runs:
        if is_past_job(run["stream_id"]):
            run["lag_seconds"] = None
    shown = [each for each in verdicts if not (each.forgotten and is_past_job(each.stream_id))]
    return {"headline": asdict(headline(verdicts)), "streams": list(map(asdict, shown)), "runs": runs}


def _statuses(context: QueryContext, stream: Stream) -> list[int | None]:
    """The HTTP statuses of read failures since the stream has been failing; the table does not record the stream."""
    if stream.failing_since_us is None or "errors" not in context.backend.columns():
        return []
    rows = context.rows(STATUSES, since=stream.failing_since_us, until=stream.read_until_us)
    return [row["status"] for row in rows]


def changes(context: QueryContext) -> dict[str, Any]:
    """Rows inserted, updated, deleted and late, per bar and in total."""
    rows = context.rows(CHANGES)
    names = ("inserted", "edited", "deleted", "late", "failures", "retries")
    sums = {
        name: sum(values) if (values := [row[name] for row in rows if row[name] is not None]) else None
        for name in names
    }
    return {"rows": rows, "totals": sums, "grain_s": context.selection.grain_us // 1_000_000}


def freshness(context: QueryContext) -> dict[str, Any]:
    """The newest event of each plant, and the tags that have stopped sending events.

    A plant without an event in the last two hours has the hour of its last one (``exact`` is false).
    """
    known = watermark(context).read_until_us
    read_until = min(context.now_us if known is None else known, context.selection.end_us)
    values = {"read_until": read_until, "quiet": _MIN_SILENCE_US, "usual": _USUAL_INTERVALS}
    plants = context.rows(PLANTS, **values)
    newest = max((row["last_hour"] for row in plants), default=None)
    recent: dict[Any, int] = {}
    if newest is not None:
        rows = context.rows(RECENT, recent=newest - HOUR_US)
        recent = {row["plant"]: row["moment"] for row in rows}
    for row in plants:
        moment = recent.get(row["plant"])
        row["exact"] = moment is not None
        row["last_event"] = row["last_hour"] if moment is None else moment
        row["age_s"] = max(0.0, (context.now_us - row["last_event"]) / 1e6)
        row["behind_s"] = max(0.0, (read_until - row["last_event"]) / 1e6)
    stale = context.rows(STALE, shown=_ROWS_SHOWN, **values)
    return {"plants": plants, "stale": stale, "read_until": read_until}


def errors(context: QueryContext) -> dict[str, Any]:
    """Tags and windows that could not be read and wait for repair, newest first; dismissed ones are counted by reason."""
    rows = context.rows(ERRORS, shown=_ROWS_SHOWN)
    return {**context.one(WAITING), "rows": rows, "dismissed": context.rows(DISMISSED)}


def completeness(context: QueryContext) -> dict[str, Any]:
    """The differences between the table and the server's own event counts."""
    return {**context.one(AUDITED), "rows": context.rows(DIFFERENCES, shown=_ROWS_SHOWN)}


_OPTIONAL = ("audit.rows_deleted", "audit.rows_late", "audit.retries")
PANELS = (
    Panel("health", ("audit",), health, (*_OPTIONAL, "audit.calls", "audit.throttled_seconds")),
    Panel("changes", ("audit",), changes, _OPTIONAL),
    Panel("freshness", ("bronze", "gold", "audit"), freshness, ("gold.plant",)),
    Panel("errors", ("errors",), errors),
    Panel("completeness", ("completeness",), completeness),
)
