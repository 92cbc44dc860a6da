"""The tables that the dashboard reads: names, time columns, optional columns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Table:
    """One table of the pipeline. ``optional`` maps columns that not every version writes to their SQL types.

    Statements may use optional columns freely: where a table lacks one, it reads as null, and the panel says that it is
    not recorded. ``time`` is the column whose statistics select the files of a window; ``absent`` is what users see
    where the table does not exist.
    """

    schema: str
    name: str
    time: str
    absent: str
    optional: Mapping[str, str] = field(default_factory=dict)

    @property
    def path(self) -> str:
        """The table's folder below a local lakehouse."""
        return f"{self.schema}/{self.name}"


_NOT_YET = "no table yet: run pi-datasource ingest"
_NOT_RECORDED = "not recorded by this version of the pipeline"
_GROUPS = {"plant": "STRING", "sensor_type": "STRING"}

TABLES: Mapping[str, Table] = {
    "bronze": Table("bronze", "pi_timeseries", "timestamp", _NOT_YET, _GROUPS),
    "errors": Table(
        "bronze",
        "pi_timeseries_errors",
        "window_start",
        _NOT_YET,
        {"dismissed_at": "TIMESTAMP", "dismissed_reason": "STRING"},
    ),
    "gold": Table("gold", "pi_metrics_hourly", "hour", _NOT_YET, _GROUPS),
    "audit": Table(
        "checkpoints",
        "pi_ingestion_checkpoint",
        "window_end",
        _NOT_YET,
        {
            "rows_deleted": "BIGINT",
            "rows_late": "BIGINT",
            "calls": "BIGINT",
            "retries": "BIGINT",
            "throttled_seconds": "DOUBLE",
            "kind": "STRING",
            "status": "STRING",
            "error": "STRING",
            "server": "STRING",
            "run_id": "STRING",
        },
    ),
    "points": Table("bronze", "pi_points", "first_seen", _NOT_RECORDED),
    "completeness": Table(
        "checkpoints",
        "pi_audit",
        "window_end",
        "no audit has run: completeness has not been compared with the server's own counts",
        {
            "tag_name": "STRING",
            "window_start": "TIMESTAMP",
            "window_end": "TIMESTAMP",
            "server_count": "BIGINT",
            "table_count": "BIGINT",
            "checked_at": "TIMESTAMP",
        },
    ),
}
