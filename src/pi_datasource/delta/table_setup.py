"""Ensures that a table exists as it is defined, and that the session knows it."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote
from urllib.request import url2pathname

from pyspark.sql import SparkSession
from pyspark.sql.types import StructType

from pi_datasource.delta import ddl
from pi_datasource.delta.ddl import StoredTable
from pi_datasource.delta.definitions import TableDefinition, comment_of
from pi_datasource.delta.lakehouse import Lakehouse
from pi_datasource.errors import InvalidOption


def ensure_schemas(spark: SparkSession, lakehouse: Lakehouse, tables: Sequence[TableDefinition]) -> None:
    """Ensures that the schemas of these tables exist."""
    for schema in dict.fromkeys(table.name.rpartition(".")[0] for table in tables):
        place = "" if lakehouse.directory is None else f" LOCATION {ddl.text(_folder(lakehouse, schema))}"
        spark.sql(f"CREATE SCHEMA IF NOT EXISTS {schema}{place}")


def ensure(spark: SparkSession, lakehouse: Lakehouse, table: TableDefinition) -> None:
    """Ensures that the table exists with these columns, comments and properties, and is registered in this session.

    A complete table is recognized by its schema, for which Spark runs no job. The schema of the catalog must exist.

    Raises:
        InvalidOption: the session has a table of that name in another folder, or its timestamps have no time zone.
    """
    on_platform = ddl.is_platform_catalog(lakehouse.catalog)
    location = None if lakehouse.directory is None else _location(lakehouse, table.name)
    if spark.catalog.tableExists(table.name):  # Spark logs a statement that fails with its whole stack
        if location is not None:
            _check_location(table.name, _describe(spark, table.name), location)
    elif location is not None and _has_commit(Path(location) / "_delta_log"):
        # Spark's catalog in memory ends with the session. With columns Spark would refuse the table.
        spark.sql(f"CREATE TABLE IF NOT EXISTS {table.name} USING delta LOCATION {ddl.text(location)}")
    else:
        spark.sql(ddl.create_table(table, location, on_platform=on_platform))
        return
    stored = spark.read.table(table.name).schema
    _check_timestamps(table, stored)
    if not _is_complete(table, stored):
        described = _describe(spark, table.name)
        for statement in ddl.complete_table(table, described, on_platform=on_platform):
            spark.sql(statement)


def _is_complete(table: TableDefinition, stored: StructType) -> bool:
    """Whether each column of the table is stored, with a comment: comments are what ``complete_table`` sets last.

    To look at the properties, Spark would have to read the table's log.
    """
    found = {field.name.lower(): bool(field.metadata.get("comment")) for field in stored}
    commented = {each.name.lower() for each in table.columns if comment_of(each) is not None}
    if not commented or not {name.lower() for name in table.columns.names} <= found.keys():
        return False
    return all(found[name] for name in commented)


def _describe(spark: SparkSession, name: str) -> StoredTable:
    return StoredTable.of(tuple(row) for row in spark.sql(f"DESCRIBE TABLE EXTENDED {name}").collect())


def _folder(lakehouse: Lakehouse, schema: str) -> str:
    return f"{lakehouse.directory}/{schema.strip('`')}"


def _location(lakehouse: Lakehouse, name: str) -> str:
    schema, _, short = name.rpartition(".")
    return f"{_folder(lakehouse, schema)}/{short.strip('`')}"


def _check_location(name: str, stored: StoredTable, location: str) -> None:
    """Fails if the session has this name for a table elsewhere: Spark would not create ours, and write into that one."""
    known = (stored.location or "").removeprefix("file:")  # not a URL: Spark does not escape it
    folder = Path(url2pathname(quote(known))).resolve()
    if folder != Path(location).resolve():
        message = (
            f"lakehouse: this Spark session knows {name.replace('`', '')} in {folder}, and not in {location}; a session "
            "can have one lakehouse in a folder: start another session for the other one"
        )
        raise InvalidOption(message)


def _check_timestamps(table: TableDefinition, stored: StructType) -> None:
    """Fails if one of our columns holds wall-clock times; older versions created such tables in some sessions."""
    ours = {name.lower() for name in table.columns.names}
    for field in stored:
        if field.name.lower() in ours and "timestamp_ntz" in field.dataType.simpleString():
            message = (
                f"lakehouse: the column {field.name!r} of {table.name.replace('`', '')} holds times without a time zone "
                "(timestamp_ntz), as it was made in a session with spark.sql.timestampType=TIMESTAMP_NTZ; name another "
                "folder or catalog, or remove the table with its checkpoints and ingest anew"
            )
            raise InvalidOption(message)


def _has_commit(log: Path) -> bool:
    """Whether a table was ever committed; deletes what a process left that was killed before its first commit.

    Commits that another process makes meanwhile stay.
    """
    entries = list(log.iterdir()) if log.is_dir() else []
    if any(map(_is_commit, entries)):
        return True
    for entry in entries:
        if entry.is_dir():
            shutil.rmtree(entry)
        else:
            entry.unlink(missing_ok=True)
    with suppress(OSError):  # it did not exist, or is not empty any more
        log.rmdir()
    return log.is_dir() and any(map(_is_commit, log.iterdir()))


def _is_commit(file: Path) -> bool:
    return file.suffix in (".json", ".parquet") and not file.name.startswith(".")
