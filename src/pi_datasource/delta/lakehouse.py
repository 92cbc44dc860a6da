"""Where the pipeline's tables live: a directory for the embedded default, catalog and schemas on a cluster."""

from __future__ import annotations

import hashlib
import json
import shutil
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote
from urllib.request import url2pathname

from pyspark.sql import SparkSession
from pyspark.sql.types import StructType

from pi_datasource import paths
from pi_datasource.delta import timestamps
from pi_datasource.errors import InvalidOption
from pi_datasource.options.declaration import Options


@dataclass(frozen=True)
class Lakehouse:
    """Names and places of the tables; nothing is created before ``table`` is called.

    Locally names have two parts (``bronze.pi_timeseries``), because Delta cannot be a second Spark catalog; on
    Databricks three.
    """

    checkpoint_root: str
    catalog: str | None = None
    directory: str | None = None
    bronze_schema: str = "bronze"
    gold_schema: str = "gold"
    checkpoint_schema: str = "checkpoints"

    @classmethod
    def in_directory(cls, path: str | Path) -> Lakehouse:
        """Tables under a folder of this machine, as ``FOLDER/bronze/pi_timeseries`` and so on.

        Raises:
            InvalidOption: it is a file, or the address of another place, such as ``s3://…``.
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
        """Tables of a catalog; ``checkpoint_root`` is a folder that all of the cluster sees, such as a volume."""
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
        """The table of tags as discovered."""
        return self._name(self.bronze_schema, "pi_points")

    @property
    def gold(self) -> str:
        """The table of hours."""
        return self._name(self.gold_schema, "pi_metrics_hourly")

    @property
    def ledger(self) -> str:
        """The table with one row per micro-batch."""
        return self._name(self.checkpoint_schema, "pi_ingestion_checkpoint")

    @property
    def maintenance(self) -> str:
        """The table that says when each of the others was optimized last."""
        return self._name(self.checkpoint_schema, "pi_maintenance")

    def checkpoint(self, options: Options) -> str:
        """The folder of Spark's checkpoint for this server and selection of tags."""
        return f"{self.checkpoint_root}/{self.selection(options)}"

    def selection(self, options: Options) -> str:
        """The short name of this server and selection of tags.

        Another selection is another stream with its own position: were it the same, tags that are new in the
        selection would silently start where the old ones stand.
        """
        selection = [options.url, options.table, options.tags, options.tag_filter, options.data_servers]
        digest = hashlib.sha256(json.dumps(selection).encode()).hexdigest()[:10]
        return f"{options.table}-{digest}"

    def stream_name(self, options: Options) -> str:
        """What Spark shows the ingestion of this server and selection as: no two of a session share a name."""
        return f"{self.selection(options)} into {self.bronze.replace('`', '')}"

    def table(self, spark: SparkSession, name: str, columns: StructType, cluster_by: tuple[str, ...]) -> str:
        """``name`` itself, after making sure that the table exists with these columns and this session knows it.

        Raises:
            InvalidOption: the session knows a table of that name in another folder, or its times are without a zone.
        """
        self._known(spark, name, columns, cluster_by)
        known = spark.read.table(name).schema
        _check_times(name, columns, known)
        stored = {field.name.lower() for field in known}
        if missing := [field for field in columns if field.name.lower() not in stored]:
            added = ", ".join(f"`{field.name}` {timestamps.sql_type(field.dataType)}" for field in missing)
            spark.sql(f"ALTER TABLE {name} ADD COLUMNS ({added})")
        return name

    def _known(
        self, spark: SparkSession, name: str, columns: StructType, cluster_by: tuple[str, ...]
    ) -> None:
        schema, _, short = name.rpartition(".")
        known = spark.catalog.databaseExists(schema)
        if self.directory is None:
            if not known:
                spark.sql(f"CREATE SCHEMA IF NOT EXISTS {schema}")
            spark.sql(_create(name, columns, cluster_by, location=None))
            return
        folder = f"{self.directory}/{schema.strip('`')}"
        if not known:
            spark.sql(f"CREATE SCHEMA IF NOT EXISTS {schema} LOCATION '{_quoted(folder)}'")
        location = f"{folder}/{short.strip('`')}"
        if known and spark.catalog.tableExists(name):
            _check_place(spark, name, location)
        if _has_commit(Path(location) / "_delta_log"):  # Spark's catalog forgets tables with the session
            spark.sql(f"CREATE TABLE IF NOT EXISTS {name} USING delta LOCATION '{_quoted(location)}'")
        else:
            spark.sql(_create(name, columns, cluster_by, location))

    def _name(self, schema: str, table: str) -> str:
        parts = [self.catalog, schema, table] if self.catalog else [schema, table]
        return ".".join(f"`{part.replace('`', '``')}`" for part in parts)


def _check_place(spark: SparkSession, name: str, location: str) -> None:
    """Fails if the table of this name is another one: Spark would not create ours, and write into that one."""
    described = spark.sql(f"DESCRIBE TABLE EXTENDED {name}").collect()
    # The last of that name: a column may have it too, and columns come first.
    places = [row["data_type"] for row in described if row["col_name"] == "Location"]
    place = places[-1].removeprefix("file:") if places else ""  # no URL: Spark escapes nothing in it
    known = Path(url2pathname(quote(place))).resolve()
    if known != Path(location).resolve():
        message = (
            f"lakehouse: this Spark session knows {name.replace('`', '')} in {known}, and not in {location}; a session can "
            "have one lakehouse in a folder: start another session for the other one"
        )
        raise InvalidOption(message)


def _check_times(name: str, columns: StructType, stored: StructType) -> None:
    """Fails if the table holds wall-clock times; versions before this one made it so in some sessions."""
    ours = {field.name.lower() for field in columns}
    times = [field.name for field in stored if "timestamp_ntz" in field.dataType.simpleString()]
    zoneless = [column for column in times if column.lower() in ours]
    if zoneless:
        message = (
            f"lakehouse: the column {zoneless[0]!r} of {name.replace('`', '')} holds times without a time zone "
            "(timestamp_ntz), as it was made in a session with spark.sql.timestampType=TIMESTAMP_NTZ; name another "
            "folder or catalog, or remove the table with its checkpoints and ingest anew"
        )
        raise InvalidOption(message)


def _has_commit(log: Path) -> bool:
    """Whether a table was ever committed; what a process left that was killed before that is cleared away.

    What another process commits meanwhile stays.
    """
    entries = list(log.iterdir()) if log.is_dir() else []
    if any(map(_is_commit, entries)):
        return True
    for entry in entries:
        if entry.is_dir():
            shutil.rmtree(entry)
        else:
            entry.unlink(missing_ok=True)
    with suppress(OSError):  # it never was, or is no longer empty
        log.rmdir()
    return log.is_dir() and any(map(_is_commit, log.iterdir()))


def _is_commit(file: Path) -> bool:
    return file.suffix in (".json", ".parquet") and not file.name.startswith(".")


def _create(name: str, columns: StructType, cluster_by: tuple[str, ...], location: str | None) -> str:
    fields = ", ".join(f"`{field.name}` {timestamps.sql_type(field.dataType)}" for field in columns)
    keys = ", ".join(f"`{column}`" for column in cluster_by)
    place = f" LOCATION '{_quoted(location)}'" if location else ""
    return f"CREATE TABLE IF NOT EXISTS {name} ({fields}) USING delta CLUSTER BY ({keys}){place}"


def _quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace("'", "\\'")
