"""The tables that can be read: name → columns, key and kind of change. A new table is an entry here."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from dataclasses import dataclass

import pyarrow as pa

from pi_datasource import schema
from pi_datasource.errors import InvalidOption
from pi_datasource.options.declaration import Options


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


def columns(options: Options) -> pa.Schema:
    """The columns to read: those of the option ``columns`` in its order, or all of the table.

    Raises:
        InvalidOption: ``columns`` names one that does not exist; or the table cannot be shaped as the options say.
    """
    full = lookup(options.table).schema(options)
    return schema.selection(full, options.columns) if options.columns else full


def check_projection(options: Options, wanted: pa.Schema) -> None:
    """Makes sure that ``wanted``, which may be a schema of the user's, can be read.

    Raises:
        InvalidOption: it asks for a column that does not exist, or as another type; it contradicts ``columns``; or
            rows that tell of failures could not be told from events.
    """
    schema.check_projection(lookup(options.table).schema(options), wanted)
    if options.columns and tuple(wanted.names) != options.columns:
        message = (
            f"schema: its columns are {', '.join(wanted.names)}, but those of the option 'columns' are "
            f"{', '.join(options.columns)}; give one of the two"
        )
        raise InvalidOption(message)
    if has_status_rows(options) and "value_kind" not in wanted.names:
        option = "on_error='report'" if options.on_error == "report" else "report_metrics"
        message = f"{option} needs the column 'value_kind', which tells its rows from events; add it to the columns or the schema"
        raise InvalidOption(message)


def has_status_rows(options: Options) -> bool:
    """Whether among the rows are some that are no events (``schema.STATUS_KINDS``)."""
    return options.on_error == "report" or options.report_metrics
