"""Names and locations of the pipeline's tables: in a local folder, or in a catalog of a cluster."""

from __future__ import annotations

import hashlib
import json
import shutil
import warnings
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote
from urllib.request import url2pathname

from pyspark.sql import SparkSession
from pyspark.sql.types import StructField, StructType

from pi_datasource import paths
from pi_datasource.delta import timestamps
from pi_datasource.errors import InvalidOption
from pi_datasource.options.declaration import Options


@dataclass(frozen=True)
class Lakehouse:
    """Names and locations of the tables; ``ensure_table`` creates them.

    Names have two parts in a folder (``bronze.pi_timeseries``), because Delta cannot be a second Spark catalog, and three
    in a catalog.
    """

    checkpoint_root: str
    catalog: str | None = None
    directory: str | None = None
    bronze_schema: str = "bronze"
    gold_schema: str = "gold"
    checkpoint_schema: str = "checkpoints"

    @classmethod
    def in_directory(cls, path: str | Path) -> Lakehouse:
        """Tables below a folder of this machine, such as ``FOLDER/bronze/pi_timeseries``.

        Raises:
            InvalidOption: it is a file, or the address of remote storage, such as ``s3://…``.
        """
        otherwise = (
            "have the tables in a catalog of a cluster: --catalog and --checkpoints, Lakehouse.in_catalog"
        )
        folder = paths.local(path, "lakehouse", otherwise).expanduser().absolute()
        if folder.exists() and not folder.is_dir():
            message = f"lakehouse: {folder} is a file; name a folder"
            raise InvalidOption(message)
        return cls(checkpoint_root=str(folder / "_checkpoints"), directory=str(folder))

    @classmethod
    def in_catalog(
        cls,
        catalog: str,
        checkpoint_root: str,
        *,
        bronze: str = "bronze",
        gold: str = "gold",
        checkpoints: str = "checkpoints",
    ) -> Lakehouse:
        """Tables in a catalog; ``checkpoint_root`` is a folder that the whole cluster can read, such as a volume."""
        return cls(checkpoint_root.rstrip("/"), catalog, None, bronze, gold, checkpoints)

    @property
    def bronze(self) -> str:
        """The table of events."""
        return self._name(self.bronze_schema, "pi_timeseries")

    @property
    def errors(self) -> str:
        """The table of points and windows that could not be read."""
        return self._name(self.bronze_schema, "pi_timeseries_errors")

    @property
    def points(self) -> str:
        """The table of discovered tags."""
        return self._name(self.bronze_schema, "pi_points")

    @property
    def gold(self) -> str:
        """The table of hourly metrics."""
        return self._name(self.gold_schema, "pi_metrics_hourly")

    @property
    def audit(self) -> str:
        """The audit table, with one row per micro-batch."""
        return self._name(self.checkpoint_schema, "pi_ingestion_checkpoint")

    @property
    def ledger(self) -> str:
        """The former name of ``audit``."""
        warnings.warn("Lakehouse.ledger is deprecated; use Lakehouse.audit", DeprecationWarning, stacklevel=2)
        return self.audit

    @property
    def maintenance(self) -> str:
        """The table that records when each of the others was last optimized."""
        return self._name(self.checkpoint_schema, "pi_maintenance")

    def checkpoint(self, options: Options) -> str:
        """Spark's checkpoint folder for this server and selection of tags."""
        return f"{self.checkpoint_root}/{self.selection(options)}"

    def selection(self, options: Options) -> str:
        """The identifier of this server and selection of tags.

        Another selection is another stream with its own position. With a common one, tags that are new in the selection
        would silently start at the position of the others.
        """
        selection = [options.url, options.table, options.tags, options.tag_filter, options.data_servers]
        digest = hashlib.sha256(json.dumps(selection).encode()).hexdigest()[:10]
        return f"{options.table}-{digest}"

    def stream_name(self, options: Options) -> str:
        """The name of the streaming query, unique within a Spark session."""
        return f"{self.selection(options)} into {self.bronze.replace('`', '')}"

    def ensure_table(
        self, spark: SparkSession, name: str, columns: StructType, cluster_by: tuple[str, ...]
    ) -> None:
        """Ensures that the table ``name`` exists with these columns and is registered in this session.

        Raises:
            InvalidOption: the session has a table of that name in another folder, or its timestamps have no time zone.
        """
        self._register(spark, name, columns, cluster_by)
        stored = spark.read.table(name).schema
        _check_timestamps(name, columns, stored)
        names = {field.name.lower() for field in stored}
        if missing := [field for field in columns if field.name.lower() not in names]:
            spark.sql(f"ALTER TABLE {name} ADD COLUMNS ({_column_list(missing)})")

    def _register(
        self, spark: SparkSession, name: str, columns: StructType, cluster_by: tuple[str, ...]
    ) -> None:
        schema, _, short = name.rpartition(".")
        exists = spark.catalog.databaseExists(schema)
        if self.directory is None:
            if not exists:
                spark.sql(f"CREATE SCHEMA IF NOT EXISTS {schema}")
            spark.sql(_create_statement(name, columns, cluster_by, location=None))
            return
        folder = f"{self.directory}/{schema.strip('`')}"
        if not exists:
            spark.sql(f"CREATE SCHEMA IF NOT EXISTS {schema} LOCATION '{_escape(folder)}'")
        location = f"{folder}/{short.strip('`')}"
        if exists and spark.catalog.tableExists(name):
            _check_location(spark, name, location)
        if _has_commit(Path(location) / "_delta_log"):  # Spark's in-memory catalog ends with the session
            spark.sql(f"CREATE TABLE IF NOT EXISTS {name} USING delta LOCATION '{_escape(location)}'")
        else:
            spark.sql(_create_statement(name, columns, cluster_by, location))

    def _name(self, schema: str, table: str) -> str:
        parts = [self.catalog, schema, table] if self.catalog else [schema, table]
        return ".".join(f"`{part.replace('`', '``')}`" for part in parts)


