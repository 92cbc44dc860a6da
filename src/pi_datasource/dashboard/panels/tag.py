"""Panels about one tag: its trend, its states, its figures and its rows.

Up to a week they are made of the tag's events; over more, where that would mean to read the whole table, of its hours.
"""

from __future__ import annotations

from typing import Any

from pi_datasource.dashboard.panels import hours
from pi_datasource.dashboard.panels.panel import Panel
from pi_datasource.dashboard.panels.watermark import LOOKBACK, lookback_us
from pi_datasource.dashboard.queries import Ask, Query
from pi_datasource.model import json_number

__all__ = ["HOURLY_COUNTS", "PANELS", "PART", "search"]

_RAW_POINTS = 4000  # up to here every event is drawn
_STATES = 1500
_PAGE = 100
_FOUND = 30

_EVENTS = "FROM {one_tag} AS events"
# What figures are made of. Spark and duckdb hold NaN for greater than infinity, so that this leaves out both.
_READING = "CASE WHEN good AND abs(value) < CAST('Infinity' AS DOUBLE) THEN value END"
_WITHIN = {"bronze": ("start", "end")}
_FROM_BRONZE = (
    "FROM {bronze} WHERE tag_webid = :tag AND timestamp >= timestamp_micros(:start) "
    "AND timestamp < timestamp_micros(:end)"
)
_FLAGS = "good, questionable, substituted, annotated"
ROW = (
    "unix_micros(timestamp) AS moment, sequence, value, value_string, state_code, value_kind, "
    f"{_FLAGS}, units"
)

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
# Rows at which the state changes. A number ends a state, so it is a change as well, to no state.
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
# For downloads: how many events each hour has, and those of a part of the range.
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


def search(ask: Ask, text: str) -> dict[str, Any]:
    """Tags whose name contains ``text``, in any case."""
    return {"rows": ask(SEARCH, q=text, lookback=lookback_us(ask), shown=_FOUND)}


def summary(ask: Ask) -> dict[str, Any]:
    """Name and figures of the tag; figures are over good finite numbers."""
    row = hours.summary(ask) if ask.selection.coarse else {**ask.one(SUMMARY), "hourly": False}
    known = ask.one(NAME)
    row["tag_name"] = row["tag_name"] or known["tag_name"]
    row["last_hour"] = known["last_hour"]
    row["good_share"] = row["good"] / row["events"] if row["events"] else None
    return row


def trend(ask: Ask) -> dict[str, Any]:
    """The tag's numbers: every event while they are few, else the extremes of every pixel."""
    if ask.selection.coarse:
        return hours.trend(ask)
    rows = ask(RAW, most=_RAW_POINTS + 1)
    if len(rows) <= _RAW_POINTS:
        return {"mode": "raw", "rows": rows}
    span = ask.selection.end_us - ask.selection.start_us
    pixel = max(1, -(-span // ask.width))
    return {"mode": "reduced", "pixel_us": pixel, "rows": ask(REDUCED, pixel=pixel)}


def states(ask: Ask) -> dict[str, Any]:
    """The moments at which the tag's state changes; an empty state is a number, or nothing."""
    query = hours.STATES if ask.selection.coarse else STATES
    rows = ask(query, most=_STATES + 1)
    return {
        "rows": rows[:_STATES],
        "cut": len(rows) > _STATES,
        "end": min(ask.selection.end_us, ask.now_us),
        "hourly": ask.selection.coarse,
    }


def latest(ask: Ask) -> dict[str, Any]:
    """The newest events of the range, newest first; NaN and the infinities are texts, to be told from null."""
    query, values = LATEST, {}
    if ask.selection.coarse:
        query, values = hours.LATEST, hours.newest_hours(ask, _PAGE + 1)
    rows = ask(query, most=_PAGE + 1, **values)
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
