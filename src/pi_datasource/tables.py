"""The tables that can be read: name → columns, key and kind of change. A new table is an entry here."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from dataclasses import dataclass

import pyarrow as pa

from pi_datasource import schema
from pi_datasource.errors import InvalidOption
from pi_datasource.options import Options


@dataclass(frozen=True)
class Table:
    """One table: what its rows are, which columns identify a row, and how its rows change."""

    name: str
    grain: str
    key: tuple[str, ...]
    schema: Callable[[Options], pa.Schema]
    streams: bool


TABLES = {
    table.name: table
    for table in (
        Table(
            name="pi_timeseries",
            grain="one recorded event of one point",
            key=schema.TIMESERIES_KEY,
            schema=lambda options: schema.timeseries(options.pattern_columns, options.include_metadata),
            streams=True,
        ),
    )
}


def lookup(name: str) -> Table:
    """The table called ``name``.

    Raises:
        InvalidOption: there is none; the message suggests the nearest.
    """
    table = TABLES.get(name)
    if table is None:
        near = difflib.get_close_matches(name, TABLES, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"the tables are: {', '.join(TABLES)}"
        message = f"option 'table': there is no table {name!r}; {hint}"
        raise InvalidOption(message)
    return table


def check_projection(options: Options, wanted: pa.Schema) -> list[int]:
    """The positions, in the table's full schema, of the columns of ``wanted``.

    Raises:
        InvalidOption: the user's schema asks for a column that does not exist, or as another type.
    """
    return schema.projection(lookup(options.table).schema(options), wanted)
