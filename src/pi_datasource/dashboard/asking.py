"""How a panel asks: queries are data, the reader's choice becomes bound parameters, fragments come from a fixed list."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from pi_datasource.dashboard.backend import Backend, Parameters, Row, Statement
from pi_datasource.dashboard.selection import EPOCH, Selection
from pi_datasource.dashboard.sql import MARKER, TABLE

__all__ = ["Ask", "Query"]

# Events per tag and bar, whichever table answers: hours are exact from the hourly table, and far fewer rows.
_FROM_GOLD = """
    SELECT tag_webid, tag_name, plant, sensor_type, unix_micros(hour) AS moment,
           event_count AS events, good_count AS good
    FROM {gold} WHERE hour >= timestamp_micros(:start) AND hour < timestamp_micros(:end){where}"""
_FROM_BRONZE = """
    SELECT tag_webid, max(tag_name) AS tag_name, plant, sensor_type,
           unix_micros(timestamp) - pmod(unix_micros(timestamp), :grain) AS moment,
           count(*) AS events, count_if(good) AS good
    FROM {bronze} WHERE timestamp >= timestamp_micros(:start) AND timestamp < timestamp_micros(:end){where}
    GROUP BY tag_webid, plant, sensor_type, unix_micros(timestamp) - pmod(unix_micros(timestamp), :grain)"""


@dataclass(frozen=True)
class Query:
    """A template of SQL.

    Besides tables it may hold ``{counts}``, ``{where}`` (the reader's plants and sensor types) and ``{by}`` (the column
    the reader groups by).
    ``within`` names the tables whose time column the text bounds, and the two parameters it does so with.
    """

    sql: str
    within: Mapping[str, tuple[str, str]] = field(default_factory=dict)


@dataclass(frozen=True)
class Ask:
    """Asks one back end for one reader's choice at one moment; ``width`` is how many pixels a chart has."""

    backend: Backend
    selection: Selection
    now: datetime
    tag: str = ""
    width: int = 800

    def __call__(self, query: Query, **values: int | float | str) -> list[Row]:
        """The rows of ``query``; ``values`` are its parameters beyond the choice's own."""
        return self.backend.rows(self.statement(query, **values))

    def one(self, query: Query, **values: int | float | str) -> Row:
        """The only row of a query that aggregates everything."""
        return self(query, **values)[0]

    def statement(self, query: Query, **values: int | float | str) -> Statement:
        """``query`` with its fragments filled in and the parameters that it uses."""
        chosen = self.selection
        conditions, parameters = _conditions(chosen)
        within = dict(query.within)
        if "{counts}" in query.sql:
            within["gold" if chosen.hourly else "bronze"] = ("start", "end")
        sql = (
            query.sql.replace("{counts}", f"({_FROM_GOLD if chosen.hourly else _FROM_BRONZE})")
            .replace("{where}", conditions)
            .replace("{by}", chosen.by)
        )
        every: dict[str, int | float | str] = {
            "start": chosen.start_us,
            "end": chosen.end_us,
            "grain": chosen.grain_us,
            **parameters,
            **values,
        }
        used = set(MARKER.findall(sql)) | {name for ends in within.values() for name in ends}
        return Statement(
            sql,
            {name: every[name] for name in sorted(used)},
            tuple(dict.fromkeys(TABLE.findall(sql))),
            within,
        )

    @property
    def now_us(self) -> int:
        """The moment of asking, in microseconds since 1970."""
        return round((self.now - EPOCH).total_seconds() * 1e6)


def _conditions(chosen: Selection) -> tuple[str, Parameters]:
    text, parameters = "", {}
    for column, values in (("plant", chosen.plants), ("sensor_type", chosen.sensor_types)):
        if values:
            named = {f"{column}_{number}": value for number, value in enumerate(values)}
            text += f" AND {column} IN ({', '.join(':' + name for name in named)})"
            parameters.update(named)
    return text, parameters
