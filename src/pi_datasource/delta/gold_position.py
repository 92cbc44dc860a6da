"""The version of bronze that gold includes: where it stands, and how it follows what was just written."""

from __future__ import annotations

from collections.abc import Sequence

from pyspark.sql import SparkSession

from pi_datasource.delta import audit, bronze, gold, points
from pi_datasource.delta.gold import Appended
from pi_datasource.delta.lakehouse import Lakehouse
from pi_datasource.delta.staging import Staging
from pi_datasource.delta.write import Written


class GoldPosition:
    """One stream's or job's knowledge of gold; the audit table has it for the next one."""

    def __init__(self, lakehouse: Lakehouse, staging: Staging) -> None:
        self._lakehouse, self._staging = lakehouse, staging
        self._version: int | None = None

    def before(self, spark: SparkSession) -> int | None:
        """The version that gold includes, asked for before anything is written; None if that is not known."""
        if self._version is None:
            self._version = audit.gold_version(spark, self._lakehouse)
        if self._version is None and bronze.latest_version(spark, self._lakehouse.bronze) == 0:
            self._version = 0  # bronze is new and empty
        return self._version

    def refresh(self, spark: SparkSession, written: Sequence[Written], web_ids: Sequence[str]) -> int:
        """Brings gold up to the latest version of bronze, and returns that version.

        ``written`` is all that was written since ``before``, of these tags.
        """
        appended = _appended(written, web_ids)
        self._version = gold.refresh(spark, self._lakehouse, self._staging, self._version, appended)
        return self._version


def _appended(written: Sequence[Written], web_ids: Sequence[str]) -> Appended | None:
    changing = [each for each in written if any(each.rows)]
    if len(changing) != 1 or not changing[0].appended:
        return None
    summary = changing[0].summary
    assert summary.first is not None
    assert summary.last is not None
    tags = list(web_ids) if len(web_ids) <= points.MAX_TAGS_LISTED else None
    return Appended(summary.first, summary.last, tags)
