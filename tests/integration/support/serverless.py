"""Makes Spark Connect refuse what serverless compute refuses, in the client and in the worker of ``foreachBatch``.

Spark Connect itself has no ``sparkContext``, ``_jvm``, ``newSession`` or RDD. The network of UDFs cannot be watched from
here, so all UDFs are refused: what reads a server is a data source.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NoReturn

from pyspark.sql.connect.catalog import Catalog
from pyspark.sql.connect.conf import RuntimeConf
from pyspark.sql.connect.dataframe import DataFrame
from pyspark.sql.connect.group import GroupedData
from pyspark.sql.connect.session import SparkSession
from pyspark.sql.connect.streaming.readwriter import DataStreamWriter
from pyspark.sql.connect.udf import UDFRegistration, UserDefinedFunction

from tests.integration.support.batch_patches import BatchPatch

SETTINGS = {
    "spark.databricks.execution.timeout",
    "spark.sql.ansi.enabled",
    "spark.sql.files.maxPartitionBytes",
    "spark.sql.legacy.timeParserPolicy",
    "spark.sql.session.timeZone",
    "spark.sql.shuffle.partitions",
}
REFUSED: dict[type, tuple[str, ...]] = {
    DataFrame: (
        "cache",
        "checkpoint",
        "createGlobalTempView",
        "createOrReplaceGlobalTempView",
        "localCheckpoint",
        "mapInArrow",
        "mapInPandas",
        "persist",
        "unpersist",
    ),
    GroupedData: ("applyInArrow", "applyInPandas", "applyInPandasWithState"),
    Catalog: ("cacheTable", "clearCache", "uncacheTable"),
    UDFRegistration: ("register", "registerJavaFunction"),
    UserDefinedFunction: ("__call__",),
}
_STATEMENT = re.compile(
    r"^\s*(UN)?CACHE\s|^\s*SET\s+(?!TIME\s+ZONE)|\bglobal_temp\b|^\s*CREATE\b.*\bFUNCTION\b", re.I
)


class NotSupportedWithServerless(Exception):
    """What Databricks calls ``NOT_SUPPORTED_WITH_SERVERLESS``."""


def refuse() -> None:
    """From here on this process's Spark Connect sessions refuse it; further calls do nothing."""
    if getattr(SparkSession, "_refuses", False):
        return
    SparkSession._refuses = True
    for owner, names in REFUSED.items():
        for name in names:
            setattr(owner, name, _refusing(f"{owner.__name__}.{name}"))
    RuntimeConf.set = _only_if(RuntimeConf.set, lambda key, *_: key in SETTINGS, "setting")
    RuntimeConf.unset = _only_if(RuntimeConf.unset, lambda key: key in SETTINGS, "setting")
    SparkSession.sql = _only_if(SparkSession.sql, lambda text, *_: not _STATEMENT.search(text), "statement")
    DataStreamWriter._start_internal = _only_once(DataStreamWriter._start_internal)
    sys.modules["delta"] = None  # its DeltaTable needs a plug-in of the server


def _refusing(what: str) -> Callable[..., NoReturn]:
    def refusing(*_: Any, **__: Any) -> NoReturn:
        raise NotSupportedWithServerless(what)

    return refusing


def _only_if(method: Callable[..., Any], allowed: Callable[..., bool], what: str) -> Callable[..., Any]:
    def checked(self: Any, first: str, *rest: Any, **named: Any) -> Any:
        if not allowed(first, *rest):
            message = f"{what}: {first}"
            raise NotSupportedWithServerless(message)
        return method(self, first, *rest, **named)

    return checked


def _only_once(start: Callable[..., Any]) -> Callable[..., Any]:
    """Starts a streaming query only with the trigger ``availableNow``."""

    def checked(self: Any, *rest: Any, **named: Any) -> Any:
        if self._write_proto.WhichOneof("trigger") != "available_now":
            message = "a trigger other than availableNow"
            raise NotSupportedWithServerless(message)
        return start(self, *rest, **named)

    return checked


@dataclass(frozen=True)
class InWorker:
    """A ``foreachBatch`` function as a Connect server's worker runs it: with refusals, and with what a test replaces."""

    function: Callable[[DataFrame, int], None]
    patches: tuple[BatchPatch, ...]

    def __call__(self, batch: DataFrame, batch_id: int) -> None:
        refuse()
        for patch in self.patches:
            patch.apply()
        self.function(batch, batch_id)


def watch_batches(patches: list[BatchPatch]) -> None:
    """Every ``foreachBatch`` function of this process becomes an ``InWorker`` with the ``patches`` of that moment."""
    plain = DataStreamWriter.foreachBatch

    def foreach_batch(self: DataStreamWriter, function: Callable[[DataFrame, int], None]) -> DataStreamWriter:
        return plain(self, InWorker(function, tuple(patches)))

    DataStreamWriter.foreachBatch = foreach_batch
