"""Reads the Delta log of a table in a folder: its files with their statistics, its columns, its row count."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pyarrow as pa
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError, DeltaProtocolError, TableNotFoundError

from pi_datasource.dashboard.backend import first_line
from pi_datasource.dashboard.selection import micros
from pi_datasource.dashboard.tables import Table
from pi_datasource.errors import TablesUnavailable

# Delta cuts the times in its statistics to milliseconds: a file can hold events of a millisecond more.
_STATISTICS_US = 1000


@dataclass(frozen=True)
class DataFile:
    """One Parquet file with the bounds of its times and tags; a bound is None where the log has no statistics."""

    path: str
    rows: int | None
    first_us: int | None
    last_us: int | None
    first_tag: str | None = None
    last_tag: str | None = None

    def overlaps(self, start_us: int, end_us: int) -> bool:
        """Whether the file can hold a time in ``[start_us, end_us)``."""
        if self.first_us is None or self.last_us is None:
            return True
        return self.first_us < end_us and self.last_us >= start_us

    def may_hold(self, tag: str) -> bool:
        """Whether the file can hold rows of ``tag``; Delta cuts long texts in its statistics."""
        if self.first_tag is None or self.last_tag is None:
            return True
        return self.first_tag <= tag and (tag <= self.last_tag or tag.startswith(self.last_tag))


@dataclass(frozen=True)
class Snapshot:
    """One version of a table. Where ``dataset`` is set it must be used: reading the Parquet files would be wrong.

    ``identity`` differs for every version, also of a table that was removed and recreated in the same place.
    """

    version: int
    files: tuple[DataFile, ...]
    empty: pa.Table
    identity: tuple[int, int, int]
    dataset: Any = None

    @property
    def columns(self) -> frozenset[str]:
        """The names of its columns."""
        return frozenset(self.empty.column_names)

    @property
    def rows(self) -> int | None:
        """How many rows it holds, or None where a file has no statistics."""
        counts = [file.rows for file in self.files]
        return None if None in counts else sum(count or 0 for count in counts)

    def within(self, start_us: int, end_us: int, tag: str | None = None) -> list[str]:
        """The files that can hold times in ``[start_us, end_us)``, and rows of ``tag`` if one is given."""
        return [
            file.path
            for file in self.files
            if file.overlaps(start_us, end_us) and (tag is None or file.may_hold(tag))
        ]

    def is_newest(self, folder: Path) -> bool:
        """Whether it is still the newest version, from two file lookups: reading a long log takes seconds."""
        same = self.identity[1] and _identity(folder, self.version) == self.identity
        return bool(same) and not _commit(folder, self.version + 1).exists()


def load(lakehouse: Path, table: Table) -> Snapshot | None:
    """The newest version of a table below ``lakehouse``; None where there is no such table.

    Raises:
        TablesUnavailable: the table is there, but cannot be read here.
    """
    folder = lakehouse / table.path
    if not (folder / "_delta_log").is_dir():
        return None
    try:
        return _snapshot(DeltaTable(str(folder)), folder, table)
    except TableNotFoundError:
        return None
    except DeltaProtocolError as cause:
        message = (
            f"{table.path}: the table uses a Delta feature that only Spark can read: {first_line(cause)}. "
            f"Remove it in Spark: ALTER TABLE delta.`{folder}` DROP FEATURE deletionVectors"
        )
        raise TablesUnavailable(message) from cause
    except (DeltaError, OSError) as cause:
        message = f"{table.path}: Delta's log cannot be read: {first_line(cause)}. Repair the table, or remove its folder and ingest again"
        raise TablesUnavailable(message) from cause


def _snapshot(delta: DeltaTable, folder: Path, table: Table) -> Snapshot:
    schema = pa.schema(delta.schema().to_arrow())
    actions = pa.table(delta.get_add_actions(flatten=True))
    columns = {name: actions[name].to_pylist() for name in actions.column_names}
    missing = [None] * actions.num_rows
    files = tuple(
        DataFile(str(folder / path), rows, _micros(first), _micros(last, _STATISTICS_US), *tags)
        for path, rows, first, last, *tags in zip(
            columns["path"],
            columns.get("num_records", missing),
            columns.get(f"min.{table.time}", missing),
            columns.get(f"max.{table.time}", missing),
            columns.get("min.tag_webid", missing),
            columns.get("max.tag_webid", missing),
            strict=True,
        )
    )
    # Deletion vectors, renamed columns and partition columns are not in the Parquet files themselves.
    plain = delta.protocol().min_reader_version == 1 and not delta.metadata().partition_columns
    dataset = None if plain else delta.to_pyarrow_dataset()
    version = delta.version()
    return Snapshot(version, files, schema.empty_table(), _identity(folder, version), dataset)


def _commit(folder: Path, version: int) -> Path:
    return folder / "_delta_log" / f"{version:020}.json"


def _identity(folder: Path, version: int) -> tuple[int, int, int]:
    try:
        commit = _commit(folder, version).stat()
    except FileNotFoundError:  # only its checkpoint was kept
        return version, 0, 0
    return version, commit.st_ino, commit.st_mtime_ns


def _micros(moment: datetime | None, margin_us: int = 0) -> int | None:
    if moment is None:
        return None
    return micros(moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)) + margin_us
