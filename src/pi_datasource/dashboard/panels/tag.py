"""Panels about one tag: its figures, its trend, its states, its rows.

Up to a week they are computed from events; over longer ranges, which would read the whole table, from hours.
"""

from __future__ import annotations

from typing import Any

from pi_datasource.dashboard.panels import hours
from pi_datasource.dashboard.panels.panel import Panel
from pi_datasource.dashboard.queries import LOOKBACK, Query, QueryContext
from pi_datasource.model import json_number

_MAX_RAW_POINTS = 4000  # more events than this are reduced to the extremes of each pixel
_MAX_STATES = 1500
_PAGE = 100
_MAX_FOUND = 30

_EVENTS = "FROM {one_tag} AS events"
# The values that figures are computed from. Spark and duckdb order NaN above infinity, so this excludes both.
_READING = "CASE WHEN good AND abs(value) < CAST('Infinity' AS DOUBLE) THEN value END"
_WITHIN = {"bronze": ("start", "end")}
_FROM_BRONZE = (
    "FROM {bronze} WHERE tag_webid = :tag AND timestamp >= timestamp_micros(:start) "
    "AND timestamp < timestamp_micros(:end)"
)
_FLAGS = "good, questionable, substituted, annotated"
ROW = f"unix_micros(timestamp) AS moment, sequence, value, value_string, state_code, value_kind, {_FLAGS}, units"

SEARCH = Query(
    "SELECT tag_webid, max_by(tag_name, hour) AS tag_name, max_by(units, hour) AS units FROM {gold} "
    "WHERE hour >= timestamp_micros(:lookback) AND hour < timestamp_micros(:end) "
    "AND contains(lower(tag_name), lower(:q)){where} GROUP BY tag_webid ORDER BY tag_name, tag_webid LIMIT :shown",
    LOOKBACK,
)
SUMMARY = Query(
    "SELECT max_by(tag_name, timestamp) AS tag_name, max_by(units, timestamp) AS units, "
    "max_by(point_type, timestamp) AS point_type, count(*) AS events, count_if(good) AS good, "
    "count_if(questionable) AS questionable, count_if(substituted) AS substituted, count(value) AS numbers, "
    f"min({_READING}) AS lowest, avg({_READING}) AS mean, "
    f"max({_READING}) AS highest, stddev_samp({_READING}) AS deviation, "
    f"unix_micros(min(timestamp)) AS first_event, unix_micros(max(timestamp)) AS last_event {_EVENTS}"
)
NAME = Query(
    "SELECT max_by(tag_name, hour) AS tag_name, unix_micros(max(hour)) AS last_hour FROM {gold} "
    "WHERE tag_webid = :tag"
)
RAW = Query(
    f"SELECT unix_micros(timestamp) AS moment, value, value_string, value_kind, {_FLAGS} {_EVENTS} "
    "ORDER BY timestamp, sequence LIMIT :most"
)
# The lowest and highest good value of every pixel, so that no spike is lost.
REDUCED = Query(
    "SELECT unix_micros(timestamp) - :start - pmod(unix_micros(timestamp) - :start, :pixel) + :start AS moment, "
    f"min({_READING}) AS low, "
    f"min_by(unix_micros(timestamp), {_READING}) AS low_at, "
    f"max({_READING}) AS high, "
    f"max_by(unix_micros(timestamp), {_READING}) AS high_at, "
    "count(*) AS events, count_if(NOT good) AS bad, "
    f"count_if(good AND (questionable OR substituted)) AS doubtful {_EVENTS} "
    "GROUP BY unix_micros(timestamp) - :start - pmod(unix_micros(timestamp) - :start, :pixel) + :start "
    "ORDER BY moment"
)
# Rows at which the state changes. A number ends a state, so it is a change, too: to no state.
STATES = Query(
    "WITH states AS (SELECT timestamp, sequence, good, value_kind, CASE WHEN value_kind IN ('number', 'none') "
    "THEN '' ELSE coalesce(value_string, CAST(state_code AS STRING), value_kind) END AS state "
    f"{_EVENTS}), "
    "steps AS (SELECT timestamp, sequence, good, value_kind, state, "
    "lag(state) OVER (ORDER BY timestamp, sequence) AS before FROM states) "
    "SELECT unix_micros(timestamp) AS moment, state, value_kind, good FROM steps "
    "WHERE (before IS NULL AND state <> '') OR state <> before ORDER BY timestamp, sequence LIMIT :most"
)
LATEST = Query(f"SELECT {ROW} {_EVENTS} ORDER BY timestamp DESC, sequence DESC LIMIT :most")
# For downloads: the number of events of each hour, and the events of a part of the range.
HOURLY_COUNTS = Query(
    "SELECT unix_micros(timestamp) - pmod(unix_micros(timestamp), 3600000000) AS moment, count(*) AS events "
    f"{_FROM_BRONZE} GROUP BY unix_micros(timestamp) - pmod(unix_micros(timestamp), 3600000000) ORDER BY moment",
    _WITHIN,
    of_tag=True,
)
PART = Query(
    f"SELECT tag_name, {ROW} FROM {{bronze}} WHERE tag_webid = :tag AND timestamp >= timestamp_micros(:first) "
    "AND timestamp < timestamp_micros(:last) ORDER BY timestamp, sequence",
    {"bronze": ("first", "last")},
    of_tag=True,
)


