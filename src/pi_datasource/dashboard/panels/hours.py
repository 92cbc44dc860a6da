"""One tag over a long range, from the hourly table: far fewer rows than there are events."""

from __future__ import annotations

from typing import Any

from pi_datasource.dashboard.queries import Query, QueryContext
from pi_datasource.dashboard.selection import HOUR_US

_WITHIN = {"gold": ("start", "end")}
_HOURS = "FROM {gold} WHERE tag_webid = :tag AND hour >= timestamp_micros(:start) AND hour < timestamp_micros(:end)"
_TAG_WITHIN = (
    "FROM {bronze} WHERE tag_webid = :tag AND timestamp >= timestamp_micros(:first) "
    "AND timestamp < timestamp_micros(:last)"
)
# The mean weighs each hour by its good events. The table has no count of good finite numbers; the two differ only for a
# tag that mixes numbers with good texts or with NaN.
SUMMARY = Query(
    "SELECT max_by(tag_name, hour) AS tag_name, max_by(units, hour) AS units, "
    "coalesce(sum(event_count), 0) AS events, coalesce(sum(good_count), 0) AS good, "
    "min(min_value) AS lowest, max(max_value) AS highest, "
    "sum(mean_value * good_count) / sum(CASE WHEN mean_value IS NOT NULL THEN good_count END) AS mean, "
    f"unix_micros(min(hour)) AS first_hour, unix_micros(max(hour)) AS last_hour {_HOURS}",
    _WITHIN,
    of_tag=True,
)
ENDS = Query(
    "SELECT unix_micros(min(timestamp)) AS first_event, unix_micros(max(timestamp)) AS last_event, "
    f"max_by(point_type, timestamp) AS point_type {_TAG_WITHIN}",
    {"bronze": ("first", "last")},
    of_tag=True,
)
# The extremes of an hour are drawn in its middle. Hours are merged where a pixel is longer.
TREND = Query(
    "SELECT unix_micros(hour) - :start - pmod(unix_micros(hour) - :start, :pixel) + :start AS moment, "
    "min(min_value) AS low, max(max_value) AS high, sum(event_count) AS events, "
    "sum(event_count) - sum(good_count) AS bad "
    f"{_HOURS} GROUP BY unix_micros(hour) - :start - pmod(unix_micros(hour) - :start, :pixel) + :start "
    "ORDER BY moment",
    _WITHIN,
    of_tag=True,
)
STATES = Query(
    f"WITH states AS (SELECT hour, coalesce(last_value_string, '') AS state {_HOURS}), "
    "steps AS (SELECT hour, state, lag(state) OVER (ORDER BY hour) AS before FROM states) "
    "SELECT unix_micros(hour) AS moment, state FROM steps "
    "WHERE (before IS NULL AND state <> '') OR state <> before ORDER BY hour LIMIT :most",
    _WITHIN,
    of_tag=True,
)
# The newest hours that together hold enough events.
NEWEST = Query(
    "WITH sums AS (SELECT hour, sum(event_count) OVER (ORDER BY hour DESC) - event_count AS newer "
    f"{_HOURS}) SELECT unix_micros(min(hour)) AS first FROM sums WHERE newer < :enough",
    _WITHIN,
    of_tag=True,
)
LATEST = Query(
    "SELECT unix_micros(timestamp) AS moment, sequence, value, value_string, state_code, value_kind, good, "
    f"questionable, substituted, annotated, units {_TAG_WITHIN} ORDER BY timestamp DESC, sequence DESC LIMIT :most",
    {"bronze": ("first", "last")},
    of_tag=True,
)


def summary(context: QueryContext) -> dict[str, Any]:
    """The figures that the hourly table has; those that need events are null, and ``hourly`` says why."""
    row = context.one(SUMMARY)
    first, last = row.pop("first_hour"), row.pop("last_hour")
    start = (_of_hour(context, first) if first is not None else {}).get("first_event")
    end = _of_hour(context, last) if last is not None else {}
    events_only = dict.fromkeys(("questionable", "substituted", "numbers", "deviation"))
    last_event = {name: end.get(name) for name in ("last_event", "point_type")}
    return {**row, **events_only, "first_event": start, **last_event, "hourly": True}


def _of_hour(context: QueryContext, hour: int) -> dict[str, Any]:
    return context.one(ENDS, first=hour, last=hour + HOUR_US)


def trend(context: QueryContext) -> dict[str, Any]:
    """The lowest and highest good value of each hour, or of the hours that share a pixel: no spike is lost."""
    span_hours = (context.selection.end_us - context.selection.start_us) // HOUR_US
    pixel = max(1, -(-span_hours // context.width)) * HOUR_US
    rows = context.rows(TREND, pixel=pixel)
    for row in rows:
        row |= {"low_at": row["moment"] + pixel // 2, "high_at": row["moment"] + pixel // 2, "doubtful": 0}
    return {"mode": "reduced", "pixel_us": pixel, "rows": rows, "hourly": True}


def newest_hours(context: QueryContext, enough: int) -> dict[str, int]:
    """The bounds of the newest part of the range that has ``enough`` events of the tag, or of the whole range."""
    first = context.one(NEWEST, enough=enough)["first"]
    return {"first": context.selection.start_us if first is None else first, "last": context.selection.end_us}
