"""How a panel asks: queries are data, the reader's choice becomes bound parameters, fragments come from a fixed list."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from pi_datasource.dashboard.backend import Backend, Parameters, Row, Statement
from pi_datasource.dashboard.selection import EPOCH, Selection
from pi_datasource.dashboard.sql import MARKER, TABLE

__all__ = ["Ask", "Query"]


@dataclass(frozen=True)
class Query:
    """A template of SQL.

    Besides tables it may hold ``{counts}`` and ``{one_tag}`` (what panels share, below), ``{where}`` (the reader's
    plants and sensor types) and ``{by}`` (the column the reader groups by).
    ``within`` names the tables whose time column the text bounds, and the two parameters it does so with; ``of_tag``
    says that it takes rows of one tag only.
    """

    sql: str
    within: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    of_tag: bool = False


_RANGE = ("start", "end")
# Events per tag and bar, whichever table answers: hours are exact from the hourly table, and far fewer rows.
_COUNTS_OF_HOURS = Query(
    "SELECT tag_webid, tag_name, plant, sensor_type, unix_micros(hour) AS moment, "
    "event_count AS events, good_count AS good "
    "FROM {gold} WHERE hour >= timestamp_micros(:start) AND hour < timestamp_micros(:end){where}",
    {"gold": _RANGE},
)
# The cast keeps duckdb's sums of it whole numbers; Spark's count_if is a BIGINT as it is.
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

    def stream(self, query: Query, **values: int | float | str) -> Iterator[list[Row]]:
        """The rows of ``query`` in lists, for answers of any length."""
        return self.backend.stream(self.statement(query, **values))

    def one(self, query: Query, **values: int | float | str) -> Row:
        """The only row of a query that aggregates everything."""
        return self(query, **values)[0]

    def statement(self, query: Query, **values: int | float | str) -> Statement:
        """``query`` with its fragments filled in, the parameters that it uses, and what it shares with others."""
        conditions, chosen = _conditions(self.selection)
        sql = query.sql.replace("{where}", conditions).replace("{by}", self.selection.by)
        every: dict[str, int | float | str] = {
            "start": self.selection.start_us,
            "end": self.selection.end_us,
            "grain": self.selection.grain_us,
            "tag": self.tag,
            **chosen,
            **values,
        }
        used = set(MARKER.findall(sql)) | {name for ends in query.within.values() for name in ends}
        return Statement(
            sql,
            {name: every[name] for name in sorted(used)},
            tuple(dict.fromkeys(TABLE.findall(sql))),
            query.within,
            query.of_tag,
            {name: self.statement(part) for name, part in self._parts().items() if f"{{{name}}}" in sql},
        )

    def _parts(self) -> Mapping[str, Query]:
        return {
            "counts": _COUNTS_OF_HOURS if self.selection.hourly else _COUNTS_OF_EVENTS,
            "one_tag": _ONE_TAG,
        }

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