def search(context: QueryContext, text: str) -> dict[str, Any]:
    """Tags with ``text`` in their name, ignoring case."""
    return {"rows": context.rows(SEARCH, q=text, shown=_MAX_FOUND)}


def summary(context: QueryContext) -> dict[str, Any]:
    """Name and figures of the tag; minimum, maximum, mean and deviation are those of good finite numbers."""
    row = hours.summary(context) if context.selection.coarse else {**context.one(SUMMARY), "hourly": False}
    known = context.one(NAME)
    row["tag_name"] = row["tag_name"] or known["tag_name"]
    row["last_hour"] = known["last_hour"]
    row["good_share"] = row["good"] / row["events"] if row["events"] else None
    return row


def trend(context: QueryContext) -> dict[str, Any]:
    """The numbers of the tag: every event if they are few, else the extremes of every pixel."""
    if context.selection.coarse:
        return hours.trend(context)
    rows = context.rows(RAW, most=_MAX_RAW_POINTS + 1)
    if len(rows) <= _MAX_RAW_POINTS:
        return {"mode": "raw", "rows": rows}
    span = context.selection.end_us - context.selection.start_us
    pixel = max(1, -(-span // context.width))
    return {"mode": "reduced", "pixel_us": pixel, "rows": context.rows(REDUCED, pixel=pixel)}


def states(context: QueryContext) -> dict[str, Any]:
    """The moments at which the state of the tag changes; an empty state stands for a number, or for no value."""
    query = hours.STATES if context.selection.coarse else STATES
    rows = context.rows(query, most=_MAX_STATES + 1)
    return {
        "rows": rows[:_MAX_STATES],
        "cut": len(rows) > _MAX_STATES,
        "end": min(context.selection.end_us, context.now_us),
        "hourly": context.selection.coarse,
    }


def latest(context: QueryContext) -> dict[str, Any]:
    """The newest events of the range, newest first; NaN and the infinities are texts, to distinguish them from null."""
    query, values = LATEST, {}
    if context.selection.coarse:
        query, values = hours.LATEST, hours.newest_hours(context, _PAGE + 1)
    rows = context.rows(query, most=_PAGE + 1, **values)
    for row in rows:
        row["value"] = None if row["value"] is None else json_number(row["value"])
    return {"rows": rows[:_PAGE], "more": len(rows) > _PAGE}


_NEEDS = ("bronze", "gold")
PANELS = (
    Panel("tag-summary", _NEEDS, summary, per_tag=True),
    Panel("tag-trend", _NEEDS, trend, per_tag=True),
    Panel("tag-states", _NEEDS, states, per_tag=True),
    Panel("tag-rows", _NEEDS, latest, per_tag=True),
)