def _check_location(spark: SparkSession, name: str, location: str) -> None:
    """Fails if the session has this name for a table elsewhere: Spark would not create ours, and write into that one."""
    described = spark.sql(f"DESCRIBE TABLE EXTENDED {name}").collect()
    # The last row of that name: a column may have it too, and columns come first.
    locations = [row["data_type"] for row in described if row["col_name"] == "Location"]
    known = locations[-1].removeprefix("file:") if locations else ""  # not a URL: Spark does not escape it
    folder = Path(url2pathname(quote(known))).resolve()
    if folder != Path(location).resolve():
        message = (
            f"lakehouse: this Spark session knows {name.replace('`', '')} in {folder}, and not in {location}; a session "
            "can have one lakehouse in a folder: start another session for the other one"
        )
        raise InvalidOption(message)


def _check_timestamps(name: str, columns: StructType, stored: StructType) -> None:
    """Fails if one of our columns holds wall-clock times; older versions created such tables in some sessions."""
    ours = {field.name.lower() for field in columns}
    for field in stored:
        if field.name.lower() in ours and "timestamp_ntz" in field.dataType.simpleString():
            message = (
                f"lakehouse: the column {field.name!r} of {name.replace('`', '')} holds times without a time zone "
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


def _create_statement(
    name: str, columns: StructType, cluster_by: tuple[str, ...], location: str | None
) -> str:
    keys = ", ".join(f"`{column}`" for column in cluster_by)
    place = f" LOCATION '{_escape(location)}'" if location else ""
    place += " TBLPROPERTIES (delta.enableChangeDataFeed = true)" if "pi_timeseries`" in name else ""
    return (
        f"CREATE TABLE IF NOT EXISTS {name} ({_column_list(columns)}) USING delta CLUSTER BY ({keys}){place}"
    )


def _column_list(columns: Iterable[StructField]) -> str:
    return ", ".join(f"`{field.name}` {timestamps.sql_type(field.dataType)}" for field in columns)


def _escape(text: str) -> str:
    return text.replace("\\", "\\\\").replace("'", "\\'")
