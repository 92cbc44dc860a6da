"""Turns query templates into statements: selections become bound parameters, fragments come from a fixed list."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from pi_datasource.dashboard.backend import PARAMETER, TABLE, Backend, Parameters, Row, Statement
from pi_datasource.dashboard.selection import Selection, micros


@dataclass(frozen=True)
class Query:
    """An SQL template.

    Besides tables it may contain ``{counts}`` and ``{one_tag}`` (shared SELECTs, below), ``{where}`` (the selected
    plants and sensor types) and ``{by}`` (the selected column to group by). ``within`` and ``of_tag`` are those of the
    ``Statement``.
    """

    sql: str
    within: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    of_tag: bool = False


_RANGE = ("start", "end")
LOOKBACK = {"gold": ("lookback", "end")}
# Events per tag and bar, from either table: for whole hours the hourly table is exact and has far fewer rows.
_COUNTS_OF_HOURS = Query(
    "SELECT tag_webid, tag_name, plant, sensor_type, unix_micros(hour) AS moment, "
    "event_count AS events, good_count AS good "
    "FROM {gold} WHERE hour >= timestamp_micros(:start) AND hour < timestamp_micros(:end){where}",
    {"gold": _RANGE},
)
# The cast keeps sums of it integers in duckdb; in Spark count_if is a BIGINT already.
_COUNTS_OF_EVENTS = Query(
    "SELECT tag_webid, max(tag_name) AS tag_name, plant, sensor_type, "
    "unix_micros(timestamp) - pmod(unix_micros(timestamp), :grain) AS moment, "
    "count(*) AS events, CAST(count_if(good) AS BIGINT) AS good "
    "FROM {bronze} WHERE timestamp >= timestamp_micros(:start) AND timestamp < timestamp_micros(:end){where} "
    "GROUP BY tag_webid, plant, sensor_type, unix_micros(timestamp) - pmod(unix_micros(timestamp), :grain)",
    {"bronze": _RANGE},
)
_ONE_TAG = Query(
    "SELECT tag_name, timestamp, sequence, value, value_string, state_code, value_kind, good, questionable, "
    "substituted, annotated, units, point_type FROM {bronze} WHERE tag_webid = :tag "
    "AND timestamp >= timestamp_micros(:start) AND timestamp < timestamp_micros(:end)",
    {"bronze": _RANGE},
    of_tag=True,
)


@dataclass(frozen=True)
class QueryContext:
    """Runs queries against one back end for one selection at one moment; ``width`` is that of a chart in pixels."""

    backend: Backend
    selection: Selection
    now: datetime
    tag: str = ""
    width: int = 800

    def rows(self, query: Query, **values: int | float | str) -> list[Row]:
        """The rows of ``query``; ``values`` are its parameters besides those of the selection."""
        return self.backend.rows(self.statement(query, **values))

    def stream(self, query: Query, **values: int | float | str) -> Iterator[list[Row]]:
        """The rows of ``query`` in lists, for results of any length."""
        return self.backend.stream(self.statement(query, **values))

    def one(self, query: Query, **values: int | float | str) -> Row:
        """The only row of a query that aggregates all rows."""
        return self.rows(query, **values)[0]

    def statement(self, query: Query, **values: int | float | str) -> Statement:
        """``query`` with its fragments filled in, the parameters that it uses, and its shared SELECTs."""
        chosen = self.selection
        conditions, selected = _conditions(chosen)
        sql = query.sql.replace("{where}", conditions).replace("{by}", chosen.by)
        available: dict[str, int | float | str] = {
            "start": chosen.start_us,
            "end": chosen.end_us,
            "grain": chosen.grain_us,
            "lookback": chosen.lookback_us,
            "tag": self.tag,
            **selected,
            **values,
        }
        parts = {"counts": _COUNTS_OF_HOURS if chosen.hourly else _COUNTS_OF_EVENTS, "one_tag": _ONE_TAG}
        used = set(PARAMETER.findall(sql)) | {name for ends in query.within.values() for name in ends}
        return Statement(
            sql,
            {name: available[name] for name in sorted(used)},
            tuple(dict.fromkeys(TABLE.findall(sql))),
            query.within,
            query.of_tag,
            {name: self.statement(part) for name, part in parts.items() if f"{{{name}}}" in sql},
        )

    @property
    def now_us(self) -> int:
        """The moment of the query, in microseconds since 1970."""
        return micros(self.now)


def _conditions(selection: Selection) -> tuple[str, Parameters]:
    text, parameters = "", {}
    for column, values in (("plant", selection.plants), ("sensor_type", selection.sensor_types)):
        if values:
            named = {f"{column}_{number}": value for number, value in enumerate(values)}
            text += f" AND {column} IN ({', '.join(':' + name for name in named)})"
            parameters.update(named)
    return text, parameters
