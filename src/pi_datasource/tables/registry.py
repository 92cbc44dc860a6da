"""The tables that can be read, by name; a new one is an entry here."""

from __future__ import annotations

import difflib
from collections.abc import Mapping

import pyarrow as pa

from pi_datasource import schema
from pi_datasource.errors import InvalidOption
from pi_datasource.options.declaration import Options
from pi_datasource.tables.points import Points
from pi_datasource.tables.table import Table
from pi_datasource.tables.timeseries import Timeseries

TABLES: Mapping[str, Table] = {table.name: table for table in (Timeseries(), Points())}


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


def column_names(name: str) -> list[str]:
    """The columns that a table has whatever the options."""
    return list(lookup(name).schema(Options.parse({"url": "localhost"})).names)


def check_projection(options: Options, wanted: pa.Schema) -> None:
    """Checks that ``wanted``, which may be a schema of the user's, can be read.

    Raises:
        InvalidOption: it has a column that does not exist, or with another type; it contradicts ``columns``; or it lacks the
            column that distinguishes status rows from events.
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
        message = f"{option} needs the column 'value_kind', which distinguishes its rows from events; add it to the columns or the schema"
        raise InvalidOption(message)


def has_status_rows(options: Options) -> bool:
    """Whether some rows are not events (``schema.STATUS_KINDS``)."""
    return lookup(options.table).reports and (options.on_error == "report" or options.report_metrics)
