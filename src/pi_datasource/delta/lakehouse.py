"""Names and locations of the pipeline's tables: in a local folder, or in a catalog of a cluster."""

from __future__ import annotations

import hashlib
import json
import warnings
from dataclasses import dataclass
from pathlib import Path

from pi_datasource import paths
from pi_datasource.errors import InvalidOption
from pi_datasource.options.declaration import Options


@dataclass(frozen=True)
class Lakehouse:
    """Names and locations of the tables; ``table_setup.ensure`` creates them.

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

    @property
    def staging(self) -> str:
        """The folder of the rows that a run stages."""
        return f"{self.checkpoint_root}/_staging"

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

    def _name(self, schema: str, table: str) -> str:
        parts = [self.catalog, schema, table] if self.catalog else [schema, table]
        return ".".join(f"`{part.replace('`', '``')}`" for part in parts)
