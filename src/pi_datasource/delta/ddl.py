"""The SQL that creates a table as defined, or brings one that exists up to its definition: pure functions."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import pyarrow as pa
from pyspark.sql.pandas.types import from_arrow_type

from pi_datasource.delta import definitions, timestamps
from pi_datasource.delta.definitions import CHANGE_FEED, TableDefinition


@dataclass(frozen=True)
class StoredTable:
    """What ``DESCRIBE TABLE EXTENDED`` says of a table. ``columns`` maps names to comments."""

    columns: Mapping[str, str | None]
    comment: str | None
    properties: str
    location: str | None

    @classmethod
    def of(cls, rows: Iterable[tuple[str, str | None, str | None]]) -> StoredTable:
        """From the rows of the statement: the columns come first, up to an empty name."""
        columns: dict[str, str | None] = {}
        described = iter(rows)
        for name, _, comment in described:
            if not name or name.startswith("#"):
                break
            columns[name] = comment
        details = {name: kind or "" for name, kind, _ in described}
        location = details.get("Location")
        return cls(columns, details.get("Comment") or None, details.get("Table Properties", ""), location)

    def has_property(self, name: str, value: str | None = None) -> bool:
        """Whether the property is set, to this value if one is given."""
        wanted = f"{name}={'' if value is None else value}"
        end = "" if value is None else r"(?=[,\]])"
        return re.search(rf"[\[,]{re.escape(wanted)}{end}", self.properties) is not None


def is_platform_catalog(catalog: str | None) -> bool:
    """Whether it is a catalog of Databricks, in which keys are recorded and the engine maintains the tables.

    Open source Delta has tables in Spark's own catalog only; the workspace's metastore of old knows no keys.
    """
    return catalog is not None and catalog.strip("`").lower() not in ("spark_catalog", "hive_metastore")


def create_table(definition: TableDefinition, location: str | None, *, on_platform: bool) -> str:
    """Creates the table if it does not exist, in one commit."""
    columns = [_column(each, each.name in definition.required) for each in definition.columns]
    if on_platform and definition.unique:
        columns.append(_primary_key(definition))
    keys = ", ".join(map(_quoted, definition.cluster_by))
    place = f" LOCATION {text(location)}" if location else ""
    return (
        f"CREATE TABLE IF NOT EXISTS {definition.name} ({', '.join(columns)}) USING delta CLUSTER BY ({keys})"
        f" COMMENT {text(definition.comment)}"
        f" TBLPROPERTIES ({_assignments(definitions.properties(definition, on_platform=on_platform))}){place}"
    )


def complete_table(definition: TableDefinition, stored: StoredTable, *, on_platform: bool) -> list[str]:
    """The statements that add what an existing table lacks, comments on columns last; none if it lacks nothing.

    What is set stays, whoever has set it, except that the change data feed must be on. Columns of older versions that can be
    null stay so: Spark refuses to make them NOT NULL. Their tables get no primary key either, which needs that.
    """
    alter, stored_names = f"ALTER TABLE {definition.name}", {name.lower(): name for name in stored.columns}
    statements = []
    new = [each for each in definition.columns if each.name.lower() not in stored_names]
    if new:
        statements.append(f"{alter} ADD COLUMNS ({', '.join(_column(each) for each in new)})")
    if stored.comment is None:
        statements.append(f"COMMENT ON TABLE {definition.name} IS {text(definition.comment)}")
    wanted = definitions.properties(definition, on_platform=on_platform)
    missing = {
        name: value
        for name, value in wanted.items()
        if not (stored.has_property(name, value) if name == CHANGE_FEED else stored.has_property(name))
    }
    if missing:
        statements.append(f"{alter} SET TBLPROPERTIES ({_assignments(missing)})")
    uncommented = [
        f"{_quoted(stored_names[each.name.lower()])} COMMENT {text(said)}"
        for each in definition.columns
        if (said := definitions.comment_of(each)) is not None
        and each.name.lower() in stored_names
        and not stored.columns[stored_names[each.name.lower()]]
    ]
    if uncommented:
        statements.append(f"{alter} ALTER COLUMN {', '.join(uncommented)}")
    return statements


def _column(column: pa.Field, required: bool = False) -> str:
    said = definitions.comment_of(column)
    kind = timestamps.sql_type(from_arrow_type(column.type))
    return (
        f"{_quoted(column.name)} {kind}"
        + (" NOT NULL" if required else "")
        + ("" if said is None else f" COMMENT {text(said)}")
    )


def _primary_key(definition: TableDefinition) -> str:
    """Not enforced by the platform, which may rely on it: the pipeline stores each key once."""
    name = definition.name.rpartition(".")[2].strip("`")
    return f"CONSTRAINT {_quoted(name + '_key')} PRIMARY KEY ({', '.join(map(_quoted, definition.key))}) RELY"


def _assignments(values: Mapping[str, str]) -> str:
    return ", ".join(f"{text(name)} = {text(value)}" for name, value in sorted(values.items()))


def _quoted(name: str) -> str:
    return f"`{name.replace('`', '``')}`"


def text(content: str) -> str:
    """``content`` as a literal of SQL."""
    escaped = content.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"
