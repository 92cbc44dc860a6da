"""Panels about the events: counts, distribution, quality, gaps."""

from __future__ import annotations

from typing import Any

from pi_datasource.dashboard.panels.panel import Panel
from pi_datasource.dashboard.panels.pipeline import watermark
from pi_datasource.dashboard.queries import LOOKBACK, Query, QueryContext
from pi_datasource.dashboard.selection import HOUR_US
from pi_datasource.schema import DONE_RUN, NOT_OVERLAP

_SHOWN_ROWS = 50

TOTALS = Query(
    "SELECT coalesce(sum(events), 0) AS events, count(DISTINCT tag_webid) AS tags, coalesce(sum(good), 0) AS good "
    "FROM {counts} AS counts"
)
LAST_HOUR = Query(
    "SELECT unix_micros(max(hour)) AS hour FROM {gold} "
    "WHERE hour >= timestamp_micros(:lookback) AND hour < timestamp_micros(:end){where}",
    LOOKBACK,
)
LAST_EVENT = Query(
    "SELECT unix_micros(max(timestamp)) AS moment FROM {bronze} "
    "WHERE timestamp >= timestamp_micros(:hour) AND timestamp < timestamp_micros(:hour_end){where}",
    {"bronze": ("hour", "hour_end")},
)
THROUGHPUT = Query(
    f"SELECT sum(rows_read) AS rows_read, sum(CASE WHEN {NOT_OVERLAP} THEN seconds END) AS seconds FROM {{audit}} "
    f"WHERE {DONE_RUN} AND window_end >= timestamp_micros(:start) AND window_end < timestamp_micros(:end)",
    {"audit": ("start", "end")},
)
TIMELINE = Query(
    "SELECT moment - pmod(moment, :grain) AS moment, {by} AS series, sum(events) AS events FROM {counts} AS counts "
    "GROUP BY moment - pmod(moment, :grain), {by} ORDER BY moment, series NULLS LAST"
)
DISTRIBUTION = Query(
    "SELECT sensor_type, sum(events) AS events, count(DISTINCT tag_webid) AS tags, sum(good) AS good "
    "FROM {counts} AS counts GROUP BY sensor_type ORDER BY events DESC, sensor_type NULLS LAST"
)
QUALITY = Query(
    "SELECT tag_webid, max_by(tag_name, moment) AS tag_name, max_by(plant, moment) AS plant, "
    "max_by(sensor_type, moment) AS sensor_type, sum(events) AS events, sum(good) AS good, "
    "sum(good) / sum(events) AS good_share "
    "FROM {counts} AS counts GROUP BY tag_webid "
    "ORDER BY good_share, events DESC, tag_name, tag_webid LIMIT :shown"
)
# The time between two bars with events, and from the last one to the end of what has been read. It is relative to the
# mean interval between the events of the tag, as some tags have events every second and others once a day.
GAPS = Query(
    "WITH seen AS (SELECT tag_webid, max(tag_name) AS tag_name, moment, sum(events) AS events "
    "FROM {counts} AS counts GROUP BY tag_webid, moment), "
    "steps AS (SELECT tag_webid, moment + :step AS since, coalesce(lead(moment) OVER "
    "(PARTITION BY tag_webid ORDER BY moment), :horizon) - moment - :step AS silence FROM seen), "
    "silent AS (SELECT tag_webid, since, silence, max(silence) OVER (PARTITION BY tag_webid) AS longest "
    "FROM steps WHERE silence > 0), "
    "worst AS (SELECT tag_webid, max(silence) AS longest_us, "
    "max(CASE WHEN silence = longest THEN since END) AS silent_from, count(*) AS gaps "
    "FROM silent GROUP BY tag_webid), "
    "tags AS (SELECT tag_webid, max_by(tag_name, moment) AS tag_name, sum(events) AS events "
    "FROM seen GROUP BY tag_webid) "
    "SELECT worst.tag_webid, tag_name, events, longest_us, silent_from, gaps, "
    "CAST(longest_us AS DOUBLE) * events / (:horizon - :start) AS times_usual "
    "FROM worst JOIN tags ON worst.tag_webid = tags.tag_webid "
    "ORDER BY times_usual DESC, tag_name, worst.tag_webid LIMIT :shown"
)
CHOICES = Query(
    "SELECT DISTINCT plant, sensor_type FROM {gold} WHERE hour >= timestamp_micros(:lookback) "
    "AND hour < timestamp_micros(:end)",
    LOOKBACK,
)


def kpis(context: QueryContext) -> dict[str, Any]:
    """The key figures at the top of the page."""
    totals = context.one(TOTALS)
    hour = context.one(LAST_HOUR)["hour"]
    last = None
    if hour is not None:
        hour_end = min(hour + HOUR_US, context.selection.end_us)
        last = context.one(LAST_EVENT, hour=hour, hour_end=hour_end)["moment"]
    speed = context.one(THROUGHPUT)
    read = watermark(context)
    return {
        **totals,
        "good_share": totals["good"] / totals["events"] if totals["events"] else None,
        "last_event": last,
        "read_until": read.read_until_us,
        "lag_s": None if read.stream_us is None else max(0.0, (context.now_us - read.stream_us) / 1e6),
        "rows_per_second": speed["rows_read"] / speed["seconds"] if speed["seconds"] else None,
        "rows_in_table": context.backend.sizes().get("bronze"),
    }


def timeline(context: QueryContext) -> dict[str, Any]:
    """Events per bar, as one list of bars for each series."""
    series: dict[str | None, dict[str, list[int]]] = {}
    for row in context.rows(TIMELINE):
        bars = series.setdefault(row["series"], {"moments": [], "events": []})
        bars["moments"].append(row["moment"])
        bars["events"].append(row["events"])
    return {
        "by": context.selection.by,
        "grain_s": context.selection.grain_us // 1_000_000,
        "series": [{"name": name, **bars} for name, bars in series.items()],
    }


def distribution(context: QueryContext) -> dict[str, Any]:
    """Events, tags and good events of each sensor type."""
    return {"rows": context.rows(DISTRIBUTION)}


def quality(context: QueryContext) -> dict[str, Any]:
    """The tags with the smallest share of good events."""
    return {"rows": context.rows(QUALITY, shown=_SHOWN_ROWS)}


def gaps(context: QueryContext) -> dict[str, Any]:
    """The tags with the longest gaps inside the range; a bar without an event is a gap."""
    chosen = context.selection
    known = watermark(context).read_until_us
    read_until = context.now_us if known is None else min(known, context.now_us)
    step = HOUR_US if chosen.hourly else chosen.grain_us
    horizon = max(min(read_until, chosen.end_us) // step * step, chosen.start_us + step)
    rows = context.rows(GAPS, step=step, horizon=horizon, shown=_SHOWN_ROWS)
    return {"rows": rows, "step_s": step // 1_000_000}


def choices(context: QueryContext) -> dict[str, Any]:
    """The plants and sensor types that can be selected."""
    rows = context.rows(CHOICES)
    names = ("plant", "sensor_type")
    return {name: sorted({row[name] for row in rows if row[name] is not None}) for name in names}


_GROUPS = ("gold.plant", "gold.sensor_type")
PANELS = (
    Panel("kpis", ("bronze", "gold", "audit"), kpis),
    Panel("timeline", ("bronze", "gold"), timeline, _GROUPS),
    Panel("distribution", ("bronze", "gold"), distribution, ("gold.sensor_type",)),
    Panel("quality", ("bronze", "gold"), quality),
    Panel("gaps", ("bronze", "gold", "audit"), gaps),
    Panel("choices", ("gold",), choices, _GROUPS),
)
