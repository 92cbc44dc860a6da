"""One tag over a long range, by the hours of the hourly table: a handful of rows where the events are millions."""

from __future__ import annotations

from typing import Any

from pi_datasource.dashboard.queries import Ask, Query
from pi_datasource.dashboard.selection import HOUR_US

__all__ = ["LATEST", "STATES", "newest_hours", "summary", "trend"]

_WITHIN = {"gold": ("start", "end")}
_HOURS = "FROM {gold} WHERE tag_webid = :tag AND hour >= timestamp_micros(:start) AND hour < timestamp_micros(:end)"
_TAG_WITHIN = (
    "FROM {bronze} WHERE tag_webid = :tag AND timestamp >= timestamp_micros(:first) "
    "AND timestamp < timestamp_micros(:last)"
)
# The mean weighs each hour by its good events: the table has no count of good finite numbers, which differs from it only
# for a tag that mixes them with good texts or with NaN.
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
# The extremes of an hour stand in its middle. Hours are put together where a pixel is longer.
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
# The hours, newest first, until they hold enough events.
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


def summary(ask: Ask) -> dict[str, Any]:
    """The figures that the hours give; those that only events give are null, and ``hourly`` says why."""
    row = ask.one(SUMMARY)
    first, last = row.pop("first_hour"), row.pop("last_hour")
    start = (_of_hour(ask, first) if first is not None else {}).get("first_event")
    end = _of_hour(ask, last) if last is not None else {}
    events_only = dict.fromkeys(("questionable", "substituted", "numbers", "deviation"))
    return {
        **row,
        **events_only,
        "first_event": start,
        "last_event": end.get("last_event"),
        "point_type": end.get("point_type"),
        "hourly": True,
    }


def _of_hour(ask: Ask, hour: int) -> dict[str, Any]:
    return ask.one(ENDS, first=hour, last=hour + HOUR_US)


def trend(ask: Ask) -> dict[str, Any]:
    """The lowest and highest good value of each hour, or of several where they share a pixel: no spike is lost."""
    span_hours = (ask.selection.end_us - ask.selection.start_us) // HOUR_US
    pixel = max(1, -(-span_hours // ask.width)) * HOUR_US
    rows = ask(TREND, pixel=pixel)
    for row in rows:
        row |= {"low_at": row["moment"] + pixel // 2, "high_at": row["moment"] + pixel // 2, "doubtful": 0}
    return {"mode": "reduced", "pixel_us": pixel, "rows": rows, "hourly": True}


def newest_hours(ask: Ask, enough: int) -> dict[str, int]:
    """The ends of the newest part of the range that holds ``enough`` events of the tag, or all that it has."""
    first = ask.one(NEWEST, enough=enough)["first"]
    return {"first": ask.selection.start_us if first is None else first, "last": ask.selection.end_us}
